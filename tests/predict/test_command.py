"""`anchorloc predict`: from files to files."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shlex
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import anchorloc
from anchorloc import __main__ as console
from anchorloc import evaluate
from anchorloc.checkpoint import load_checkpoint, save_checkpoint
from anchorloc.cli import run_command
from anchorloc.data import ShapesData
from anchorloc.data.coco_export import write_coco
from anchorloc.errors import InputError
from anchorloc.predict import __main__ as predict
from anchorloc.predict.image_input import find_images
from anchorloc.predict.named_detections import NamedDetections
from anchorloc.predict.picture_paths import picture_paths
from anchorloc.structures import Category
from tests.detector.random_models import save_random
from tests.guides import PAGES

DATA = ShapesData(train_images=1, val_images=5, size=96)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint, and five images beside annotations."""
    folder = tmp_path_factory.mktemp("work")
    write_coco({"val": DATA.open("val")}, folder / "data")
    save_random(folder / "best.pt")
    return folder


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))


def test_a_localization_model_shows_its_top_box(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of any score, and without advice for models that find more than one box."""
    (tmp_path / "photos").mkdir()
    for name in "ab":
        Image.new("RGB", (96, 96), "teal").save(tmp_path / "photos" / f"{name}.png")
    checkpoint = Path(__file__).parents[1] / "fixtures" / "fdba9cb" / "single-box" / "best.pt"
    words = [str(checkpoint), str(tmp_path / "photos")]
    assert predict.main([*words, "--out", str(tmp_path / "found")]) == 0
    printed = capsys.readouterr().out
    assert f"2 objects in 2 images as the top box of each: {tmp_path / 'found'}\n" in printed
    assert "max_detections" not in printed
    scores = [float(row["score"]) for row in rows_of(tmp_path / "found" / "detections.csv")]
    assert len(scores) == 2
    assert predict.main([*words, "--score", "0.99", "--out", str(tmp_path / "sure")]) == 0
    assert "0 objects in 2 images at the threshold 0.99" in capsys.readouterr().out


def test_a_folder_becomes_pictures_results_and_a_table(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one", "two"):
        arguments = ["predict", str(folder / "best.pt"), str(folder / "data"), "--all", "--out", str(tmp_path / name)]
        assert console.main(arguments) == 0
    out = capsys.readouterr().out
    assert "5 images" in out
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*"))
    assert [str(path) for path in files if path.suffix != ".jpg"] == ["detections.csv", "images.json", "results.json"]
    assert sum(path.parts[:2] == ("pictures", "images") for path in files) == 5
    for path in files:
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes()
    results = json.loads((tmp_path / "one" / "results.json").read_text())
    images = json.loads((tmp_path / "one" / "images.json").read_text())
    assert [image["id"] for image in images["images"]] == [1, 2, 3, 4, 5]
    table = rows_of(tmp_path / "one" / "detections.csv")
    assert len(table) == len(results) > 100
    model = anchorloc.load(folder / "best.pt")
    direct = model(folder / "data" / images["images"][0]["file_name"])
    for row, result, line in zip(range(len(direct)), results, table, strict=False):
        x, y, width, height = result["bbox"]
        np.testing.assert_allclose([x, y, x + width, y + height], direct.boxes[row], atol=2e-3)
        np.testing.assert_allclose([float(line[key]) for key in ("x1", "y1", "x2", "y2")], direct.boxes[row], atol=1e-3)
        assert line["class"] == direct.names[row]
        assert line["image"] == images["images"][0]["file_name"]


@pytest.mark.parametrize(
    ("words", "lowest", "sentence"),
    [
        ([], 0.625, "at the stored threshold 0.62"),
        (["--score=0.5"], 0.5, "at the threshold 0.50"),
        (["--all"], 0.0, "at any score"),
        (["decode.score_threshold=0.7"], 0.7, "at any score"),
    ],
)
def test_what_is_shown_is_of_the_stored_threshold(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], lowest: float, sentence: str
) -> None:
    """Table and count follow the threshold; results.json has everything, for scoring."""
    threshold = {"score": 0.625, "precision": 0.5, "recall": 0.25, "f1": 1 / 3, "found": "best F1"}
    save_checkpoint(tmp_path / "best.pt", {**load_checkpoint(folder / "best.pt"), "threshold": threshold})
    out = tmp_path / "found"
    image = sorted((folder / "data" / "images").iterdir())[0]
    assert predict.main([str(tmp_path / "best.pt"), str(image), *words, "--no-pictures", f"--out={out}"]) == 0
    everything = anchorloc.load(folder / "best.pt", *[word for word in words if word.startswith("decode")])(image)
    shown = everything.scores[everything.scores >= lowest]
    assert len(shown) > 0
    assert (len(shown) < len(everything)) == (lowest in (0.625, 0.5))
    assert len(json.loads((out / "results.json").read_text())) == len(everything)
    assert len(rows_of(out / "detections.csv")) == len(shown)
    assert f"{len(shown)} objects in 1 image {sentence}" in capsys.readouterr().out


def test_a_model_without_a_threshold_shows_scores_from_a_default(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(folder / "best.pt"), str(folder / "data"), "--no-pictures"]
    assert predict.main([*words, f"--out={tmp_path / 'a'}"]) == 0
    assert "in 5 images at the threshold 0.30, as the model stores none" in capsys.readouterr().out
    for wrong in (["--score=1.5"], ["--score=nan"], ["--score=0.5", "--all"]):
        with pytest.raises(SystemExit, match="2"):
            predict.main([*words, *wrong])
    assert "need a number from 0 to 1, got '1.5'" in capsys.readouterr().err


def test_results_with_ids_of_annotations_score_as_the_checkpoint_does(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = folder / "data" / "annotations" / "instances_val.json"
    model = [str(folder / "best.pt"), str(folder / "data" / "images")]
    ours = f"--out={tmp_path / 'found'}"
    assert predict.main([*model, f"--annotations={truth}", "--no-pictures", ours]) == 0
    assert not (tmp_path / "found" / "pictures").exists()
    results = f"--detections={tmp_path / 'found' / 'results.json'}"
    assert evaluate.main([results, f"--annotations={truth}", f"--out={tmp_path / 'a'}"]) == 0
    data = [f"data={{train_images: 1, val_images: 5, size: {DATA.size}}}", "train.batch_size=1"]
    assert evaluate.main([model[0], *data, f"--out={tmp_path / 'b'}"]) == 0
    scores = [json.loads((tmp_path / name / "metrics.json").read_text())["summary"] for name in "ab"]
    assert scores[0] == pytest.approx(scores[1], abs=1e-4)
    assert scores[0]["AR100"] > 0
    stray = folder / "stray.png"
    Image.new("RGB", (50, 40)).save(stray)
    assert run_command(predict.main, [model[0], str(stray), f"--annotations={truth}", f"--out={tmp_path / 'c'}"]) == 2
    assert "stray.png is not among the images of the annotations" in capsys.readouterr().err


def test_broken_images_are_reported_and_the_others_predicted(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    many = tmp_path / "many"
    (many / "sub").mkdir(parents=True)
    for number in range(20):
        Image.fromarray(DATA.open("val").image(number % 5)).save(many / f"{number:02}.png")
    (many / "07.png").write_bytes((many / "07.png").read_bytes()[:300])
    (many / "sub" / "fake.jpg").write_text("no image")
    (many / "sub" / "empty.jpg").touch()
    (many / "sub" / "bomb.png").write_bytes(bomb())
    (many / "sub" / "folder.jpg").mkdir()
    (many / "sub" / "notes.txt").write_text("is no image and is left alone")
    (many / ".hidden.png").write_text("likewise")
    assert run_command(predict.main, [str(folder / "best.pt"), str(many), f"--out={tmp_path / 'found'}"]) == 1
    out, err = capsys.readouterr()
    told = re.sub(r"\s+", "", err)  # lines are broken at the width of the terminal
    assert told.count("error:") == 4
    for name in ("07.png", "fake.jpg", "empty.jpg", "bomb.png"):
        assert name in told
    assert "19 images" in out
    assert "4 images could not be read" in err
    assert len(list((tmp_path / "found" / "pictures").iterdir())) == 19
    names = [image["file_name"] for image in json.loads((tmp_path / "found" / "images.json").read_text())["images"]]
    assert names == [f"{number:02}.png" for number in range(20) if number != 7]


def test_a_format_that_is_not_read_is_counted(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "a.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    words = [str(folder / "best.pt"), str(photos)]
    assert run_command(predict.main, [*words, f"--out={tmp_path / 'none'}"]) == 2
    assert "holds no image, but a.HEIC, which are not read; convert them to JPEG or PNG" in capsys.readouterr().err
    Image.new("RGB", (50, 40)).save(photos / "b.png")
    assert run_command(predict.main, [*words, f"--out={tmp_path / 'found'}"]) == 1
    out, err = capsys.readouterr()
    assert "a.HEICisafileintheformatHEIC" in "".join(err.split())  # a long path is broken at any place
    assert "in 1 image at the threshold 0.30" in out


def test_settings_of_images_reach_prediction(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The advice of the pixel limit works, and pixels by a window are what the network gets."""
    deep = np.linspace(1000, 2000, 64 * 64).reshape(64, 64).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    words = [str(folder / "best.pt"), str(tmp_path / "deep.png"), "--no-pictures"]
    assert run_command(predict.main, [*words, "data.max_pixels=4095", f"--out={tmp_path / 'a'}"]) == 1
    assert "more than 4,095 pixels; set data.max_pixels=4096" in " ".join(capsys.readouterr().err.split())
    window = ["data.max_pixels=4096", "data.window=[1000,2000]"]
    assert run_command(predict.main, [*words, *window, f"--out={tmp_path / 'b'}"]) == 0
    pixels = np.floor((deep - 1000.0) * 255 / 1000 + 0.5).astype(np.uint8)
    expected = anchorloc.load(folder / "best.pt")(np.repeat(pixels[:, :, None], 3, axis=2))
    found = json.loads((tmp_path / "b" / "results.json").read_text())
    assert [one["score"] for one in found] == [round(score, 6) for score in expected.scores.tolist()]
    assert len(found) > 10


def bomb() -> bytes:
    """A PNG of 20,000 × 20,000 pixels in a few bytes."""
    file = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(file, "PNG")
    return file.getvalue()


def test_a_file_that_is_named_twice_counts_once(folder: Path, tmp_path: Path) -> None:
    images = folder / "data" / "images"
    one = str(sorted(images.iterdir())[0])
    assert predict.main([str(folder / "best.pt"), one, str(images), one, f"--out={tmp_path / 'found'}"]) == 0
    assert len(json.loads((tmp_path / "found" / "images.json").read_text())["images"]) == 5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give image files or folders"),
        (["nowhere"], "nowhere does not exist"),
        (["empty"], "holds no image"),
        (["a.png", "--overlap=3"], "--overlap needs --tile"),
        (["a.png", "--tile=3", "--overlap=3"], "0 <= overlap < size"),
        (["a.png", "decode.nms=1"], "decode.nms"),
        (["a.png", "data.train_images=3"], "only training reads data.train_images, unlike data.max_pixels,"),
        (["a.png", "train.seed=3"], "only training reads train.seed, unlike train.device"),
        (["a.png", "--out=empty"], "exists already"),
        (["a.png", "--annotations=nothing.json"], "nothing.json"),
    ],
)
def test_a_wrong_command_line_is_one_sentence_and_leaves_no_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    arguments: list[str], words: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    Image.new("RGB", (50, 40)).save("a.png")
    assert run_command(predict.main, [str(folder / "best.pt"), *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert words in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "empty"]


@pytest.mark.parametrize("option", ["--tile=0", "--batch=0", "--batch=x"])
def test_a_count_starts_at_one(folder: Path, capsys: pytest.CaptureFixture[str], option: str) -> None:
    with pytest.raises(SystemExit):
        predict.main([str(folder / "best.pt"), "a.png", option])
    assert "need a whole number from 1" in capsys.readouterr().err


def test_hostile_class_names(folder: Path, tmp_path: Path) -> None:
    names = ("=1+1", "細胞", "\x1b[2J", "👩‍👧 " * 20)
    classes = tuple((number, name) for number, name in enumerate(names))
    save_random(tmp_path / "odd.pt", classes=classes)
    found = tmp_path / "found"
    assert predict.main([str(tmp_path / "odd.pt"), str(folder / "data"), "--all", f"--out={found}"]) == 0
    written = {row["class"] for row in rows_of(found / "detections.csv")}
    assert {"'=1+1", "細胞", "\\x1b[2J"} <= written


def test_pictures_of_every_size_and_any_box() -> None:
    categories = (Category(0, "a"), Category(1, "b"))
    for height, width in ((1, 1), (1, 300), (300, 2), (64, 64)):
        boxes = np.array([[0, 0, width, height], [width, height, width, height], [0.2, 0.2, 0.2, 0.9]])
        scores, labels, anchors = np.array([0.9, 0.8, 0.7]), np.array([0, 1, 0]), np.full(3, -1)
        found = NamedDetections(boxes, scores, labels, anchors, "", categories, (height, width))
        ground = np.full((height, width, 3), 128, np.uint8)
        picture = found.draw(ground)
        assert picture.size == (width, height)
        assert (np.asarray(picture) != 128).any()


def test_a_box_is_drawn_where_it_is() -> None:
    one_box = np.array([[40.0, 50.0, 90.0, 80.0]]), np.array([0.9]), np.array([0]), np.array([-1])
    found = NamedDetections(*one_box, "", (Category(0, "a"),), (100, 120))
    ground = np.full((100, 120, 3), 255, np.uint8)
    changed = np.abs(np.asarray(found.draw(ground)).astype(int) - 255).max(axis=2) > 60
    rows, columns = np.flatnonzero(changed[:, 60:88].any(axis=1)), np.flatnonzero(changed[55:78].any(axis=0))
    assert abs(rows.max() - 80) <= 2
    assert abs(columns.min() - 40) <= 2
    assert abs(columns.max() - 90) <= 2
    assert not changed[55:78, 45:86].any()


PICTURES = {  # name of an image: its picture, where the images before it have theirs
    "a.png": "a.jpg",
    "A.PNG": "A-2.jpg",
    "a.jpg": "a-3.jpg",
    "a-2.jpg": "a-2-2.jpg",
    "b/a.png": "b/a.jpg",
    "B/A.png": "B/A-2.jpg",
    "c.tif": "c-2.jpg",  # the next one needs a folder c.jpg
    "c.jpg/d.png": "c.jpg/d.jpg",
    ".a": ".a.jpg",
    "a.b.c": "a.b.jpg",
    "\u00e9.png": "\u00e9.jpg",
    "e\u0301.png": "e\u0301-2.jpg",  # the same letter in two code points, which macOS takes for equal
    "con.png": "_con.jpg",
    "Aux.left.png": "_Aux.left.jpg",
    "com1/lpt\u00b2.png": "_com1/_lpt\u00b2.jpg",
    "nul .png": "_nul .jpg",
    "console.png": "console.jpg",
    "12:30.png": "12_30.jpg",
    "12?30.png": "12_30-2.jpg",
    "photos. /1..png": "photos/1..jpg",
    "../a\\b\t.png": "_/a_b_.jpg",
}


def test_every_file_system_can_hold_the_pictures() -> None:
    """No picture overwrites another, also where case and Unicode form are ignored."""
    assert dict(zip(PICTURES, map(str, picture_paths(list(PICTURES))), strict=True)) == PICTURES
    assert list(map(str, picture_paths(["a.png"] * 3))) == ["a.jpg", "a-2.jpg", "a-3.jpg"]


def test_the_guide(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its commands and its Python run as they stand."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "mine").symlink_to(folder)
    (tmp_path / "photos").symlink_to(folder / "data" / "images")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "images").symlink_to(folder / "data" / "images")
    (tmp_path / "data" / "val.json").symlink_to(folder / "data" / "annotations" / "instances_val.json")
    for name, size in (("photo.jpg", (120, 90)), ("more.jpg", (90, 120)), ("aerial.png", (700, 150))):
        Image.fromarray(DATA.open("val").image(0)).resize(size).save(name)
    blocks = re.findall(r"```(sh|python)\n(.*?)```", PAGES["predict.md"].read_text(encoding="utf-8"), re.DOTALL)
    assert {kind for kind, _ in blocks} == {"sh", "python"}
    names: dict[str, object] = {}
    for kind, text in blocks:
        if kind == "python":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)  # a guide need not close its picture
                exec(text, names)
            continue
        for line in text.splitlines():
            words = shlex.split(line)
            assert words[0] == "anchorloc"
            assert console.main(words[1:]) == 0


def test_a_folder_that_cannot_be_read_is_not_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sealed").mkdir()
    (tmp_path / "a.jpg").touch()
    scan = os.scandir

    def sealed(folder: str) -> object:
        if str(folder).endswith("sealed"):
            raise PermissionError(13, "Permission denied", str(folder))
        return scan(folder)

    monkeypatch.setattr(os, "scandir", sealed)
    with pytest.raises(InputError, match="sealed cannot be read: Permission denied"):
        find_images([tmp_path])
