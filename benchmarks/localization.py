"""Compare the anchors' top box with a single regressed box on images with one object.

    python -m benchmarks.localization --data path/to/airplanes --weights FILE
    python -m benchmarks.localization --minutes 0.05 --seeds 0 --spreads 1 --out trial   (does it work?)

The data are scenes of one shape whose place, size and proportions vary more and more, and photographs of airplanes. The
detector and the single-box localizer train for the same time on the same images with the same backbone, optimizer and
augmentation, and are scored alike. The localizer is pooled to one cell, as in textbooks, and to 4 x 4, which keeps the
place of objects. Finished runs stay in --out, so that a stopped benchmark can continue.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from anchorloc.engine.system.log import read_log
from benchmarks.timing import RESULTS, recording_parser, write_table

SPREADS = (0.0, 0.3, 0.6, 1.0)
MODELS: dict[str, tuple[str, ...]] = {
    "anchors": (),
    "single box, pooled to 1": ("localizer={pool: 1}",),
    "single box, pooled to 4 x 4": ("localizer={pool: 4}",),
}
AIRPLANES = Path("configs/airplanes.yaml")


@dataclass(frozen=True)
class Task:
    """Data to train one of MODELS on, as command-line words."""

    name: str
    spread: float | None  # variance of the shapes; None for photographs
    minutes: float
    words: tuple[str, ...]


def main(argv: Sequence[str] | None = None) -> None:
    """Train the missing runs, and write the table and the picture."""
    arguments = _parser().parse_args(argv)
    rows = []
    for task in tasks(arguments):
        for model, words in MODELS.items():
            for seed in arguments.seeds:
                name = f"{task.name}-{task.minutes:g}min-{model}-{seed}".replace(" ", "_").replace(",", "")
                folder = arguments.out / name
                rows.append(row(task, model, seed, trained(task, words, seed, folder)))
                print(rows[-1], flush=True)
    write_table(rows, "localization", ("torch", "torchvision"), record=arguments.record)
    if arguments.record:
        draw(rows, RESULTS / "localization.png")


def tasks(arguments: argparse.Namespace) -> Iterator[Task]:
    """Yield the shapes from no variance to full variance, and the airplanes if given."""
    for spread in arguments.spreads:
        scenes = f"data={{kind: OneShapeData, train_images: 4000, val_images: 400, size: 64, spread: {spread}}}"
        yield Task(f"shapes {spread:g}", spread, arguments.minutes, (scenes, "train.batch_size=16"))
    if arguments.data is not None:
        size = "transform.resize={kind: Letterbox, height: 192, width: 256}"
        words = [str(AIRPLANES), f"data.root={arguments.data}", size]
        if arguments.weights is not None:
            words += [f"detector.backbone.weights={arguments.weights}", "detector.backbone.tensorflow_padding=true"]
        yield Task("airplanes", None, arguments.airplane_minutes, tuple(words))


def trained(task: Task, words: Sequence[str], seed: int, folder: Path) -> dict[str, Any]:
    """Return the numbers of a run; train it unless it is finished."""
    result = folder / "localization.json"
    if not result.exists():
        shutil.rmtree(folder, ignore_errors=True)
        length = [f"train.length={task.minutes} minutes", "train.validate_every=1000", f"train.seed={seed}"]
        command = [*task.words, "task=localization", *words, *length, "--out", str(folder)]
        subprocess.run([sys.executable, "-m", "anchorloc.train", *command], check=True, stdout=subprocess.DEVNULL)
    numbers: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    return {**numbers, "steps": max(line["step"] for line in read_log(folder))}


def row(task: Task, model: str, seed: int, numbers: dict[str, Any]) -> dict[str, object]:
    """Return one line of the table."""
    accuracy = {f"MaxBoxAcc {iou}": f"{share:.3f}" for iou, share in numbers["max_box_acc"].items()}
    return {
        "data": task.name,
        "spread": "" if task.spread is None else task.spread,
        "model": model,
        "seed": seed,
        "minutes": task.minutes,
        "steps": numbers["steps"],
        "top-1 LOC error": f"{numbers['top1_loc_error']:.3f}",
        "mean IoU": f"{numbers['mean_iou']:.3f}",
        **accuracy,
        "constant box's IoU": f"{numbers['constant_iou']:.3f}",
        "spread ratio": f"{numbers['spread_ratio']:.3f}",
    }


def draw(rows: Sequence[dict[str, object]], path: Path) -> None:
    """Draw mean IoU and top-1 LOC error over the spread of the shapes, and of the airplanes beside them."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    panels = figure.subplots(1, 2)
    places = sorted({float(str(one["spread"])) for one in rows if one["spread"] != ""})
    photographed = any(one["spread"] == "" for one in rows)
    photographs = places[-1] + 0.25
    for panel, column in zip(panels, ("mean IoU", "top-1 LOC error"), strict=True):
        for model in MODELS:
            points: dict[float, list[float]] = {}
            for one in rows:
                if one["model"] == model:
                    place = photographs if one["spread"] == "" else float(str(one["spread"]))
                    points.setdefault(place, []).append(float(str(one[column])))
            xs = sorted(points)
            lines = [x for x in xs if x in places]
            (line,) = panel.plot(lines, [statistics.mean(points[x]) for x in lines], label=model)
            for x in xs:
                panel.plot([x] * len(points[x]), points[x], "o", color=line.get_color(), markersize=4)
        if column == "mean IoU":
            constant = {str(one["spread"]): float(str(one["constant box's IoU"])) for one in rows}
            panel.plot(places, [constant[str(x)] for x in places], ":", color="gray", label="one constant box")
            if photographed:
                panel.plot([photographs], [constant[""]], "_", color="gray", markersize=14)
        names = [*(f"{x:g}" for x in places), *(["airplanes"] if photographed else [])]
        panel.set_xticks([*places, *([photographs] if photographed else [])], names)
        panel.set(xlabel="spread of place, size and proportions", ylabel=column, ylim=(0, 1.02))
        panel.grid(alpha=0.3)
    panels[0].legend(fontsize=9, loc="lower left")
    figure.savefig(path, dpi=130)


def _parser() -> argparse.ArgumentParser:
    parser = recording_parser(__doc__)
    parser.add_argument("--minutes", type=float, default=0.7, help="minutes of training on shapes (default: 0.7)")
    parser.add_argument(
        "--airplane-minutes", type=float, default=2, help="minutes of training on airplanes (default: 2)"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--data", type=Path, help="folder of the airplanes, in COCO format (default: shapes only)")
    parser.add_argument("--weights", type=Path, help="MobileNetV2's ImageNet weights from TensorFlow")
    parser.add_argument("--spreads", type=float, nargs="+", default=list(SPREADS), help="spreads of the shapes")
    parser.add_argument("--out", type=Path, default=Path("runs/localization"), help="folder of the runs")
    return parser


if __name__ == "__main__":
    main()
