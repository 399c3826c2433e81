"""Progress of a run, its learning-rate schedule, and the time that validations may take."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from anchorloc.config import TrainSettings
from anchorloc.errors import InputError

VALIDATION_SHARE = 0.1  # maximum fraction of the time of a run, with validate_every=auto
FIRST_COST = 3.0  # assumed time per image of the first validation, as a multiple of a training image


@dataclass(frozen=True)
class Annealing:
    """A linear rise from `start` to `peak`, times half a cosine (arXiv:1608.03983) from `progress` to 1.

    A new run rises from 0 to 1. A run that is resumed with another length rises from the factor that it has reached.
    """

    step: int = 0  # first step
    progress: float = 0.0  # progress at `step`
    start: float = 0.0  # factor of the learning rate before `step`
    peak: float = 1.0  # factor after the rise, as it would be without the cosine

    def factor(self, step: int, progress: float, warmup: int) -> float:
        """Return the factor of the learning rate; the rise takes `warmup` steps."""
        rise = min(1.0, (step - self.step + 1) / (warmup + 1))
        return (self.start + (self.peak - self.start) * rise) * self._cosine(progress)

    def restarted(self, step: int, before: float, now: float, warmup: int, rewarm: float) -> Annealing:
        """Return the schedule that continues from the factor at `step`, whose progress was `before` and is `now`.

        It rises again to `rewarm`, unless this schedule without its own rise is higher.
        """
        reached = self.factor(step, before, warmup)
        return Annealing(step, now, reached, max(reached, self.peak * self._cosine(before), rewarm))

    def _cosine(self, progress: float) -> float:
        """Return half a cosine, from 1 at `self.progress` to 0 at the end of the run."""
        part = (progress - self.progress) / (1 - self.progress) if self.progress < 1 else 1.0
        return 0.5 * (1 + math.cos(math.pi * min(1.0, part)))


@dataclass
class ValidationTime:
    """The validations of a run so far, and the seconds that they took."""

    count: int = 0
    seconds: float = 0.0


@dataclass
class Clock:
    """Measure progress from 0 to 1, in the unit of `train.length`; its state is (step, seconds, annealing)."""

    settings: TrainSettings
    images: int  # per epoch
    step: int = 0
    earlier_seconds: float = 0.0  # from before the last resume
    started: float = field(default_factory=time.perf_counter)
    last: float = field(default_factory=time.perf_counter)
    annealing: Annealing = Annealing()

    def start(self) -> None:
        self.started = self.last = time.perf_counter()

    def resume(self, step: int, seconds: float, annealing: Annealing, before: TrainSettings, images: int) -> None:
        """Restore a state that was saved with the settings `before` and `images` per epoch.

        If the progress at `step` is another one now, the learning rate continues from where it was.

        Raises:
            InputError: the learning rate would be 0 until the end.
        """
        self.step, self.earlier_seconds, self.annealing = step, seconds, annealing
        then, now = _progress(before, images, step, seconds), self.progress_at_resume
        if now != then:
            rewarm = self.settings.rewarm if now < then else 0.0  # a run that is shortened falls to 0 from where it is
            self.annealing = annealing.restarted(step, then, now, before.warmup, rewarm)
        if now < 1 and not self.annealing.peak:
            raise InputError(
                f"the learning rate is 0 at step {step}, the end of {before.length}, and train.rewarm=0 keeps it at 0; "
                "set train.rewarm, for example to 0.3"
            )

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
        return _progress(self.settings, self.images, self.step, self.seconds)

    @property
    def progress_at_resume(self) -> float:
        """Return the progress at the restored state, before time passes."""
        return _progress(self.settings, self.images, self.step, self.earlier_seconds)

    def lr_factor(self, progress: float) -> float:
        """Return the factor of the learning rate for the next step."""
        return self.settings.lr_scale * self.annealing.factor(self.step, progress, self.settings.warmup)

    def validation_is_due(self, epoch: float, spent: ValidationTime, images: int) -> bool:
        """Return whether to validate before the end, from `epoch` on, by the state alone or by the clock in minutes."""
        if self.epoch < epoch:
            return False
        return self.settings.validate_every != "auto" or self.has_time_to_validate(spent, images)

    def has_time_to_validate(self, spent: ValidationTime, images: int) -> bool:
        """Return whether validate_every=auto validates `images` now: the run does not end within a quarter of an epoch.

        With a length in minutes, the validations, this one and the last one also take at most `VALIDATION_SHARE` of the
        time, now and at the end. Before the first one, an image is expected to take `FIRST_COST` times as in training.
        """
        amount, unit = self.settings.length_and_unit
        if self.epoch * (1 / max(self.progress, 1e-9) - 1) < self.settings.validation_interval / 2:
            return False
        if unit != "minute":
            return True
        seconds = self.seconds
        trained = max(1, self.step) * self.settings.batch_size
        cost = spent.seconds / spent.count if spent.count else FIRST_COST * seconds * images / trained
        now = spent.seconds + cost <= VALIDATION_SHARE * (seconds + cost)
        return now and spent.seconds + 2 * cost <= VALIDATION_SHARE * (60 * amount + cost)


def _progress(settings: TrainSettings, images: int, step: int, seconds: float) -> float:
    amount, unit = settings.length_and_unit
    if unit == "minute":
        return seconds / (60 * amount)
    steps = amount if unit == "iteration" else amount * images / settings.batch_size
    return step / max(1, math.ceil(steps))
