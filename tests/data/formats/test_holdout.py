"""Labels without a val split: some of their images are set aside."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anchorloc.data import LabelData, LabelSource, Source
from anchorloc.data.label_data import open_all
from anchorloc.errors import InputError


def labels_of(folder: Path, images: int = 20, copies: int = 0) -> Path:
    """Write a COCO file of one box an image, of two classes, and its images; the last `copies` are equal files."""
    items, boxes = [], []
    for number in range(images):
        shade = 255 if number >= images - copies else number
        Image.new("RGB", (32, 32), (shade, 0, 0)).save(folder / f"{number}.bmp")
        items.append({"id": number + 1, "file_name": f"{number}.bmp", "width": 32, "height": 32})
        boxes.append({"id": number + 1, "image_id": number + 1, "category_id": 1 + number % 2, "bbox": [1, 1, 9, 9]})
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    path = folder / "labels.json"
    path.write_text(json.dumps({"images": items, "annotations": boxes, "categories": categories}))
    return path


def names_of(source: Source) -> list[str]:
    return [source.name(index) for index in range(len(source))]


def test_a_fraction_of_the_images_is_set_aside_alike_every_time(tmp_path: Path) -> None:
    path = labels_of(tmp_path)
    parts = [open_all(LabelData(path, val_fraction=0.2))[:2] for _ in range(2)]
    names = [[names_of(source) for source in pair] for pair in parts]
    assert names[0] == names[1]
    train, val = names[0]
    assert (len(train), len(val)) == (16, 4)
    assert not set(train) & set(val)
    assert np.bincount([parts[0][1].target(index).labels[0] for index in range(4)]).tolist() == [2, 2]
    assert names_of(LabelData(path, val_fraction=0.2).open("val")) == val


def test_what_is_set_aside_is_said(tmp_path: Path) -> None:
    _, val, _ = open_all(LabelData(labels_of(tmp_path), val_fraction=0.2))
    assert isinstance(val, LabelSource)
    assert val.description.startswith("COCO: 2 classes, 16 train, 4 val images;")
    assert any(warning.startswith("there is no val split: 4 of 20 images are set aside") for warning in val.warnings)


def test_equal_files_stay_together(tmp_path: Path) -> None:
    train, val, _ = open_all(LabelData(labels_of(tmp_path, copies=6), val_fraction=0.3))
    copies = {f"{number}.bmp" for number in range(14, 20)}
    assert any(copies <= set(names_of(source)) for source in (train, val))


def test_labels_with_val_are_not_split(tmp_path: Path) -> None:
    (tmp_path / "annotations").mkdir()
    text = labels_of(tmp_path).read_text()
    for split in ("train", "val"):
        (tmp_path / "annotations" / f"instances_{split}.json").write_text(text)
    (tmp_path / "labels.json").unlink()
    train, val, _ = open_all(LabelData(tmp_path, val_fraction=0.2))
    assert (len(train), len(val)) == (20, 20)


def test_without_a_fraction_the_missing_split_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no train split, but one part without a name.*data\.val_fraction=0\.2"):
        LabelData(labels_of(tmp_path)).open("train")
    with pytest.raises(InputError, match=r"has no test split, but train, val; make one by .* --split DIR`$"):
        LabelData(labels_of(tmp_path), val_fraction=0.2).open("test")
    with pytest.raises(InputError, match="no two that differ"):
        LabelData(labels_of(tmp_path, images=1), val_fraction=0.2).open("val")
    with pytest.raises(ValueError, match="val_fraction must be from 0 to"):
        LabelData(tmp_path, val_fraction=1)


def test_only_val_is_told_of_what_is_set_aside(tmp_path: Path) -> None:
    data = LabelData(labels_of(tmp_path), val_fraction=0.2)
    train, val = data.open("train"), data.open("val")
    assert not [warning for warning in train.warnings if "set aside" in warning]
    assert isinstance(val, LabelSource)
    assert val.description.startswith("COCO: 2 classes, 16 train, 4 val images")
