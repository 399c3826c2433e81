"""The loop: steps, validations, checkpoints, and their exact continuation."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from anchorloc.checkpoint import load_checkpoint, save_checkpoint
from anchorloc.config import Config, to_plain
from anchorloc.data import Source
from anchorloc.detector import Batch
from anchorloc.engine.average import AveragedModel
from anchorloc.engine.build import batches, build_detector, pick_device, to_device, train_loader, validation_loader
from anchorloc.engine.display import Display, duration
from anchorloc.engine.inference import aligned, autocast, losses_of
from anchorloc.engine.localizing import logged
from anchorloc.engine.log import MetricsLog
from anchorloc.engine.processes import Processes
from anchorloc.engine.resume import BEST, LAST, save_last
from anchorloc.engine.schedule import Clock
from anchorloc.engine.signals import Stopped, caught_signals
from anchorloc.engine.start import start_from
from anchorloc.engine.stored import NETWORK, check_optimizer, check_tensors
from anchorloc.engine.validation import Means, loss_values, sum_losses, validate
from anchorloc.errors import InputError
from anchorloc.metrics import Localization
from anchorloc.report.localization import collapse_sentence

LOG_EVERY = 20  # steps between lines of metrics.jsonl
COLLAPSE_FROM = 0.2  # of a run: before it, boxes that are all alike are no news


@dataclass
class Best:
    """The best validation so far."""

    ap: float = -1.0
    step: int = 0
    validations_since: int = 0


class Interrupted(Exception):
    """A signal came during a validation, which is left out and made up for when the run goes on."""


class Training:
    """One run in `folder`. Its state is saved in last.pt; best.pt is for use."""

    def __init__(
        self,
        config: Config,
        folder: Path,
        train: Source,
        val: Source,
        processes: Processes | None = None,
        *,
        pretrained: bool = True,
    ) -> None:
        """`pretrained=False` spares the download of weights that `resume` replaces."""
        self.config, self.folder, self.train, self.val = config, folder, train, val
        self.processes = processes or Processes()
        settings = config.train
        torch.manual_seed(settings.seed)
        if settings.threads:
            torch.set_num_threads(settings.threads)
        self.device = pick_device(settings.device)
        network = build_detector(config, len(train.categories), pretrained=pretrained)
        taken_over = pretrained and config.detector.weights
        self.left_out = start_from(network, config, train.categories) if taken_over else []
        self.model = to_device(network, self.device)
        self.average = AveragedModel(self.model, settings.ema)
        self.optimizer = settings.optimizer(self.model)
        self.clock = Clock(settings, len(train))
        self.best, self.means = Best(), Means()
        self.log_size = 0
        self.warned = False  # that predicted boxes have collapsed
        self.next_validation = settings.validate_every
        self.validated = 0  # the step of the last validation
        self.best_written = 0  # the step of best.pt
        self.saved, self.saved_step = -math.inf, -1  # when, by the clock and by the step of last.pt
        self.identity = {
            "config": to_plain(config),
            "categories": [[category.id, category.name] for category in train.categories],
            "data": {"train": train.fingerprint, "val": val.fingerprint},
            "machine": {"processes": self.processes.count, "device": self.device.type},
        }

    def run(self, display: Display) -> None:
        """Train until the length is reached, patience ends or a signal comes.

        Raises:
            Stopped: after a signal, with the state saved.
            InputError: the loss stopped being a number, or the file system refuses.
        """
        self.clock.start()
        log = MetricsLog(self.folder, self.log_size, self.clock.step) if self.processes.first else None
        try:
            with caught_signals() as caught:
                self._loop(display, log, caught)
        finally:
            if log is not None:
                log.close()

    def _loop(self, display: Display, log: MetricsLog | None, caught: list[int]) -> None:
        validation = validation_loader(self.config, self.val)
        part = (self.processes.rank, self.processes.count)
        stream = batches(train_loader(self.config, self.train, self.clock.step, part))
        network = self.processes.wrap(self.model)
        if log is not None and self.clock.step == 0:
            self.save(log)  # a folder that cannot hold it is found out before the work, not after
        while True:
            (progress,) = self.processes.agree(self.clock.progress)
            if self._validation_is_due(progress):
                with suppress(Interrupted):
                    self._validate(_until(caught, batches(validation)), display, log)
            impatient = 0 < self.config.train.patience <= self.best.validations_since
            done, stop = self.processes.agree(progress >= 1 or impatient, caught[0] if caught else 0)
            if stop:
                if log is not None:
                    self.save(log)
                raise Stopped(int(stop))
            if done:
                return
            batch = next(stream).to(self.device)
            self.means.add(self.step(network, batch, self.clock.rate(progress)))
            if log is not None:
                self._log_step(display, log)
                if time.perf_counter() - self.saved >= 60 * self.config.train.save_every:
                    self.save(log)

    def step(self, network: nn.Module, batch: Batch, rate: float) -> dict[str, float]:
        """Update the weights once, at `rate` times the full learning rate; return the losses of this process."""
        network.train()
        with autocast(self.config, self.device):
            predictions = network(batch.images)
        batch = aligned(self.config, predictions, batch)
        positives = self.processes.mean(batch.weight)
        losses = losses_of(self.config, predictions, batch, positives)
        total = sum_losses(losses)
        images = "images " + ", ".join(str(sample.image_id) for sample in batch.samples)
        self._refuse_nan("the loss", total.item(), images)
        total.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.config.train.clip_norm)
        self._refuse_nan("the norm of the gradients", norm.item(), images)
        self.optimizer.step(rate)
        self.average.update()
        self.clock.step += 1
        return loss_values(losses)

    def _refuse_nan(self, what: str, value: float, where: str) -> None:
        """Stop before a number that is none gets into the weights or a checkpoint."""
        if not math.isfinite(value):
            rate = self.config.train.optimizer.learning_rate
            raise InputError(
                f"{what} became {value} at step {self.clock.step} ({where}); the last checkpoint is intact: "
                f"lower train.optimizer.learning_rate, now {rate}, or look at these images"
            )

    def _log_step(self, display: Display, log: MetricsLog) -> None:
        if self.clock.step % LOG_EVERY == 0:
            settings = self.config.train
            rate = self.clock.rate(self.clock.progress) * settings.optimizer.learning_rate
            speed = LOG_EVERY * settings.batch_size / self.clock.lap()
            values = {**self.means.take(), "lr": rate, "images_per_second": speed}
            log.write(self.clock.step, {"epoch": self.clock.epoch, "seconds": self.clock.seconds, **values})
            display.update(self.clock.progress, self._status(values))

    def _validation_is_due(self, progress: float) -> bool:
        """A function of the state alone, so that a run that goes on makes up for what a signal left out."""
        due = progress >= 1 or self.clock.epoch >= self.next_validation
        return due and self.validated < self.clock.step

    def _validate(self, loader: Iterable[Batch], display: Display, log: MetricsLog | None) -> None:
        """Score the averaged weights in the first process, keep them if they are the best, save the state."""
        if log is not None:
            evaluation, localization, losses = validate(self.average.module, loader, self.config, self.val, self.device)
            self._refuse_nan("the validation loss", losses["loss"], "validation images")
        self.validated = self.clock.step
        self.next_validation = self.clock.epoch + self.config.train.validate_every
        if log is None:
            return
        ap, ap50 = evaluation.summary.ap or 0.0, evaluation.summary.ap50 or 0.0
        others = {f"val/{name}": value for name, value in (losses | logged(localization)).items()}
        numbers = {"val/AP": ap, "val/AP50": ap50, **others}
        log.write(self.clock.step, {"epoch": self.clock.epoch, "seconds": self.clock.seconds, **numbers})
        better = ap > self.best.ap
        display.say(
            f"epoch {self.clock.epoch:.1f}, step {self.clock.step}, {duration(self.clock.seconds)}: "
            f"AP {ap:.3f}, AP50 {ap50:.3f}, val loss {losses['loss']:.3f}{', the best so far' if better else ''}"
        )
        if localization is not None:
            self._say_localization(localization, display)
        if better:
            self.best = Best(ap, self.clock.step)
        else:
            self.best.validations_since += 1
        self.save(log)

    def _say_localization(self, found: Localization, display: Display) -> None:
        """Tell how well the top boxes fit, and once, not at the very start, that they have collapsed."""
        display.say(f"  top-1 LOC error {found.top1_loc_error:.3f}, mean IoU {found.mean_iou:.3f}")
        if found.collapsed and self.clock.progress >= COLLAPSE_FROM and not self.warned:
            self.warned = True
            display.say(f"warning: {collapse_sentence(found)}")

    def _status(self, values: dict[str, float]) -> str:
        left = self.clock.seconds * (1 / max(self.clock.progress, 1e-6) - 1)
        return (
            f"step {self.clock.step} loss {values['loss']:.3f} lr {values['lr']:.1e} "
            f"{values['images_per_second']:.0f} img/s, {duration(max(0.0, left))} left"
        )

    def _weights(self) -> dict[str, Any]:
        """What is needed to use the model."""
        return {
            "format": 1,
            "config": self.identity["config"],
            "categories": self.identity["categories"],
            "step": self.clock.step,
            "model": self.average.module.state_dict(),
        }

    def save(self, log: MetricsLog) -> None:
        """Write last.pt: the weights for use, and what is needed to go on as if nothing had happened.

        It comes after the lines of the log that belong to it and before best.pt, which `resume` can make from it: a
        run that is killed in between loses nothing.
        """
        training = {
            "data": self.identity["data"],
            "machine": self.identity["machine"],
            "model": self.model.state_dict(),
            "average_updates": self.average.updates,
            "optimizer": self.optimizer.state_dict(),
            "seconds": self.clock.seconds,
            "best": asdict(self.best),
            "means": asdict(self.means),
            "next_validation": self.next_validation,
            "validated": self.validated,
            "log_size": log.size,
            "random": torch.get_rng_state(),
            "threads": torch.get_num_threads(),
        }
        log.sync()
        save_last(self.folder, {**self._weights(), "training": training}, self.saved_step, self.config.train.keep)
        self._write_best()
        self.saved, self.saved_step = time.perf_counter(), self.clock.step

    def _write_best(self) -> None:
        if 0 < self.best.step == self.clock.step != self.best_written:
            save_checkpoint(self.folder / BEST, self._weights())
            self.best_written = self.best.step

    def resume(self, state: dict[str, Any], say: Callable[[str], None] = print) -> None:
        """Take up a saved state.

        Raises:
            InputError: it is of another network or optimizer.
        """
        training, path = state["training"], self.folder / LAST
        check_tensors(path, self.model.state_dict(), training["model"], NETWORK)
        check_tensors(path, self.model.state_dict(), state["model"], NETWORK)
        check_optimizer(path, self.optimizer, training["optimizer"])
        check_tensors(path, {"random": torch.get_rng_state()}, {"random": training["random"]}, "torch's generator")
        self.model.load_state_dict(training["model"])
        self.average.module.load_state_dict(state["model"])
        self.average.updates = training["average_updates"]
        self.optimizer.load_state_dict(training["optimizer"])
        self.clock.step, self.clock.before = state["step"], training["seconds"]
        self.best, self.means = Best(**training["best"]), Means(**training["means"])
        self.next_validation, self.validated = training["next_validation"], training["validated"]
        self.log_size = training["log_size"]
        torch.set_rng_state(training["random"])
        if not self.config.train.threads:
            torch.set_num_threads(training["threads"])  # sums on a CPU depend on it, in their last bits
        self.saved_step = self.clock.step
        if self.processes.first:
            self._look_for_best(say)

    def _look_for_best(self, say: Callable[[str], None]) -> None:
        """Make sure that best.pt is there, from the state itself if need be."""
        try:
            written = load_checkpoint(self.folder / BEST)["step"] if self.best.step else 0
            self.best_written = written if written == self.best.step else 0  # a later one will be written again
        except InputError as error:
            if self.best.step != self.clock.step:
                say(f"{error}; the best of the validations to come is kept in its place")
                self.best.ap = -1.0
        self._write_best()


def _until(caught: list[int], loader: Iterable[Batch]) -> Iterator[Batch]:
    """Yield the batches until a signal is caught."""
    for batch in loader:
        if caught:
            raise Interrupted
        yield batch
