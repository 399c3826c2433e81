"""What is written of a run to go on from it and to use it, and how it is taken up."""

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
from anchorloc.engine.validation import Means
from anchorloc.errors import InputError


@dataclass
class Best:
    """The best validation so far."""

    ap: float = -1.0
    step: int = 0
    validations_since: int = 0


@dataclass
class TrainingProgress:
    """Where a run stands, beside its weights and its clock."""

    next_validation: float  # the epoch of the next one
    validated: int = 0  # the step of the last validation
    best: Best = field(default_factory=Best)
    means: Means = field(default_factory=Means)  # of the losses since the last line of the log
    skipped: int = 0  # updates that were left out, as a number was none
    skipped_in_a_row: int = 0
    log_size: int = 0  # bytes of metrics.jsonl that belong to the state


@dataclass
class Saver:
    """Writes last.pt, which is all that there is to know of a run, and best.pt, which is for use."""

    folder: Path
    identity: dict[str, Any]  # what must not change from start to end: see `changes`
    learner: Learner
    clock: Clock
    progress: TrainingProgress
    saved: float = -math.inf  # when last.pt was written, by the clock
    saved_step: int = -1  # and by the step
    best_written: int = 0  # the step of best.pt

    @property
    def is_due(self) -> bool:
        """Whether `train.save_every` has passed."""
        return time.perf_counter() - self.saved >= 60 * self.clock.settings.save_every

    def save(self, log: MetricsLog) -> None:
        """Write last.pt: the weights for use, and what is needed to go on as if nothing had happened.

        It comes after the lines of the log that belong to it and before best.pt, which `restore` can make from it: a
        run that is killed in between loses nothing.
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

    def restore(self, state: dict[str, Any], say: Callable[[str], None], first: bool) -> None:
        """Take up a saved state; only the `first` process looks after best.pt.

        Raises:
            InputError: it is of another network or optimizer.
        """
        training, path, ours = state["training"], self.folder / LAST, self.learner.model.state_dict()
        check_tensors(path, ours, training["model"], NETWORK)
        check_tensors(path, ours, state["model"], NETWORK)
        check_optimizer(path, self.learner.optimizer, training["optimizer"])
        check_tensors(path, {"random": torch.get_rng_state()}, {"random": training["random"]}, "torch's generator")
        self.learner.restore(training, state["model"])
        self.clock.step, self.clock.before = state["step"], training["seconds"]
        progress = self.progress
        progress.best, progress.means = Best(**training["best"]), Means(**training["means"])
        progress.next_validation, progress.validated = training["next_validation"], training["validated"]
        progress.log_size = training["log_size"]
        progress.skipped, progress.skipped_in_a_row = training["skipped"], training["skipped_in_a_row"]
        torch.set_rng_state(training["random"])
        if not self.clock.settings.threads:
            torch.set_num_threads(training["threads"])  # sums on a CPU depend on it, in their last bits
        self.saved_step = self.clock.step
        if first:
            self._check_best(say)

    def _weights(self) -> dict[str, Any]:
        """What is needed to use the model."""
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

    def _check_best(self, say: Callable[[str], None]) -> None:
        """Make sure that best.pt is there, from the state itself if need be."""
        best = self.progress.best
        try:
            if best.step:
                state = load_checkpoint(self.folder / BEST)
                check_entries(self.folder / BEST, state, ModelCheckpoint)
                self.best_written = best.step if state["step"] == best.step else 0  # a later one: written again
        except InputError as error:
            if best.step == self.clock.step:
                pass  # it is made anew below, bit for bit
            elif self.clock.progress >= 1:
                say(f"{error}; the weights of the last step take its place")
                best.step = self.clock.step
            else:
                say(f"{error}; the best of the validations to come is kept in its place")
                best.ap = -1.0
        self._write_best()
