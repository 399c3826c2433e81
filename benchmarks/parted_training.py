"""Compare training and scores with a batch split in several ways.

    python -m benchmarks.parted_training

A network trains a little. Then come 20 updates with 8 images each, from the same weights: whole; as 2 micro-batches of
4; and by torchrun with gloo, in 2 processes of 4 and in 4 of 2. SGD with momentum, float32, no augmentation, frozen
batch normalization, one thread. Only the order of sums differs, and its consequences: from random weights or at ten
times the learning rate such training is chaotic, and rounding grows a hundredfold in 20 updates in any code. The
benchmark prints the greatest relative difference of the 20 losses, and |a - b| / |a| over all weights and over the
worst tensor. Then the processes validate together, and one process alone with their weights: every detection must be
equal to the last bit, and each image must occur once.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anchorloc.checkpoint import load_checkpoint, save_checkpoint
from anchorloc.config import Config, read_config
from anchorloc.engine.build import batches, train_loader
from anchorloc.engine.evaluation import detect
from anchorloc.engine.judge_model import score_detections
from anchorloc.engine.learner import Learner
from anchorloc.engine.system.processes import SINGLE_PROCESS, Processes, process_group
from anchorloc.engine.trained_model import TrainedModel
from anchorloc.structures import Detections

LIMIT = 1e-5
START, RUN = "start.pt", "run.pt"
SETTINGS = [
    "data={train_images: 64, val_images: 11, size: 96}",
    "transform.augment.horizontal_flip=0",
    "anchors={strides: [8, 16, 32], scales: [2, 4], height_to_width: [0.5, 1, 2]}",
    "detector.backbone={kind: TorchvisionBackbone, name: resnet18, weights: none, frozen_norm: true}",
    "detector.pyramid={channels: 64, norm: none}",
    "detector.head={channels: 64, depth: 2, norm: none}",
    "train={batch_size: 8, workers: 0, threads: 1, precision: float32, device: cpu}",
    "train.optimizer={kind: SGD, learning_rate: 0.0002}",
]
SETTLING = ["detector.backbone.frozen_norm=false", "train.optimizer={kind: AdamW, learning_rate: 0.001}"]


def main(argv: Sequence[str] | None = None) -> int:
    """Print the differences; the status is 1 if one is too large."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=20)
    parser.add_argument("--settling", type=int, default=30, help="updates before the compared ones (default: 30)")
    parser.add_argument("--processes", type=int, nargs="+", default=[2, 4], help="numbers of processes (default: 2 4)")
    parser.add_argument("--part", type=Path, metavar="DIR", help="run as one of the processes that work in DIR")
    arguments = parser.parse_args(argv)
    if arguments.part:
        with process_group("cpu") as processes:
            work(read_config(None, SETTINGS), processes, arguments.updates, arguments.part)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        settle(Path(folder), arguments.settling)
        return compare(Path(folder), arguments.updates, arguments.processes)


def settle(folder: Path, updates: int) -> None:
    """Write the initial weights of all."""
    config = read_config(None, [*SETTINGS, *SETTLING])
    learner, _ = train(config, SINGLE_PROCESS, updates)
    state = {name: value for name, value in learner.model.state_dict().items() if value.is_floating_point()}
    save_checkpoint(folder / START, state)


def train(config: Config, processes: Processes, updates: int, start: Path | None = None) -> tuple[Learner, list[float]]:
    """Train on a number of batches; return the learner and the losses."""
    source = config.data.open("train")
    learner = Learner(config, source.categories, processes)
    if start is not None:
        learner.model.load_state_dict(load_checkpoint(start))
    stream = batches(train_loader(config, source, 0, processes.shard))
    pieces = range(config.train.gradient_accumulation)
    return learner, [learner.update([next(stream) for _ in pieces], 1.0)["loss"] for _ in range(updates)]


def work(config: Config, processes: Processes, updates: int, folder: Path) -> None:
    """Train and validate as one of the processes; the first one writes the result."""
    learner, losses = train(config, processes, updates, folder / START)
    val = config.data.open("val")
    found, _ = detect(TrainedModel(config, val.categories, updates, learner.model, learner.device), val, processes)
    if processes.first:
        state = learner.model.state_dict()
        save_checkpoint(folder / RUN, {"losses": losses, "model": state, "found": [table(one) for one in found]})


def table(found: Detections) -> list[Tensor]:
    """Return the arrays of an image's detections as tensors."""
    return [torch.from_numpy(values) for values in (found.boxes, found.scores, found.labels, found.anchors)]


def compare(folder: Path, updates: int, processes: Sequence[int]) -> int:
    """Train in all ways and print how they differ from the first."""
    runs = {}
    for name, parts in (("1 x 8", 1), ("2 accumulated x 4", 2)):
        config = read_config(None, [*SETTINGS, f"train.gradient_accumulation={parts}"])
        work(config, SINGLE_PROCESS, updates, folder)
        runs[name] = load_checkpoint(folder / RUN)
    for count in processes:
        in_processes(count, "--updates", str(updates), "--part", str(folder))
        runs[f"{count} processes x {8 // count}"] = load_checkpoint(folder / RUN)
    reference, worst = runs.pop("1 x 8"), 0.0
    moved = differences({**reference, "model": load_checkpoint(folder / START)}, reference)[1]
    print(f"{updates} updates changed the weights by {moved:.1e}")
    for name, run in runs.items():
        loss, weights, tensor = differences(reference, run)
        worst = max(worst, loss, weights)
        print(f"{name} against 1 x 8: loss {loss:.1e}, weights {weights:.1e}, worst tensor {tensor:.1e}")
    different = 0
    for count in processes:
        same = same_detections(runs[f"{count} processes x {8 // count}"])
        different += not same
        print(f"detections of {count} processes and of 1: {'equal to the last bit' if same else 'DIFFERENT'}")
    return int(worst > LIMIT or different > 0)


def in_processes(count: int, *words: str) -> None:
    """Run this benchmark by torchrun."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    words = ("-m", "benchmarks.parted_training", *words)
    subprocess.run([*command, *words], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


def differences(first: dict[str, Any], second: dict[str, Any]) -> tuple[float, float, float]:
    """Return the relative differences of losses, of all weights, and of the worst tensor."""
    losses = [abs(a - b) / abs(a) for a, b in zip(first["losses"], second["losses"], strict=True)]
    names = [name for name, value in first["model"].items() if value.any() and name in second["model"]]
    tensors = [(first["model"][name].double(), second["model"][name].double()) for name in names]
    each = [((a - b).norm() / a.norm()).item() for a, b in tensors]
    every = (torch.cat([values.flatten() for values in column]) for column in zip(*tensors, strict=True))
    a, b = every
    return max(losses), ((a - b).norm() / a.norm()).item(), max(each)


def same_detections(run: dict[str, Any]) -> bool:
    """Return whether one process with the weights of `run` finds and scores the same."""
    config = read_config(None, SETTINGS)
    val = config.data.open("val")
    learner = Learner(config, val.categories, SINGLE_PROCESS)
    learner.model.load_state_dict(run["model"])
    found, _ = detect(TrainedModel(config, val.categories, 0, learner.model, learner.device), val)
    summary = score_detections(found, val, config).summary
    print(f"{sum(map(len, found))} detections in {len(found)} images, AP {summary.ap or 0:.4f}")
    pairs = zip([table(one) for one in found], run["found"], strict=True)
    return all(torch.equal(a, b) for ours, theirs in pairs for a, b in zip(ours, theirs, strict=True))


if __name__ == "__main__":
    sys.exit(main())
