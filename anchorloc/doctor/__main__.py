"""Find what breaks or bends training or scoring in COCO annotations, and mend or split them.

    python -m anchorloc.doctor train.json
    python -m anchorloc.doctor train.json --images images --val val.json --decode --json findings.json
    python -m anchorloc.doctor train.json --fix clean.json
    python -m anchorloc.doctor all.json --split parts --group-by patient

The exit status is 0 where nothing but information is found, 1 where there are errors or warnings, 2 where the file
or the command cannot be used. It tells of the files as they are, also with --fix. Files are never overwritten.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from anchorloc.cli import run_command
from anchorloc.doctor import (
    Diagnosis,
    Findings,
    Severity,
    check_items,
    check_new_folder,
    count_classes,
    diagnose,
    divide,
    findings_csv,
    findings_record,
    groups_of,
    named_parts,
    print_changes,
    print_diagnosis,
    print_parts,
    read_document,
    repair,
    swap_xyxy,
    write_json_rows,
    write_parts,
)
from anchorloc.errors import InputError
from anchorloc.files import write_text
from anchorloc.text import counted, printable

MOST_FOLDS = 100


def main(argv: Sequence[str] | None = None) -> int:
    """Print the findings, and write what was asked for."""
    arguments = _parser().parse_args(argv)
    _check(arguments)
    writes = arguments.fix is not None or arguments.split is not None
    documents = [read_document(arguments.annotations, arguments.images, whole=writes)]
    if arguments.val is not None:
        documents.append(read_document(arguments.val, arguments.val_images or arguments.images))
    diagnosis = diagnose(documents, arguments.stride, arguments.decode)
    console = Console(highlight=False)
    print_diagnosis(diagnosis, console)
    if arguments.json is not None:
        write_json_rows(arguments.json, findings_record(diagnosis))
    if arguments.csv is not None:
        write_text(arguments.csv, findings_csv(diagnosis))
    status = 0 if diagnosis.findings.clean else 1
    if arguments.fix is not None:
        diagnosis = _fix(diagnosis, arguments, console)
    if arguments.split is not None:
        _split(diagnosis, arguments, console)
    return status


def _fix(diagnosis: Diagnosis, arguments: argparse.Namespace, console: Console) -> Diagnosis:
    swapped = 0
    if len(diagnosis.documents) > 1:  # what is between train and val cannot be mended in one of them
        diagnosis = diagnose(diagnosis.documents[:1], arguments.stride, arguments.decode)
    if arguments.fix_xyxy:
        document, swapped = swap_xyxy(diagnosis)
        diagnosis = diagnose([document], arguments.stride, arguments.decode)
    diagnosis, changes = repair(diagnosis, arguments.stride, arguments.decode)
    if swapped:
        changes["box", "taken as x1, y1, x2, y2, written as x, y, width, height"] = swapped
    write_json_rows(arguments.fix, diagnosis.documents[0].content)
    left = diagnosis.findings.of(Severity.WARNING)
    rest = f"{counted(len(left), 'kind', 'kinds')} of warning" if left else "no warning"
    print(f"\n{printable(str(arguments.fix))} is written:")
    print_changes(changes, console)
    print(f"it has no error, and {rest}")
    return diagnosis


def _split(diagnosis: Diagnosis, arguments: argparse.Namespace, console: Console) -> None:
    document = diagnosis.documents[0]
    if diagnosis.findings.of(Severity.ERROR):
        raise InputError(f"{document.path} has errors and is not split; with --fix OUT, what that writes is split")
    groups = groups_of(document, arguments.group_by, arguments.group_by_name)
    fractions = [1 / arguments.folds] * arguments.folds if arguments.folds else arguments.fractions
    places = divide(count_classes(diagnosis.tables[0]), groups, fractions, arguments.seed)
    parts = named_parts(document, places, folds=arguments.folds is not None)
    write_parts(parts, arguments.split)
    group_of = {item["id"]: group for item, group in zip(document.items("images"), groups, strict=True)}
    numbers = [len({group_of[item["id"]] for item in part.items("images")}) for part in parts.values()]
    print(f"\n{printable(str(arguments.split))} is written:")
    print_parts(list(parts), [check_items(part, Findings()) for part in parts.values()], numbers, console)


def _check(arguments: argparse.Namespace) -> None:
    """Refuse options that do not go together, and files that exist, before anything is read."""
    for option in ("json", "csv", "fix"):
        path = getattr(arguments, option)
        if path is not None and (path.exists() or path.is_symlink()):
            raise InputError(f"{path} exists already; give another --{option}")
        if path is not None and not path.parent.is_dir():
            raise InputError(f"the folder {path.parent} does not exist; make it, or give another --{option}")
    outputs = [path for path in (arguments.json, arguments.csv, arguments.fix, arguments.split) if path is not None]
    if len(set(outputs)) < len(outputs):
        raise InputError("two of --json, --csv, --fix and --split name the same path; give each its own")
    if arguments.split is not None:
        check_new_folder(arguments.split)
        if arguments.val is not None:
            raise InputError("--split makes a val of its own; leave out --val")
    elif arguments.folds or arguments.group_by or arguments.group_by_name:
        raise InputError("--folds, --group-by and --group-by-name need --split DIR")
    if arguments.fix_xyxy and arguments.fix is None:
        raise InputError("--fix-xyxy needs --fix OUT")
    if arguments.decode and arguments.images is None and arguments.val_images is None:
        raise InputError("--decode needs --images DIR")
    if arguments.val_images is not None and arguments.val is None:
        raise InputError("--val-images needs --val JSON")
    fractions = arguments.fractions
    if not 2 <= len(fractions) <= 3 or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        given = " ".join(f"{fraction:g}" for fraction in fractions)
        raise InputError(f"--fractions are two or three shares above 0 with the sum 1, such as 0.8 0.2; got {given}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m anchorloc.doctor",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "annotations", type=Path, metavar="ANNOTATIONS", help="a COCO JSON; beside --val, that of train"
    )
    look = parser.add_argument_group("what is looked at")
    look.add_argument("--images", type=Path, metavar="DIR", help="folder of the images")
    look.add_argument("--val", type=Path, metavar="JSON", help="a second file, to be compared")
    look.add_argument("--val-images", type=Path, metavar="DIR", help="folder of its images, if another")
    look.add_argument("--decode", action="store_true", help="read all pixels, not only headers")
    look.add_argument(
        "--stride",
        type=_positive,
        default=8.0,
        metavar="PX",
        help="smallest stride, in pixels of the images as they are (8)",
    )
    write = parser.add_argument_group("what is written")
    write.add_argument("--json", type=Path, metavar="OUT", help="every case, as JSON")
    write.add_argument("--csv", type=Path, metavar="OUT", help="every case, as CSV")
    write.add_argument("--fix", type=Path, metavar="OUT", help="the annotations mended")
    write.add_argument("--fix-xyxy", action="store_true", help="with --fix: boxes are x1, y1, x2, y2")
    split = parser.add_argument_group("splitting")
    split.add_argument("--split", type=Path, metavar="DIR", help="new folder for train.json and val.json, or folds")
    how = split.add_mutually_exclusive_group()
    how.add_argument("--fractions", type=_positive, nargs="+", default=[0.8, 0.2], metavar="F", help="shares (0.8 0.2)")
    how.add_argument("--folds", type=_folds, metavar="K", help="fold_0_train.json, fold_0_val.json, ...")
    group = split.add_mutually_exclusive_group()
    group.add_argument("--group-by", metavar="KEY", help="key of image entries whose values stay together")
    group.add_argument("--group-by-name", metavar="REGEX", help="its ( ) in file_name is what stays together")
    split.add_argument("--seed", type=int, default=0, metavar="N", help="another seed gives another split (0)")
    return parser


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"need a number above 0, got {text!r}")
    return value


def _folds(text: str) -> int:
    if not text.isdecimal() or not 2 <= int(text) <= MOST_FOLDS:
        raise argparse.ArgumentTypeError(f"need a whole number from 2 to {MOST_FOLDS}, got {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(run_command(main))
