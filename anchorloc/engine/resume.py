"""The checkpoint that a run goes on from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from anchorloc.checkpoint import load_checkpoint
from anchorloc.engine.log import NAME
from anchorloc.errors import InputError

LAST, BEST = "last.pt", "best.pt"


def load_last(folder: Path) -> dict[str, Any] | None:
    """Return the state of last.pt, or None where the run was killed before it had written one.

    Raises:
        InputError: it is damaged, not the last.pt of a run, or gone.
    """
    path, log = folder / LAST, folder / NAME
    if not path.exists() and not (folder / BEST).exists() and not (log.exists() and log.stat().st_size):
        return None  # the state is saved before anything is learned or logged
    state = load_checkpoint(path)
    if "training" not in state:
        raise InputError(f"{path} holds weights alone; --resume needs the last.pt of a run")
    return state
