"""A tiny training, and how two of them are compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from anchorloc.checkpoint import load_checkpoint
from anchorloc.config import Config, read_config
from anchorloc.engine.state.resume import load_last
from anchorloc.engine.system.log import read_log
from anchorloc.engine.training import Training

SMALL = [
    "data={train_images: 24, val_images: 6, size: 96}",
    "detector.backbone={channels: [8, 8, 16, 16], blocks: [1, 1, 1, 1]}",
    "detector.pyramid.channels=16",
    "detector.head={channels: 16, depth: 1}",
    "train.batch_size=4",
    "train.workers=0",
    "train.warmup=2",
    "train.validate_every=0.5",
    "train.precision=float32",
]


def small(*overrides: str) -> Config:
    return read_config(None, [*SMALL, *overrides])


def open_run(config: Config, folder: Path) -> Training:
    folder.mkdir(exist_ok=True)
    return Training(config, folder, config.data.open("train"), config.data.open("val"))


def run(config: Config, folder: Path, *, resume: bool = False) -> Training:
    training = open_run(config, folder)
    if resume and (state := load_last(folder, print)) is not None:
        training.resume(state)
    training.run()
    return training


def weights(folder: Path, name: str = "last.pt") -> dict[str, Any]:
    return load_checkpoint(folder / name)


def assert_same(first: Any, second: Any, path: str = "") -> None:
    """Compare nested states to the last bit, wall-clock figures aside."""
    assert type(first) is type(second), path
    if isinstance(first, dict):
        assert first.keys() == second.keys(), path
        for key in first:
            if key not in ("seconds", "log_size"):  # a time is written with more or fewer digits
                assert_same(first[key], second[key], f"{path}.{key}")
    elif isinstance(first, list | tuple):
        assert len(first) == len(second), path
        for index, (a, b) in enumerate(zip(first, second, strict=True)):
            assert_same(a, b, f"{path}[{index}]")
    elif isinstance(first, torch.Tensor):
        assert torch.equal(first, second), path
    else:
        assert first == second, path


def timeless(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k not in ("seconds", "images_per_second")} for row in rows]


def assert_same_run(first: Path, second: Path) -> None:
    """Compare all that a run leaves behind."""
    assert_same(weights(first), weights(second))
    assert_same(weights(first, "best.pt"), weights(second, "best.pt"))
    assert timeless(read_log(first)) == timeless(read_log(second))
