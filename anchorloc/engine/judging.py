"""A checkpoint to its scores and report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch

from anchorloc.checkpoint import load_checkpoint
from anchorloc.config import Config, config_from_plain, read_config
from anchorloc.data import Source
from anchorloc.detector import Detector
from anchorloc.engine.build import batches, build_detector, pick_device, to_device, validation_loader
from anchorloc.engine.inference import detect
from anchorloc.engine.start import start_from
from anchorloc.engine.stored import NETWORK, Weights, check_entries, check_tensors
from anchorloc.engine.validation import score
from anchorloc.errors import InputError
from anchorloc.metrics import Evaluation
from anchorloc.structures import Category, Detections


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A network with all that is needed to use it."""

    config: Config
    categories: tuple[Category, ...]
    step: int
    network: Detector
    device: torch.device


def load_model(path: Path, overrides: Sequence[str] = ()) -> TrainedModel:
    """Load a checkpoint that a run wrote; `overrides` change settings such as data.root or decode.nms_iou.

    A config (YAML) that names `detector.weights` will do too; the classes are then those of its data.

    Raises:
        InputError: the file is damaged or foreign, or the overrides make another network.
    """
    if path.suffix in (".yaml", ".yml"):
        return _load_config(path, overrides)
    state = load_checkpoint(path)
    check_entries(path, state, Weights)
    config = config_from_plain(state["config"], str(path), overrides)
    categories = tuple(Category(*pair) for pair in state["categories"])
    network = build_detector(config, len(categories), pretrained=False)
    check_tensors(path, network.state_dict(), state["model"], f"{NETWORK} and overrides")
    network.load_state_dict(state["model"])
    device = pick_device(config.train.device)
    return TrainedModel(config, categories, state["step"], to_device(network, device).eval(), device)


def _load_config(path: Path, overrides: Sequence[str]) -> TrainedModel:
    config = read_config(path, overrides)
    if not config.detector.weights:
        raise InputError(f"{path} names no weights; give detector.weights=FILE, or the best.pt of a run")
    categories = config.data.open("val").categories
    network = build_detector(config, len(categories), pretrained=False)
    if left_out := start_from(network, config, categories):
        raise InputError(
            f"{config.detector.weights} does not hold the whole network, not {left_out[0]}; train it first, "
            "or use the anchors and classes that it was trained with"
        )
    device = pick_device(config.train.device)
    return TrainedModel(config, categories, 0, to_device(network, device).eval(), device)


def judge(model: TrainedModel, source: Source) -> tuple[Evaluation, list[Detections]]:
    """Run `model` over `source` and score what it finds.

    Raises:
        InputError: the classes of the two differ.
    """
    if source.categories != model.categories:
        ours, theirs = ([f"{c.id} {c.name}" for c in known] for known in (model.categories, source.categories))
        raise InputError(f"the checkpoint knows the classes {ours}, the data has {theirs}; evaluate on matching data")
    loader = batches(validation_loader(model.config, source))
    detections = list(detect(model.network, loader, model.config, model.device))
    return score(detections, source, model.config), detections


def facts_of(model: TrainedModel) -> dict[str, object]:
    """The lines that a report says of the model."""
    weights = sum(parameter.numel() for parameter in model.network.parameters())
    if model.config.localizer is not None:
        return {"weights of the network": f"{weights:,}", "trained steps": model.step, "localizer": "single box"}
    return {
        "weights of the network": f"{weights:,}",
        "trained steps": model.step,
        "anchors of a cell, per level": ", ".join(map(str, model.config.anchors.shapes_per_level)),
        "assigner": str(model.config.assign),
        "pycocotools": version("pycocotools"),
    }
