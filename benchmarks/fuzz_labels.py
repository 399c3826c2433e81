"""Mutate label files of every format and read them: no exception but the project's own may be raised.

    OMP_NUM_THREADS=1 python -m benchmarks.fuzz_labels              # 5,000 of each format
    OMP_NUM_THREADS=1 python -m benchmarks.fuzz_labels --number 50

Each format has a folder of four scenes with two splits, as `anchorloc doctor --convert` writes it, and CSV one file. In
every round one of its files is mutated as bytes (flipped, cut, repeated), the folder is read, its boxes are checked,
and the file is restored.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

from anchorloc.data import LabeledData, Labels, ShapesData, Source, read, write
from anchorloc.data.coco_export import coco_document, write_coco
from anchorloc.data.formats import WRITERS
from anchorloc.data.label_data import label_source
from anchorloc.errors import InputError
from benchmarks.fuzz_files import SLOW, mutate_bytes


def main() -> int:
    """Print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--number", type=int, default=5_000, help="files of each format (default: 5,000)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        for kind, folder in labeled_folders(Path(name)).items():
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
    folders["csv"] = parent / "csv"
    write_table(data.splits["train"], parent / "csv")
    return folders


def write_table(labels: Labels, folder: Path) -> None:
    """Write one split as path,x1,y1,x2,y2,class, with its images beside it."""
    folder.mkdir()
    names = {category["id"]: category["name"] for category in labels.document["categories"]}
    files = {image["id"]: image["file_name"] for image in labels.document["images"]}
    lines = []
    for annotation in labels.document["annotations"]:
        x, y, width, height = annotation["bbox"]
        cells = files[annotation["image_id"]], x, y, x + width, y + height, names[annotation["category_id"]]
        lines.append(",".join(map(str, cells)) + "\n")
    (folder / "labels.csv").write_text("".join(lines), encoding="utf-8")
    for name in files.values():
        os.link(labels.folder / name, folder / name)


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
