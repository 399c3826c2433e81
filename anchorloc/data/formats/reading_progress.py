"""Show how far a long reading is, on a terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from anchorloc.text import printable

T = TypeVar("T")
PATIENCE: Final = 1.0  # seconds before a bar appears
LARGE: Final = 20 << 20  # bytes of a file that takes seconds to parse


def tracked(items: Iterable[T], number: int, what: str) -> Iterator[T]:
    """Yield the items; after a second, a bar on a terminal shows how many of `number` are done."""
    if not _is_shown():
        yield from items
        return
    from rich.console import Console  # only a terminal waits for these
    from rich.progress import Progress

    begin, bar = time.monotonic(), Progress(console=Console(stderr=True), transient=True)
    task = bar.add_task(what, total=number)
    try:
        for done, item in enumerate(items, 1):
            yield item
            if time.monotonic() - begin > PATIENCE:
                bar.start()
                bar.update(task, completed=done)
    finally:
        bar.stop()


@contextmanager
def parsing(path: Path) -> Iterator[None]:
    """Show on a terminal that a large file is read, until the block ends."""
    if not _is_shown() or not path.is_file() or path.stat().st_size < LARGE:
        yield
        return
    from rich.console import Console  # only a terminal waits for these
    from rich.markup import escape

    what = f"reading {escape(printable(path.name))} ({path.stat().st_size >> 20:,} MiB)"
    with Console(stderr=True).status(what, spinner="line"):
        yield


def _is_shown() -> bool:
    """Return whether stderr is a terminal, and this process the first one of a run."""
    return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("RANK", "0") == "0"
