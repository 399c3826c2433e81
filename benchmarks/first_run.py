"""`anchorloc train DATA` without a config beside torchvision's RetinaNet, on six data sets and two idle cores.

    python -m benchmarks.first_run candidates DATA     # 2 minutes each, one seed: what each choice of the plan is worth
    python -m benchmarks.first_run final DATA          # 5 minutes, 3 seeds, beside torchvision at its best rate
    python -m benchmarks.first_run summary --record    # of the recorded results

DATA holds a folder for each set, in COCO format, and weights/ with the ImageNet weights of MobileNetV2. Planning is
within the minutes: the time that `anchorloc train SET --plan` takes is deducted from `train.length`. So are the
validations that a final run makes by default; a candidate is only scored at the end. Starting Python and the last
scoring are outside, for both. The AP is that of the last checkpoint with the default decoding; val chooses nothing. A
candidate is the plan with one constant or setting changed; rows of the "earlier plan" are of earlier versions (column
"commit"). The summary picks, for each set, the candidate of best mean AP on the other five, and shows its AP on that
set: what a choice made on five sets gives on a sixth.

torchvision's RetinaNet (benchmarks/torchvision_training.py) has the same backbone with the same weights and starts from
flipped images of at most 320 px. For each set it gets the best of three rates, found on val with one seed each, and
bfloat16 where that is faster. A run adds its line to the table when it ends and is not repeated, except that of the two
final runs of a seed the older one is repeated where a fixed work before them ("probe", in seconds) differs by over 10%.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from anchorloc.cli import run_command
from anchorloc.data import LabelData
from anchorloc.detector import TorchvisionBackbone
from anchorloc.engine.system.log import read_log
from anchorloc.errors import InputError
from benchmarks import torchvision_training
from benchmarks.accuracy import KEY, PEERS, SIDE, WEIGHTS, Row, read_table, write_rows
from benchmarks.accuracy_summary import gap_closed
from benchmarks.timing import circumstances, markdown, recording_parser, table_of_runs

SETS = ("bccd", "fruits", "airplanes", "kangaroo", "cards", "street")
RATES = (2e-4, 5e-4, 1e-3)
PLAN, PEER = "plan", "torchvision"
PROBE_MOVED = 1.1  # ratio of two probes, above which the machine was not the same
REPEATED = 3  # times at most
PROBES = 5
AT_THE_END = "train.validate_every=1000000"
PLANNING = """
import json, sys, time
from anchorloc.startup import prepare_process
prepare_process()
from anchorloc import train
from anchorloc.cli import run_command
from anchorloc.plan import planning_rules
for name, value in json.loads(sys.argv.pop(1)).items():
    assert hasattr(planning_rules, name)
    setattr(planning_rules, name, value)
start = time.perf_counter()
status = run_command(train.main)
print(time.perf_counter() - start)
sys.exit(status)
"""


@dataclass(frozen=True)
class Candidate:
    """A change of the plan: constants of its rules, and overrides."""

    constants: dict[str, Any] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()


CANDIDATES = {
    PLAN: Candidate(),
    "plan, again": Candidate(),
    "at least 256 px": Candidate({"SHORT_RUN_SIDE": 256}),
    "larger images": Candidate({"MIN_SEEN": 1000, "WANTED_SIDE": 48}),
    "smaller images": Candidate({"MIN_SEEN": 5000, "MOST_SEEN": 6000, "WANTED_SIDE": 24}),
    "half the rate": Candidate(overrides=("train.optimizer.learning_rate=2.5e-3",)),
    "twice the rate": Candidate(overrides=("train.optimizer.learning_rate=1e-2",)),
    "frozen stages": Candidate(overrides=("detector.backbone.frozen_stages=2",)),
    "frozen norm": Candidate(overrides=("detector.backbone.frozen_norm=true",)),
    "full backbone rate": Candidate(overrides=("train.optimizer.backbone_lr_multiplier=1",)),
    "batch 2": Candidate({"SMALL_BATCH": 2, "WANTED_STEPS": 1_000_000}),
    "batch 4": Candidate({"SMALL_BATCH": 4, "WANTED_STEPS": 1_000_000}),
    "light augmentation": Candidate({"MANY_EPOCHS": 1_000_000}),
    "strong augmentation": Candidate({"MANY_EPOCHS": 0}),
    "crops": Candidate(overrides=("transform.augment.iou_crop={}",)),
    "mosaic": Candidate(overrides=("transform.augment.mosaic={}",)),
    "RetinaNet's anchors": Candidate({"FIT": False}),
    "max-IoU": Candidate(overrides=("assign={kind: MaxIoUAssigner}",)),
    "task-aligned": Candidate(overrides=("assign={kind: TaskAlignedAssigner}",)),
    "64 channels": Candidate(overrides=("detector.head.channels=64", "detector.pyramid.channels=64")),
    "AdamW": Candidate(overrides=("train.optimizer={kind: AdamW, learning_rate: 1e-3}",)),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Train the runs that the table lacks, and print a summary."""
    arguments = _parser().parse_args(argv)
    bench = Bench(arguments.data, table_of_runs(arguments, "first_run"), arguments.out)
    if arguments.command != "summary" and bench.data is None:
        raise InputError("give DATA, the folder that holds the sets")
    if arguments.command == "candidates":
        for name in arguments.candidates:
            for one in arguments.sets:
                bench.fill(one, 2, 0, name, lambda key, name=name: bench.ours(key, CANDIDATES[name], AT_THE_END))
    elif arguments.command == "final":
        for one in arguments.sets:
            peer = bench.best_peer(one)
            for seed in arguments.seeds:
                bench.pair(one, seed, peer)
    print("\n".join(summary(read_table(bench.table))))
    return 0


