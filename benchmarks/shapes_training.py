"""Compare `anchorloc train` with torchvision's RetinaNet: the same scenes, the same time, seed by seed.

    python -m benchmarks.shapes_training --minutes 2.4 --seeds 0 1 2

Ours is the command itself with its defaults. The peer reads the exported scenes: `torchvision` RetinaNet with its own
anchors, heads and losses, ResNet-18 with batch normalization from random weights, the scenes' own size, horizontal
flips, AdamW with warm-up and cosine, batch 8. Both are scored by pycocotools on the same 400 scenes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from anchorloc.data import CocoData, ShapesData, Transform
from anchorloc.data.coco_export import write_coco
from anchorloc.detector import TorchvisionBackbone
from benchmarks import torchvision_training
from benchmarks.timing import recording_parser, write_table


def main(argv: Sequence[str] | None = None) -> None:
    """Train both once per seed, and write the table."""
    parser = recording_parser(__doc__)
    parser.add_argument("--minutes", type=float, default=2.4, help="minutes of each training (default: 2.4)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rates", type=float, nargs="+", default=[1e-3], help="learning rates of the peer")
    arguments = parser.parse_args(argv)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        scenes = Path(folder) / "scenes"
        shapes = ShapesData()
        write_coco({"train": shapes.open("train"), "val": shapes.open("val")}, scenes)
        for seed in arguments.seeds:
            rows.append(ours(Path(folder) / f"run{seed}", arguments.minutes, seed))
            print(rows[-1], flush=True)
            for rate in arguments.rates:
                rows.append(peer(CocoData(scenes), arguments.minutes, seed, rate))
                print(rows[-1], flush=True)
    write_table(rows, "shapes_training", ("torch", "torchvision", "pycocotools"), record=arguments.record)


def ours(folder: Path, minutes: float, seed: int) -> dict[str, object]:
    """Run the command, and time it from start to report."""
    start = time.perf_counter()
    words = [f"train.length={minutes} minutes", f"train.seed={seed}", "--out", str(folder)]
    subprocess.run([sys.executable, "-m", "anchorloc.train", *words], check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    record = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    steps = [json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return row("anchorloc", seed, max(steps), record["summary"]["AP"], record["summary"]["AP50"], seconds)


def row(name: str, seed: int, steps: int, ap: float | None, ap50: float | None, seconds: float) -> dict[str, object]:
    """Return one line of the table."""
    return {
        "trained by": name,
        "seed": seed,
        "steps": steps,
        "AP": f"{ap or 0:.3f}",
        "AP50": f"{ap50 or 0:.3f}",
        "seconds, all in": f"{seconds:.0f}",
    }


def peer(data: CocoData, minutes: float, seed: int, rate: float) -> dict[str, object]:
    """Train torchvision's RetinaNet for the same time, and score it."""
    torch.manual_seed(seed)
    start = time.perf_counter()
    train, val = data.open("train"), data.open("val")
    side = val.size(0)[0]
    body = TorchvisionBackbone(name="resnet18", weights="none")()
    model = torchvision_training.retinanet(body, len(train.categories), side, side)
    steps = torchvision_training.train(model, train, Transform(), f"{minutes} minutes", seed, rate)
    found = torchvision_training.score(model, val, Transform()).summary
    return row(f"torchvision, lr {rate:g}", seed, steps, found.ap, found.ap50, time.perf_counter() - start)


if __name__ == "__main__":
    main()
