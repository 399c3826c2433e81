"""Say in plain words what a run has reached, and what to try next."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from anchorloc.config import Config, TrainSettings, to_plain
from anchorloc.data import CocoData, LabelData, ShapesData
from anchorloc.text import about, counted, percent

POOR_AP50 = 0.1  # below it, labels or images are likelier to be wrong than settings
FEW_STEPS = 100  # a run of fewer steps learns little
ALIKE, NEAR = 1.5, 0.03  # AP on the own images is under so many times, and less above, AP on others: no relation
RISE = 0.01  # AP: a smaller change in the last quarter of a run is noise
LAST_PART = 0.75  # fraction of the steps, from which the end is judged


def outcome_sentence(history: Sequence[Mapping[str, Any]], data: str) -> str:
    """Return one or two sentences on a finished run.

    Args:
        history: the lines of its log.
        data: what `anchorloc doctor` takes to check its data; "" if there is nothing to check.
    """
    validations = [row for row in history if "val/AP" in row]
    if not validations:
        return ""
    scores = [(row["step"], row["val/AP"], row["val/AP50"]) for row in validations]
    (step, ap, ap50), epoch = scores[-1], validations[-1]["epoch"]
    best_step, best, _ = max(scores, key=lambda one: (one[1], one[0]))
    if max(score[2] for score in scores) < POOR_AP50 and step < FEW_STEPS:
        return f"AP50 is {ap50:.3f} after {step:,} steps, which are few: train longer."
    if epoch < 1 and best - ap <= RISE:
        return (
            f"AP is {ap:.3f} after {step:,} steps, in which the run saw {percent(epoch)} of the images: train longer."
        )
    if max(score[2] for score in scores) < POOR_AP50:
        check = f"; check with `anchorloc doctor {data}`, and" if data else ", and"
        return (
            f"Next to nothing was learned: AP50 is {ap50:.3f} after {step:,} steps. Labels may not fit the "
            f"images{check} see whether the loss falls."
        )
    earlier = [one[1] for one in scores if one[0] <= LAST_PART * step]
    if best - ap > RISE:
        return f"AP was {best:.3f} at step {best_step:,}, which best.pt holds, and fell to {ap:.3f}: train less long."
    if earlier and ap - earlier[-1] > RISE:
        return f"AP was still rising, from {earlier[-1]:.3f} to {ap:.3f} in the last part of the run: train longer."
    if earlier:
        return f"AP has leveled off at {ap:.3f}: larger images, more images or a larger network may raise it."
    return f"AP is {ap:.3f} after {step:,} steps, with too few validations to see whether it was still rising."


def unrelated_sentence(ap: float | None, elsewhere: float | None, steps: int, data: str) -> str:
    """Return a warning if the boxes found in an image fit other images about as well as their own, else "".

    Args:
        ap: of the detections.
        elsewhere: the AP of the same detections on other images; None if it is unknown.
        steps: of the run; few steps teach little.
        data: as for `outcome_sentence`.
    """
    if ap is None or elsewhere is None or steps < FEW_STEPS or ap >= ALIKE * elsewhere or ap - elsewhere >= NEAR:
        return ""
    check = f"check with `anchorloc doctor {data}` and by eye whether" if data else "check by eye whether"
    return (
        f"The boxes found in an image fit other images nearly as well, with AP {elsewhere:.3f} instead of {ap:.3f}: "
        f"{check} labels belong to their images."
    )


def few_steps_sentence(settings: TrainSettings, steps: float) -> str:
    """Return a warning if about so many `steps` fit into a length in minutes and are too few to learn, else ""."""
    if settings.length_and_unit[1] != "minute" or steps >= FEW_STEPS:
        return ""
    return (
        f"only about {about(steps)} steps fit into {settings.length}, and under {FEW_STEPS} teach little; raise "
        "train.length, or lower train.batch_size or the size of the images"
    )


def patience_sentence(settings: TrainSettings, best: float, since: int) -> str:
    """Return why `train.patience` ended a run, or "" if it did not.

    Args:
        best: the greatest AP.
        since: validations without a greater one.
    """
    if not 0 < settings.patience <= since:
        return ""
    rose = f"AP did not rise above {best:.3f}" if best > 0 else "AP never rose above 0"
    return f"train.patience={settings.patience} ended the run: in the last {counted(since, 'validation')} {rose}"


def run_heading(config: Config, images: Sequence[int], steps: int, device: str) -> str:
    """Return in one line when and on what a run trained: date, data, images, time and steps, device, seed.

    Args:
        images: the numbers of train and val images.
    """
    train, val = images
    resize = to_plain(config.transform.resize)
    epochs = steps * config.train.batch_size / train
    return " · ".join(
        [
            time.strftime("%Y-%m-%d"),
            f"{data_name(config)}: {train:,} train and {val:,} val images",
            f"{type(config.transform.resize).__name__} {' x '.join(map(str, resize.values()))}".strip(),
            f"{config.train.length}: {steps:,} steps, {epochs:.1f} epochs on {device}",
            f"seed {config.train.seed}",
        ]
    )


def data_path(config: Config) -> Path | None:
    """Return the labels that a config trains on; None for built-in shapes and data of the user's own."""
    if isinstance(config.data, LabelData):
        return config.data.path
    return config.data.root / config.data.train if isinstance(config.data, CocoData) else None


def data_name(config: Config) -> str:
    """Return what a report calls the data of a config."""
    path = config.data.root if isinstance(config.data, CocoData) else data_path(config)
    if path is not None:
        return path.resolve().name
    return "built-in shapes" if isinstance(config.data, ShapesData) else type(config.data).__name__


def changed_settings(config: Config) -> str:
    """Return the settings, the data apart, that differ from the built-in ones, as key=value."""
    default = dict(_leaves(to_plain(Config())))
    changed = [f"{key}={value}" for key, value in _leaves(to_plain(config)) if default.get(key, value is None) != value]
    return ", ".join(word for word in changed if not word.startswith("data."))


def _leaves(plain: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in plain.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
