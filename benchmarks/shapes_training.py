"""`python -m anchorloc.train` against torchvision's RetinaNet: the same scenes, the same wall-clock, seed by seed.

    python -m benchmarks.shapes_training --minutes 2.4 --seeds 0 1 2

Ours is the command itself with its defaults. The peer reads the exported scenes: `torchvision` RetinaNet with its own
anchors, heads and losses, ResNet-18 with batch normalization from random weights, the scenes' own size, horizontal
flips, AdamW with warm-up and cosine, batch 8. Both are scored by pycocotools on the same 400 scenes.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.models.detection import RetinaNet
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from anchorloc.data import CocoData, Samples, ShapesData, Source, Transform
from anchorloc.data.coco_export import write_coco
from anchorloc.engine.order import TrainOrder
from anchorloc.metrics import Evaluation, evaluate
from anchorloc.structures import Detections, Sample
from benchmarks.timing import RESULTS, write_table

BATCH, WARMUP = 8, 50


def main(argv: Sequence[str] | None = None) -> None:
    """Train both once a seed, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2.4, help="training time of each run")
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
    write_table(rows, RESULTS / "shapes_training.csv", ("torch", "torchvision", "pycocotools"))


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
    """One line of the table."""
    return {
        "trained by": name,
        "seed": seed,
        "steps": steps,
        "AP": f"{ap or 0:.3f}",
        "AP50": f"{ap50 or 0:.3f}",
        "seconds, all in": f"{seconds:.0f}",
    }


def peer(data: CocoData, minutes: float, seed: int, rate: float) -> dict[str, object]:
    """Train torchvision's RetinaNet for as long, and score it."""
    torch.manual_seed(seed)
    start = time.perf_counter()
    train, val = data.open("train"), data.open("val")
    model = retinanet(len(train.categories), val.size(0)[0])
    steps = train_peer(model, train, minutes, seed, rate)
    found = score_peer(model, val).summary
    return row(f"torchvision, lr {rate:g}", seed, steps, found.ap, found.ap50, time.perf_counter() - start)


def retinanet(classes: int, size: int) -> nn.Module:
    """RetinaNet as torchvision builds it, but for a smaller backbone with statistics of its own."""
    backbone = resnet_fpn_backbone(
        backbone_name="resnet18",
        weights=None,
        norm_layer=nn.BatchNorm2d,
        trainable_layers=5,
        returned_layers=[2, 3, 4],
        extra_blocks=LastLevelP6P7(256, 256),
    )
    model: nn.Module = RetinaNet(backbone, classes, min_size=size, max_size=size)
    return model


def tensors(samples: list[Sample]) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    """Samples as torchvision's models take them."""
    images = [torch.from_numpy(np.ascontiguousarray(s.image)).permute(2, 0, 1).float() / 255 for s in samples]
    targets = [
        {"boxes": torch.from_numpy(s.target.boxes).float(), "labels": torch.from_numpy(s.target.labels)}
        for s in samples
    ]
    return images, targets


def train_peer(model: nn.Module, source: Source, minutes: float, seed: int, rate: float) -> int:
    """Train for so many minutes; return the steps."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, fused=True)
    loader: DataLoader[Any] = DataLoader(
        cast(Dataset[Any], Samples(source, Transform(), seed, training=True, cache_bytes=1 << 30)),
        batch_sampler=TrainOrder(len(source), BATCH, seed),
        collate_fn=tensors,
        num_workers=2,
    )
    model.train()
    start = time.perf_counter()
    for step, (images, targets) in enumerate(loader):
        progress = (time.perf_counter() - start) / (60 * minutes)
        if progress >= 1:
            return step
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1, (step + 1) / WARMUP) * 0.5 * (1 + math.cos(math.pi * progress))
        loss = torch.stack(list(model(images, targets).values())).sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
    raise RuntimeError("the loader ended")


def score_peer(model: nn.Module, source: Source) -> Evaluation:
    """Detect and score, as for ours."""
    targets = [source.target(index) for index in range(len(source))]
    return evaluate(targets, list(detect_peer(model, source)), source.categories)


@torch.inference_mode()
def detect_peer(model: nn.Module, source: Source) -> Iterator[Detections]:
    """Yield what the peer finds in each image."""
    model.eval()
    samples = Samples(source, Transform(), training=False)
    for index in range(len(source)):
        images, _ = tensors([samples[0, index]])
        found = {key: value.double().numpy() for key, value in model(images)[0].items()}
        labels = found["labels"].astype(np.int64)
        anchors = np.full(len(labels), -1, np.int64)
        yield Detections(found["boxes"], found["scores"], labels, anchors, source.image_id(index))


if __name__ == "__main__":
    main()
