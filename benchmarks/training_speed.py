"""Compare a training step with torchvision's RetinaNet: the same network, the same images.

    python -m benchmarks.training_speed                           # 7 rounds: about 10 minutes on two idle cores
    python -m benchmarks.training_speed --cpu-time --threads 1    # on a machine with other work
    python -m benchmarks.training_speed --compile                 # with torch.compile too; records another table
    python -m benchmarks.training_speed --device cuda --backbone resnet50 --side 800 --batch 16 --workers 8 --profile

By default both have ResNet-18 with batch normalization, FPN 256 with P6 and P7, heads of 4 x 256, 9 anchors per cell,
focal and L1 loss, COCO's 80 classes, AdamW (fused) and clipping, and 8 scenes of 320 px per step. Our step begins with
a batch from our loader, whose worker has assigned the anchors, and ends with the average of the weights, which
torchvision does not have. A step of torchvision begins with images and boxes as its models take them. All take turns.
The table has medians without the first round, which has a column of its own, because it includes compiling. The last
columns are the time of our step outside forward (with the losses), backward and optimizer, and the time of waiting for
the loader. --profile prints the operations that one more step of each spends its time in. Only the CPU has been
measured.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from anchorloc.config import Config, read_config
from anchorloc.data import Samples
from anchorloc.detector import Batch, CombinedOptimizer, Criterion, Detector, TorchvisionBackbone
from anchorloc.engine.build import batches, train_loader
from anchorloc.engine.learner import Learner
from anchorloc.engine.system.processes import SINGLE_PROCESS
from anchorloc.structures import Category
from benchmarks.timing import recording_parser, significant, write_table
from benchmarks.torchvision_training import retinanet, tensors

SETTINGS = [
    "transform.multiple=32",  # torchvision's padding
    "anchors={strides: [8, 16, 32, 64, 128], scales: [4, 5.04, 6.35], height_to_width: [0.5, 1, 2]}",
    "assign={kind: MaxIoUAssigner, positive_iou: 0.5, negative_iou: 0.4}",
    "detector.pyramid={channels: 256, extra_levels: 2, norm: none}",
    "detector.head={channels: 256, depth: 4, norm: none}",
    "loss={classification: {kind: FocalLoss}, box: {kind: SmoothL1Loss, beta: 0}, box_weight: 1}",
    "train.optimizer={kind: AdamW, learning_rate: 1.0e-4}",
]
INSIDE = ("forward", "loss", "backward", "optimizer")
Clock = Callable[[], float]
Step = Callable[[], dict[str, float]]  # a step returns the seconds of its parts


@dataclass(frozen=True)
class Setup:
    """The settings of both."""

    backbone: str
    side: int  # side of the images, px
    batch: int
    classes: int
    device: str
    workers: int  # workers of our loader

    def config(self, *words: str) -> Config:
        """Return the settings of ours."""
        return read_config(
            None,
            [
                *SETTINGS,
                f"data={{train_images: {32 * self.batch}, val_images: 1, size: {self.side}}}",
                f"detector.backbone={{kind: TorchvisionBackbone, name: {self.backbone}, weights: none}}",
                f"train.batch_size={self.batch}",
                f"train.workers={self.workers}",
                f"train.device={self.device}",
                *words,
            ],
        )

    def clock(self) -> float:
        """Return the seconds of the clock after the device has finished its work."""
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()


def main(argv: Sequence[str] | None = None) -> None:
    """Time the steps and write the table."""
    parser = recording_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--classes", type=int, default=80, help="classes; the scenes have 4 (default: 80)")
    parser.add_argument("--backbone", default="resnet18", help="backbone of torchvision (default: resnet18)")
    parser.add_argument("--side", type=int, default=320, help="side of the images in px (default: 320)")
    parser.add_argument("--batch", type=int, default=8, help="images per step (default: 8)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--workers", type=int, default=1, help="workers of our loader (default: 1)")
    parser.add_argument("--profile", action="store_true", help="print the operations of a step of each")
    parser.add_argument("--threads", type=int, default=0, help="threads of torch (default: its own choice)")
    parser.add_argument("--cpu-time", action="store_true", help="measure the CPU time of this process, not the clock")
    parser.add_argument("--compile", action="store_true", help="add our step with a compiled network")
    arguments = parser.parse_args(argv)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    setup = Setup(**{field.name: getattr(arguments, field.name) for field in fields(Setup)})
    clock = time.process_time if arguments.cpu_time else setup.clock
    steps: dict[str, Step] = {}
    for precision in ("float32", "bfloat16"):
        steps[f"anchorloc {precision}"] = ours(clock, setup, f"train.precision={precision}")
        steps[f"torchvision {precision}"] = peers(precision, setup)
        if arguments.compile:
            steps[f"compiled {precision}"] = compiled(setup, f"train.precision={precision}")
    times = measure(clock, steps, arguments.rounds)
    where = "" if setup.device == "cpu" else f"_{setup.device}"
    table = f"training_speed{where}{'_compiled' if arguments.compile else ''}"
    write_table([row(name, times) for name in times], table, ("torch", "torchvision"), record=arguments.record)
    for name, step in steps.items() if arguments.profile else ():
        print(f"\n{name}\n{profiled(step, setup.device)}")


def ours(clock: Clock, setup: Setup, *words: str) -> Step:
    """Return a step of anchorloc."""
    learner, stream = started(setup, words)

    def step() -> dict[str, float]:
        start = clock()
        batch = next(stream)
        waited = clock() - start
        with stopwatch(clock) as parts:
            learner.update([batch], 0.1)
        return {"wait": waited, **parts}

    return step


def compiled(setup: Setup, *words: str) -> Step:
    """Return the same step with a compiled network; its parts are not timed."""
    learner, stream = started(setup, [*words, "train.compile=true"])

    def step() -> dict[str, float]:
        learner.update([next(stream)], 0.1)
        return {}

    return step


def started(setup: Setup, words: Sequence[str]) -> tuple[Learner, Iterator[Batch]]:
    """Return the initial network, and its batches."""
    config = setup.config(*words)
    source = config.data.open("train")
    learner = Learner(config, [Category(label, str(label)) for label in range(setup.classes)], SINGLE_PROCESS)
    return learner, batches(train_loader(config, source, 0))


@contextmanager
def stopwatch(clock: Clock) -> Iterator[dict[str, float]]:
    """Collect the seconds spent in the network, the losses, backward and the optimizer."""
    seconds: dict[str, float] = {}
    named = {"forward": (Detector, "forward"), "loss": (Criterion, "__call__"), "backward": (Tensor, "backward")}
    kept = []
    for name, (owner, method) in {**named, "optimizer": (CombinedOptimizer, "step")}.items():
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


def peers(precision: str, setup: Setup) -> Step:
    """Return a step of torchvision."""
    config = setup.config()
    source = config.data.open("train")
    samples = Samples(source, config.transform, training=True)
    prepared = [tensors([samples[0, setup.batch * part + place] for place in range(setup.batch)]) for part in range(4)]
    torch.manual_seed(0)
    body = TorchvisionBackbone(name=setup.backbone, weights="none")()
    model = retinanet(body, setup.classes, setup.side, setup.side).train().to(setup.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    turn = iter(range(1 << 30))

    def step() -> dict[str, float]:
        images, targets = prepared[next(turn) % len(prepared)]
        images = [image.to(setup.device, non_blocking=True) for image in images]
        targets = [{key: value.to(setup.device, non_blocking=True) for key, value in one.items()} for one in targets]
        with torch.autocast(setup.device, torch.bfloat16, enabled=precision == "bfloat16"):
            loss = torch.stack(list(model(images, targets).values())).sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        return {}

    return step


def measure(clock: Clock, steps: dict[str, Step], rounds: int) -> dict[str, dict[str, list[float]]]:
    """Return the seconds of each step and of its parts, one number per round.

    The first round warms up, and has a number of its own, "first".
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


def profiled(step: Step, device: str) -> str:
    """Return a table of the operations that one more step spends most time in."""
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device == "cuda" else [])]
    with profile(activities=activities) as found:
        step()
    table: str = found.key_averages().table(sort_by=f"self_{device}_time_total", row_limit=15, max_name_column_width=40)
    return table


def row(name: str, times: dict[str, dict[str, list[float]]]) -> dict[str, str]:
    """Return one line; a ratio is the median of the rounds' ratios, so that slow minutes count for both."""
    mine = times[name]

    def against(other: str) -> str:
        pairs = zip(times[other]["step"], mine["step"], strict=True)
        return significant(statistics.median(theirs / own for theirs, own in pairs))

    shares = {"outside, %": "", "of that waiting, %": ""}
    if "wait" in mine:
        inside = [sum(mine[part][turn] for part in INSIDE if part in mine) for turn in range(len(mine["step"]))]
        outside = statistics.median(100 * (1 - work / whole) for whole, work in zip(mine["step"], inside, strict=True))
        waiting = statistics.median(100 * wait / whole for wait, whole in zip(mine["wait"], mine["step"], strict=True))
        shares = {"outside, %": significant(outside), "of that waiting, %": significant(waiting)}
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
