"""Ctrl-C and SIGTERM: a run finishes its step, saves, and exits."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

CANCELED: Final = int(signal.NSIG)  # in place of a signal's number: a listener asked the run to end


class Stopped(Exception):
    """A signal, or a listener, asked the run to end; the checkpoint is written."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number
        self.exit_status = 128 + signal_number


@contextmanager
def collected_signals(stops: list[int]) -> Iterator[None]:
    """Append SIGINT and SIGTERM to `stops`, so that a step can finish first; a second signal acts at once.

    Signals reach the main thread only: in another one this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def note(number: int, frame: FrameType | None) -> None:
        stops.append(number)
        signal.signal(number, previous[number])

    previous = {int(number): signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in previous:
        signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def raise_after_saving(stop_signal: int | None) -> None:
    """Raise the signal that has ended a run, now that the run is saved: Ctrl-C is a KeyboardInterrupt.

    Args:
        stop_signal: as in `Run`; None and CANCELED raise nothing.
    """
    if stop_signal is not None and stop_signal != CANCELED:
        signal.raise_signal(stop_signal)
