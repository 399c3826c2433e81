"""A checkpoint with random weights that finds something everywhere, without any training."""

from __future__ import annotations

from pathlib import Path

import torch

from anchorloc.checkpoint import save_checkpoint
from anchorloc.config import Config, to_plain
from anchorloc.detector.level_head import output_conv
from anchorloc.engine.build import build_detector
from tests.engine.small_runs import small

CLASSES = ((1, "ellipse"), (2, "rectangle"), (3, "triangle"), (4, "cross"))  # the classes of the built-in shapes


def save_random(path: Path, *overrides: str, classes: tuple[tuple[int | str, str], ...] = CLASSES) -> Path:
    """Write a checkpoint whose scores spread around 0.1 and whose boxes are not their anchors."""
    config = small(*overrides)
    save_network(path, config, classes)
    return path


def save_network(path: Path, config: Config, classes: tuple[tuple[int | str, str], ...]) -> None:
    torch.manual_seed(0)
    network = build_detector(config, len(classes), pretrained=False)
    with torch.no_grad():
        for layers, spread in ((network.head.logits, 0.1), (network.head.deltas, 0.02)):
            for layer in layers:  # type: ignore[union-attr]
                torch.nn.init.normal_(output_conv(layer).weight, std=spread)
        for layer in network.head.logits:  # type: ignore[union-attr]
            torch.nn.init.constant_(output_conv(layer).bias, -2.0)  # type: ignore[arg-type]
    state = {"config": to_plain(config), "categories": [list(pair) for pair in classes], "step": 0}
    save_checkpoint(path, {**state, "model": network.state_dict()})
