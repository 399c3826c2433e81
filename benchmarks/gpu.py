"""Check and time training and inference on a GPU, in one script without network or files.

    python -m benchmarks.gpu                    # on one GPU: about 7 minutes
    python -m benchmarks.gpu --data DATA        # the training at the end takes these labels, not the built-in scenes
    python -m benchmarks.gpu --rehearse         # every check at a tiny size on any device, in under a minute

Correctness: losses, the update of the weights and the predictions of one batch beside the CPU's, in float32 without
TF32; a run that is stopped and resumed beside one that is not, to the last bit; one process under
DistributedDataParallel; how often a step waits for the device; that a NaN gets into no weight. Speed: steps of
ResNet-50 at 800 px and of MobileNetV2 at 320 px in bfloat16, in turns with torchvision's RetinaNet on the same network
and images, with their memory and the share of waiting for the loader (`benchmarks.training_speed` has the settings).
Then a training of 3 minutes. A row with a bound says whether it was kept. The table goes to gpu.csv in --out, all
numbers to gpu.json. The status is 1 if a bound was not kept.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch._C._distributed_c10d import HashStore
from torch.nn.parallel import DistributedDataParallel

from anchorloc import train
from anchorloc.checkpoint import load_checkpoint
from anchorloc.config import read_config
from anchorloc.detector import Batch
from anchorloc.engine.events import RunEvent, StepDone, StopTraining
from anchorloc.engine.inference import inference_precision
from anchorloc.engine.learner import Learner
from anchorloc.engine.system.processes import SINGLE_PROCESS, Processes
from anchorloc.files import write_json
from benchmarks.kill_and_resume import unlike
from benchmarks.timing import circumstances, markdown, save_table, significant
from benchmarks.training_speed import Setup, Step, measure, ours, peers

SMALL = ["data={train_images: 16, val_images: 4, size: 96}", "train={batch_size: 4, workers: 0, precision: float32}"]
LAST_BIT = [*SMALL, "train.length=12 iterations", "train.warmup=2", "train.validate_every=1"]
STOPPED_AT = 6  # steps
LIMIT = 480  # seconds for all


@dataclass(frozen=True)
class Row:
    """A measured number, and the bound that it must keep, if it has one."""

    check: str
    value: float | None  # None: this device has no such number
    bound: str = ""
    passed: bool | None = None

    def cells(self) -> dict[str, str]:
        """Return the cells of the table."""
        value = "" if self.value is None else significant(self.value)
        passed = {None: "", True: "yes", False: "no"}[self.passed]
        return {"check": self.check, "value": value, "bound": self.bound, "kept": passed}


def at_most(check: str, value: float, bound: float) -> Row:
    """Return a row whose value must not exceed the bound."""
    return Row(check, value, f"at most {bound:g}", value <= bound)


@dataclass(frozen=True)
class Sizes:
    """The sizes of one call of the script."""

    device: str
    setups: dict[str, Setup]
    precision: str  # number type of the timed steps
    rounds: int  # steps that are timed
    ratio: float | None  # images per second of ours over torchvision's, at least
    training: tuple[str, ...]  # settings of the training at the end
    data: str | None


def main(argv: Sequence[str] | None = None) -> int:
    """Run all checks, print the table and write both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="labels for the training at the end (default: the built-in scenes)")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="device to check (default: cuda if there is one)")
    parser.add_argument("--batch", type=int, default=16, help="images per timed step (default: 16)")
    parser.add_argument("--minutes", type=float, default=3.0, help="minutes of the training (default: 3)")
    parser.add_argument("--rehearse", action="store_true", help="run every check at a tiny size")
    parser.add_argument("--out", type=Path, default=Path(), help="folder of gpu.csv and gpu.json (default: this one)")
    arguments = parser.parse_args(argv)
    device = arguments.device or ("cuda" if torch.cuda.is_available() else "cpu")
    small = Setup("resnet18", 64, 2, 4, device, 0)
    if arguments.rehearse:
        training = (*SMALL, f"train.device={device}", "train.length=2 iterations")
        sizes = Sizes(device, {"ResNet-18 FPN, 64 px": small}, "float32", 1, None, training, arguments.data)
    else:
        setups = {
            "ResNet-50 FPN, 800 px": Setup("resnet50", 800, arguments.batch, 80, device, 8),
            "MobileNetV2 FPN, 320 px": Setup("mobilenet_v2", 320, arguments.batch, 80, device, 8),
        }
        length = (f"train.length={arguments.minutes} minutes", f"train.device={device}")
        sizes = Sizes(device, setups, "bfloat16", 20, 1.5 if device == "cuda" else None, length, arguments.data)
    started = time.perf_counter()
    rows = checked(sizes)
    seconds = time.perf_counter() - started
    rows.append(at_most("seconds, all", seconds, LIMIT))
    arguments.out.mkdir(parents=True, exist_ok=True)
    cells = [row.cells() for row in rows]
    save_table(cells, arguments.out / "gpu.csv", ("torch", "torchvision"))
    print(markdown(cells))
    name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    record = {"device": name, **circumstances(("torch", "torchvision")), "rows": [asdict(row) for row in rows]}
    write_json(arguments.out / "gpu.json", record)
    return int(any(row.passed is False for row in rows))


