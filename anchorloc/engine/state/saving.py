"""Save the state of a run to last.pt and its best weights to best.pt, and restore it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from anchorloc.checkpoint import load_checkpoint, save_checkpoint
from anchorloc.config import config_from_plain
from anchorloc.engine.learner import Learner
from anchorloc.engine.schedule import Annealing, Clock, ValidationTime
from anchorloc.engine.state.checkpoint_schema import (
    NETWORK,
    ModelCheckpoint,
    check_entries,
    check_optimizer,
    check_tensors,
)
from anchorloc.engine.state.resume import BEST, LAST, save_last
from anchorloc.engine.state.resume_check import Change
from anchorloc.engine.state.score_threshold import ScoreThreshold, saved_threshold
from anchorloc.engine.system.log import MetricsLog
from anchorloc.engine.validation import RunningMeans
from anchorloc.errors import InputError
from anchorloc.files import keep_as, write_errors


@dataclass
class BestValidation:
    """The best validation so far."""

    ap: float = -1.0
    step: int = 0
    validations_since: int = 0  # without a greater AP

    def after(self, ap: float, step: int) -> BestValidation:
        """Return the best after another validation: of equal APs the later one, which does not reset the count."""
        if ap < self.ap:
            return replace(self, validations_since=self.validations_since + 1)
        return BestValidation(ap, step, 0 if ap > self.ap else self.validations_since + 1)


@dataclass
class TrainingProgress:
    """The saved counters of a run; weights and clock are saved beside them."""

    next_validation: float  # epoch of the next validation
    validated: int = 0  # step of the last validation
    validations: ValidationTime = field(default_factory=ValidationTime)
    best: BestValidation = field(default_factory=BestValidation)
    means: RunningMeans = field(default_factory=RunningMeans)  # losses since the last line of the log
    skipped: int = 0  # updates skipped because of a NaN or infinite number
    skipped_in_a_row: int = 0
    log_size: int = 0  # bytes of metrics.jsonl at this state


@dataclass
class CheckpointSaver:
    """Write last.pt, the whole state of a run, and best.pt, its best weights."""

    folder: Path
    identity: dict[str, Any]  # must not change between start and end, see `find_changes`
    learner: Learner
    clock: Clock
    progress: TrainingProgress
    saved: float = -math.inf  # time at which last.pt was written
    saved_step: int = -1  # step of last.pt
    best_written: int = 0  # step of best.pt
    threshold: ScoreThreshold | None = None  # found at the last validation

    @property
    def is_due(self) -> bool:
        """Return whether `train.save_every` minutes have passed since the last save."""
        return time.perf_counter() - self.saved >= 60 * self.clock.settings.save_every

    def save(self, log: MetricsLog) -> None:
        """Write last.pt: the averaged weights, and all that an exact resume needs.

        The log is written before it, and best.pt, which `restore` can make from it, after it: a run that is killed in
        between loses nothing.
        """
        self.progress.log_size = log.size
        training = {
            "data": self.identity["data"],
            "machine": self.identity["machine"],
            **self.learner.state(),
            "seconds": self.clock.seconds,
            "annealing": asdict(self.clock.annealing),
            "images": self.clock.images,
            **asdict(self.progress),
            "random": torch.get_rng_state(),
            "threads": torch.get_num_threads(),
        }
        log.sync()
        state = {**self._weights(), "training": training}
        save_last(self.folder, state, self.saved_step, self.clock.settings.keep_checkpoints)
        self._write_best()
        self.saved, self.saved_step = time.perf_counter(), self.clock.step

    def restore(
        self, state: dict[str, Any], warn: Callable[[str], None], first: bool, changes: Sequence[Change] = ()
    ) -> None:
        """Restore a saved state; only the `first` process restores best.pt.

        Any of the `changes` since then restarts the count of `train.patience`; those that make the AP incomparable also
        start a new best.

        Raises:
            InputError: the state belongs to another network or optimizer, or nothing would be learned.
        """
        training, path, ours = state["training"], self.folder / LAST, self.learner.model.state_dict()
        self.threshold = saved_threshold(state)
        check_tensors(path, ours, training["model"], NETWORK)
        check_tensors(path, ours, state["model"], NETWORK)
        check_optimizer(path, self.learner.optimizer, training["optimizer"])
        check_tensors(path, {"random": torch.get_rng_state()}, {"random": training["random"]}, "torch's generator")
        self.learner.restore(training, state["model"])
        clock, progress = self.clock, self.progress
        before = config_from_plain(state["config"], str(path)).train
        annealing = Annealing(**training.get("annealing", {}))
        clock.resume(state["step"], training["seconds"], annealing, before, training.get("images", clock.images))
        progress.best, progress.means = BestValidation(**training["best"]), RunningMeans(**training["means"])
        progress.next_validation = min(training["next_validation"], clock.epoch + clock.settings.validation_interval)
        progress.validated = training["validated"]
        progress.validations = ValidationTime(**training.get("validations", {}))
        progress.log_size = training["log_size"]
        progress.skipped, progress.skipped_in_a_row = training["skipped"], training["skipped_in_a_row"]
        torch.set_rng_state(training["random"])
        if not self.clock.settings.threads:
            torch.set_num_threads(training["threads"])  # the last bits of sums on a CPU depend on it
        self.saved_step = self.clock.step
        if first:
            self._check_best(warn)
        if changes:
            progress.best.validations_since = 0
        if clauses := [str(change) for change in changes if change.ap]:
            self._start_new_best(clauses, warn, first)

    def _weights(self) -> dict[str, Any]:
        return {
            "format": 1,
            "config": self.identity["config"],
            "categories": self.identity["categories"],
            "step": self.clock.step,
            "threshold": None if self.threshold is None else asdict(self.threshold),
            "model": self.learner.average.module.state_dict(),
        }

    def _write_best(self) -> None:
        best = self.progress.best
        if 0 < best.step == self.clock.step != self.best_written:
            save_checkpoint(self.folder / BEST, self._weights())
            self.best_written = best.step

    def _start_new_best(self, clauses: Sequence[str], warn: Callable[[str], None], first: bool) -> None:
        """Forget the best AP, which later ones do not compare with; its best.pt stays, also as best-STEP.pt."""
        best, path = self.progress.best, self.folder / BEST
        if first and best.ap >= 0:
            kept = path.with_name(f"best-{best.step:08}.pt")
            if path.exists():
                with write_errors(kept, 0):
                    keep_as(path, kept)
            more = f" (and {len(clauses) - 1} more)" if clauses[1:] else ""
            warn(
                f"the best AP so far, {best.ap:.3f} at step {best.step}, was reached with {clauses[0]}{more}, and does "
                f"not compare with the coming ones; its {BEST} is kept as {kept.name}"
            )
        self.progress.best, self.progress.validated = BestValidation(), 0  # a finished run validates again

    def _check_best(self, warn: Callable[[str], None]) -> None:
        """Check best.pt; if it is missing or damaged, write it from the state or announce a substitute."""
        best = self.progress.best
        try:
            if best.step:
                state = load_checkpoint(self.folder / BEST)
                check_entries(self.folder / BEST, state, ModelCheckpoint)
                self.best_written = (
                    best.step if state["step"] == best.step else 0
                )  # written after this state, by a killed run: write it again
        except InputError as error:
            if best.step == self.clock.step:
                pass  # written again below, equal to the last bit
            elif self.clock.progress >= 1:
                warn(f"{error}; the weights of the last step replace it")
                best.step = self.clock.step
            else:
                warn(f"{error}; the best of the coming validations will replace it")
                best.ap = -1.0
        self._write_best()
