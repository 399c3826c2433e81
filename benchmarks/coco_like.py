"""Write annotations with the counts and the box sizes of COCO's val2017: `python -m benchmarks.coco_like OUT.json`.

5,000 images, 37,000 boxes and 80 classes, seeded. sqrt(area) is log-normal, so that 41% of the boxes are smaller than
32 px and 24% larger than 96 px, as in COCO. Images have COCO's usual sizes; one in 100 has no box, and the number of
boxes of the others is geometric. A class is half as frequent as the class of half its rank, and one box in 80 is a
crowd. Places are uniform and independent: the file is for timing and memory, not for training.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

SIZES = ((480, 640), (427, 640), (640, 480), (640, 427), (640, 640), (375, 500))  # (height, width)
SHARES = (0.38, 0.28, 0.12, 0.1, 0.06, 0.06)
LOG_SCALE = (3.733, 1.176)  # mean and standard deviation of log(sqrt(area))
LOG_RATIO = (0.08, 0.6)  # mean and standard deviation of log(height / width)
CROWDS = 80  # one box in 80 is a crowd


def coco_like(images: int = 5000, boxes: int = 37_000, classes: int = 80, seed: int = 0) -> dict[str, Any]:
    """Return the document."""
    random = np.random.default_rng(seed)
    sizes = np.array(SIZES)[random.choice(len(SIZES), images, p=SHARES)]
    busy = images - images // 100
    more = random.choice(busy, boxes - busy, p=random.dirichlet(np.ones(busy)))
    owner = np.sort(random.permutation(images)[np.concatenate([np.arange(busy), more])])
    frequency = 1 / np.arange(1, classes + 1)
    labels = random.choice(classes, boxes, p=frequency / frequency.sum())
    corners = _corners(sizes[owner], random)
    return {
        "images": [
            {"id": 1 + image, "file_name": f"{1 + image:012}.jpg", "height": height, "width": width}
            for image, (height, width) in enumerate(sizes.tolist())
        ],
        "categories": [{"id": 1 + label, "name": f"class {1 + label}"} for label in range(classes)],
        "annotations": [
            {
                "id": 1 + row,
                "image_id": 1 + image,
                "category_id": 1 + label,
                "bbox": [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)],
                "area": round((x2 - x1) * (y2 - y1), 2),
                "iscrowd": int(row % CROWDS == 0),
            }
            for row, (image, label, (x1, y1, x2, y2)) in enumerate(
                zip(owner.tolist(), labels.tolist(), corners.tolist(), strict=True)
            )
        ],
    }


def _corners(sizes: np.ndarray[Any, Any], random: np.random.Generator) -> np.ndarray[Any, Any]:
    """Return (M, 4) xyxy boxes inside images of `sizes` (M, 2), in hundredths of a pixel."""
    scale, ratio = (random.normal(*parameters, len(sizes)) for parameters in (LOG_SCALE, LOG_RATIO))
    logs = np.stack([scale - ratio / 2, scale + ratio / 2], axis=1)  # width, height
    limit = sizes[:, ::-1]
    sides = np.clip(np.exp(logs), 1, limit)
    start = random.uniform(size=sides.shape) * (limit - sides)
    return np.concatenate([start, start + sides], axis=1).round(2)


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coco_like", description=__doc__)
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arguments.out.write_text(json.dumps(coco_like(seed=arguments.seed)), encoding="utf-8")


if __name__ == "__main__":
    main()
