"""One file of the corpus, and the outcome that a command should have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Item:
    """A case: `prepare(folder)` writes its files into a new folder and returns the words of a command."""

    name: str
    good: bool
    command: str  # train or evaluate
    prepare: Callable[[Path], list[str]]
