"""A backbone from ImageNet beside the same backbone from a COCO detector, on three small data sets.

    python -m benchmarks.pretrained_starts DATA --record               # 36 runs of 300 steps
    python -m benchmarks.pretrained_starts DATA --engine ray           # several runs at a time

DATA holds a folder for each set and weights/ with MobileNetV2 twice: from ImageNet, and the body of an SSD-FPNLite that
was trained on COCO (dequantized from 8 bits; neither pyramid nor head). Each set is a study of `anchorloc compare` with
six seeds and equal iterations, and is resumed. Further words are its options.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path

from anchorloc.cli import run_command
from anchorloc.compare import __main__ as compare
from anchorloc.config.yaml import write_yaml
from anchorloc.files import make_folder, read_bytes, write_text
from benchmarks.timing import recording_parser, write_table

SIDES = {"fruits": 192, "kangaroo": 192, "street": 256}  # pixels of the shorter side of an image
STARTS = {"ImageNet": "mobilenet_v2_imagenet_tvnaming.pth", "COCO": "mobilenet_v2_coco_tvnaming.pth"}
LONGEST = 1.8  # the longer side is at most this many times the shorter one


def main(argv: Sequence[str] | None = None) -> int:
    """Train the runs that are missing, and print one row for each set and start."""
    parser = recording_parser(__doc__)
    parser.add_argument("data", type=Path, metavar="DATA", help="the folder of the sets and of weights/")
    parser.add_argument("--sets", nargs="+", default=list(SIDES), choices=list(SIDES), help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=Path("runs/pretrained_starts"), help="folder of the studies")
    arguments, words = parser.parse_known_args(argv)
    make_folder(arguments.out)
    rows = []
    for name in arguments.sets:
        path, folder = arguments.out / f"{name}.yaml", arguments.out / name
        write_text(path, write_yaml(study(arguments.data, name)))
        status = compare.main([str(path), "--out", str(folder), *words])
        if status != 0:
            return status
        rows += rows_of(name, folder)
    write_table(rows, "pretrained_starts", ("torch", "torchvision", "pycocotools"), record=arguments.record)
    return 0


def study(data: Path, name: str) -> dict[str, object]:
    """Return the study of one set: what `anchorloc train SET --plan` chooses, at a fixed size and length."""
    side = SIDES[name]
    common = {
        "data": {"kind": "LabelData", "path": str(data / name)},
        "transform": {
            "resize": {"kind": "ShortestSide", "size": side, "max_size": round(LONGEST * side)},
            "augment": {"horizontal_flip": 0.5, "scale_jitter": [0.6, 1.5], "photometric": 0.3},
        },
        "anchors": {"strides": [8, 16, 32], "scales": [4, 5.04, 6.35], "height_to_width": [0.5, 1, 2]},
        "detector": {
            "backbone": {"kind": "TorchvisionBackbone", "name": "mobilenet_v2", "strides": [8, 16, 32]},
            "pyramid": {"channels": 96},
            "head": {"channels": 96, "depth": 2},
        },
        "train": {
            "length": "300 iterations",
            "batch_size": 4,
            "threads": 1,
            "optimizer": {"kind": "Muon", "learning_rate": 5e-3, "backbone_lr_multiplier": 0.5},
            "save_every": 0.5,
            "keep_checkpoints": 1,
        },
    }
    settings = {
        start: {"detector": {"backbone": {"weights": str(data / "weights" / file), "tensorflow_padding": True}}}
        for start, file in STARTS.items()
    }
    return {"common": common, "seeds": 6, "baseline": "ImageNet", "settings": settings}


def rows_of(name: str, folder: Path) -> list[dict[str, str]]:
    """Return a row for each start: its AP, and the difference to ImageNet with its verdict."""
    settings, verdicts = (
        list(csv.DictReader(read_bytes(folder / f"{table}.csv").decode().splitlines()))
        for table in ("settings", "verdicts")
    )
    judged = {verdict["setting"]: verdict for verdict in verdicts}
    rows = []
    for row in settings:
        verdict = judged.get(row["setting"], {})
        cells = {"difference": "difference", "difference low": "low", "difference high": "high"}
        rows.append(
            {
                "set": name,
                "start": row["setting"],
                **{key: f"{float(row[key]):.3f}" for key in ("AP", "low", "high")},
                "seeds": row["seeds"],
                **{key: f"{float(verdict[cell]):+.3f}" if verdict else "" for key, cell in cells.items()},
                "verdict": verdict.get("verdict", ""),
            }
        )
    return rows


if __name__ == "__main__":
    sys.exit(run_command(main))
