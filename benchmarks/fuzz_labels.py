"""Mutate label files of every format and read them: no exception but the project's own may be raised.

    OMP_NUM_THREADS=1 python -m benchmarks.fuzz_labels              # 5,000 of each format
    OMP_NUM_THREADS=1 python -m benchmarks.fuzz_labels --number 50

Each format has a folder of four scenes with two splits, as `anchorloc doctor --convert` writes it; CSV, VIA, VoTT and
Azure have one file. In every round one of its files is mutated as bytes (flipped, cut, repeated), the folder is read,
its boxes are checked, and the file is restored.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from anchorloc.data import LabeledData, Labels, ShapesData, Source, read, write
from anchorloc.data.coco_export import coco_document, write_coco
from anchorloc.data.formats import WRITERS
from anchorloc.data.label_data import label_source
from anchorloc.errors import InputError
from benchmarks.fuzz_files import SLOW, mutate_bytes

Images = list[tuple[dict[str, Any], list[tuple[str, list[float]]]]]  # COCO's entry of each image, its classes and boxes


def main() -> int:
    """Print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--number", type=int, default=5_000, help="files of each format (default: 5,000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--formats", nargs="+", help="formats to mutate (default: all)")
    arguments = parser.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        for kind, folder in labeled_folders(Path(name)).items():
            if arguments.formats and kind not in arguments.formats:
                continue
            counts = fuzz(kind, folder, arguments.number, arguments.seed)
            print(f"{arguments.number:,} of {kind}: {dict(counts)}", flush=True)
            wrong += sum(counts.values()) - counts["read"] - counts["refused"]
    print(f"wrong: {wrong}")
    return 1 if wrong else 0


def labeled_folders(parent: Path) -> dict[str, Path]:
    """Write the same scenes in every format; return the folder of each."""
    shapes = ShapesData(train_images=3, val_images=1, size=64)
    sources: dict[str, Source] = {split: shapes.open(split) for split in ("train", "val")}
    write_coco(sources, parent / "coco")
    images = parent / "coco" / "images"
    data = LabeledData(
        "COCO", {split: Labels(images, coco_document(source), images) for split, source in sources.items()}
    )
    folders = {"coco": parent / "coco"}
    for kind in WRITERS:
        if kind != "coco":
            folders[kind] = parent / kind
            write(data, kind, folders[kind])
    shutil.copytree(images, parent / "cvat" / "images", copy_function=os.link)
    for kind in SINGLE_FILES:
        folders[kind] = parent / kind
        write_single_file(data.splits["train"], kind, folders[kind])
    return folders


def write_single_file(labels: Labels, kind: str, folder: Path) -> None:
    """Write one split as one of `SINGLE_FILES`, with its images beside it."""
    folder.mkdir()
    names = {category["id"]: category["name"] for category in labels.document["categories"]}
    found: dict[int, list[tuple[str, list[float]]]] = {image["id"]: [] for image in labels.document["images"]}
    for annotation in labels.document["annotations"]:
        found[annotation["image_id"]].append((names[annotation["category_id"]], annotation["bbox"]))
    images = [(image, found[image["id"]]) for image in labels.document["images"]]
    name, text = SINGLE_FILES[kind]
    (folder / name).write_text(text(images), encoding="utf-8")
    for image, _ in images:
        os.link(labels.folder / image["file_name"], folder / image["file_name"])


def _csv(images: Images) -> str:
    lines = [
        f"{image['file_name']},{x},{y},{x + width},{y + height},{category}\n"
        for image, found in images
        for category, (x, y, width, height) in found
    ]
    return "".join(lines)


def _via(images: Images) -> str:
    content = {}
    for image, found in images:
        regions = [
            {
                "shape_attributes": {"name": "rect", "x": x, "y": y, "width": width, "height": height},
                "region_attributes": {"type": category},
            }
            for category, (x, y, width, height) in found
        ]
        name = image["file_name"]
        content[f"{name}1"] = {"filename": name, "size": 1, "regions": regions, "file_attributes": {}}
    return json.dumps(content)


def _vott(images: Images) -> str:
    assets = {}
    for image, found in images:
        regions = [
            {
                "type": "RECTANGLE",
                "tags": [category],
                "boundingBox": {"left": x, "top": y, "width": width, "height": height},
            }
            for category, (x, y, width, height) in found
        ]
        asset = {"name": image["file_name"], "size": {key: image[key] for key in ("width", "height")}, "state": 2}
        assets[str(image["id"])] = {"asset": asset, "regions": regions}
    return json.dumps({"tags": [], "assets": assets})


def _azure(images: Images) -> str:
    lines = []
    for image, found in images:
        wide, high = image["width"], image["height"]
        labels = [
            {"label": name, "topX": x / wide, "topY": y / high, "bottomX": (x + w) / wide, "bottomY": (y + h) / high}
            for name, (x, y, w, h) in found
        ]
        details = {"width": f"{wide}px", "height": f"{high}px"}
        lines.append(json.dumps({"image_url": image["file_name"], "image_details": details, "label": labels}) + "\n")
    return "".join(lines)


SINGLE_FILES: dict[str, tuple[str, Callable[[Images], str]]] = {  # format: file name, and its text
    "csv": ("labels.csv", _csv),
    "via": ("via_region_data.json", _via),
    "vott": ("export.json", _vott),
    "azure": ("labels.jsonl", _azure),
}


def fuzz(kind: str, folder: Path, number: int, seed: int) -> Counter[str]:
    """Read `number` mutations of a folder; return the count of each outcome."""
    chance, counts = Random(f"{seed}/{kind}"), Counter[str]()
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix not in (".png", ".jpg")]
    contents = {path: path.read_bytes() for path in files}
    for place in range(number):
        path = chance.choice(files)
        path.write_bytes(mutate_bytes(contents[path], chance))
        start = time.perf_counter()
        try:
            data = read(folder)
            for labels in data.splits.values():
                label_source(labels)
            counts["read"] += 1
        except InputError:
            counts["refused"] += 1
        except Exception as error:
            counts["other exceptions"] += 1
            print(f"{kind} {place}: {path.name}: {error!r}")
        if time.perf_counter() - start > SLOW:
            counts["slow"] += 1
        path.write_bytes(contents[path])
    return counts


if __name__ == "__main__":
    sys.exit(main())
