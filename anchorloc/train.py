"""Train a localizer: on the built-in shapes without arguments, on your own data with a config."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from anchorloc.cli import run_command
from anchorloc.errors import InputError
from anchorloc.files import exists

START = time.perf_counter()


def main(argv: Sequence[str] | None = None) -> int:
    """Train, and write the report into the folder of the run."""
    words = list(sys.argv[1:] if argv is None else argv)
    arguments = _parser().parse_intermixed_args(words)
    from anchorloc.config import list_settings, read_config  # torch takes seconds to import: --help does not wait
    from anchorloc.engine.run import resume_run, start_run

    if arguments.list:
        for key, default, meaning in list_settings():
            print(f"{key} = {default}" + (f"  # {meaning}" if meaning else ""))
        return 0
    path, overrides = _split(arguments.settings)
    command = shlex.join(["python", "-m", "anchorloc.train", *words])
    if arguments.allow_changes and not arguments.resume:
        raise InputError("--allow-changes is for --resume; a new run has nothing to differ from")
    if arguments.resume:
        if arguments.out is None:
            raise InputError("--resume needs --out, the folder of the run to go on with")
        return resume_run(arguments.out, path, overrides, command, START, arguments.allow_changes)
    return start_run(arguments.out, read_config(path, overrides), command, START)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m anchorloc.train", description=__doc__)
    parser.add_argument(
        "settings", nargs="*", metavar="CONFIG | key=value", help="a YAML file, and overrides such as train.seed=1"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="the folder of the run (default: runs/DATE-TIME)")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    parser.add_argument("--allow-changes", action="store_true", help="with --resume: other settings, data or classes")
    parser.add_argument("--list", action="store_true", help="print every setting with its default and meaning, and end")
    return parser


def _split(settings: Sequence[str]) -> tuple[Path | None, list[str]]:
    """Tell the config file from the overrides."""
    files = [word for word in settings if "=" not in word or exists(word)]
    if len(files) > 1:
        raise InputError(f"one config at most, got {', '.join(files)}; overrides read key=value")
    return (Path(files[0]) if files else None), [word for word in settings if word not in files]


if __name__ == "__main__":
    sys.exit(run_command(main))