def checked(sizes: Sizes) -> list[Row]:
    """Return the rows of all checks."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return [
            *agreement(sizes.device),
            synchronizations(sizes.device),
            poisoned(sizes.device),
            resumed(sizes.device, folder),
            wrapped(sizes.device),
            *(row for title, setup in sizes.setups.items() for row in speed(title, setup, sizes)),
            *trained(sizes, folder),
        ]


def agreement(device: str) -> list[Row]:
    """Return how far losses, the update and the predictions of one batch are from the CPU's."""
    rows = []
    for kind in ("ATSSAssigner", "TaskAlignedAssigner"):
        found = []
        for one in ("cpu", device):
            learner, batch = started_on(one, f"assign.kind={kind}", "train.optimizer={kind: SGD, learning_rate: 0.01}")
            before = weights(learner.model)
            with inference_precision(learner.config):  # no TF32
                with torch.no_grad():
                    predictions = learner.model.eval()(batch.to(learner.device).images)
                losses = learner.update([batch], 1.0)
            found.append((predictions, losses, weights(learner.model) - before))
        (predictions, losses, moved), (others, other_losses, other_moved) = found
        far = max((a - b.cpu()).abs().max().item() for a, b in zip(predictions[:2], others[:2], strict=True))
        loss = max(abs(losses[key] - other_losses[key]) / abs(losses[key]) for key in losses)
        update = ((moved - other_moved).norm() / moved.norm()).item()
        rows += [
            at_most(f"{kind}: relative difference of the losses from the CPU's", loss, 1e-4),
            at_most(f"{kind}: relative difference of the update", update, 1e-3),
            at_most(f"{kind}: greatest difference of a logit or an offset", far, 1e-3),
        ]
    return rows


def started_on(device: str, *words: str, processes: Processes = SINGLE_PROCESS) -> tuple[Learner, Batch]:
    """Return the initial network on a device, and its first batch on the CPU."""
    config = read_config(None, [*SMALL, f"train.device={device}", *words])
    source = config.data.open("train")
    samples = config.samples(source, training=False)
    batch = config.method.collate()([samples[0, index] for index in range(config.train.batch_size)])
    return Learner(config, source.categories, processes), batch


def weights(network: nn.Module) -> Tensor:
    """Return all weights as one row, on the CPU."""
    return torch.cat([weight.detach().flatten().cpu() for weight in network.parameters()])


def synchronizations(device: str) -> Row:
    """Return how often the host waits for the device in a step after the first ones whose losses are not read."""
    check = "times that a step waits for the device"
    if device != "cuda":
        return Row(check, None)
    learner, batch = started_on(device)
    pinned = batch.pin_memory()
    for _ in range(2):
        learner.update([pinned], 1.0)
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            learner.queue_update([pinned], 1.0)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return at_most(check, sum("synchroniz" in str(warning.message) for warning in caught), 0)


def poisoned(device: str) -> Row:
    """Return how many weights change by an update whose gradients are NaN."""
    changed = 0
    for kind in ("AdamW", "SGD", "Muon"):
        learner, batch = started_on(device, f"train.optimizer={{kind: {kind}}}")
        learner.update([batch], 1.0)
        before = weights(learner.model)
        *_, last = learner.model.parameters()
        hook = last.register_hook(lambda gradient: gradient * torch.nan)  # type: ignore[no-untyped-call]
        learner.queue_update([batch], 1.0)
        hook.remove()
        changed += int((weights(learner.model) != before).sum())
    return at_most("weights that change by a NaN", changed, 0)