@dataclass(frozen=True)
class Bench:
    """Where data, finished rows and runs are."""

    data: Path | None
    table: Path
    out: Path

    def fill(self, name: str, minutes: float, seed: int, method: str, work: Any) -> Row:
        """Return the row of a run, which is trained and added to the table if it is not there."""
        key = dict(zip(KEY, (name, f"{minutes:g}", str(seed), method), strict=True))
        for row in read_table(self.table):
            if key.items() <= row.items():
                return row
        print(", ".join(key.values()), "...", flush=True)
        before, start, cpu = probe(), time.perf_counter(), sum(os.times()[:4])
        found = work(key)
        seconds = time.perf_counter() - start
        told = circumstances(("torch", "torchvision"))
        row = {
            **key,
            **{name: f"{value:.4f}" for name, value in found.items() if name.startswith("AP")},
            "steps": str(found["steps"]),
            "rate": f"{found['rate']:g}",
            "precision": found["precision"],
            "seconds": f"{seconds:.0f}",
            "cores": f"{(sum(os.times()[:4]) - cpu) / seconds:.2f}",
            "probe": f"{before:.3f}",
            **{name: told[name] for name in ("date", "commit", "versions", "machine")},
        }
        write_rows(self.table, [*read_table(self.table), row])
        print(f"  AP {row['AP']}, {row['steps']} steps", flush=True)
        return row

    def pair(self, name: str, seed: int, peer: tuple[float, bool]) -> None:
        """Train both for a seed; repeat the older run where the machine's speed has changed between the two."""
        for repeated in range(1 + REPEATED):
            ours = self.fill(name, 5, seed, PLAN, lambda key: self.ours(key, CANDIDATES[PLAN]))
            theirs = self.fill(name, 5, seed, PEER, lambda key: self.peer(key, *peer))
            probes = [float(row["probe"]) for row in (ours, theirs)]
            if max(probes) <= PROBE_MOVED * min(probes) or repeated == REPEATED:
                return
            print(f"  repeated: the probes are {probes[0]:.3f} and {probes[1]:.3f} s", flush=True)
            rows = read_table(self.table)
            rows.remove(min((ours, theirs), key=rows.index))
            write_rows(self.table, rows)

    def ours(self, key: Row, candidate: Candidate, *more: str) -> dict[str, Any]:
        """Plan and train a set; `candidate` changes the plan, `more` the training."""
        folder = self.out / "-".join(key.values()).replace(" ", "_")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        words = [str(self.set_of(key)), *self.weights, *candidate.overrides, f"train.seed={key['seed']}"]
        words += [f"train.length={key['minutes']} minutes", "--plan", "--out", str(folder / "plan")]
        planning = [sys.executable, "-c", PLANNING, json.dumps(candidate.constants), *words]
        printed = subprocess.run(planning, stdout=subprocess.PIPE, text=True, check=True).stdout
        left = float(key["minutes"]) - float(printed.splitlines()[-1]) / 60
        command = [
            *(sys.executable, "-m", "anchorloc.train", str(folder / "plan" / "config.yaml")),
            *(f"train.length={left:.3f} minutes", *more, "--out", str(folder / "run")),
        ]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        log = read_log(folder / "run")
        last = [line for line in log if "val/AP" in line][-1]
        return {
            "AP": last["val/AP"],
            "AP50": last["val/AP50"],
            "steps": last["step"],
            "rate": max(line["lr"] for line in log if "lr" in line),
            "precision": "auto",
        }

    def peer(self, key: Row, rate: float, bfloat16: bool) -> dict[str, Any]:
        """Train torchvision's RetinaNet."""
        torch.manual_seed(int(key["seed"]))
        data = LabelData(self.set_of(key))
        train_split, val = data.open("train"), data.open("val")
        model = torchvision_training.retinanet(self.backbone(), len(train_split.categories), SIDE, SIDE)
        length = f"{key['minutes']} minutes"
        steps = torchvision_training.train(model, train_split, PEERS, length, int(key["seed"]), rate, bfloat16)
        found = torchvision_training.score(model, val, PEERS).summary
        precision = "bfloat16" if bfloat16 else "float32"
        return {"AP": found.ap or 0.0, "AP50": found.ap50 or 0.0, "steps": steps, "rate": rate, "precision": precision}

    def best_peer(self, name: str) -> tuple[float, bool]:
        """Return the rate with which torchvision's network is best on val, and whether bfloat16 is faster for it."""
        bfloat16 = bfloat16_is_faster(self.backbone())
        rows = {
            rate: self.fill(name, 5, 0, f"{PEER} {rate:g}", lambda key, rate=rate: self.peer(key, rate, bfloat16))
            for rate in RATES
        }
        best = max(rows, key=lambda rate: float(rows[rate]["AP"]))
        return best, bfloat16

    def backbone(self) -> Any:
        return TorchvisionBackbone(weights=str(self.weights_file), tensorflow_padding=True)()

    def set_of(self, key: Row) -> Path:
        assert self.data is not None
        return self.data / key["set"]

    @property
    def weights_file(self) -> Path:
        assert self.data is not None
        return self.data / "weights" / WEIGHTS["mobilenet_v2"]

    @property
    def weights(self) -> tuple[str, str]:
        return f"detector.backbone.weights={self.weights_file}", "detector.backbone.tensorflow_padding=true"


