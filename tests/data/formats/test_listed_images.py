"""Images of a COCO file whose names or sizes differ from the files."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from anchorloc.data import CocoData, CocoSource, read, read_annotations, read_truth
from anchorloc.data.formats.nearest_names import NearestNames
from anchorloc.errors import InputError

SIZE = (40, 30)  # (width, height)
E_ACUTE, E_COMBINED = "caf\u00e9.png", "cafe\u0301.png"


def photo(path: Path, size: tuple[int, int] = SIZE, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path, **options)


def labels(root: Path, *images: dict[str, Any]) -> Path:
    """Write a COCO file with a box in each image; the size of all is SIZE unless an image says otherwise."""
    listed = [{"id": row, "width": SIZE[0], "height": SIZE[1], **image} for row, image in enumerate(images, start=1)]
    annotations = [
        {"id": row, "image_id": row, "category_id": 1, "bbox": [row, 5, 20, 20], "area": 400, "iscrowd": 0}
        for row in range(1, len(images) + 1)
    ]
    path = root / "labels.json"
    document = {"images": listed, "categories": [{"id": 1, "name": "cup"}], "annotations": annotations}
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def opened(root: Path) -> CocoSource:
    source = CocoData(root, train="labels.json", val="labels.json", images="photos").open("train")
    assert isinstance(source, CocoSource)
    return source


RULES = {  # rule: (stated name, name of the file)
    "backslashes": ("day\\a.png", "day/a.png"),
    "the Unicode form": (E_ACUTE, E_COMBINED),
    "letter case": ("A.PNG", "a.png"),
    "URL quoting": ("my%20cup.png", "my cup.png"),
    "blanks around them": (" a.png ", "a.png"),
    "folders": ("export/images/a.png", "day/a.png"),
    "slashes, case, form, quoting and blanks": ("Day\\A.png", "day/a.png"),
    "folders, case, form, quoting and blanks": ("export\\A.PNG", "day/a.png"),
}


@pytest.mark.parametrize("rule", RULES)
def test_one_rule_names_all_missing_files(rule: str, tmp_path: Path) -> None:
    stated, there = RULES[rule]
    for name in (there, "b.png"):
        photo(tmp_path / "photos" / name)
    path = labels(tmp_path, {"file_name": stated}, {"file_name": "b.png"})
    source = opened(tmp_path)
    assert [source.name(0), source.name(1)] == [there, "b.png"]
    assert source.check_images() == ()
    said = f"than the files are called: 1; they are equal but for {rule} (first: "
    assert said in source.warnings[0]
    data = read(path, images=tmp_path / "photos")
    assert data.splits["all"].document["images"][0]["file_name"] == there
    assert said in data.notes[0]


def test_the_end_of_the_url_names_files(tmp_path: Path) -> None:
    photo(tmp_path / "photos/a.png")
    labels(tmp_path, {"file_name": "x_1.png", "coco_url": "http://host/val/a.png"})
    source = opened(tmp_path)
    assert source.name(0) == "a.png"
    assert "equal but for the end of coco_url" in source.warnings[0]


def test_the_size_decides_between_files_and_against_a_file(tmp_path: Path) -> None:
    photo(tmp_path / "photos/old/a.png", (20, 15))
    photo(tmp_path / "photos/new/a.png")
    labels(tmp_path, {"file_name": "export/a.png"})
    assert opened(tmp_path).name(0) == "new/a.png"
    photo(tmp_path / "photos/new/a.png", (41, 30))
    source = opened(tmp_path)
    assert source.name(0) == "export/a.png"
    with pytest.raises(
        InputError,
        match=r"image 1, export/a\.png, does not exist in .*photos; check file_name and the images folder "
        r"\(nearest: new/a\.png, old/a\.png\)$",
    ):
        source.check_images()


def test_no_file_is_guessed_unless_each_missing_one_has_its_own(tmp_path: Path) -> None:
    photo(tmp_path / "photos/a.png")
    labels(tmp_path, {"file_name": "A.png"}, {"file_name": "gone.png"})
    source = opened(tmp_path)
    assert source.name(0) == "A.png"
    with pytest.raises(InputError, match=r"\(nearest: a\.png\) \(1 more cannot be used either\)"):
        source.check_images()
    labels(tmp_path, {"file_name": "A.png"}, {"file_name": "a.png"})  # one file, which the other image names
    assert opened(tmp_path).name(0) == "A.png"
    labels(tmp_path, {"file_name": "../a.png"})
    assert opened(tmp_path).name(0) == "a.png"
    labels(tmp_path, {"file_name": "../b.png"})
    with pytest.raises(InputError, match=r"file_name '\.\./b\.png' must be relative"):
        opened(tmp_path)


def test_names_that_look_alike_are_told_apart() -> None:
    assert NearestNames([E_COMBINED, "b.png"]).hint(E_ACUTE) == (
        f" (nearest: {E_COMBINED} in Unicode form NFD, stated in NFC)"
    )
    latin, cyrillic = "scan_a.png", "scan_\u0430.png"
    assert NearestNames([cyrillic]).hint(latin) == (
        f" (nearest: {cyrillic}, in code points 'scan_\\u0430.png', stated as 'scan_a.png')"
    )
    assert NearestNames(["zebra.png"]).hint("a.png") == ""
    assert unicodedata.normalize("NFD", E_ACUTE) == E_COMBINED


@pytest.mark.parametrize("missing", [{"width": None, "height": None}, {"width": 0, "height": 0}, {"height": None}])
def test_missing_sizes_are_those_of_the_files_in_every_reader(missing: dict[str, Any], tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo(tmp_path / "photos/turned.jpg", (30, 40), exif=exif)  # viewers show 40 x 30
    path = labels(tmp_path, {"file_name": "turned.jpg", **missing})
    source = opened(tmp_path)
    assert source.size(0) == (30, 40)
    assert source.image(0).shape == (30, 40, 3)
    assert source.warnings == ("images without width and height: 1; the size of the file is used (first: turned.jpg)",)
    assert read_annotations(path, tmp_path / "photos").size(0) == (30, 40)
    image = read(path, images=tmp_path / "photos").splits["all"].document["images"][0]
    assert (image["width"], image["height"]) == SIZE
    (tmp_path / "photos").rename(tmp_path / "images")  # where a COCO file is looked for
    assert read_truth(path).size(0) == (30, 40)
    with pytest.raises(InputError, match=r"image 1 \(item 0\): (height|width) (None|0) is not a whole number"):
        read_annotations(path)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(13, "Permission denied"), "cannot be read in .*: Permission denied; check its permissions"),
        (UnicodeEncodeError("ascii", "\u00e9", 0, 1, "ordinal"), "this system encodes file names as .*; set LC_ALL"),
    ],
)
def test_a_file_that_cannot_be_asked_for_is_not_missing(
    error: Exception, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system refuses A.png; a.png, which is there, is not taken for it."""
    photo(tmp_path / "photos/a.png")
    labels(tmp_path, {"file_name": "A.png"})
    stat, realpath = Path.stat, __import__("os").path.realpath

    def refuse_stat(path: Path, **options: Any) -> Any:
        if path.name == "A.png":
            raise error
        return stat(path, **options)

    def refuse_realpath(path: Any) -> str:
        if isinstance(error, UnicodeEncodeError) and Path(path).name == "A.png":
            raise error
        return str(realpath(path))

    monkeypatch.setattr(Path, "stat", refuse_stat)
    monkeypatch.setattr("os.path.realpath", refuse_realpath)
    source = opened(tmp_path)
    assert source.name(0) == "A.png"
    with pytest.raises(InputError, match=words):
        source.check_images()