def resumed(device: str, folder: Path) -> Row:
    """Return in how many tensors and numbers a stopped and resumed run differs from one that is not stopped."""

    def stop(event: RunEvent) -> None:
        if isinstance(event, StepDone) and event.step == STOPPED_AT:
            raise StopTraining

    words = [*LAST_BIT, f"train.device={device}"]
    with deterministic():
        train.run(None, *words, out=folder / "whole")
        train.run(None, *words, out=folder / "stopped", events=stop)
        train.resume(folder / "stopped")
    first, second = (load_checkpoint(folder / name / "last.pt") for name in ("whole", "stopped"))
    first["config"] = second["config"]  # the file of a resumed run has whole numbers where Python has floats
    return at_most("tensors and numbers that differ after a stop and resume", len(unlike(first, second)), 0)


@contextmanager
def deterministic() -> Iterator[None]:
    """Let torch choose algorithms whose sums have a fixed order."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


class _Wrapped(Processes):
    """One process whose gradients pass through DistributedDataParallel."""

    def wrap(self, model: nn.Module) -> nn.Module:
        return DistributedDataParallel(model, gradient_as_bucket_view=True)


def wrapped(device: str) -> Row:
    """Return the relative difference of the weights after 3 updates with and without DistributedDataParallel."""
    after = []
    dist.init_process_group("nccl" if device == "cuda" else "gloo", store=HashStore(), rank=0, world_size=1)
    try:
        with deterministic():
            for processes in (SINGLE_PROCESS, _Wrapped()):
                learner, batch = started_on(device, processes=processes)
                for _ in range(3):
                    learner.update([batch], 1.0)
                after.append(weights(learner.model))
    finally:
        dist.destroy_process_group()
    far = ((after[0] - after[1]).norm() / after[0].norm()).item()
    return at_most("relative difference of the weights under DistributedDataParallel", far, 1e-6)


def speed(title: str, setup: Setup, sizes: Sizes) -> list[Row]:
    """Return images per second and memory of our step and of torchvision's, and the share of our loader."""
    steps = {
        "anchorloc": ours(setup.clock, setup, f"train.precision={sizes.precision}"),
        "torchvision": peers(sizes.precision, setup),
    }
    memory: dict[str, float] = {}
    if setup.device == "cuda":
        steps = {name: with_peak(step, name, memory) for name, step in steps.items()}
    times = measure(setup.clock, steps, sizes.rounds)
    mine, theirs = times["anchorloc"], times["torchvision"]
    faster = statistics.median(other / own for own, other in zip(mine["step"], theirs["step"], strict=True))
    waiting = statistics.median(wait / step for wait, step in zip(mine["wait"], mine["step"], strict=True))
    bound = ("", None) if sizes.ratio is None else (f"at least {sizes.ratio:g}", faster >= sizes.ratio)
    per_second = {name: setup.batch / statistics.median(parts["step"]) for name, parts in times.items()}
    return [
        *(Row(f"{title}: images a second, {name}", value) for name, value in per_second.items()),
        Row(f"{title}: times as fast as torchvision", faster, *bound),
        Row(f"{title}: share of a step that waits for the loader", waiting),
        *(Row(f"{title}: MiB above the start of a step, {name}", memory.get(name)) for name in steps),
    ]


def with_peak(step: Step, name: str, memory: dict[str, float]) -> Step:
    """Return a step that keeps in `memory` the most MiB that it had allocated above its start."""

    def measured() -> dict[str, float]:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        parts = step()
        memory[name] = max(memory.get(name, 0.0), (torch.cuda.max_memory_allocated() - before) / 2**20)
        return parts

    return measured


def trained(sizes: Sizes, folder: Path) -> list[Row]:
    """Return the AP and the speed of a training."""
    speeds: list[float] = []

    def listen(event: RunEvent) -> None:
        if isinstance(event, StepDone):
            speeds.append(event.images_per_second)

    run = train.run(sizes.data, *sizes.training, out=folder / "trained", events=listen, force=True)
    return [
        Row("training: AP on val", run.best_ap),
        Row("training: steps", run.steps),
        Row("training: images a second", speeds[-1]),
    ]


if __name__ == "__main__":
    sys.exit(main())
