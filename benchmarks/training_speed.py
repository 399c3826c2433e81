"""A training step beside torchvision's RetinaNet: the same network, the same images, on this machine's CPU.

    python -m benchmarks.training_speed                           # 7 rounds: some 10 minutes on two idle cores
    python -m benchmarks.training_speed --cpu-time --threads 1    # on a machine that others share
    python -m benchmarks.training_speed --compile                 # ours by torch.compile too; a table of its own

Both have ResNet-18 with batch normalization, FPN 256 with P6 and P7, heads of 4 x 256, 9 anchors a cell, focal and L1
loss, 80 classes as COCO has, AdamW (fused) and clipping; 8 scenes of 320 px a step. A step of ours begins with a batch
from our loader, whose worker has assigned the anchors, and ends with the average of the weights, which torchvision has
not; a step of torchvision begins with images and boxes as its models take them. All take turns; medians, without the
first round, whose time has a column: compiling is in it. The last columns tell where our time goes: waiting for the
loader, and all else but forward (with the losses), backward and optimizer.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from anchorloc.config import Config, read_config
from anchorloc.data import Samples
from anchorloc.detector import Batch, Criterion, Detector, Stepper, TorchvisionBackbone
from anchorloc.engine.build import batches, train_loader
from anchorloc.engine.learner import Learner
from anchorloc.engine.processes import ALONE
from anchorloc.structures import Category
from benchmarks.timing import RESULTS, significant, write_table
from benchmarks.torchvision_training import retinanet, tensors

SIDE = 320
SETTINGS = [
    f"data={{train_images: 256, val_images: 1, size: {SIDE}}}",
    "transform.multiple=32",  # as torchvision pads
    "anchors={strides: [8, 16, 32, 64, 128], scales: [4, 5.04, 6.35], height_to_width: [0.5, 1, 2]}",
    "assign={kind: MaxIoUAssigner, positive_iou: 0.5, negative_iou: 0.4}",
    "detector.backbone={kind: TorchvisionBackbone, name: resnet18, weights: none}",
    "detector.pyramid={channels: 256, extra: 2, norm: none}",
    "detector.head={channels: 256, depth: 4, norm: none}",
    "loss={classification: {kind: FocalLoss}, box: {kind: SmoothL1Loss, beta: 0}, box_weight: 1}",
    "train={batch_size: 8, workers: 1, device: cpu}",
    "train.optimizer={kind: AdamW, learning_rate: 1.0e-4}",
]
INSIDE = ("forward", "loss", "backward", "optimizer")
Clock = Callable[[], float]
Step = Callable[[], dict[str, float]]  # a step, which returns the seconds of its parts


def main(argv: Sequence[str] | None = None) -> None:
    """Time the steps and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--classes", type=int, default=80, help="at least the 4 of the scenes")
    parser.add_argument("--threads", type=int, default=0, help="of torch (its own choice)")
    parser.add_argument("--cpu-time", action="store_true", help="count what this process computes, not the wall-clock")
    parser.add_argument("--compile", action="store_true", help="add our step with the network by torch.compile")
    arguments = parser.parse_args(argv)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    steps: dict[str, Step] = {}
    for precision in ("float32", "bfloat16"):
        steps[f"anchorloc {precision}"] = ours(clock, arguments.classes, f"train.precision={precision}")
        steps[f"torchvision {precision}"] = peers(precision, arguments.classes)
        if arguments.compile:
            steps[f"compiled {precision}"] = compiled(arguments.classes, f"train.precision={precision}")
    times = measure(clock, steps, arguments.rounds)
    table = RESULTS / ("training_speed_compiled.csv" if arguments.compile else "training_speed.csv")
    write_table([row(name, times) for name in times], table, ("torch", "torchvision"))


def ours(clock: Clock, classes: int, *words: str) -> Step:
    """Return a step of anchorloc."""
    learner, stream = started(classes, words)

    def step() -> dict[str, float]:
        start = clock()
        batch = next(stream)
        waited = clock() - start
        with stopwatch(clock) as parts:
            learner.update([batch], 0.1)
        return {"wait": waited, **parts}

    return step


def compiled(classes: int, *words: str) -> Step:
    """Return the same step with the network by torch.compile, of which no part is timed."""
    learner, stream = started(classes, [*words, "train.compile=true"])

    def step() -> dict[str, float]:
        learner.update([next(stream)], 0.1)
        return {}

    return step


