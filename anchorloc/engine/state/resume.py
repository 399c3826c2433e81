"""The checkpoints that a run goes on from: last.pt, and before it last-STEP.pt, should last.pt be damaged."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from anchorloc.checkpoint import load_checkpoint, save_checkpoint
from anchorloc.engine.state.checkpoint_schema import TrainingCheckpoint, check_entries, with_current_names
from anchorloc.engine.system.log import NAME
from anchorloc.errors import InputError
from anchorloc.files import writing

LAST, BEST = "last.pt", "best.pt"


def resume_command(folder: Path) -> str:
    """Return what to type to go on with the run in `folder`."""
    return shlex.join(["python", "-m", "anchorloc.train", "--resume", "--out", str(folder)])


def save_last(folder: Path, state: dict[str, Any], before: int, keep: int) -> None:
    """Write last.pt, of which `keep` are kept; the present one is of the step `before`, or -1 if it is not to be.

    Raises:
        InputError: the file system refuses; the present one is intact.
    """
    save_checkpoint(folder / LAST, state, None if before in (-1, state["step"]) else folder / f"last-{before:08}.pt")
    for path in older_checkpoints(folder)[keep - 1 :]:
        with writing(path, 0):
            path.unlink(missing_ok=True)


def older_checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints before last.pt, the newest first."""
    return sorted(folder.glob("last-*[0-9].pt"), reverse=True)


def load_last(folder: Path, say: Callable[[str], None], repair: bool = True) -> dict[str, Any] | None:
    """Return the newest state that is whole, or None where the run was killed before it had written one.

    What is damaged is told by `say` and, to `repair`, renamed, so that it is not taken for a good one later.

    Raises:
        InputError: there is none that is whole, or it is not the last.pt of a run, or gone.
    """
    log = folder / NAME
    paths = [path for path in (folder / LAST, *older_checkpoints(folder)) if path.exists()]
    if not paths and not (folder / BEST).exists() and not (log.exists() and log.stat().st_size):
        return None  # the state is saved before anything is learned or logged
    problems: dict[Path, str] = {}
    for path in paths or [folder / LAST]:
        try:
            state = load_checkpoint(path)
        except InputError as error:
            problems[path] = str(error)
            continue
        if "training" not in state:
            raise InputError(f"{path} holds weights alone; --resume needs the last.pt of a run")
        check_entries(path, state, TrainingCheckpoint)
        for damaged, problem in problems.items():
            say(problem)
            if repair:
                with writing(damaged, 0):
                    damaged.replace(f"{damaged}.damaged")
        if path.name != LAST:
            say(f"going on from {path}, of step {state['step']}")
        return with_current_names(state)
    more = "" if len(problems) == 1 else f"; none of the {len(problems) - 1} before it can be used either"
    raise InputError(next(iter(problems.values())) + more)
