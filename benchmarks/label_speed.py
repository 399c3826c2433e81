"""Time reading labels of each format beside Python's own parser on the same files.

    python -m benchmarks.label_speed                  # 100,000 boxes of each format; some minutes

The parser is json for COCO, LabelMe, VIA, VoTT and the lines of Azure, ElementTree for Pascal VOC and CVAT, csv for
CSV, and splitting lines into floats for YOLO. Both read every file, in turns; reading also finds the images, checks
every box, and for YOLO, CSV and VIA opens the headers of the images. The table has medians and their ratio.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any
from xml.etree import ElementTree

from PIL import Image

from anchorloc.data import LabeledData, Labels, read, write
from anchorloc.data.formats import WRITERS
from benchmarks.fuzz_labels import SINGLE_FILES, write_single_file
from benchmarks.timing import median_seconds, recording_parser, significant, write_table

SIDE, CLASSES, PER_IMAGE = 1000, 20, 50


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and write the table."""
    parser = recording_parser(__doc__)
    parser.add_argument("--boxes", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args(argv)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for kind, folder in folders(Path(name), arguments.boxes).items():
            files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".png"]
            calls: dict[str, Callable[[], Any]] = {
                "read": partial(read, folder),
                "parser": partial(_parse, PARSERS[kind], files),
            }
            seconds = median_seconds(calls, arguments.rounds)
            rows.append(
                {
                    "format": kind,
                    "files": f"{len(files):,}",
                    "read, s": significant(seconds["read"]),
                    "Python's parser, s": significant(seconds["parser"]),
                    "ratio": significant(seconds["read"] / seconds["parser"]),
                }
            )
            print(rows[-1], flush=True)
    write_table(rows, "label_speed", record=arguments.record)


def folders(parent: Path, boxes: int) -> dict[str, Path]:
    """Write the same labels in every format; return the folder of each."""
    chance, images = Random(0), parent / "images"
    images.mkdir()
    pixel = parent / "pixel.png"
    Image.new("RGB", (SIDE, SIDE)).save(pixel)
    document: dict[str, list[dict[str, Any]]] = {"images": [], "categories": [], "annotations": []}
    document["categories"] = [{"id": number, "name": f"class {number}"} for number in range(1, CLASSES + 1)]
    for image in range(1, boxes // PER_IMAGE + 1):
        os.link(pixel, images / f"{image:06}.png")
        document["images"].append({"id": image, "file_name": f"{image:06}.png", "width": SIDE, "height": SIDE})
        for _ in range(PER_IMAGE):
            left, top = chance.randrange(SIDE - 60), chance.randrange(SIDE - 60)
            box = [left, top, chance.randrange(1, 60), chance.randrange(1, 60)]
            ids = {"id": len(document["annotations"]) + 1, "image_id": image}
            ids |= {"category_id": chance.randrange(1, CLASSES + 1), "iscrowd": 0}
            document["annotations"].append(ids | {"bbox": box, "area": box[2] * box[3]})
    data = LabeledData("COCO", {"all": Labels(images, document, images)})
    found = {}
    for kind in WRITERS:
        found[kind] = parent / kind
        write(data, kind, found[kind])
    for kind in ("coco", "cvat"):
        shutil.copytree(images, found[kind] / "images", copy_function=os.link)
    for kind in SINGLE_FILES:
        found[kind] = parent / kind
        write_single_file(data.splits["all"], kind, found[kind])
    return found


def _parse(parser: Callable[[Path], Any], files: Sequence[Path]) -> Any:
    return [parser(path) for path in files]


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _json_lines(path: Path) -> Any:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _lines(path: Path) -> Any:
    return [[float(word) for word in line.split()] for line in path.read_text().splitlines() if line[:1].isdigit()]


def _table(path: Path) -> Any:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


PARSERS: dict[str, Callable[[Path], Any]] = {
    "coco": _json,
    "labelme": _json,
    "via": _json,
    "vott": _json,
    "azure": _json_lines,
    "voc": ElementTree.parse,
    "cvat": ElementTree.parse,
    "csv": _table,
    "yolo": _lines,
}


if __name__ == "__main__":
    main()
