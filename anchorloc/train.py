"""Train a detector or localizer: on the built-in shapes without arguments, on your own data without a config."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from anchorloc.cli import add_allow_import, command_parser, run_command, split_settings
from anchorloc.engine.events import (
    CheckpointSaved,
    Listener,
    Logged,
    RunEvent,
    RunStopped,
    RunWarned,
    StepDone,
    StopTraining,
    Validated,
    Validating,
    ignore,
)
from anchorloc.engine.fold_command import add_fold_options, asks_for_folds, train_folds
from anchorloc.engine.given_settings import read_settings
from anchorloc.engine.run_result import FoldRuns, Run
from anchorloc.engine.system.signals import raise_after_saving
from anchorloc.errors import InputError
from anchorloc.startup import import_torch

if TYPE_CHECKING:
    from anchorloc.config import Config
    from anchorloc.engine.run import Caller
    from anchorloc.engine.system.display import RunConsole
    from anchorloc.plan import PlanRequest

__all__ = [
    "CheckpointSaved",
    "FoldRuns",
    "Logged",
    "Run",
    "RunEvent",
    "RunStopped",
    "RunWarned",
    "StepDone",
    "StopTraining",
    "Validated",
    "Validating",
    "cross_validate",
    "resume",
    "run",
]

START = time.perf_counter()


def run(
    data_or_config: str | os.PathLike[str] | Config | None = None,
    *overrides: str,
    out: str | os.PathLike[str] | None = None,
    events: Listener | None = None,
    start_from: str | os.PathLike[str] | None = None,
    force: bool = False,
    allow_import: bool = False,
    verbose: bool = False,
) -> Run:
    """Train as `anchorloc train` does, write the report, and return what the run has reached.

    In the main thread, Ctrl-C and SIGTERM act after the step has ended and the run is saved (not in other threads).

    Args:
        data_or_config: labeled images of any format, for which settings are chosen; or settings, as a YAML file or a
            `Config`. None trains on the built-in shapes.
        overrides: settings as `key=value`, such as "train.length=5 minutes".
        out: new folder of the run, runs/DATE-TIME by default.
        events: called with every step, logged line, validation, checkpoint and warning of the training as it happens.
            If it raises `StopTraining`, the run is saved and returned without a report; `resume` continues it.
        start_from: folder or checkpoint of an earlier run, as with --from.
        force: train even if no box has an anchor or boxes seem to be in another format, as with --force.
        allow_import: import the classes of your own that settings name as `kind: package.module.Class`. Those of the
            objects in a `Config` are allowed anyway.
        verbose: print what the command prints.

    Raises:
        InputError: data, settings or the file system do not allow it; messages name options as the command does.
    """
    from anchorloc.config import Config, config_from_plain, imports_allowed, refuse_unimported, to_plain

    started, request = time.perf_counter(), None
    with imports_allowed(allow_import, data_or_config if isinstance(data_or_config, Config) else None):
        if isinstance(data_or_config, Config):
            if start_from is not None:
                raise InputError("start_from keeps the settings of its run; give labels or a YAML file, not a Config")
            words = ["Config", *overrides]
            config = config_from_plain(to_plain(data_or_config), "the Config", overrides)
            refuse_unimported(config)
        else:
            words = [*([] if data_or_config is None else [os.fspath(data_or_config)]), *overrides]
            config, request = read_settings(words, None if start_from is None else Path(start_from))
        caller = _program("run", words, started, events, verbose)
        from anchorloc.engine.run import start_run  # loads torch

        done = start_run(None if out is None else Path(out), config, caller, request, force)
    raise_after_saving(done.stop_signal)
    return done


def resume(
    out: str | os.PathLike[str],
    *overrides: str,
    events: Listener | None = None,
    allow_changes: bool = False,
    allow_import: bool = False,
    verbose: bool = False,
) -> Run:
    """Resume the run in the folder `out` with its own settings, as `anchorloc train --resume` does.

    Args:
        overrides: changed settings; those that bear on the result need `allow_changes`.
        events: as in `run`.
        allow_import: as in `run`.
        verbose: as in `run`.

    Raises:
        InputError: as in `run`; or there is no run, another process writes to it, or its settings or data have changed.
    """
    from anchorloc.config import imports_allowed, refuse_unimported
    from anchorloc.engine.state.run_folder import read_run_config

    started, folder = time.perf_counter(), Path(out)
    with imports_allowed(allow_import):
        config = read_run_config(folder, None, overrides)
        refuse_unimported(config)
        caller = _program("resume", [str(folder), *overrides], started, events, verbose)
        from anchorloc.engine.run import resume_run  # loads torch

        done = resume_run(folder, config, caller, allow_changes)
    raise_after_saving(done.stop_signal)
    return done


def cross_validate(
    data_or_config: str | os.PathLike[str],
    folds: int,
    *overrides: str,
    out: str | os.PathLike[str] | None = None,
    events: Listener | None = None,
    group_by: str | None = None,
    group_by_name: str | None = None,
    resume: bool = False,
    force: bool = False,
    verbose: bool = False,
) -> FoldRuns:
    """Train a model for each fold and detect in its images, as `anchorloc train --folds` does.

    Args:
        data_or_config: as in `run`, with files of labels; arguments that are not listed here are as in `run` too.
        folds: their number, from 2.
        group_by: as --group-by, and group_by_name as --group-by-name.
        resume: go on with the folds in `out` that are not done, with their own data and settings.

    Raises:
        InputError: as in `run`; or there are fewer different images than folds.
    """
    words = [os.fspath(data_or_config), *overrides]
    caller = _program("cross_validate", words, time.perf_counter(), events, verbose)
    from anchorloc.engine.fold_runs import FoldRequest, resume_folds, run_folds  # loads torch

    asked, folder = FoldRequest(words, folds, group_by, group_by_name, force), None if out is None else Path(out)
    done = resume_folds(folder, caller) if resume and folder is not None else run_folds(folder, asked, caller)
    if done.detections is None:
        raise_after_saving(done.runs[-1].stop_signal)
    return done


def main(argv: Sequence[str] | None = None) -> int:
    """Train, and write the report into the run folder."""
    words = list(sys.argv[1:] if argv is None else argv)
    arguments = parser().parse_intermixed_args(words)
    if arguments.list:
        from anchorloc.config import list_settings

        for key, default, meaning in list_settings():
            print(f"{key} = {default}" + (f"  # {meaning}" if meaning else ""))
        return 0
    from anchorloc.config import imports_allowed, own_failures

    with imports_allowed(arguments.allow_import), own_failures():
        return _train(arguments, shlex.join(["anchorloc", "train", *words]))


def _train(arguments: argparse.Namespace, command: str) -> int:
    """Start or resume a run, or write its plan, and return the exit status."""
    if asks_for_folds(arguments):
        return train_folds(arguments, command, START, _console())
    config, request = _read_arguments(arguments)
    from anchorloc.engine.system.display import waiting

    console = _console()
    with waiting(console, "loading torch"):
        import_torch()
        from anchorloc.engine.preparation import write_plan
        from anchorloc.engine.run import Caller, resume_run, start_run
    if arguments.plan and request is not None:
        return write_plan(arguments.out, config, command, request, arguments.force)
    caller = Caller(command, START, console)
    if arguments.resume:
        return resume_run(arguments.out, config, caller, arguments.allow_changes).exit_status
    return start_run(arguments.out, config, caller, request, arguments.force).exit_status


def _program(function: str, words: Sequence[str], started: float, events: Listener | None, verbose: bool) -> Caller:
    """Load torch, and return the call of a function of this module.

    Raises:
        InputError: a process that the call has started imports the script again, and comes to the same call.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):  # set while it imports the script
        raise InputError(
            f"a loader worker imports this script and calls anchorloc.train.{function} again; put the call under "
            "`if __name__ == '__main__':`"
        )
    import_torch()
    from anchorloc.engine.run import Caller

    command = f"anchorloc.train.{function}({', '.join(map(repr, words))})"
    return Caller(command, started, _console(verbose), ignore if events is None else events)


