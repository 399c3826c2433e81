"""Know what anchors can find, before you train.

    python -m anchorloc.lab report CONFIG [key=value ...]         on the data of a config
    python -m anchorloc.lab report ANNOTATIONS [key=value ...]    on a COCO file, with the default settings otherwise
    python -m anchorloc.lab compare A.yaml B.yaml ... [key=value ...]

Only boxes are read; images are opened to show those that no anchor learns, where they can be found.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from anchorloc.errors import InputError, printable, run_command

if TYPE_CHECKING:
    from anchorloc.config import Config

START = time.perf_counter()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the sub-command that the first word names."""
    name, *words = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if name in ("-h", "--help"):
        print(__doc__)
        return 0
    if name not in COMMANDS:
        raise InputError(f"the lab has no {name!r}; choose one of {', '.join(COMMANDS)}")
    return COMMANDS[name](words)


def report(words: Sequence[str]) -> int:
    """Inspect the anchors of a config, print the numbers and write the report."""
    parser = _parser("report", "What the anchors of a config can find in its data.", "CONFIG | ANNOTATIONS | key=value")
    parser.add_argument("--passes", type=_positive, default=1, metavar="K", help="augmented epochs to look at (1)")
    arguments = parser.parse_intermixed_args(words)
    from anchorloc.coverage.inspection import inspect, views_of  # torch takes seconds to import: --help does not wait
    from anchorloc.report.lab import print_inspections, write_lab_report

    files, overrides = _split(arguments.settings)
    if len(files) > 1:
        raise InputError(f"report takes one config or annotation file, got {', '.join(map(str, files))}")
    folder = _new_folder(arguments.out, "lab")
    config = _config(files[0] if files else None, overrides)
    inspections = list(inspect(views_of(config, arguments.passes)))
    print_inspections(inspections)
    facts = {"settings": " ".join(arguments.settings), "seconds": f"{time.perf_counter() - START:.1f}"}
    _make(folder)
    title = f"{files[0].name if files else 'built-in shapes'}: anchors"
    page = write_lab_report(folder, inspections, title, facts)
    print(f"report: {printable(str(page))}")
    return 0


def compare(words: Sequence[str]) -> int:
    """Inspect the anchors of several configs, and show their numbers side by side."""
    parser = _parser("compare", "The anchors of several configs side by side.", "CONFIG | key=value")
    parser.add_argument("--passes", type=_positive, default=1, metavar="K", help="augmented epochs to look at (1)")
    arguments = parser.parse_intermixed_args(words)
    from anchorloc.coverage.inspection import inspect, views_of
    from anchorloc.report.lab import print_comparison, write_comparison

    files, overrides = _split(arguments.settings)
    if len(files) < 2 or len(set(files)) < len(files):
        raise InputError(f"compare takes two or more different configs, got {', '.join(map(str, files)) or 'none'}")
    folder = _new_folder(arguments.out, "compare")
    configs = [_config(path, overrides) for path in files]
    if len({(config.data, config.transform.resize) for config in configs}) > 1:
        print("warning: the configs differ in data or image size, not in their anchors alone", file=sys.stderr)
    names = _short_names(files)
    settings = {
        key: list(inspect(views_of(config, arguments.passes), findings=False))
        for key, config in zip(names, configs, strict=True)
    }
    print_comparison(settings)
    _make(folder)
    facts = {"settings": " ".join(arguments.settings), "seconds": f"{time.perf_counter() - START:.1f}"}
    print(f"report: {printable(str(write_comparison(folder, settings, facts)))}")
    return 0


def _short_names(files: Sequence[Path]) -> list[str]:
    """The stems of the files where they differ, else the whole paths."""
    stems = [path.stem for path in files]
    return stems if len(set(stems)) == len(stems) else [str(path) for path in files]


COMMANDS: Final = {"report": report, "compare": compare}


def _config(path: Path | None, overrides: Sequence[str]) -> Config:
    """The settings of a config, or the default ones on an annotation file."""
    from anchorloc.config import config_from_plain, read_config

    if path is None or path.suffix.lower() != ".json":
        return read_config(path, overrides)
    data = {"kind": "CocoData", "root": str(path.parent), "train": path.name, "val": path.name}
    return config_from_plain({"data": data}, "the command line", overrides)


def _new_folder(out: Path | None, what: str) -> Path:
    folder = out or Path("runs") / f"{what}-{datetime.now():%Y%m%d-%H%M%S}"
    if folder.exists():
        raise InputError(f"{folder} exists already; give another --out")
    return folder


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"the folder {folder} cannot be made: {error.strerror}; give another --out") from None


def _split(words: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Tell files from overrides."""
    files = [word for word in words if "=" not in word or Path(word).is_file()]
    return list(map(Path, files)), [word for word in words if word not in files]


def _parser(command: str, description: str, words: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m anchorloc.lab {command}", description=description)
    parser.add_argument("settings", nargs="*", metavar=words, help="what to look at, and settings to change")
    parser.add_argument("--out", type=Path, metavar="DIR", help="new folder for what is written (runs/NAME-DATE-TIME)")
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"need a whole number from 1, got {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(run_command(main))
