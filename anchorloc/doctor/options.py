"""The options of the doctor: their types, and which of them contradict each other."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from anchorloc.data.formats import WRITERS
from anchorloc.doctor.rules import Rule
from anchorloc.doctor.split import compile_group_pattern
from anchorloc.doctor.terminal import print_rules
from anchorloc.errors import InputError
from anchorloc.files import refuse_existing, refuse_filled
from anchorloc.text import did_you_mean

MAX_FOLDS: Final = 100
STDOUT: Final = Path("-")
BESIDE_DETECTIONS: Final = ("reviewed", "val", "json", "csv", "fix", "split", "decode", "only", "skip")
REMOVALS: Final = ("drop_missing", "drop_boxes", "drop_root")
CONVERSIONS: Final = ("fix_xyxy", "fix_centers", "fix_swapped", "fix_shares", "fix_scale", "fix_resized")


class PrintRules(argparse.Action):
    """Print the rules and exit, as --help does."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print_rules(Console(highlight=False))
        parser.exit()


def rule_keys(text: str) -> tuple[str, ...]:
    """Read an option that is keys of rules, separated by commas."""
    keys = {rule.key for rule in Rule}
    words = tuple(word.strip() for word in text.split(",") if word.strip())
    if unknown := [word for word in words if word not in keys]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is not a rule; {did_you_mean(unknown[0], sorted(keys))}")
    return words


def fold_count(text: str) -> int:
    """Read an option that is a number of folds."""
    if not text.isdecimal() or not 2 <= int(text) <= MAX_FOLDS:
        raise argparse.ArgumentTypeError(f"need a whole number from 2 to {MAX_FOLDS}, got {text!r}")
    return int(text)


def check_options(arguments: argparse.Namespace) -> None:
    """Refuse options that contradict each other and outputs that exist, before the work.

    Raises:
        InputError: naming the option.
    """
    for option in ("json", "csv", "fix"):
        path = getattr(arguments, option)
        if path is None or path == STDOUT:
            continue
        refuse_existing(path, f"--{option}")
        if not path.parent.is_dir():
            raise InputError(f"the folder {path.parent} does not exist; make it, or give another --{option}")
    for option in ("images", "val_images"):
        folder = getattr(arguments, option)
        if folder is not None and not folder.is_dir():
            raise InputError(f"--{option.replace('_', '-')} {folder} does not exist; give an existing folder")
    if arguments.convert is not None:
        kind, out = arguments.convert
        if kind not in WRITERS:
            raise InputError(f"--convert {kind} cannot be written; choose one of {', '.join(WRITERS)}")
        refuse_filled(Path(out), "folder for --convert")
    if arguments.detections is not None:
        others = [name for name in BESIDE_DETECTIONS if getattr(arguments, name)]
        if others:
            word = f"--{others[0].replace('_', '-')}"
            raise InputError(f"--detections and {word} cannot be combined; leave out {word}")
        if arguments.convert is None:
            refuse_existing(arguments.out) if arguments.out is not None else None
    if arguments.out is not None and (arguments.detections is None or arguments.convert is not None):
        raise InputError("--out is the folder for suspects; give --detections JSON, without --convert")
    if arguments.score is not None and (arguments.detections is None or arguments.convert is None):
        raise InputError("--score needs --detections JSON and --convert FORMAT DIR")
    if arguments.reviewed is not None and arguments.fix is None:
        raise InputError("--reviewed needs --fix OUT")
    if arguments.group_by_name is not None:
        compile_group_pattern(arguments.group_by_name)
    outputs = [path for path in (arguments.json, arguments.csv, arguments.fix, arguments.split) if path is not None]
    if len(set(outputs)) < len(outputs):
        raise InputError("two of --json, --csv, --fix and --split name the same path; give each its own")
    if arguments.split is not None:
        refuse_filled(arguments.split, "--split")
        if arguments.val is not None:
            raise InputError("--split makes its own val file; leave out --val")
    elif arguments.folds or arguments.group_by or arguments.group_by_name:
        raise InputError("--folds, --group-by and --group-by-name need --split DIR")
    if (arguments.only or arguments.skip) and (arguments.fix is not None or arguments.split is not None):
        raise InputError("--fix and --split need every finding; leave out --only and --skip")
    chosen = [option for option in (*CONVERSIONS, *REMOVALS) if getattr(arguments, option)]
    names = [f"--{option.replace('_', '-')}" for option in chosen]
    if arguments.fix is None and (chosen[1:] or (chosen and not (arguments.drop_root and arguments.convert))):
        raise InputError(f"{names[0]} needs --fix OUT")
    if len(set(chosen) & set(CONVERSIONS)) > 1:
        raise InputError(f"{names[0]} and {names[1]} are two readings of the same boxes; give one")
    if arguments.fix_resized and arguments.images is None:
        raise InputError("--fix-resized needs --images DIR")
    if arguments.val_images is not None and arguments.val is None:
        raise InputError("--val-images needs --val JSON")
    fractions = arguments.fractions
    if not 2 <= len(fractions) <= 3 or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        given = " ".join(f"{fraction:g}" for fraction in fractions)
        raise InputError(f"--fractions needs two or three numbers above 0 with sum 1, such as 0.8 0.2; got {given}")
