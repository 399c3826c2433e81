"""Train a detector or localizer: on the built-in shapes without arguments, on your own data without a config."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from anchorloc.cli import command_parser, run_command, split_words
from anchorloc.errors import InputError
from anchorloc.files import exists, refuse_missing
from anchorloc.startup import import_torch

if TYPE_CHECKING:
    from anchorloc.config import Config
    from anchorloc.plan import PlanRequest

START = time.perf_counter()
_KEY = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+(?<!\.yaml)(?<!\.yml)(?<!\.json)")


def main(argv: Sequence[str] | None = None) -> int:
    """Train, and write the report into the run folder."""
    words = list(sys.argv[1:] if argv is None else argv)
    arguments = parser().parse_intermixed_args(words)
    if arguments.list:
        from anchorloc.config import list_settings

        for key, default, meaning in list_settings():
            print(f"{key} = {default}" + (f"  # {meaning}" if meaning else ""))
        return 0
    command = shlex.join(["anchorloc", "train", *words])
    config, request = _config(arguments)
    from rich.console import Console

    from anchorloc.engine.system.display import waiting

    console = Console(quiet=os.environ.get("RANK", "0") != "0")  # only the first process of torchrun prints
    with waiting(console, "loading torch"):
        import_torch()
        from anchorloc.engine.preparation import write_plan
        from anchorloc.engine.run import resume_run, start_run
    if arguments.plan and request is not None:
        return write_plan(arguments.out, config, command, request, arguments.force)
    if arguments.resume:
        return resume_run(arguments.out, config, command, START, arguments.allow_changes)
    return start_run(arguments.out, config, command, START, request, arguments.force)


def _config(arguments: argparse.Namespace) -> tuple[Config, PlanRequest | None]:
    """Return the settings of the run, and what a plan is asked to choose; this loads no torch.

    Raises:
        InputError: options contradict each other, a file is missing, or a setting is wrong.
    """
    path, overrides = split_settings(arguments.settings)
    if arguments.allow_changes and not arguments.resume:
        raise InputError("--allow-changes needs --resume")
    if arguments.resume and arguments.out is None:
        raise InputError("--resume needs --out DIR, the folder of the run to resume")
    if arguments.resume and arguments.start is not None:
        raise InputError("--resume continues a run with its own weights; leave out --from")
    if arguments.resume and arguments.plan:
        raise InputError("--resume keeps the settings of the run; leave out --plan")
    if path is not None and not path.is_dir():
        refuse_missing(path)
    if arguments.resume:
        from anchorloc.engine.state.run_folder import read_run_config  # --help does not wait for it

        return read_run_config(arguments.out, path, overrides), None
    from anchorloc.plan import read_request

    if arguments.start is None:
        return read_request(path, overrides, plan=arguments.plan)
    from anchorloc.engine.state.saved_settings import settings_to_start_from

    return read_request(path, overrides, plan=arguments.plan, kept=settings_to_start_from(arguments.start))


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = command_parser("train", __doc__)
    parser.add_argument(
        "settings",
        nargs="*",
        metavar="DATA | CONFIG | key=value",
        help="labeled images of any format, for which settings are chosen, or a YAML file with settings; and overrides "
        "such as train.seed=1",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the run (default: runs/DATE-TIME)")
    parser.add_argument(
        "--from",
        dest="start",
        type=Path,
        metavar="RUN",
        help="folder or checkpoint of an earlier run to start from: keeps its network, anchors and image size, and "
        "takes over its classes by name; without DATA, its data are read again",
    )
    parser.add_argument("--resume", action="store_true", help="resume the run in the folder given by --out")
    parser.add_argument(
        "--allow-changes", action="store_true", help="resume even if settings, data or classes have changed"
    )
    parser.add_argument(
        "--force", action="store_true", help="train even if no box has an anchor or boxes seem to be in another format"
    )
    parser.add_argument("--plan", action="store_true", help="choose the settings, print and write them, and exit")
    parser.add_argument("--list", action="store_true", help="print every setting, its default and meaning, and exit")
    return parser


def split_settings(words: Sequence[str]) -> tuple[Path | None, list[str]]:
    """Return the path of the data or of the config, if there is one, and the `key=value` overrides.

    Raises:
        InputError: there is more than one file, or a key without a value.
    """
    files, overrides = split_words(words)
    for file in files:
        if _KEY.fullmatch(str(file)) and not exists(str(file)):
            raise InputError(f"{file} is neither a file nor an override; write {file}=VALUE")
    if len(files) > 1:
        raise InputError(
            f"give one data set or config, got {' and '.join(map(str, files))}; write overrides as key=value"
        )
    return (files[0] if files else None), overrides


if __name__ == "__main__":
    sys.exit(run_command(main))