def probe() -> float:
    """Return the seconds of a fixed work, convolutions on all threads, in the best of some seconds."""
    images, layer = torch.zeros(8, 32, 128, 128), torch.nn.Conv2d(32, 32, 3, padding=1)
    medians = []
    for _ in range(PROBES):
        time.sleep(1)
        times = []
        with torch.no_grad():
            for _ in range(10):
                start = time.perf_counter()
                layer(images)
                times.append(time.perf_counter() - start)
        medians.append(10 * statistics.median(times))
    return min(medians)


def bfloat16_is_faster(body: Any) -> bool:
    """Return whether the peer takes less time for a step in bfloat16."""
    model = torchvision_training.retinanet(body, 3, SIDE, SIDE).train()
    images = [torch.zeros(3, SIDE, SIDE) for _ in range(torchvision_training.BATCH)]
    boxes = {"boxes": torch.tensor([[8.0, 8.0, 99.0, 99.0]]), "labels": torch.tensor([0])}
    times = {}
    for bfloat16 in (False, True, False, True):
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            loss = torch.stack(list(model(images, [boxes] * len(images)).values())).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        times[bfloat16] = time.perf_counter() - start
    return times[True] < times[False]


def summary(rows: Sequence[Row]) -> list[str]:
    """Return the tables: candidates by set, what rotation would choose, and the final runs beside the peer."""
    if not rows:
        return ["no run is done yet"]
    short = {(row["method"], row["set"]): float(row["AP"]) for row in rows if row["minutes"] == "2"}
    lines = []
    if short:
        lines += [markdown(candidate_rows(short)), "", *rotation(short), ""]
    long = [row for row in rows if row["minutes"] == "5"]
    return [*lines, markdown(final_rows(long))] if final_rows(long) else lines


def candidate_rows(aps: dict[tuple[str, str], float]) -> list[dict[str, str]]:
    """Return one row a candidate: AP by set, and the mean of its differences from the plan."""
    table = []
    for name in dict.fromkeys(method for method, _ in aps):
        known = [one for one in SETS if (name, one) in aps]
        more = [aps[name, one] - aps["plan", one] for one in known if ("plan", one) in aps]
        cells = {one: f"{aps[name, one]:.3f}" if one in known else "" for one in SETS}
        table.append({"candidate": name, **cells, "mean": f"{statistics.mean(more):+.3f}" if more else ""})
    return table


def rotation(aps: dict[tuple[str, str], float]) -> list[str]:
    """Return what the best candidate of five sets gives on the sixth, beside the plan."""
    names = [name for name in dict.fromkeys(method for method, _ in aps) if all((name, one) in aps for one in SETS)]
    lines = []
    for left_out in SETS if "plan" in names else ():
        others = [one for one in SETS if one != left_out]
        best = max(names, key=lambda name: statistics.mean(aps[name, one] for one in others))
        lines.append(
            f"{left_out}: {best} is best on the others; {aps[best, left_out]:.3f}, plan {aps['plan', left_out]:.3f}"
        )
    return lines


def final_rows(rows: Sequence[Row]) -> list[dict[str, str]]:
    """Return one row a set: the APs of all seeds of both, and the share of the gap to 1 that ours closes."""
    table = []
    for name in SETS:
        aps = {
            method: [float(row["AP"]) for row in rows if (row["set"], row["method"]) == (name, method)]
            for method in (PLAN, PEER)
        }
        if all(aps.values()):
            ours, theirs = (statistics.mean(aps[method]) for method in (PLAN, PEER))
            cells = {method: ", ".join(f"{ap:.3f}" for ap in some) for method, some in aps.items()}
            table.append({"set": name, **cells, "gap closed": f"{gap_closed(ours, theirs):.0%}"})
    return table


def _parser() -> argparse.ArgumentParser:
    parser = recording_parser(__doc__)
    parser.add_argument("command", choices=["candidates", "final", "summary"])
    parser.add_argument("data", type=Path, nargs="?", metavar="DATA", help="the folder of the sets and of weights/")
    parser.add_argument("--sets", nargs="+", default=SETS, choices=SETS)
    parser.add_argument("--candidates", nargs="+", default=list(CANDIDATES), choices=list(CANDIDATES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--table", type=Path, help="table of finished runs (default: in --out; with --record, in results)"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/first_run"), help="folder of our runs")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
