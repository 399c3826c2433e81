"""See what anchors can find in your data, before you train.

    anchorloc lab report CONFIG|ANNOTATIONS   what the anchors find and miss
    anchorloc lab fit CONFIG|ANNOTATIONS      fit anchor shapes to the data
    anchorloc lab compare A.yaml B.yaml ...   compare the anchors of configs
    anchorloc lab sheet CONFIG|ANNOTATIONS    draw boxes and anchors on images

CONFIG is a YAML file, as for `anchorloc train`. ANNOTATIONS is a COCO file that ends in .json; it replaces the data
of the default config. key=value after these words overrides a setting. The commands read boxes, not pixels; only
`sheet` needs the images, and `report` shows them if it finds them. `anchorloc lab COMMAND --help` lists the options
of a command.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from anchorloc.cli import (
    add_allow_import,
    command_parser,
    help_width,
    non_negative_int,
    positive_float,
    positive_int,
    run_command,
    split_words,
    wrap_help,
)
from anchorloc.errors import InputError
from anchorloc.startup import import_torch
from anchorloc.text import did_you_mean

START = time.perf_counter()
MAX_IMAGES = 10_000  # more take many minutes and hardly change a share


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that the first word names; check the words before torch is imported, which takes seconds."""
    name, *words = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if name in ("-h", "--help"):
        print(wrap_help(str(__doc__), help_width()))
        return 0
    if name not in PARSERS:
        raise InputError(f"anchorloc lab has no command {name!r}; {did_you_mean(name, PARSERS)}")
    options = vars(PARSERS[name]().parse_intermixed_args(words))
    files, overrides = split_words(options.pop("settings"))
    _check_files(name, files)
    from anchorloc.config import imports_allowed, own_failures
    from anchorloc.lab.invocation import Invocation

    call = Invocation(files, overrides, shlex.join(["anchorloc", "lab", name, *words]), START)
    with imports_allowed(options.pop("allow_import")), own_failures():
        _ = call.configs  # a wrong setting is reported before torch is loaded
        import_torch()
        from anchorloc.lab import commands

        getattr(commands, name)(call, **options)
    return 0


def _check_files(name: str, files: Sequence[Path]) -> None:
    listed = ", ".join(map(str, files)) or "none"
    if name == "compare":
        if len(files) < 2 or len(set(files)) < len(files):
            raise InputError(f"anchorloc lab compare needs two or more different configs, got {listed}")
    elif len(files) > 1:
        raise InputError(f"give one config or one annotation file, got {listed}")
    for path in files:
        if not path.exists():
            raise InputError(f"{path} does not exist; check the path")


def _parser(command: str, description: str, written: str = "DIR") -> argparse.ArgumentParser:
    parser = command_parser(f"lab {command}", description)
    parser.add_argument(
        "settings",
        nargs="*",
        metavar="CONFIG | ANNOTATIONS | key=value",
        help="config (YAML) or COCO annotation file (.json), and settings to override, such as train.seed=1",
    )
    what = "new PNG file" if command == "sheet" else "new folder for the output"
    default = f"runs/{'lab' if command == 'report' else command}-DATE-TIME{'.png' if command == 'sheet' else ''}"
    parser.add_argument("--out", type=Path, metavar=written, help=f"{what} (default: {default})")
    add_allow_import(parser)
    return parser


def _add_passes(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument(
        "--passes",
        type=positive_int,
        default=1,
        metavar="N",
        help="passes over the train images, each with the augmentation of one training epoch (default: 1)",
    )
    return _add_max_images(parser)


def _add_max_images(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument(
        "--max-images",
        type=positive_int,
        default=MAX_IMAGES,
        metavar="N",
        help=f"use at most N images of a split, spread evenly (default: {MAX_IMAGES:,})",
    )
    return parser


def _report_parser() -> argparse.ArgumentParser:
    return _add_passes(_parser("report", "Measure what the anchors of a config can find in its data."))


def _compare_parser() -> argparse.ArgumentParser:
    return _add_passes(_parser("compare", "Compare the anchors of two or more configs side by side."))


def _sheet_parser() -> argparse.ArgumentParser:
    parser = _parser("sheet", "Draw training pictures, their boxes and the positive anchors of each box.", "FILE.png")
    parser.add_argument(
        "--images",
        type=positive_int,
        default=12,
        metavar="N",
        help="number of pictures, spread over the train images (default: 12)",
    )
    parser.add_argument(
        "--epoch", type=non_negative_int, default=0, metavar="N", help="epoch whose augmentation is shown (default: 0)"
    )
    return parser


def _fit_parser() -> argparse.ArgumentParser:
    parser = _parser(
        "fit",
        "Fit anchor shapes to the boxes as training sees them, each level within the sizes it serves,\n"
        "and score them on held-out images.",
    )
    parser.add_argument(
        "--form",
        choices=("shapes", "scales"),
        default="shapes",
        help="shapes: a list for every level; scales: scales and aspect ratios that all levels share (default: shapes)",
    )
    parser.add_argument(
        "--shapes",
        type=positive_int,
        metavar="K",
        help="anchor shapes per cell on every level (default: as in the config)",
    )
    parser.add_argument(
        "--anchors",
        type=positive_float,
        metavar="N",
        help="average number of anchors per image; the fit distributes them over the levels; replaces --shapes",
    )
    parser.add_argument(
        "--weight-by",
        choices=("boxes", "classes"),
        default="boxes",
        help="weight by 'boxes' or 'classes'; either way, fits that lower no class come first (default: boxes)",
    )
    parser.add_argument(
        "--passes",
        type=positive_int,
        metavar="N",
        help="augmented passes over the train images (default: until 20,000 boxes are seen, at most 32)",
    )
    parser.add_argument(
        "--restarts",
        type=positive_int,
        default=4,
        metavar="N",
        help="random restarts; the best is kept (default: 4)",
    )
    parser.add_argument(
        "--resamples",
        type=non_negative_int,
        default=4,
        metavar="N",
        help="bootstrap fits that measure stability (default: 4)",
    )
    parser.add_argument(
        "--seed", type=non_negative_int, default=0, metavar="N", help="seed of all random choices (default: 0)"
    )
    return _add_max_images(parser)


PARSERS = {"report": _report_parser, "fit": _fit_parser, "compare": _compare_parser, "sheet": _sheet_parser}


if __name__ == "__main__":
    sys.exit(run_command(main))
