"""Progress of a run, and the learning-rate schedule."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from anchorloc.config import TrainSettings


@dataclass
class Clock:
    """Measure progress from 0 to 1, in the unit of `train.length`; its state is (step, seconds)."""

    settings: TrainSettings
    images: int  # per epoch
    step: int = 0
    earlier_seconds: float = 0.0  # from before the last resume
    started: float = field(default_factory=time.perf_counter)
    last: float = field(default_factory=time.perf_counter)

    def start(self) -> None:
        self.started = self.last = time.perf_counter()

    def lap(self) -> float:
        """Return the seconds since the last lap, at least a microsecond."""
        now = time.perf_counter()
        seconds, self.last = now - self.last, now
        return max(seconds, 1e-6)

    @property
    def seconds(self) -> float:  # training and validation, over all resumes
        return self.earlier_seconds + time.perf_counter() - self.started

    @property
    def epoch(self) -> float:  # with fraction
        return self.step * self.settings.batch_size / self.images

    @property
    def progress(self) -> float:
        """Return the finished fraction of the run, 1 or more at its end."""
        amount, unit = self.settings.length_and_unit
        if unit == "minute":
            return self.seconds / (60 * amount)
        steps = amount if unit == "iteration" else amount * self.images / self.settings.batch_size
        return self.step / max(1, math.ceil(steps))

    def lr_factor(self, progress: float) -> float:
        """Return the factor of the learning rate: linear warm-up, then half a cosine (arXiv:1608.03983)."""
        warmup = min(1.0, (self.step + 1) / (self.settings.warmup + 1))
        return self.settings.lr_scale * warmup * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
