"""The training loop: steps, validations, checkpoints."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from anchorloc.config import Config, to_plain
from anchorloc.data import Source
from anchorloc.detector import Batch
from anchorloc.engine.batch_samplers import in_image_order
from anchorloc.engine.build import batches, refuse_small_batches, train_loader, validation_batches, validation_loader
from anchorloc.engine.judge_model import localization_of, score_detections
from anchorloc.engine.learner import Learner, NotFiniteError
from anchorloc.engine.outcome import FEW_STEPS, POOR_AP50
from anchorloc.engine.schedule import Clock
from anchorloc.engine.state.resume import resume_command
from anchorloc.engine.state.resume_check import Change
from anchorloc.engine.state.saving import BestValidation, CheckpointSaver, TrainingProgress
from anchorloc.engine.state.score_threshold import best_f1_threshold
from anchorloc.engine.system.display import Display, duration
from anchorloc.engine.system.failures import (
    IMAGES,
    VALIDATION,
    explained_failures,
    image_names,
    not_finite_error,
    write_images,
)
from anchorloc.engine.system.log import MetricsLog
from anchorloc.engine.system.processes import SINGLE_PROCESS, Processes
from anchorloc.engine.system.signals import Stopped, collected_signals
from anchorloc.engine.system.starvation import StarvationWatch
from anchorloc.engine.trained_model import for_inference
from anchorloc.engine.validation import BatchResult, logged_localization, mean_losses, merge_shards, run_validation
from anchorloc.errors import InputError
from anchorloc.metrics import Localization
from anchorloc.report.localization import collapse_sentence
from anchorloc.text import about

LOG_EVERY = 20  # steps between lines of metrics.jsonl
COUNTED_AT = 10  # steps, after which the number that fits into the time is estimated
COLLAPSE_FROM = 0.2  # progress from which collapsed boxes are worth a warning


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
        refuse_small_batches(config, processes.count)
        with explained_failures(config, processes.count):
            self.learner = Learner(config, train.categories, self.processes, pretrained=pretrained)
        self.clock = Clock(config.train, len(train))
        self.validation_batches = validation_batches(config, val)
        self.progress = TrainingProgress(config.train.validation_interval)
        self.collapse_warned = False
        self.test: Source | None = None  # scored once, at the end
        self.concerns: list[str] = []  # warnings that a poor report repeats
        self.identity = {
            "config": to_plain(config),
            "categories": [[category.id, category.name] for category in train.categories],
            "data": {"train": train.fingerprint, "val": val.fingerprint},
            "machine": {"processes": self.processes.count, "device": self.learner.device.type},
        }
        self.saver = CheckpointSaver(folder, self.identity, self.learner, self.clock, self.progress)

    def resume(
        self, state: dict[str, Any], warn: Callable[[str], None] = print, changes: Sequence[Change] = ()
    ) -> None:
        """Restore a saved state; `changes` are the accepted differences from the run that saved it.

        Raises:
            InputError: it belongs to another network or optimizer, or nothing would be learned.
        """
        self.saver.restore(state, warn, self.processes.first, changes)

    def run(self, display: Display) -> None:
        """Train until `train.length` or `train.patience` is reached, or a signal arrives.

        Raises:
            Stopped: a signal arrived; the state is saved.
            InputError: the loss became NaN or infinite, memory ran out, or the file system refuses.
        """
        self.clock.start()
        log = MetricsLog(self.saver.folder, self.progress.log_size, self.clock.step) if self.processes.first else None
        try:
            named = self.saver.folder.name  # without --out, only the first process knows the folder
            then = f"; resume with {resume_command(self.saver.folder)}" if named else ""
            with collected_signals() as caught, explained_failures(self.config, self.processes.count, then):
                self._loop(display, log, caught)
        finally:
            if log is not None:
                log.close()

    def _loop(self, display: Display, log: MetricsLog | None, caught: list[int]) -> None:
        settings, shard = self.config.train, self.processes.shard
        validation = validation_loader(self.config, self.val, self.validation_batches, shard)
        stream = batches(train_loader(self.config, self.train, self.clock.step, shard))
        if log is not None and self.clock.step == 0:
            self.saver.save(log)  # a folder without space for checkpoints fails now, not after hours
        watch = StarvationWatch(torch.get_num_threads())
        while True:
            progress, due, stop = self.processes.all_reduce_max(
                self.clock.progress, self._validation_is_due(), caught[0] if caught else 0
            )
            if stop:
                if log is not None:
                    self.saver.save(log)
                raise Stopped(int(stop))
            validates = (due or progress >= 1) and self.progress.validated < self.clock.step
            if validates and not self._validate(batches(validation), display, log, caught):
                continue  # a signal cut it off; the state is as before, so that a resumed run makes up for it
            if progress >= 1 or 0 < settings.patience <= self.progress.best.validations_since:
                return
            batch = [next(stream) for _ in range(settings.gradient_accumulation)]
            with watch:
                losses = self.step(batch, self.clock.lr_factor(progress))
            if losses:
                self.progress.means.add(losses)
            else:
                skipped = self.progress.skipped
                display.log(f"step {self.clock.step}: update skipped, {skipped} so far (images: {IMAGES})")
            if log is not None:
                self._after_step(display, log)
                if self.learner.device.type == "cpu" and (sentence := watch.sentence()):
                    display.log(f"warning: {sentence}")
                if self.saver.is_due:
                    self.saver.save(log)

    def step(self, micro_batches: Sequence[Batch], lr_factor: float) -> dict[str, float]:
        """Update the weights once, at `lr_factor` times the learning rate.

        Returns:
            The losses; empty if the update was skipped.
        """
        progress = self.progress
        try:
            losses = self.learner.update(micro_batches, lr_factor)
            progress.skipped_in_a_row = 0
        except NotFiniteError as error:
            mine = image_names(self.train, [sample.image_id for batch in micro_batches for sample in batch.samples])
            names = [name for some in self.processes.gather(mine) for name in some]
            if progress.skipped_in_a_row >= self.config.train.skip_nonfinite:
                raise self._not_finite(error, names) from None
            if self.processes.first:
                write_images(error, names, self.saver.folder, self.clock.step)
            progress.skipped, progress.skipped_in_a_row = progress.skipped + 1, progress.skipped_in_a_row + 1
            losses = {}
        self.clock.step += 1
        return losses

    def _after_step(self, display: Display, log: MetricsLog) -> None:
        """Show the progress, and log the means of the last steps from time to time."""
        if self.clock.step % LOG_EVERY == 0:
            settings = self.config.train
            rate = self.clock.lr_factor(self.clock.progress) * settings.optimizer.learning_rate
            speed = LOG_EVERY * settings.batch_size / self.clock.lap()
            counted = {"skipped": self.progress.skipped} if settings.skip_nonfinite else {}
            values = {**self.progress.means.pop(), "lr": rate, "images_per_second": speed, **counted}
            log.write(self.clock.step, {"epoch": self.clock.epoch, "seconds": self.clock.seconds, **values})
        if self.clock.step == COUNTED_AT and (warning := self._few_steps()):
            self.concerns.append(warning)
            display.log(f"warning: {warning}")
        display.update(self.clock.progress, self._status())

    def _validation_is_due(self) -> bool:
        """Return whether to validate before the end: by the saved state alone, or by the clock in minutes."""
        if self.clock.epoch < self.progress.next_validation:
            return False
        explicit = self.config.train.validate_every != "auto"
        return explicit or self.clock.has_time_to_validate(self.progress.validations, len(self.val))

    def _validate(
        self, loader: Iterable[Batch], display: Display, log: MetricsLog | None, caught: Sequence[int]
    ) -> bool:
        """Score the averaged weights, keep them if they are the best, save the state.

        The processes share the images; the first one scores and writes. Weights of the same AP replace earlier ones.

        Returns:
            Whether it was completed: a signal to any process cuts it off, and a resumed run makes up for it.
        """
        average, progress, started = self.learner.average.module, self.progress, time.perf_counter()
        self.processes.broadcast_model(average)  # batch-normalization statistics differ between processes
        network = for_inference(copy.deepcopy(average), self.config, self.learner.device)
        mine = run_validation(network, _until(caught, loader), self.config, self.learner.device)
        (stop,) = self.processes.all_reduce_max(len(caught))
        if stop:
            return False
        results = merge_shards(self.processes.gather(mine))
        progress.validated = self.clock.step
        progress.next_validation = self.clock.epoch + self.config.train.validation_interval
        best = progress.best
        if log is not None:
            best = best.after(self._score(results, display, log), self.clock.step)
        ap, step, since = self.processes.broadcast(best.ap, best.step, best.validations_since)
        progress.best = BestValidation(ap, int(step), int(since))
        progress.validations.count += 1
        progress.validations.seconds += time.perf_counter() - started
        if log is not None:
            self.saver.save(log)
        return True

    def _score(self, results: Sequence[BatchResult], display: Display, log: MetricsLog) -> float:
        """Log and print the numbers of a validation; return the AP."""
        losses = mean_losses(results)
        if not math.isfinite(losses["loss"]):
            bad = next(result for result in results if not math.isfinite(result.losses["loss"]))
            names = image_names(self.val, [found.image_id for found in bad.detections])
            raise self._not_finite(NotFiniteError(VALIDATION, losses["loss"]), names)
        found = in_image_order(self.validation_batches, [result.detections for result in results])
        evaluation = score_detections(found, self.val, self.config, fast=True)
        if self.config.task == "detection":  # localization always shows the top box
            self.saver.threshold = best_f1_threshold(evaluation.operating_point, len(self.val), self.clock.step)
        summary = evaluation.summary
        ap, ap50 = summary.ap or 0.0, summary.ap50 or 0.0
        localization = localization_of(self.config, found, self.val)
        others = {f"val/{name}": value for name, value in (losses | logged_localization(localization)).items()}
        numbers = {"val/AP": ap, "val/AP50": ap50, **others}
        log.write(self.clock.step, {"epoch": self.clock.epoch, "seconds": self.clock.seconds, **numbers})
        best = self.progress.best
        learned = ap > max(0.0, best.ap) and ap50 >= POOR_AP50
        rank = ", best so far" if learned else f", equal to step {best.step}" if ap == best.ap else ""
        display.log(
            f"epoch {self.clock.epoch:.1f}, step {self.clock.step}, {duration(self.clock.seconds)}: "
            f"AP {ap:.3f}, AP50 {ap50:.3f}, val loss {losses['loss']:.3f}{rank}"
        )
        if localization is not None:
            self._say_localization(localization, display)
        return ap

    def _not_finite(self, error: NotFiniteError, names: list[str]) -> InputError | SystemExit:
        """Return what ends the run after a NaN: an error in the first process, a silent exit in the others."""
        if not self.processes.first:
            return SystemExit(2)
        rate, skipped = self.config.train.optimizer.learning_rate, self.progress.skipped_in_a_row
        return not_finite_error(error, names, self.saver.folder, self.clock.step, rate, skipped)

    def _say_localization(self, found: Localization, display: Display) -> None:
        """Print how well the top boxes fit; warn once, not at the very start, if they have collapsed."""
        display.log(f"  top-1 LOC error {found.top1_loc_error:.3f}, mean IoU {found.mean_iou:.3f}")
        if found.collapsed and self.clock.progress >= COLLAPSE_FROM and not self.collapse_warned:
            self.collapse_warned = True
            display.log(f"warning: {collapse_sentence(found)}")

    def _few_steps(self) -> str:
        """Return a warning if the time allows too few steps, else ""."""
        settings, steps = self.config.train, self.clock.step / max(self.clock.progress, 1e-6)
        if settings.length_and_unit[1] != "minute" or steps >= FEW_STEPS:
            return ""
        return (
            f"only about {about(steps)} steps fit into {settings.length}, and under {FEW_STEPS} teach little; raise "
            "train.length, or lower train.batch_size or the size of the images"
        )

    def _status(self) -> str:
        """Return the progress of the run in at most 64 characters, which fit beside a bar."""
        clock, best = self.clock, self.progress.best
        progress = min(1.0, max(clock.progress, 1e-6))
        left = clock.seconds * (1 / progress - 1)
        speed = clock.step * self.config.train.batch_size / max(clock.seconds, 1e-6)
        parts = [
            f"step {clock.step} of about {about(max(clock.step, clock.step / progress))}",
            f"epoch {clock.epoch:.1f}",
            f"{duration(left)} left",
            f"{speed:.{0 if speed >= 10 else 1}f} images/s",
        ]
        return ", ".join([*parts, *([f"best AP {best.ap:.3f}"] if best.ap > 0 else [])])


def _until(caught: Sequence[int], loader: Iterable[Batch]) -> Iterator[Batch]:
    """Yield batches until a signal is caught."""
    for batch in loader:
        if caught:
            return
        yield batch
