"""What happens in a training run, as read-only values that a listener gets; nothing here loads torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from anchorloc.text import about, duration

if TYPE_CHECKING:
    from anchorloc.metrics import Localization


@dataclass(frozen=True)
class StepDone:
    """A training step has ended."""

    step: int  # steps since the start of the run, those before a resume included
    epoch: float
    progress: float  # finished fraction of the run, from 0 to 1
    seconds: float  # spent on training and validation
    images_per_second: float  # over the whole run
    losses: Mapping[str, float]  # "loss" is the sum of the others; empty if the update was skipped. On a GPU they are
    # read at the first step, every 20 steps and before a validation; between, they are the losses read last
    best_ap: float | None  # None before the first validation

    @property
    def steps(self) -> float:
        """Return the expected number of steps of the whole run."""
        return max(self.step, self.step / max(self.progress, 1e-6))

    @property
    def seconds_left(self) -> float:
        return self.seconds * (1 / max(self.progress, 1e-6) - 1)

    def __str__(self) -> str:
        """Return the progress in at most 64 characters, which fit beside a bar."""
        speed = f"{self.images_per_second:.{0 if self.images_per_second >= 10 else 1}f} images/s"
        best = f", best AP {self.best_ap:.3f}" if self.best_ap else ""
        return (
            f"step {self.step} of about {about(self.steps)}, epoch {self.epoch:.1f}, "
            f"{duration(self.seconds_left)} left, {speed}{best}"
        )


@dataclass(frozen=True)
class Logged:
    """A line was added to metrics.jsonl: every 20 steps, and at each validation."""

    step: int
    numbers: Mapping[str, float]  # by name, as in metrics.jsonl; "val/AP" and the like at a validation

    def __str__(self) -> str:
        return f"step {self.step}: " + ", ".join(f"{name} {value:.4g}" for name, value in self.numbers.items())


@dataclass(frozen=True)
class Validating:
    """A batch of val is about to be detected in; the process counts its own batches."""

    step: int
    batch: int  # from 1
    batches: int

    def __str__(self) -> str:
        return f"step {self.step}: validating, batch {self.batch} of {self.batches}"


@dataclass(frozen=True)
class Validated:
    """The averaged weights have been scored on val."""

    step: int
    epoch: float
    seconds: float  # spent on training and validation
    ap: float
    ap50: float
    losses: Mapping[str, float]  # "loss" is the sum of the others
    is_best: bool  # best.pt gets these weights
    remark: str = ""  # "best so far", or which step had the same AP
    localization: Localization | None = None  # None unless task=localization

    def __str__(self) -> str:
        return (
            f"epoch {self.epoch:.1f}, step {self.step}, {duration(self.seconds)}: AP {self.ap:.3f}, "
            f"AP50 {self.ap50:.3f}, val loss {self.losses['loss']:.3f}{', ' if self.remark else ''}{self.remark}"
        )


@dataclass(frozen=True)
class CheckpointSaved:
    """The state of the run is on disk."""

    step: int
    path: Path  # last.pt
    is_best: bool  # best.pt beside it holds the same weights

    def __str__(self) -> str:
        return f"step {self.step}: saved {self.path}{' and best.pt' if self.is_best else ''}"


@dataclass(frozen=True)
class RunWarned:
    """Something may spoil the result."""

    step: int
    text: str  # one sentence: what it is, and what to do

    def __str__(self) -> str:
        return f"step {self.step}: warning: {self.text}"


@dataclass(frozen=True)
class RunStopped:
    """A signal or a listener has ended the run before its end; its state is saved."""

    step: int
    folder: Path
    resume_command: str

    def __str__(self) -> str:
        return f"stopped and saved at step {self.step}; resume with `{self.resume_command}`"


class StopTraining(Exception):
    """Raise this in a listener to end the run: it saves its state, and can be resumed."""


RunEvent: TypeAlias = StepDone | Logged | Validating | Validated | CheckpointSaved | RunWarned | RunStopped  # any event
Listener: TypeAlias = Callable[[RunEvent], object]


def ignore(event: RunEvent) -> None:
    """Listen to nothing."""
