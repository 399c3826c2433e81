"""Show progress: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

PLAIN_INTERVAL = 15.0  # seconds between lines without a terminal


@contextmanager
def waiting(console: Console, what: str) -> Iterator[None]:
    """Show what the program is doing until the block ends: a moving line in a terminal, a plain line elsewhere."""
    if console.is_terminal:
        with console.status(f"{what} ...", spinner="line"):
            yield
    else:
        console.print(f"{what} ...", highlight=False, markup=False)
        yield


class Display:
    """A progress display, used as a context manager; `log` prints a line that stays."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._bar = Progress(
            BarColumn(bar_width=8),  # fits 80 columns with the text
            TextColumn("{task.percentage:3.0f}% {task.fields[text]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=1.0, text="starting")
        self._last = time.perf_counter()

    def __enter__(self) -> Display:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def log(self, text: str) -> None:
        """Print a line, above the bar if there is one."""
        self.console.print(text, highlight=False, markup=False)

    def update(self, progress: float, text: str) -> None:
        """Show the progress from 0 to 1 with a text."""
        if self.console.is_terminal:
            self._bar.update(self._task, completed=progress, text=text)
        elif time.perf_counter() - self._last >= PLAIN_INTERVAL:
            self._last = time.perf_counter()
            self.log(f"{progress:4.0%} {text}")
