"""Save the state of a run to last.pt and its best weights to best.pt, and restore it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from anchorloc.checkpoint import load_checkpoint, save_checkpoint
from anchorloc.engine.learner import Learner
from anchorloc.engine.schedule import Clock
from anchorloc.engine.state.checkpoint_schema import (
    NETWORK,
    ModelCheckpoint,
    check_entries,
    check_optimizer,
    check_tensors,
)
from anchorloc.engine.state.resume import BEST, LAST, save_last
from anchorloc.engine.system.log import MetricsLog
from anchorloc.engine.validation import RunningMeans
from anchorloc.errors import InputError


@dataclass
class BestValidation:
    """The best validation so far."""

    ap: float = -1.0
    step: int = 0
    validations_since: int = 0


@dataclass
class TrainingProgress:
    """The saved counters of a run; weights and clock are saved beside them."""

    next_validation: float  # epoch of the next validation
    validated: int = 0  # step of the last validation
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
            **asdict(self.progress),
            "random": torch.get_rng_state(),
            "threads": torch.get_num_threads(),
        }
        log.sync()
        state = {**self._weights(), "training": training}
        save_last(self.folder, state, self.saved_step, self.clock.settings.keep_checkpoints)
        self._write_best()
        self.saved, self.saved_step = time.perf_counter(), self.clock.step

    def restore(self, state: dict[str, Any], warn: Callable[[str], None], first: bool) -> None:
        """Restore a saved state; only the `first` process restores best.pt.

        Raises:
            InputError: the state belongs to another network or optimizer.
        """
        training, path, ours = state["training"], self.folder / LAST, self.learner.model.state_dict()
        check_tensors(path, ours, training["model"], NETWORK)
        check_tensors(path, ours, state["model"], NETWORK)
        check_optimizer(path, self.learner.optimizer, training["optimizer"])
        check_tensors(path, {"random": torch.get_rng_state()}, {"random": training["random"]}, "torch's generator")
        self.learner.restore(training, state["model"])
        self.clock.step, self.clock.earlier_seconds = state["step"], training["seconds"]
        progress = self.progress
        progress.best, progress.means = BestValidation(**training["best"]), RunningMeans(**training["means"])
        progress.next_validation, progress.validated = training["next_validation"], training["validated"]
        progress.log_size = training["log_size"]
        progress.skipped, progress.skipped_in_a_row = training["skipped"], training["skipped_in_a_row"]
        torch.set_rng_state(training["random"])
        if not self.clock.settings.threads:
            torch.set_num_threads(training["threads"])  # the last bits of sums on a CPU depend on it
        self.saved_step = self.clock.step
        if first:
            self._check_best(warn)

    def _weights(self) -> dict[str, Any]:
        return {
            "format": 1,
            "config": self.identity["config"],
            "categories": self.identity["categories"],
            "step": self.clock.step,
            "model": self.learner.average.module.state_dict(),
        }

    def _write_best(self) -> None:
        best = self.progress.best
        if 0 < best.step == self.clock.step != self.best_written:
            save_checkpoint(self.folder / BEST, self._weights())
            self.best_written = best.step

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
