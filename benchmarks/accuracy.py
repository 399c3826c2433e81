"""The recipes in configs/ against torchvision's RetinaNet on real data.

    python -m benchmarks.accuracy DATA               # 27 runs of up to 10 minutes, on two idle cores
    python -m benchmarks.accuracy --summary --record # the recorded results so far

DATA holds a folder for each set, in COCO format, and weights/ with the ImageNet weights of the backbone. "ours" is
`anchorloc train` with the config of the set. It sets the length, and validates only at the end, so that no checkpoint
is chosen on the split that scores it. The peer (benchmarks/torchvision_training.py) has the same backbone with the same
weights, and trains on flipped images of at most 320 px for the same time. "ours-equal-epochs" is the config again, with
the peer's image size and augmentation, on as many images as the peer saw. pycocotools scores all of them on val. A run
adds its line to the table when it ends and is not repeated; a stopped run starts again. "cores" is the CPU time of a
run divided by its time. Below 1.8 of two cores the machine had other work: delete the line of such a 10-minute run and
repeat it.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from anchorloc.cli import run_command
from anchorloc.config import Config, read_config, to_plain
from anchorloc.data import Augment, ShortestSide, Transform
from anchorloc.detector import TorchvisionBackbone
from anchorloc.engine.system.log import read_log
from anchorloc.errors import InputError
from anchorloc.files import read_bytes, read_json, write_text
from benchmarks import torchvision_training
from benchmarks.accuracy_summary import summary
from benchmarks.timing import circumstances, recording_parser, table_of_runs

SETS = ["bccd", "fruits", "airplanes"]
CONFIGS = Path(__file__).resolve().parents[1] / "configs"
WEIGHTS = {"mobilenet_v2": "mobilenet_v2_imagenet_tvnaming.pth"}  # converted from TensorFlow
SIDE = 320
PEERS = Transform(resize=ShortestSide(SIDE, SIDE), augment=Augment(horizontal_flip=0.5))  # the same for all sets
KEY = ("set", "minutes", "seed", "method")
Row = dict[str, str]


@dataclass(frozen=True)
class Task:
    """A set, and its recipe as command-line words."""

    name: str
    words: tuple[str, ...]
    config: Config


@dataclass(frozen=True)
class Score:
    """The result of a run."""

    steps: int
    images: int  # training images seen
    ap: float | None
    ap50: float | None
    ap75: float | None


@dataclass(frozen=True)
class Run:
    """One training of `minutes`, or on as many images as the peer saw in that time."""

    task: Task
    minutes: float
    seed: int
    table: Path  # finished runs
    out: Path  # folder of our runs

    def key(self, method: str) -> Row:
        """Return the columns that identify its line."""
        return dict(zip(KEY, (self.task.name, f"{self.minutes:g}", str(self.seed), method), strict=True))

    def line(self, method: str) -> Row | None:
        """Return its line in the table."""
        wanted = self.key(method).items()
        return next((row for row in read_table(self.table) if wanted <= row.items()), None)


def main(argv: Sequence[str] | None = None) -> int:
    """Train the runs that the table lacks, and print a summary."""
    arguments = _parser().parse_args(argv)
    table = table_of_runs(arguments, "accuracy")
    if not arguments.summary:
        if arguments.data is None:
            raise InputError("give DATA, the folder that holds the sets, or --summary")
        tasks = [task_of(name, arguments.data, arguments.configs) for name in arguments.sets]
        for seed in arguments.seeds:
            for task in tasks:
                for method in arguments.by:
                    fill(Run(task, arguments.minutes, seed, table, arguments.out), method)
    print("\n".join(summary(read_table(table))))
    return 0


def task_of(name: str, data: Path, configs: Path) -> Task:
    """Read a recipe, and check its data and weights before hours of training.

    Raises:
        InputError: something is missing or broken.
    """
    if not (data / name).is_dir():
        raise InputError(f"{data / name} is not there; give as DATA the folder that holds the set {name}")
    path = configs / f"{name}.yaml"
    words = [str(path), f"data.root={data / name}"]
    backbone = read_config(path, words[1:]).detector.backbone
    if isinstance(backbone, TorchvisionBackbone) and backbone.weights == "default":
        if backbone.name not in WEIGHTS:
            raise InputError(
                f"{path} asks for {backbone.name}, whose weights are not known; known: {', '.join(WEIGHTS)}"
            )
        words.append(f"detector.backbone.weights={data / 'weights' / WEIGHTS[backbone.name]}")
        words.append("detector.backbone.tensorflow_padding=true")
    config = read_config(path, words[1:])
    config.detector.backbone()
    for split in ("train", "val"):
        config.data.open(split)
    return Task(name, tuple(words), config)


def fill(run: Run, method: str) -> None:
    """Train and add a line to the table, unless it is there."""
    if run.line(method):
        return
    print(", ".join(run.key(method).values()), "...", flush=True)
    start, cpu = time.perf_counter(), _cpu_seconds()
    found = METHODS[method](run)
    seconds = time.perf_counter() - start
    told = circumstances(("anchorloc", "torch", "torchvision", "pycocotools"))
    row = {
        **run.key(method),
        **{name: f"{value or 0:.4f}" for name, value in (("AP", found.ap), ("AP50", found.ap50), ("AP75", found.ap75))},
        "steps": str(found.steps),
        "epochs": f"{found.images / len(run.task.config.data.open('train')):.2f}",
        "seconds": f"{seconds:.0f}",  # from start to scores
        "cores": f"{(_cpu_seconds() - cpu) / seconds:.2f}",
        **{name: told[name] for name in ("date", "commit", "versions", "machine")},
    }
    write_rows(run.table, [*read_table(run.table), row])
    print("  " + ", ".join(f"{name} {row[name]}" for name in ("AP", "AP50", "epochs", "seconds", "cores")), flush=True)


def ours(run: Run) -> Score:
    """Run the command."""
    return _command(run, "ours", [f"train.length={run.minutes:g} minutes"])


def ours_at_equal_epochs(run: Run) -> Score:
    """Run the command on as many images as the peer saw, with its augmentation."""
    line = run.line("torchvision")
    if line is None:
        raise InputError("ours-equal-epochs sees as many images as torchvision; add torchvision to --by, before it")
    steps = round(int(line["steps"]) * torchvision_training.BATCH / run.task.config.train.batch_size)
    transform = f"transform={json.dumps(to_plain(PEERS))}"  # JSON is YAML
    return _command(run, "ours-equal-epochs", [f"train.length={steps} iterations", transform])


def _command(run: Run, method: str, words: Sequence[str]) -> Score:
    folder = run.out / "-".join(run.key(method).values())
    shutil.rmtree(folder, ignore_errors=True)
    settings = [*words, f"train.seed={run.seed}", "train.validate_every=1000000"]
    command = [sys.executable, "-m", "anchorloc.train", *run.task.words, *settings, "--out", str(folder)]
    status = subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode
    if status:
        raise InputError(f"the training in {folder} ended with status {status}; the reason stands above")
    numbers = read_json(folder / "metrics.json")["summary"]
    steps = max(line["step"] for line in read_log(folder))
    return Score(steps, steps * run.task.config.train.batch_size, numbers["AP"], numbers["AP50"], numbers["AP75"])


def peer(run: Run, *, bfloat16: bool = False) -> Score:
    """Train torchvision's RetinaNet."""
    config = run.task.config
    torch.manual_seed(run.seed)
    train, val = config.data.open("train"), config.data.open("val")
    model = torchvision_training.retinanet(config.detector.backbone(), len(train.categories), SIDE, SIDE)
    steps = torchvision_training.train(model, train, PEERS, f"{run.minutes:g} minutes", run.seed, bfloat16=bfloat16)
    found = torchvision_training.score(model, val, PEERS).summary
    return Score(steps, steps * torchvision_training.BATCH, found.ap, found.ap50, found.ap75)


