"""How far a run is, and the learning rate there."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from anchorloc.config import TrainSettings


@dataclass
class Clock:
    """Progress from 0 to 1 in whichever unit the length of the run has; the state is (step, seconds)."""

    settings: TrainSettings
    images: int  # in an epoch
    step: int = 0
    before: float = 0.0  # seconds spent before this process
    started: float = field(default_factory=time.perf_counter)
    last: float = field(default_factory=time.perf_counter)

    def start(self) -> None:
        """Count from now on."""
        self.started = self.last = time.perf_counter()

    def lap(self) -> float:
        """Return the seconds since the last lap, at least a microsecond."""
        now = time.perf_counter()
        seconds, self.last = now - self.last, now
        return max(seconds, 1e-6)

    @property
    def seconds(self) -> float:
        """Time spent training and validating, over all restarts."""
        return self.before + time.perf_counter() - self.started

    @property
    def epoch(self) -> float:
        """Epochs done, with fraction."""
        return self.step * self.settings.batch_size / self.images

    @property
    def progress(self) -> float:
        """The done part of the run, 1 or more at its end."""
        amount, unit = self.settings.amount
        if unit == "minute":
            return self.seconds / (60 * amount)
        steps = amount if unit == "iteration" else amount * self.images / self.settings.batch_size
        return self.step / max(1, math.ceil(steps))

    def rate(self, progress: float) -> float:
        """The factor of the learning rate of the optimizer: linear warm-up, then half a cosine (arXiv:1608.03983)."""
        warmup = min(1.0, (self.step + 1) / (self.settings.warmup + 1))
        return self.settings.rate_scale * warmup * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
