"""A checkpoint to its scores and report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from anchorloc.checkpoint import load_checkpoint
from anchorloc.config import Config, config_from_plain, read_config
from anchorloc.data import Source
from anchorloc.detector import Detector
from anchorloc.engine.build import batches, build_detector, pick_device, to_device, validation_loader
from anchorloc.engine.inference import detect_batch
from anchorloc.engine.state.checkpoint_schema import NETWORK, ModelCheckpoint, check_entries, check_tensors
from anchorloc.engine.state.pretrained import load_pretrained
from anchorloc.engine.system.failures import explained_failures
from anchorloc.engine.system.processes import SINGLE_PROCESS, Processes
from anchorloc.engine.validation import interleave, score
from anchorloc.errors import InputError
from anchorloc.metrics import Evaluation
from anchorloc.metrics.analysis import AnchorUsage
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
    check_entries(path, state, ModelCheckpoint)
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
    return load_from_weights(config, config.data.open("val").categories)


def load_from_weights(config: Config, categories: tuple[Category, ...]) -> TrainedModel:
    """Build the network of a config for these classes, with the whole of the weights that it names.

    Raises:
        InputError: the weights are of another network, or do not hold all of it.
    """
    network = build_detector(config, len(categories), pretrained=False)
    if left_out := load_pretrained(network, config, categories):
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
    detections, _ = find(model, source)
    return score(detections, source, model.config), detections


def find(
    model: TrainedModel, source: Source, processes: Processes = SINGLE_PROCESS
) -> tuple[list[Detections], list[tuple[int, int]]]:
    """Return what `model` finds in every image, and the (height, width) that each was padded to.

    The batches are dealt out to the `processes`; the first gets all, in order.

    Raises:
        InputError: the classes of the two differ.
    """
    if source.categories != model.categories:
        ours, theirs = ([f"{c.id} {c.name}" for c in known] for known in (model.categories, source.categories))
        raise InputError(f"the checkpoint knows the classes {ours}, the data has {theirs}; evaluate on matching data")
    mine = []
    with explained_failures(model.config, processes.count):
        for batch in batches(validation_loader(model.config, source, processes.part)):
            size = (batch.images.shape[2], batch.images.shape[3])
            mine.append([(found, size) for found in detect_batch(model.network, batch, model.config, model.device)])
    pairs = [pair for batch in interleave(processes.gather(mine)) for pair in batch]
    return [found for found, _ in pairs], [size for _, size in pairs]


def anchor_usage(
    config: Config, detections: Sequence[Detections], padded: Sequence[tuple[int, int]]
) -> AnchorUsage | None:
    """Return the level and the shape of the anchor of every detection; None without images or anchors."""
    if config.localizer is not None:
        return None
    grids = {size: config.anchors(size) for size in dict.fromkeys(padded)}
    if not grids:
        return None
    levels, shapes = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for found, size in zip(detections, padded, strict=True):
        grid = grids[size]
        starts = np.cumsum([0, *map(len, grid.levels)])
        level = np.searchsorted(starts, found.anchors, side="right") - 1
        counts = np.array([one.shapes for one in grid.levels])
        levels.append(level)
        shapes.append((found.anchors - starts[level]) % counts[level])
    shares = np.array([[len(level) / len(grids[size]) for level in grids[size].levels] for size in padded])
    first = next(iter(grids.values())).levels
    return AnchorUsage(
        level=np.concatenate(levels),
        shape=np.concatenate(shapes),
        strides=tuple(level.stride[0] for level in first),
        shapes=tuple(level.sizes for level in first),
        anchors=tuple(shares.mean(axis=0).tolist()),
    )


def model_facts(model: TrainedModel) -> dict[str, object]:
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
