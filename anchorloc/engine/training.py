"""The loop: steps, validations, checkpoints, and their exact continuation."""

from __future__ import annotations

import math
from collections.abc import Iterable
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
from anchorloc.engine.changes import refuse_changes
from anchorloc.engine.display import Display, duration
from anchorloc.engine.inference import aligned, autocast
from anchorloc.engine.processes import Processes
from anchorloc.engine.run import MetricsLog
from anchorloc.engine.schedule import Clock
from anchorloc.engine.signals import Stopped, caught_signals
from anchorloc.engine.start import start_from
from anchorloc.engine.validation import Means, loss_values, sum_losses, validate
from anchorloc.errors import InputError

LOG_EVERY = 20  # steps between lines of metrics.jsonl


@dataclass
class Best:
    """The best validation so far."""

    ap: float = -1.0
    step: int = 0
    validations_since: int = 0


class Training:
    """One run in `folder`. Its state is saved in last.pt; best.pt is for use."""

    def __init__(
        self, config: Config, folder: Path, train: Source, val: Source, processes: Processes | None = None
    ) -> None:
        self.config, self.folder, self.train, self.val = config, folder, train, val
        self.processes = processes or Processes()
        settings = config.train
        torch.manual_seed(settings.seed)
        if settings.threads:
            torch.set_num_threads(settings.threads)
        self.device = pick_device(settings.device)
        network = build_detector(config, len(train.categories))
        self.left_out = start_from(network, config, train.categories) if config.detector.weights else []
        self.model = to_device(network, self.device)
        self.average = AveragedModel(self.model, settings.ema)
        self.optimizer = settings.optimizer(self.model)
        self.clock = Clock(settings, len(train))
        self.best, self.means = Best(), Means()
        self.log_size = 0
        self.next_validation = settings.validate_every

    def run(self, display: Display) -> None:
        """Train until the length is reached, patience ends or a signal comes.

        Raises:
            Stopped: after a signal, with the state saved.
            InputError: the loss stopped being a number.
        """
        self.clock.start()
        log = MetricsLog(self.folder, self.log_size) if self.processes.first else None
        try:
            with caught_signals() as caught:
                self._loop(display, log, caught)
        finally:
            if log is not None:
                log.close()

    def _loop(self, display: Display, log: MetricsLog | None, caught: list[int]) -> None:
        validation = validation_loader(self.config, self.val)
        part = (self.processes.rank, self.processes.count)
        network = self.processes.wrap(self.model)
        (progress,) = self.processes.agree(self.clock.progress)
        if progress >= 1:  # a finished run that is resumed
            return
        for batch in batches(train_loader(self.config, self.train, self.clock.step, part)):
            self.means.add(self.step(network, batch.to(self.device), self.clock.rate(progress)))
            (progress,) = self.processes.agree(self.clock.progress)
            due = progress >= 1 or self.clock.epoch >= self.next_validation
            if log is not None:
                self._log_step(display, log)
            if due:
                self.next_validation = self.clock.epoch + self.config.train.validate_every
                if log is not None:
                    self._validate(batches(validation), display, log)
            impatient = 0 < self.config.train.patience <= self.best.validations_since
            done, stop = self.processes.agree(progress >= 1 or impatient, caught[0] if caught else 0)
            if stop:
                if log is not None:
                    self.save(log)
                raise Stopped(int(stop))
            if done:
                return

    def step(self, network: nn.Module, batch: Batch, rate: float) -> dict[str, float]:
        """Update the weights once, at `rate` times the full learning rate; return the losses of this process."""
        network.train()
        with autocast(self.config, self.device):
            predictions = network(batch.images)
        batch = aligned(self.config, predictions, batch)
        positives = self.processes.mean(batch.weight)
        losses = self.config.loss(predictions, batch, self.config.coder, positives)
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

    def _validate(self, loader: Iterable[Batch], display: Display, log: MetricsLog) -> None:
        """Score the averaged weights, keep them if they are the best, save the state."""
        evaluation, losses = validate(self.average.module, loader, self.config, self.val, self.device)
        self._refuse_nan("the validation loss", losses["loss"], "validation images")
        ap, ap50 = evaluation.summary.ap or 0.0, evaluation.summary.ap50 or 0.0
        numbers = {"val/AP": ap, "val/AP50": ap50, **{f"val/{name}": value for name, value in losses.items()}}
        log.write(self.clock.step, {"epoch": self.clock.epoch, "seconds": self.clock.seconds, **numbers})
        better = ap > self.best.ap
        display.say(
            f"epoch {self.clock.epoch:.1f}, step {self.clock.step}, {duration(self.clock.seconds)}: "
            f"AP {ap:.3f}, AP50 {ap50:.3f}, val loss {losses['loss']:.3f}{', the best so far' if better else ''}"
        )
        if better:
            self.best = Best(ap, self.clock.step)
            save_checkpoint(self.folder / "best.pt", self._weights())
        else:
            self.best.validations_since += 1
        self.save(log)

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
            "config": to_plain(self.config),
            "categories": [[category.id, category.name] for category in self.train.categories],
            "step": self.clock.step,
            "model": self.average.module.state_dict(),
        }

    def save(self, log: MetricsLog) -> None:
        """Write last.pt: the weights for use, and what is needed to go on as if nothing had happened."""
        training = {
            "model": self.model.state_dict(),
            "average_updates": self.average.updates,
            "optimizer": self.optimizer.state_dict(),
            "seconds": self.clock.seconds,
            "best": asdict(self.best),
            "means": asdict(self.means),
            "next_validation": self.next_validation,
            "log_size": log.size,
            "random": torch.get_rng_state(),
            "threads": torch.get_num_threads(),
        }
        save_checkpoint(self.folder / "last.pt", {**self._weights(), "training": training})

    def resume(self) -> None:
        """Take up the state of last.pt.

        Raises:
            InputError: there is none, it is damaged, or it belongs to other settings or classes.
        """
        path = self.folder / "last.pt"
        state = load_checkpoint(path)
        refuse_changes(path, state, self.config, self.train.categories)
        training = state["training"]
        self.model.load_state_dict(training["model"])
        self.average.module.load_state_dict(state["model"])
        self.average.updates = training["average_updates"]
        self.optimizer.load_state_dict(training["optimizer"])
        self.clock.step, self.clock.before = state["step"], training["seconds"]
        self.best, self.means = Best(**training["best"]), Means(**training["means"])
        self.next_validation, self.log_size = training["next_validation"], training["log_size"]
        torch.set_rng_state(training["random"])
        torch.set_num_threads(training["threads"])
