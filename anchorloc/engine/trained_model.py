"""Load a trained network with its settings and classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from anchorloc.checkpoint import load_checkpoint
from anchorloc.config import Config, config_from_plain, read_config
from anchorloc.detector import Detector
from anchorloc.detector.folding import fold_batch_norm, foldable_pairs
from anchorloc.engine.build import build_detector, pick_device, to_device
from anchorloc.engine.inference import inference_precision
from anchorloc.engine.single_values import has_own_backbone, shape_device
from anchorloc.engine.state.checkpoint_schema import (
    NETWORK,
    ModelCheckpoint,
    check_entries,
    check_tensors,
    with_current_names,
)
from anchorloc.engine.state.pretrained import known_classes, load_pretrained
from anchorloc.engine.state.run_folder import find_checkpoint
from anchorloc.engine.state.score_threshold import ScoreThreshold, saved_threshold
from anchorloc.errors import InputError
from anchorloc.startup import say_what_is_late
from anchorloc.structures import Category, Detections, Sample, Size, categories_of

# What folding needs to know of a network, by the settings that it was built from: to find it takes tenths of a second,
# and each validation, the report, and each run of a study fold a network of the same settings.
_PAIRS: dict[tuple[object, ...], list[tuple[str, str]]] = {}


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A network with all that is needed to use it."""

    config: Config
    categories: tuple[Category, ...]
    step: int  # steps that it was trained for
    network: Detector
    device: torch.device
    threshold: ScoreThreshold | None = None

    def padded(self, size: Size) -> Size:
        """Return the size with padding of an image of (height, width) after resizing."""
        return self.config.padded(size)

    def candidates(self, samples: Sequence[Sample]) -> list[Detections]:
        """Return the decoded boxes of each image before NMS, in original pixels; the samples must have one padded size.

        Raises:
            InputError: a box is NaN or infinite.
        """
        method = self.config.method
        images = method.collate().pad([sample.image for sample in samples]).to(self.device)
        with torch.inference_mode(), inference_precision(self.config):
            predictions = self.network(images)
        return method.candidates(predictions, method.grid((images.shape[2], images.shape[3])), samples)

    def facts(self) -> dict[str, object]:
        """Return what a report says of the model: a name and a value for each line."""
        weights = sum(parameter.numel() for parameter in self.network.parameters())
        device = self.device.type
        precision = self.config.train.inference_precision if device == "cuda" else "float32"  # only CUDA has a choice
        facts = {
            "weights of the network": f"{weights:,}",
            "trained steps": self.step,
            "inference": f"{precision} on {device}",
        }
        if not self.config.method.has_anchors:
            return {**facts, "localizer": "single box"}
        return {
            **facts,
            "anchors of a cell, per level": ", ".join(map(str, self.config.anchors.shapes_per_level)),
            "assigner": str(self.config.assign),
        }


def load_any(path: Path, settings: Sequence[str]) -> TrainedModel:
    """Load a checkpoint or a config, whose weights file or data give the classes.

    Raises:
        InputError: a file or a setting is invalid.
    """
    config = read_config(path, settings) if path.suffix in (".yaml", ".yml") else None
    known = known_classes(Path(config.detector.weights)) if config is not None and config.detector.weights else None
    model = load_model(path, settings) if config is None or known is None else load_from_weights(config, known)
    if model.device.type == "cpu":
        say_what_is_late(torch.get_num_threads())
    return model


def load_model(path: Path, overrides: Sequence[str] = ()) -> TrainedModel:
    """Load a checkpoint, or the one in the folder of a run; `overrides` change settings such as decode.nms_iou.

    A config (YAML) that names `detector.weights` works too; its data then give the classes.

    Raises:
        InputError: the file is damaged or not a checkpoint, or the overrides describe another network.
    """
    if path.suffix in (".yaml", ".yml"):
        return _load_config(path, overrides)
    path = find_checkpoint(path)
    state = load_checkpoint(path)
    check_entries(path, state, ModelCheckpoint)
    state = with_current_names(state)
    config = config_from_plain(state["config"], str(path), overrides)
    categories = categories_of(state["categories"])
    network = build_detector(config, len(categories), pretrained=False)
    check_tensors(path, network.state_dict(), state["model"], f"{NETWORK} and overrides")
    network.load_state_dict(state["model"])
    device = pick_device(config.train.device)
    network = for_inference(network, config, device)
    return TrainedModel(config, categories, state["step"], network, device, saved_threshold(state))


def _load_config(path: Path, overrides: Sequence[str]) -> TrainedModel:
    config = read_config(path, overrides)
    if not config.detector.weights:
        raise InputError(f"{path} names no weights; give detector.weights=FILE, or the best.pt of a run")
    return load_from_weights(config, config.data.open("val").categories)


def load_from_weights(config: Config, categories: tuple[Category, ...]) -> TrainedModel:
    """Build the network of a config for these classes, and load all its weights from `detector.weights`.

    Raises:
        InputError: the weights belong to another network, or a part of them is missing.
    """
    network = build_detector(config, len(categories), pretrained=False)
    if not_loaded := load_pretrained(network, config, categories):
        raise InputError(
            f"{config.detector.weights} does not hold the whole network (not loaded: {not_loaded[0]}); train it first, "
            "or use the anchors and classes that it was trained with"
        )
    device = pick_device(config.train.device)
    return TrainedModel(config, categories, 0, for_inference(network, config, device), device)


def for_inference(network: Detector, config: Config, device: torch.device) -> Detector:
    """Fold the batch normalization of a network, and move it to the device; the network itself is changed."""
    size = config.padded(config.transform.resize((480, 640))[0])
    described = (config.detector, config.localizer, config.anchors, size)
    if described not in _PAIRS:
        own, pairs = has_own_backbone(config), foldable_pairs(network, size, shape_device(config))
        # code of the user's own may also add the output of a convolution to something, which no hook sees
        _PAIRS[described] = [pair for pair in pairs if not (own and pair[0].startswith("backbone."))]
    fold_batch_norm(network, _PAIRS[described])
    return to_device(network, device).eval()
