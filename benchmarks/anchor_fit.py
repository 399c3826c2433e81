"""Fitted anchors against torchvision's defaults and k-means clusters: `python -m benchmarks.anchor_fit DATA`.

DATA holds the sets bccd, fruits and coco128, in COCO format. All methods have 9 shapes on each of 5 levels, strides 8
to 128: torchvision's RetinaNet, by its own AnchorGenerator; clusters of the resized train boxes, and clusters of the
boxes of the fit, distributed over levels as YOLOv5 does; and the fit. The figure is the mean recall over IoU 0.50 to
0.90 without rescue on the val images, which no method saw. `benchmarks.lab_speed` times the command.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from anchorloc.anchors import AnchorGenerator
from anchorloc.config import Config, read_config
from anchorloc.lab.anchor_coverage import AnchorCoverage, coverage_with
from anchorloc.lab.fit import FitSettings, fit_anchors
from anchorloc.lab.fit.box_offsets import collect_offsets
from anchorloc.lab.fit.fit_split import FitSplit, split_for_fit
from anchorloc.lab.fit.scoring import recall_gain
from anchorloc.lab.network_views import NetworkViews
from benchmarks.kmeans_anchors import Floats, kmeans_levels
from benchmarks.timing import recording_parser, write_table

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
STRIDES = (8, 16, 32, 64, 128)
RESIZE = "transform.resize={kind: ShortestSide, size: 800, max_size: 1333}"
NINE = f"anchors={{strides: {list(STRIDES)}, scales: [4, 5.04, 6.35], height_to_width: [0.5, 1, 2]}}"
SIZES = tuple((4 * s, int(4 * s * 2 ** (1 / 3)), int(4 * s * 2 ** (2 / 3))) for s in STRIDES)  # RetinaNet's sizes
SETS = ("bccd", "fruits", "coco128")


def config_of(name: str, data: Path) -> Config:
    """Return the config of a set with nine shapes on five levels."""
    if name == "coco128":
        return read_config(None, [f"data={{kind: CocoData, root: '{data / name}'}}", RESIZE, NINE])
    return read_config(CONFIGS / f"{name}.yaml", [f"data.root={data / name}", NINE])


def rows_of(name: str, data: Path, seed: int) -> list[dict[str, object]]:
    """Return one row for each method."""
    config = config_of(name, data)
    split = split_for_fit(config, seed)
    fitted = fit_anchors(config, split, FitSettings(seed=seed))
    views = NetworkViews(config, split.held_out)
    torchvision = AnchorGenerator.torchvision(SIZES, [[0.5, 1.0, 2.0]] * len(SIZES), STRIDES)
    anchors: dict[str, Any] = {
        "torchvision RetinaNet": torchvision,
        "k-means, resized boxes": clusters(config, split, 0, seed),
        "k-means, augmented boxes": clusters(config, split, fitted.passes, seed),
    }
    scores = {
        way: coverage_with(views, replace(config, anchors=cast(AnchorGenerator, own))) for way, own in anchors.items()
    }
    rows = [row(name, way, one, fitted.fitted, seed) for way, one in scores.items()]
    return [*rows, row(name, "anchorloc fit", fitted.fitted, fitted.fitted, seed)]


def clusters(config: Config, split: FitSplit, passes: int, seed: int) -> AnchorGenerator:
    """Return YOLO's anchors for the train boxes."""
    sizes: Floats = collect_offsets(NetworkViews(config, split.train, passes)).sizes.astype(float)
    return AnchorGenerator(STRIDES, shapes=kmeans_levels(sizes, len(STRIDES), 9, seed))


def row(name: str, way: str, one: AnchorCoverage, fitted: AnchorCoverage, seed: int) -> dict[str, object]:
    """Return the figures of one method, and the gain of the fit over it."""
    gain = recall_gain(fitted, one, seed)
    return {
        "set": name,
        "anchors": way,
        "seed": seed,
        "held-out boxes": len(one.boxes),
        "shapes": sum(one.config.anchors.shapes_per_level),
        "anchors an image": round(one.anchors_per_image),
        "mean recall": f"{one.mean_recall:.4f}",
        "the fit has more": f"{gain.value:.4f}",
        "95% interval": "" if gain.low is None else f"{gain.low:.4f} to {gain.high:.4f}",
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Fit, score, and write the table."""
    parser = recording_parser(__doc__)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="N")
    arguments = parser.parse_args(argv)
    rows = [line for name in SETS for seed in arguments.seeds for line in rows_of(name, arguments.data, seed)]
    write_table(rows, "anchor_fit", ("torch", "torchvision"), record=arguments.record)


if __name__ == "__main__":
    main()
