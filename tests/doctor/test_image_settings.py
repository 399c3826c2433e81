"""The doctor on images that need a setting, or of which reading loses something."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from anchorloc.cli import run_command
from anchorloc.doctor import __main__ as doctor
from tests.data.data_sets import write_document
from tests.data.tiff_files import tiff


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of images with one oddity each, and a.json with a box in each of them."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "images"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 4), np.uint8)
    Image.fromarray(noise[..., :3]).save(folder / "plain.png")
    Image.fromarray(noise[..., 0].astype(np.uint16) * 4).save(folder / "dark.png")
    Image.fromarray(noise).save(folder / "veil.png")
    (folder / "bands.tif").write_bytes(tiff(np.tile(noise, 2), photometric=1))
    (folder / "pages.tif").write_bytes(tiff(noise[..., :3], pages=3))
    (folder / "float.tif").write_bytes(tiff(noise[..., :1] / np.float32(255)))
    (folder / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    (folder / "spare.jxl").write_bytes(b"\xff\x0a")
    names = [path.name for path in sorted(folder.iterdir()) if path.suffix != ".jxl"]
    write_document(tmp_path / "a.json", listing(names))
    return tmp_path


def listing(names: list[str]) -> dict[str, Any]:
    images = [{"id": row, "file_name": name, "width": 50, "height": 40} for row, name in enumerate(names, 1)]
    boxes = [
        {"id": row, "image_id": row, "category_id": 1, "bbox": [5, 5, 20, 20], "area": 400, "iscrowd": 0}
        for row in range(1, len(names) + 1)
    ]
    return {"images": images, "categories": [{"id": 1, "name": "thing"}], "annotations": boxes}


def cases(*words: str) -> dict[str, list[tuple[str, str]]]:
    """Return the file name and the value of each case by rule."""
    Path("out.json").unlink(missing_ok=True)
    assert doctor.main(["a.json", "--images=images", "--json=out.json", *words]) in (0, 1)
    return {
        rule["kind"]: [(case["file_name"], case["value"]) for case in rule["cases"]]
        for rule in json.loads(Path("out.json").read_text())["findings"]
    }


def test_each_loss_is_a_warning_and_each_setting_mends_it(desk: Path) -> None:
    found = cases()
    assert found["few-levels"] == [("dark.png", "256 levels become 5 (1.6% of 16 bits: 0 to 1,020)")]
    assert [name for name, _ in found["hidden-by-alpha"]] == ["veil.png"]
    assert found["unused-bands"] == [("bands.tif", "8 bands of 8 bits")]
    assert found["several-pages"] == [("pages.tif", "3 pages")]
    assert found["foreign-file"] == [("", "spare.jxl (JPEG XL)")]
    assert found["foreign-format"] == [("phone.heic", "is a file in the format HEIC, which is not read")]
    [(name, value)] = found["needs-setting"]
    assert (name, value[:46]) == ("float.tif", "has floating-point pixels of unknown range; se")
    assert {name for name, _ in found["odd-mode"]} == {"dark.png", "veil.png", "bands.tif"}
    assert "unreadable" not in found
    with_window = cases("data.window=[0,1020]")
    assert "needs-setting" not in with_window
    assert [name for name, _ in with_window["few-levels"]] == ["float.tif"]  # its values end at 1
    assert not {"hidden-by-alpha", "unused-bands"} & cases("data.bands=[1]").keys()


def test_an_image_that_is_too_large_is_not_removed_and_the_advice_works(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = listing(["plain.png"])
    (desk / "a.json").write_text(json.dumps(document))
    assert cases("data.max_pixels=1999")["needs-setting"] == [
        ("plain.png", "has more than 1,999 pixels; set data.max_pixels=2000, or shrink it")
    ]
    words = ["a.json", "--images=images", "--fix=b.json"]
    assert run_command(doctor.main, [*words, "data.max_pixels=1999"]) == 2
    assert "image readable only with a setting" in capsys.readouterr().err
    assert not (desk / "b.json").exists()
    assert run_command(doctor.main, [*words, "data.max_pixels=2000"]) in (0, 1)
    assert json.loads((desk / "b.json").read_text())["images"] == document["images"]


@pytest.mark.parametrize("value", [-1000, 70_000])
def test_an_image_that_needs_a_window_keeps_its_labels(
    desk: Path, capsys: pytest.CaptureFixture[str], value: int
) -> None:
    Image.fromarray(np.full((40, 50), value, np.int32)).save(desk / "images/scan.tif")
    document = listing(["plain.png", "scan.tif"])
    (desk / "a.json").write_text(json.dumps(document))
    [(name, words)] = cases("--decode")["needs-setting"]
    assert name == "scan.tif"
    assert "set data.window=" in words
    assert run_command(doctor.main, ["a.json", "--images=images", "--fix=b.json"]) == 2
    assert "give the setting that the case names" in capsys.readouterr().err
    window = f"data.window=[{value},{value + 1000}]"
    assert run_command(doctor.main, ["a.json", "--images=images", "--fix=c.json", window]) in (0, 1)
    assert json.loads((desk / "c.json").read_text())["annotations"] == document["annotations"]


@pytest.mark.parametrize("word", ["data.root=x", "train.seed=1", "data.windows=[0,1]"])
def test_a_setting_that_the_doctor_does_not_read_is_refused(
    desk: Path, capsys: pytest.CaptureFixture[str], word: str
) -> None:
    assert run_command(doctor.main, ["a.json", word]) == 2
    assert "only data.max_pixels, data.orientation, data.window, data.bands" in capsys.readouterr().err


def test_boxes_drawn_on_the_turned_view_get_its_size(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Declared as stored, 50 x 40, with boxes of the upright view, 40 wide and 50 high."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.effect_noise((50, 40), 90).save(desk / "images" / "turned.jpg", exif=exif)
    document = listing(["turned.jpg", "plain.png"])
    document["annotations"][0]["bbox"] = [5, 30, 20, 20]
    (desk / "a.json").write_text(json.dumps(document))
    assert [name for name, _ in cases()["orientation"]] == ["turned.jpg"]
    assert "boxes inside: 0 of 1 as read, 1 with data.orientation=apply" in capsys.readouterr().out
    assert (
        doctor.main(["a.json", "--images=images", "data.orientation=apply", "--fix=b.json"]) == 1
    )  # the orientation stays a warning
    fixed = json.loads((desk / "b.json").read_text())
    assert [(one["width"], one["height"]) for one in fixed["images"]] == [(40, 50), (50, 40)]
    assert [one["bbox"] for one in fixed["annotations"]] == [[5, 30, 20, 20], [5, 5, 20, 20]]
