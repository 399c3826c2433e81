"""The command line of a cross-validation; nothing here loads torch before the work."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from anchorloc.cli import add_grouping
from anchorloc.engine.given_settings import read_settings
from anchorloc.errors import InputError
from anchorloc.startup import import_torch

if TYPE_CHECKING:
    from anchorloc.engine.system.display import RunConsole

MAX_FOLDS = 100
RECORD = "folds.json"  # in the folder of a cross-validation: what it was asked for


def is_fold_folder(out: Path | None) -> bool:
    """Return whether `out` is the folder of a cross-validation."""
    return out is not None and (out / RECORD).is_file()


def add_fold_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a cross-validation."""
    parser.add_argument(
        "--folds",
        type=int,
        metavar="K",
        help="train K models, each on all of the train split but one of K parts, and write what each detects in its "
        "part, in which the doctor finds label errors",
    )
    add_grouping(parser, "with --folds, keep images in one part")


def asks_for_folds(arguments: argparse.Namespace) -> bool:
    """Return whether the arguments start or resume a cross-validation.

    Raises:
        InputError: options contradict each other.
    """
    if arguments.resume and is_fold_folder(arguments.out):
        others = arguments.settings or arguments.folds or arguments.start or arguments.allow_changes
        if others or arguments.group_by or arguments.group_by_name:
            raise InputError(f"{arguments.out} keeps its data and settings; give only --resume and --out")
        return True
    if arguments.folds is None:
        if arguments.group_by or arguments.group_by_name:
            raise InputError("--group-by and --group-by-name need --folds K")
        return False
    if not 2 <= arguments.folds <= MAX_FOLDS:
        raise InputError(f"--folds {arguments.folds} is not a number of parts; give one from 2 to {MAX_FOLDS}")
    if arguments.resume:
        raise InputError(f"{arguments.out} has no folds to resume; leave out --resume")
    if arguments.start is not None:
        raise InputError("--from starts all folds with a model that may have seen their images; leave out --from")
    if arguments.plan:
        raise InputError("--plan chooses the settings of one run; leave out --plan or --folds")
    return True


def train_folds(arguments: argparse.Namespace, command: str, started: float, console: RunConsole) -> int:
    """Start or resume a cross-validation, and return the exit status.

    Raises:
        InputError: data, settings or the file system do not allow it.
    """
    if not arguments.resume:
        read_settings(arguments.settings)  # a mistake is reported before torch is loaded
    import_torch()
    from anchorloc.engine.fold_runs import FoldRequest, resume_folds, run_folds
    from anchorloc.engine.run import Caller

    caller = Caller(command, started, console)
    if arguments.resume:
        return resume_folds(arguments.out, caller).exit_status
    asked = FoldRequest(
        words=arguments.settings,
        folds=arguments.folds,
        group_by=arguments.group_by,
        group_by_name=arguments.group_by_name,
        force=arguments.force,
    )
    return run_folds(arguments.out, asked, caller).exit_status
