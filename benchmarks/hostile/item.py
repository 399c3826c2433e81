"""One file of the corpus, and what a command should make of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Item:
    """`prepare(folder)` writes the files of a case into a new folder and returns the words of a command."""

    name: str
    good: bool
    command: str  # train or evaluate
    prepare: Callable[[Path], list[str]]
