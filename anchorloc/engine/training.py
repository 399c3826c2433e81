"""The training loop: steps, validations, checkpoints."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from anchorloc.config import Config, to_plain
from anchorloc.data import Source
from anchorloc.detector import Batch
from anchorloc.engine.batch_samplers import in_image_order
from anchorloc.engine.build import batches, refuse_small_batches, train_loader, validation_batches, validation_loader
from anchorloc.engine.events import (
    CheckpointSaved,
    Listener,
    Logged,
    RunEvent,
    RunStopped,
    RunWarned,
    StepDone,
    StopTraining,
    Validated,
    Validating,
    ignore,
)
from anchorloc.engine.judge_model import localization_of, score_detections
from anchorloc.engine.learner import Learner, NotFiniteError
from anchorloc.engine.outcome import POOR_AP50, few_steps_sentence
from anchorloc.engine.schedule import Clock
from anchorloc.engine.single_values import refuse_single_values
from anchorloc.engine.state.resume import LAST, resume_command
from anchorloc.engine.state.resume_check import Change
from anchorloc.engine.state.saving import BestValidation, CheckpointSaver, TrainingProgress
from anchorloc.engine.state.score_threshold import find_threshold
from anchorloc.engine.system import failures
from anchorloc.engine.system.log import MetricsLog
from anchorloc.engine.system.processes import SINGLE_PROCESS, Processes
from anchorloc.engine.system.signals import CANCELED, Stopped, collected_signals
from anchorloc.engine.system.starvation import StarvationWatch
from anchorloc.engine.tiling import whole_images
from anchorloc.engine.trained_model import for_inference
from anchorloc.engine.validation import (
    BatchResult,
    logged_localization,
    mean_losses,
    merge_shards,
    run_validation,
    until_stopped,
)
from anchorloc.errors import InputError
from anchorloc.report.localization import localization_warning

LOG_EVERY = 20  # steps between lines of metrics.jsonl
COUNTED_AT = 10  # steps, after which the number that fits into the time is estimated
COLLAPSE_FROM = 0.2  # progress from which boxes like one constant box get a warning


class Training:
    """One run in `folder`; last.pt holds its whole state, best.pt the best weights."""

    def __init__(
        self,
        config: Config,
        folder: Path,
        train: Source,
        val: Source,
        processes: Processes = SINGLE_PROCESS,
        *,
        pretrained: bool = True,
    ) -> None:
        """Build network and optimizer; `pretrained=False` skips the download of weights that `resume` replaces."""
        self.config, self.train, self.val, self.processes = config, train, val, processes
        self.seen = config.seen(val)
        refuse_small_batches(config, processes.count)
        with failures.explained_failures(config, processes.count):
            self.learner = Learner(config, train.categories, self.processes, pretrained=pretrained)
        refuse_single_values(self.learner.model, config, train, processes.count)
        self.clock = Clock(config.train, len(train))
        self.validation_batches = validation_batches(config, self.seen)
        self.progress = TrainingProgress(config.train.validation_interval)
        self.losses: dict[str, float] = {}  # read last
        self.unread: list[list[int | str]] = []  # images of the updates whose losses are not read
        self.collapse_warned = False
        self.events: Listener = ignore  # called in the first process
        self.stops: list[int] = []  # signals, or CANCELED, that ask the run to end
        self.test: Source | None = None  # scored once, at the end
        self.concerns: list[str] = []  # warnings that a poor report repeats
        self.identity = {
            "config": to_plain(config),
            "categories": [[category.id, category.name] for category in train.categories],
            "data": {"train": train.fingerprint, "val": val.fingerprint},
            "machine": {"processes": self.processes.count, "device": self.learner.device.type},
        }
        self.saver = CheckpointSaver(folder, self.identity, self.learner, self.clock, self.progress)
        self.resume_command = resume_command(folder, config)

    def resume(
        self, state: dict[str, Any], warn: Callable[[str], None] = print, changes: Sequence[Change] = ()
    ) -> None:
        """Restore a saved state; `changes` are the accepted differences from the run that saved it.

        Raises:
            InputError: it belongs to another network or optimizer, or nothing would be learned.
        """
        self.saver.restore(state, warn, self.processes.first, changes)

    def run(self) -> None:
        """Train until `train.length` or `train.patience` is reached, a signal arrives, or `events` raises StopTraining.

        Raises:
            Stopped: a signal or `events` asked for it; the state is saved.
            InputError: the loss became NaN or infinite, memory ran out, or the file system refuses.
        """
        self.clock.start()
        log = MetricsLog(self.saver.folder, self.progress.log_size, self.clock.step) if self.processes.first else None
        try:
            then = f"; resume with {self.resume_command}" if self.saver.folder.name else ""  # "": no first process
            with collected_signals(self.stops), failures.explained_failures(self.config, self.processes.count, then):
                self._loop(log)
        finally:
            if log is not None:
                log.close()

    def _loop(self, log: MetricsLog | None) -> None:
        settings, shard = self.config.train, self.processes.shard
        validation = validation_loader(self.config, self.seen, self.validation_batches, shard)
        stream = batches(train_loader(self.config, self.train, self.clock.step, shard))
        if log is not None and self.clock.step == 0:
            self._save(log)  # a folder without space for checkpoints fails now, not after hours
        watch = StarvationWatch(torch.get_num_threads())
        while True:
            spent = self.progress.validations
            is_due = self.clock.validation_is_due(self.progress.next_validation, spent, len(self.seen))
            progress, due, stop = self.processes.all_reduce_max(
                self.clock.progress, is_due, self.stops[0] if self.stops else 0
            )
            if stop or due or progress >= 1:
                self._read_losses()  # before anything is saved
            if stop:
                if log is not None:
                    self._save(log)
                self._send(RunStopped(self.clock.step, self.saver.folder, self.resume_command))
                raise Stopped(int(stop))
            validates = (due or progress >= 1) and self.progress.validated < self.clock.step
            if validates and not self._validate(batches(validation), log):
                continue  # a request to end cut it off; the state is as before, so that a resumed run makes up for it
            if progress >= 1 or 0 < settings.patience <= self.progress.best.validations_since:
                return
            batch = [next(stream) for _ in range(settings.gradient_accumulation)]
            with watch:
                losses = self.step(batch, self.clock.lr_factor(progress))
            if log is not None:
                self._after_step(losses, log)
                if self.learner.device.type == "cpu" and (sentence := watch.sentence()):
                    self._warn(sentence)
                if self.saver.is_due and not self.unread:
                    self._save(log)

    def step(self, micro_batches: Sequence[Batch], lr_factor: float) -> dict[str, float]:
        """Update the weights once; return the losses that were read last, none if the update was skipped."""
        self.unread.append([sample.image_id for batch in micro_batches for sample in batch.samples])
        self.learner.queue_update(micro_batches, lr_factor)
        self.clock.step += 1
        if self.learner.waits or not self.losses or self.clock.step % LOG_EVERY == 0:
            self._read_losses()
        return self.losses

    def _read_losses(self) -> None:
        """Add the losses of the updates since the last call to the means; skip or end the run after a NaN."""
        unread, self.unread, progress = self.unread, [], self.progress
        try:
            for losses in self.learner.read_losses():
                progress.means.add(losses)
                self.losses, progress.skipped_in_a_row = losses, 0
        except NotFiniteError as error:
            step = self.clock.step - len(unread) + error.place
            mine = failures.image_names(self.train, unread[error.place])
            names = [name for some in self.processes.gather(mine) for name in some]
            if progress.skipped_in_a_row >= self.config.train.skip_nonfinite:
                raise self._not_finite(error, names, step) from None
            if self.processes.first:
                failures.write_images(error, names, self.saver.folder, step)
            progress.skipped, progress.skipped_in_a_row = progress.skipped + 1, progress.skipped_in_a_row + 1
            self._warn(f"update {self.clock.step} skipped, {progress.skipped} so far (images: {failures.IMAGES})")
            self.losses = {}

    def _after_step(self, losses: dict[str, float], log: MetricsLog) -> None:
        """Announce the step, and log the means of the last steps from time to time."""
        if self.clock.step % LOG_EVERY == 0:
            settings = self.config.train
            rate = self.clock.lr_factor(self.clock.progress) * settings.optimizer.learning_rate
            speed = LOG_EVERY * settings.batch_size / self.clock.lap()
            counted = {"skipped": self.progress.skipped} if settings.skip_nonfinite else {}
            self._log({**self.progress.means.pop(), "lr": rate, "images_per_second": speed, **counted}, log)
        if self.clock.step == COUNTED_AT:
            steps = self.clock.step / max(self.clock.progress, 1e-6)
            if warning := few_steps_sentence(self.config.train, steps):
                self.concerns.append(warning)
                self._warn(warning)
        clock, seconds, best = self.clock, self.clock.seconds, self.progress.best
        speed = clock.step * self.config.train.batch_size / max(seconds, 1e-6)
        progress, best_ap = min(1.0, clock.progress), best.ap if best.step else None
        self._send(StepDone(clock.step, clock.epoch, progress, seconds, speed, losses, best_ap))

    def _validate(self, loader: Iterable[Batch], log: MetricsLog | None) -> bool:
        """Score the averaged weights, keep them if they are the best, save the state.

        The processes share the images; the first one scores and writes. Weights of the same AP replace earlier ones.

        Returns:
            Whether it was completed: a request to end cuts it off, and a resumed run makes up for it.
        """
        average, progress, started = self.learner.average.module, self.progress, time.perf_counter()
        self.processes.broadcast_model(average)  # batch-normalization statistics differ between processes
        network = for_inference(copy.deepcopy(average), self.config, self.learner.device)
        at, most = self.clock.step, math.ceil(len(self.validation_batches) / self.processes.count)
        announced = until_stopped(self.stops, loader, lambda number: self._send(Validating(at, number, most)))
        mine = run_validation(network, announced, self.config, self.learner.device)
        (stop,) = self.processes.all_reduce_max(len(self.stops))
        if stop:
            return False
        results = merge_shards(self.processes.gather(mine))
        progress.validated = self.clock.step
        progress.next_validation = self.clock.epoch + self.config.train.validation_interval
        best = progress.best
        if log is not None:
            best = best.after(self._score(results, log), self.clock.step)
        ap, step, since = self.processes.broadcast(best.ap, best.step, best.validations_since)
        progress.best = BestValidation(ap, int(step), int(since))
        progress.validations.count += 1
        progress.validations.seconds += time.perf_counter() - started
        if log is not None:
            self._save(log)
        return True

    def _score(self, results: Sequence[BatchResult], log: MetricsLog) -> float:
        """Log and announce the numbers of a validation; return the AP."""
        losses = mean_losses(results)
        if not math.isfinite(losses["loss"]):
            bad = next(result for result in results if not math.isfinite(result.losses["loss"]))
            names = failures.image_names(self.seen, [found.image_id for found in bad.detections])
            raise self._not_finite(NotFiniteError(failures.VALIDATION, losses["loss"]), names, self.clock.step)
        ordered = in_image_order(self.validation_batches, [result.detections for result in results])
        found = list(whole_images(self.config, self.seen, dict(enumerate(ordered))).values())
        evaluation = score_detections(found, self.val, self.config)
        if self.config.task == "detection":  # localization always shows the top box
            precision = self.config.train.threshold_precision
            self.saver.threshold = find_threshold(evaluation, found, precision, self.clock.step)
        summary = evaluation.summary
        ap, ap50 = summary.ap or 0.0, summary.ap50 or 0.0
        localization = localization_of(self.config, found, self.val)
        others = {f"val/{name}": value for name, value in (losses | logged_localization(localization)).items()}
        self._log({"val/AP": ap, "val/AP50": ap50, **others}, log)
        step, epoch, seconds, best = self.clock.step, self.clock.epoch, self.clock.seconds, self.progress.best
        learned = ap > max(0.0, best.ap) and ap50 >= POOR_AP50
        remark = "best so far" if learned else f"equal to step {best.step}" if ap == best.ap else ""
        self._send(Validated(step, epoch, seconds, ap, ap50, losses, ap >= best.ap, remark, localization))
        watched = None if self.collapse_warned or self.clock.progress < COLLAPSE_FROM else localization
        if watched is not None and (warning := localization_warning(watched, f"the weights of step {step:,}")):
            self.collapse_warned = True
            self._warn(warning)
        return ap

    def _log(self, values: Mapping[str, float], log: MetricsLog) -> None:
        row = {"epoch": self.clock.epoch, "seconds": self.clock.seconds, **values}
        log.write(self.clock.step, row)
        self._send(Logged(self.clock.step, row))

    def _save(self, log: MetricsLog) -> None:
        self.saver.save(log)
        step, is_best = self.clock.step, 0 < self.progress.best.step == self.clock.step
        self._send(CheckpointSaved(step, self.saver.folder / LAST, is_best))

    def _warn(self, text: str) -> None:
        self._send(RunWarned(self.clock.step, text))

    def _send(self, event: RunEvent) -> None:
        """Give an event to the listener, which may ask the run to end."""
        if self.processes.first:
            try:
                self.events(event)
            except StopTraining:
                self.stops.append(CANCELED)

    def _not_finite(self, error: NotFiniteError, names: list[str], step: int) -> InputError | SystemExit:
        """Return what ends the run after a NaN: an error in the first process, a silent exit in the others."""
        if not self.processes.first:
            return SystemExit(2)
        skipped = self.progress.skipped_in_a_row
        return failures.not_finite_error(error, names, self.saver.folder, step, self.config.train, skipped)
