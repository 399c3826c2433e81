"""The checkpoints to resume from: last.pt, and older ones, last-STEP.pt, in case it is damaged."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from anchorloc.checkpoint import load_checkpoint, save_checkpoint
from anchorloc.config import Config, import_option
from anchorloc.engine.state.checkpoint_schema import TrainingCheckpoint, check_entries, with_current_names
from anchorloc.engine.system.log import NAME
from anchorloc.errors import InputError
from anchorloc.files import write_errors

LAST, BEST = "last.pt", "best.pt"


def resume_command(folder: Path, config: Config) -> str:
    """Return the command that resumes the run in `folder`."""
    return shlex.join(["anchorloc", "train", "--resume", "--out", str(folder), *import_option(config)])


def evaluate_command(folder: Path, config: Config) -> str:
    """Return the command that scores the best checkpoint of the run in `folder`."""
    return shlex.join(["anchorloc", "evaluate", str(folder / BEST), *import_option(config)])


def save_last(folder: Path, state: dict[str, Any], before: int, keep: int) -> None:
    """Write last.pt and keep `keep` checkpoints; the existing last.pt, of step `before`, gets the name last-STEP.pt.

    With `before` -1 the existing file is replaced.

    Raises:
        InputError: the file system refuses; the existing file is intact.
    """
    save_checkpoint(folder / LAST, state, None if before in (-1, state["step"]) else folder / f"last-{before:08}.pt")
    for path in older_checkpoints(folder)[keep - 1 :]:
        with write_errors(path, 0):
            path.unlink(missing_ok=True)


def older_checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints before last.pt, newest first."""
    return sorted(folder.glob("last-*[0-9].pt"), reverse=True)


def load_last(folder: Path, warn: Callable[[str], None], repair: bool = True) -> dict[str, Any] | None:
    """Return the newest undamaged state, or None if the run was killed before it wrote one.

    Damaged files are reported by `warn` and, with `repair`, renamed, so that they are not mistaken for good ones later.

    Raises:
        InputError: all are damaged or missing, or the file is not the last.pt of a run.
    """
    log = folder / NAME
    paths = [path for path in (folder / LAST, *older_checkpoints(folder)) if path.exists()]
    if not paths and not (folder / BEST).exists() and not (log.exists() and log.stat().st_size):
        return None  # the first state is saved before anything is learned or logged
    problems: dict[Path, str] = {}
    for path in paths or [folder / LAST]:
        try:
            state = load_checkpoint(path)
        except InputError as error:
            problems[path] = str(error)
            continue
        if "training" not in state:
            raise InputError(f"{path} holds only weights; --resume needs the last.pt of a run")
        check_entries(path, state, TrainingCheckpoint)
        for damaged, problem in problems.items():
            warn(problem)
            if repair:
                with write_errors(damaged, 0):
                    damaged.replace(f"{damaged}.damaged")
        if path.name != LAST:
            warn(f"resuming from {path}, step {state['step']}")
        return with_current_names(state)
    more = "" if len(problems) == 1 else f"; the {len(problems) - 1} older checkpoints cannot be used either"
    raise InputError(next(iter(problems.values())) + more)