def started(classes: int, words: Sequence[str]) -> tuple[Learner, Iterator[Batch]]:
    """Return the network at its start, and its batches."""
    config = read_config(None, [*SETTINGS, *words])
    source = config.data.open("train")
    learner = Learner(config, [Category(label, str(label)) for label in range(classes)], ALONE)
    return learner, batches(train_loader(config, source, 0))


@contextmanager
def stopwatch(clock: Clock) -> Iterator[dict[str, float]]:
    """Collect the seconds spent in the network, the losses, backward and the optimizer."""
    seconds: dict[str, float] = {}
    named = {"forward": (Detector, "forward"), "loss": (Criterion, "__call__"), "backward": (Tensor, "backward")}
    kept = []
    for name, (owner, method) in {**named, "optimizer": (Stepper, "step")}.items():
        plain = getattr(owner, method)
        kept.append((owner, method, plain))
        setattr(owner, method, _timed(plain, name, seconds, clock))
    try:
        yield seconds
    finally:
        for owner, method, plain in kept:
            setattr(owner, method, plain)


def _timed(function: Callable[..., Any], name: str, seconds: dict[str, float], clock: Clock) -> Callable[..., Any]:
    def timed(*arguments: Any, **options: Any) -> Any:
        start = clock()
        result = function(*arguments, **options)
        seconds[name] = seconds.get(name, 0.0) + clock() - start
        return result

    return timed


def peers(precision: str, classes: int) -> Step:
    """Return a step of torchvision."""
    config: Config = read_config(None, SETTINGS)
    source = config.data.open("train")
    samples = Samples(source, config.transform, training=True)
    prepared = [tensors([samples[0, 8 * batch + place] for place in range(8)]) for batch in range(4)]
    torch.manual_seed(0)
    body = TorchvisionBackbone(name="resnet18", weights="none")()
    model = retinanet(body, classes, SIDE, SIDE).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    turn = iter(range(1 << 30))

    def step() -> dict[str, float]:
        images, targets = prepared[next(turn) % len(prepared)]
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            loss = torch.stack(list(model(images, targets).values())).sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        return {}

    return step


def measure(clock: Clock, steps: dict[str, Step], rounds: int) -> dict[str, dict[str, list[float]]]:
    """Return the seconds of each step and of its parts, a number a round; the first round warms up, and has one of its
    own, "first".
    """
    times: dict[str, dict[str, list[float]]] = {name: {} for name in steps}
    for turn in range(rounds + 1):
        for name, step in steps.items():
            start = clock()
            parts = step()
            seconds = {"step": clock() - start, **parts}
            print(f"round {turn}: {name}: {seconds['step']:.2f} s", flush=True)
            for part, value in seconds.items() if turn else [("first", seconds["step"])]:
                times[name].setdefault(part, []).append(value)
    return times


def row(name: str, times: dict[str, dict[str, list[float]]]) -> dict[str, str]:
    """One line of the table; a ratio is the median of those of the rounds, so that slow minutes count for both."""
    mine = times[name]

    def against(other: str) -> str:
        pairs = zip(times[other]["step"], mine["step"], strict=True)
        return significant(statistics.median(theirs / own for theirs, own in pairs))

    shares = {"waiting, %": "", "outside, %": ""}
    if "wait" in mine:
        inside = [sum(mine[part][turn] for part in INSIDE if part in mine) for turn in range(len(mine["step"]))]
        rest = zip(mine["step"], mine["wait"], inside, strict=True)
        outside = statistics.median(100 * (whole - wait - work) / whole for whole, wait, work in rest)
        waiting = statistics.median(100 * wait / whole for wait, whole in zip(mine["wait"], mine["step"], strict=True))
        shares = {"waiting, %": significant(waiting), "outside, %": significant(outside)}
    precision = name.split()[1]
    return {
        "step": name,
        "seconds": significant(statistics.median(mine["step"])),
        "times as fast as torchvision's": against(f"torchvision {precision}"),
        "as our float32": against("anchorloc float32"),
        "first step, seconds": significant(mine["first"][0]),
        **shares,
    }


if __name__ == "__main__":
    main()
