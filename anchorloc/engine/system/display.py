"""Show what a command does and how far it is: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from anchorloc.engine.events import RunEvent, RunWarned, StepDone, Validated, Validating
from anchorloc.report.captions import AP_MEANING
from anchorloc.text import printable

PLAIN_INTERVAL = 15.0  # seconds between lines without a terminal


class RunConsole(Console):
    """A console that remembers the warnings printed on it, even where it is quiet."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        """Print a warning as one line."""
        self.warnings.append(text)
        self.print(f"warning: {printable(text)}", markup=False, highlight=False, soft_wrap=True)


def is_live(console: Console) -> bool:
    """Return whether lines can be redrawn; where nothing is shown, rich would take over what a program prints."""
    return console.is_terminal and not console.quiet


@contextmanager
def waiting(console: Console, what: str) -> Iterator[None]:
    """Show what the program is doing until the block ends: a moving line in a terminal, a plain line elsewhere."""
    if is_live(console):
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
            disable=not is_live(console),
        )
        self._task = self._bar.add_task("", total=1.0, text="starting")
        self._last = time.perf_counter()

    def __enter__(self) -> Self:
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
        if is_live(self.console):
            self._bar.update(self._task, completed=progress, text=text)
        elif time.perf_counter() - self._last >= PLAIN_INTERVAL:
            self._last = time.perf_counter()
            self.log(f"{progress:4.0%} {text}")


class RunDisplay(Display):
    """The display of a run, which listens to its events."""

    def __init__(self, console: RunConsole) -> None:
        super().__init__(console)
        self._warn = console.warn
        self._progress = 0.0
        self._defined = False  # whether a line has said what AP is

    def __call__(self, event: RunEvent) -> None:
        """Show an event, unless it is of no interest on a terminal."""
        if isinstance(event, StepDone):
            self._progress = event.progress
            self.update(event.progress, str(event))
        elif isinstance(event, Validating):
            self.update(self._progress, str(event))
        elif isinstance(event, Validated):
            self.log(str(event))
            if not self._defined:
                self.log(f"  {AP_MEANING}")
                self._defined = True
            if (found := event.localization) is not None:
                self.log(f"  top-1 LOC error {found.top1_loc_error:.3f}, mean IoU {found.mean_iou:.3f}")
        elif isinstance(event, RunWarned):
            self._warn(event.text)