def _console(verbose: bool = True) -> RunConsole:
    """Return a console that prints if it is to be `verbose`, in the first process of torchrun only."""
    from anchorloc.engine.system.display import RunConsole  # --help does not wait for it

    return RunConsole(quiet=not verbose or os.environ.get("RANK", "0") != "0")


def _read_arguments(arguments: argparse.Namespace) -> tuple[Config, PlanRequest | None]:
    """Return the settings of the run, and what a plan is asked to choose; this loads no torch.

    Raises:
        InputError: options contradict each other, a file is missing, or a setting is wrong.
    """
    if arguments.allow_changes and not arguments.resume:
        raise InputError("--allow-changes needs --resume")
    if arguments.resume and arguments.out is None:
        raise InputError("--resume needs --out DIR, the folder of the run to resume")
    if arguments.resume and arguments.start is not None:
        raise InputError("--resume continues a run with its own weights; leave out --from")
    if arguments.resume and arguments.plan:
        raise InputError("--resume keeps the settings of the run; leave out --plan")
    if not arguments.resume:
        return read_settings(arguments.settings, arguments.start, arguments.plan)
    path, overrides = split_settings(arguments.settings)
    from anchorloc.config import refuse_unimported  # --help does not wait for these
    from anchorloc.engine.state.run_folder import read_run_config

    config = read_run_config(arguments.out, path, overrides)
    refuse_unimported(config)
    return config, None


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
    parser.add_argument("--allow-changes", action="store_true", help="resume even if settings, data or classes changed")
    parser.add_argument(
        "--force", action="store_true", help="train even if no box has an anchor or boxes seem to be in another format"
    )
    add_fold_options(parser)
    add_allow_import(parser)
    parser.add_argument("--plan", action="store_true", help="choose the settings, print and write them, and exit")
    parser.add_argument("--list", action="store_true", help="print every setting, its default and meaning, and exit")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