def peer_in_bfloat16(run: Run) -> Score:
    """Train it with autocast, which gives more steps on some CPUs."""
    return peer(run, bfloat16=True)


METHODS: dict[str, Callable[[Run], Score]] = {
    "torchvision": peer,
    "ours": ours,
    "ours-equal-epochs": ours_at_equal_epochs,
    "torchvision-bf16": peer_in_bfloat16,
}


def read_table(path: Path) -> list[Row]:
    """Return the lines of the table, or none if it does not exist yet.

    Raises:
        InputError: it lacks a column.
    """
    if not path.exists():
        return []
    rows: list[Row] = list(csv.DictReader(io.StringIO(read_bytes(path).decode("utf-8"))))
    for row in rows:
        if missing := [name for name in (*KEY, "AP", "cores") if not row.get(name)]:
            raise InputError(f"{path} has a line without {missing[0]}; delete that line, or the file")
    return rows


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write the table atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[-1]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def _cpu_seconds() -> float:
    """Return the CPU time of this process and of its ended children."""
    return sum(os.times()[:4])


def _positive(word: str) -> float:
    """Read a number above 0."""
    if not (number := float(word)) > 0:
        raise argparse.ArgumentTypeError(f"must be above 0, got {word}")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = recording_parser(__doc__)
    parser.add_argument("data", type=Path, nargs="?", metavar="DATA", help="the folder of the sets and of weights/")
    parser.add_argument("--summary", action="store_true", help="print the summary of the table and train nothing")
    parser.add_argument("--sets", nargs="+", default=SETS, help="sets to train on (default: all three)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--by", nargs="+", choices=list(METHODS), default=["torchvision", "ours", "ours-equal-epochs"])
    parser.add_argument("--minutes", type=_positive, default=10, help="minutes of each training (default: 10)")
    parser.add_argument(
        "--table", type=Path, help="table of finished runs (default: in --out; with --record, in results)"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/accuracy"), help="folder of our runs")
    parser.add_argument("--configs", type=Path, default=CONFIGS, help="folder of the recipes, SET.yaml")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
