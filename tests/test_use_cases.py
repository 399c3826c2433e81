"""The pages of docs/use-cases: their sets are read as published, and their other commands are read."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anchorloc import __main__ as console
from anchorloc import train
from anchorloc.cli import split_settings
from anchorloc.compare.__main__ import parse
from anchorloc.config import read_config, to_yaml
from anchorloc.data import read
from anchorloc.lab.__main__ import PARSERS
from anchorloc.plan import read_request
from tests.guides import commands

OBJECT = """<object>
<name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>70</ymax></bndbox>
</object>"""
DOWNLOADS = ("git", "kaggle")


def write_voc(labels: Path, photos: Path, stem: str, names: list[str], seed: int) -> None:
    """Write a photo of noise, and one object of each class."""
    for folder in (labels, photos):
        folder.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (80, 60 * len(names), 3), np.uint8)
    Image.fromarray(noise).save(photos / f"{stem}.jpg")
    top = 5 + seed % 7  # no two images of a split have the same labels
    objects = "".join(OBJECT.format(name, 60 * place + 5, top, 60 * place + 50) for place, name in enumerate(names))
    (labels / f"{stem}.xml").write_text(f"<annotation><filename>{stem}.jpg</filename>{objects}</annotation>")


def as_published(page: str) -> None:
    """Write what the download of a page brings."""
    if page == "driving":
        names = ["pedestrian", "vehicle", "Traffic sign", "bicycle", "cyclist", "motorcycle", "scooter"]
        write_voc(Path("street/train"), Path("street/train"), "01", [*names, "truck"], 0)
        for stem in ("1", "30", "31"):
            write_voc(Path("street/test"), Path("street/test"), stem, names, int(stem))
    elif page == "medical":
        root = Path("BCCD_Dataset/BCCD")
        lists = root / "ImageSets" / "Main"
        lists.mkdir(parents=True)
        for number in range(3):
            write_voc(
                root / "Annotations", root / "JPEGImages", f"BloodImage_{number}", ["RBC", "WBC", "Platelets"], number
            )
        for name, numbers in {"train": [0], "val": [1], "trainval": [0, 1], "test": [2]}.items():
            (lists / f"{name}.txt").write_text("".join(f"BloodImage_{number}\n" for number in numbers))
    else:
        for split in ("train", "test"):
            folder = Path(f"fruits/{split}_zip/{split}")
            for seed, stem in enumerate(("apple_1", "mixed_2")):
                write_voc(folder, folder, stem, ["apple", "banana", "orange"], 10 * len(split) + seed)
        settings = ["data={kind: LabelData, path: fruits}", "detector.backbone={kind: TorchvisionBackbone}"]
        Path("runs/fruits").mkdir(parents=True)
        Path("runs/fruits/config.yaml").write_text(to_yaml(read_config(None, settings)))


@pytest.mark.parametrize(
    ("page", "folder", "images", "classes"),
    [
        ("driving", "street", {"train": 1, "val": 1}, {"Traffic sign", "pedestrian", "two-wheeler", "vehicle"}),
        ("medical", "bccd", {"train": 2, "val": 1}, {"Platelets", "RBC", "WBC"}),
        ("retail", "fruits", {"train": 2, "val": 2}, {"apple", "banana", "orange"}),
    ],
)
def test_the_commands_of_a_use_case(
    page: str,
    folder: str,
    images: dict[str, int],
    classes: set[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Run the commands that bring the set into place and check it; other tests run the rest, which are read here."""
    monkeypatch.chdir(tmp_path)
    as_published(page)
    names = set()
    for words in commands(f"use-cases/{page}.md"):
        if words[0] == "anchorloc":
            names.add(words[1])
            read_command(words[1], words[2:])
        elif words[0] not in DOWNLOADS:
            subprocess.run(
                [one for word in words for one in (sorted(Path().glob(word)) if "*" in word else [word])], check=True
            )
    assert names >= {"doctor", "lab", "train", "compare", "export", "predict"}
    assert "an image id of train" not in capsys.readouterr().out  # Pascal VOC has no ids
    data = read(Path(folder))
    assert {split: len(labels.document["images"]) for split, labels in data.splits.items()} == images
    for labels in data.splits.values():
        assert {one["name"] for one in labels.document["categories"]} == classes


def read_command(name: str, words: list[str]) -> None:
    """Run the doctor; check the words of the commands that take settings or several files."""
    if name == "doctor" and "--detections" not in words:
        assert console.main([name, *words]) == 0
    elif name == "train":
        arguments = train.parser().parse_intermixed_args(words)
        path, overrides = split_settings(arguments.settings)
        assert read_request(path, overrides, plan=arguments.plan)[1] is not None
    elif name == "lab":
        PARSERS[words[0]]().parse_intermixed_args(words[1:])
    elif name == "compare":
        assert len(parse(words).files) == 2
