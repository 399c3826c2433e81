"""An exported file finds what the checkpoint finds, in an environment without torch, and wrong files are refused."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

import anchorloc
from anchorloc.cli import run_command
from anchorloc.config import to_plain
from anchorloc.data import ShapesData
from anchorloc.engine import onnx_model
from anchorloc.engine.evaluation import judge_checkpoint
from anchorloc.engine.judge_model import judge_onnx
from anchorloc.engine.onnx_model import load_onnx
from anchorloc.errors import InputError
from anchorloc.export.model_file import export_model
from anchorloc.predict import __main__ as predict
from anchorloc.structures import Detections
from tests.engine.small_runs import small
from tests.export.exported_files import BEST, THRESHOLD
from tests.guides import blocks
from tests.python_processes import without_torch

RESIZES = (
    "{kind: Keep}",
    "{kind: ShortestSide, size: 48, max_size: 80}",
    "{kind: Letterbox, height: 64, width: 80}",
    "{kind: TorchvisionShortestSide, size: 48, max_size: 80}",
    "{kind: TorchvisionStretch, height: 48, width: 64}",
)


def test_the_commands_of_the_guide_write_files_that_explain_themselves(folder: Path) -> None:
    printed = (folder / "printed").read_text()
    assert len(re.findall(r"compared with the network on 6 images, \d+ detections: boxes within .* px", printed)) == 2
    assert "for images of any size: model.onnx" in printed
    kept = {"anchorloc": ""}
    torch.export.load(folder / "model.pt2", extra_files=kept)
    properties = {one.key: one.value for one in onnx.load(folder / "model.onnx").metadata_props}
    entries = json.loads(properties["anchorloc"])
    assert entries == json.loads(kept["anchorloc"])
    assert entries["images"] == {"max_pixels": 89_478_485, "orientation": "auto", "window": None, "bands": None}
    assert entries["classes"][0] == {"id": 1, "name": "ellipse"}
    assert entries["resize"] == {"kind": "Keep"}
    assert entries["threshold"] == THRESHOLD
    assert (entries["multiple"], entries["tiles"], entries["step"], entries["format"]) == (32, None, 0, 1)
    assert entries["fill"] == pytest.approx([123.675, 116.28, 103.53])
    assert entries["mean"] == pytest.approx([0.485, 0.456, 0.406])
    hashed = hashlib.sha256((folder / BEST).read_bytes()).hexdigest()
    assert entries["checkpoint"] == {"name": "best.pt", "sha256": hashed}
    assert entries["versions"]["anchorloc"] == anchorloc.__version__
    assert entries["settings"]["decode"]["max_detections"] == 50
    assert (entries["precision"], entries["ap"]) == ("float32", None)
    own = str(Path(anchorloc.__file__).parent).encode()
    with zipfile.ZipFile(folder / "model.pt2") as archive:
        contents = [(folder / "model.onnx").read_bytes(), *map(archive.read, archive.namelist())]
    assert not any(b"site-packages" in content or own in content for content in contents)  # no paths of this machine


def rewrite(path: Path, out: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Write an ONNX file with other metadata."""
    model = onnx.load(path)
    entries = json.loads(model.metadata_props[0].value)
    changed = change(entries)
    text = changed if isinstance(changed, str) else json.dumps(changed or entries)
    onnx.helper.set_model_props(model, {"anchorloc": text} if text else {})
    if "Torchvision" in entries["resize"]["kind"]:  # its pixels are not rounded
        model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    onnx.save(model, out)
    return out


def resized_by(resize: str, path: Path, out: Path) -> Path:
    """Write the file that another resizing would give: an export takes tens of seconds."""
    plain = to_plain(small(f"transform.resize={resize}"))["transform"]["resize"]

    def change(entries: dict[str, Any]) -> None:
        entries["resize"] = entries["settings"]["transform"]["resize"] = plain

    return rewrite(path, out, change)


def assert_same(found: Detections, expected: Detections) -> None:
    """Equal up to rounding, which may swap detections of equal score."""
    assert len(found) == len(expected)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
    for row in range(len(expected)):
        alike = (found.labels == expected.labels[row]) & (abs(found.scores - expected.scores[row]) < 1e-4)
        assert np.abs(found.boxes[alike] - expected.boxes[row]).max(axis=1).min(initial=np.inf) < 1e-2


@pytest.mark.parametrize("resize", RESIZES)
def test_a_file_finds_what_the_checkpoint_finds(folder: Path, tmp_path: Path, resize: str) -> None:
    """For every resize kind: photos of odd sizes, one with an EXIF orientation, a gray one and one of 16 bits."""
    path = resized_by(resize, folder / "model.onnx", tmp_path / "model.onnx")
    reading = ["data.window=[0,65535]"]
    ours, theirs = anchorloc.load(folder / BEST, f"transform.resize={resize}", *reading), anchorloc.load(path, *reading)
    assert (theirs.score, theirs.names) == (0.5, ours.names)
    photos = sorted((folder / "photos").iterdir())
    assert len(photos) == 6
    for expected, found in zip(ours(photos, score=0), theirs(photos, score=0), strict=True):
        assert len(expected) > 20
        assert_same(found, expected)
        np.testing.assert_array_equal(np.sort(found.anchors), np.sort(expected.anchors))
    assert 0 < len(theirs(photos[0])) < len(theirs(photos[0], score=0))


@pytest.mark.parametrize("resize", RESIZES)
def test_the_script_of_the_guide_finds_what_the_checkpoint_finds(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resize: str
) -> None:
    monkeypatch.chdir(tmp_path)
    resized_by(resize, folder / "model.onnx", tmp_path / "model.onnx")
    [script] = blocks("export.md", "python")
    assert len(script.splitlines()) < 40
    names = set(re.findall(r"^(?:import|from) (\w+)", script, re.MULTILINE))
    assert names == {"json", "numpy", "onnxruntime", "PIL"}
    model = anchorloc.load(folder / BEST, f"transform.resize={resize}")
    for name in ("1.png", "2.png", "turned.jpg"):
        with Image.open(folder / "photos" / name) as photo:
            photo.save("photo.png", exif=photo.getexif())
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(script, {})
        expected = model("photo.png")
        lines = [line.split() for line in out.getvalue().splitlines()]
        assert [name for name, *_ in lines] == expected.names
        numbers = np.array([[float(word) for word in words] for _, *words in lines])
        np.testing.assert_allclose(numbers[:, 0], expected.scores, atol=1e-4)
        np.testing.assert_allclose(numbers[:, 1:], expected.boxes, atol=0.006)  # rounded to 2 digits


def test_tiles_are_merged_as_with_the_checkpoint(folder: Path) -> None:
    tiles = anchorloc.SquareTiles(size=48, overlap=16)
    ours, theirs = (anchorloc.load(folder / name, tiles=tiles) for name in (BEST, "model.onnx"))
    image = folder / "photos" / "0.png"
    assert len(ours(image, score=0)) == 50
    assert_same(theirs(image, score=0), ours(image, score=0))
    soft = [anchorloc.load(folder / name, "decode.soft_nms_sigma=0.5")(image) for name in (BEST, "model.onnx")]
    assert_same(*soft)


def test_a_file_needs_no_code_of_own_parts(folder: Path, tmp_path: Path) -> None:
    """The graph holds the anchors, and the metadata the multiple of its sides, which follows from their strides."""

    def change(entries: dict[str, Any]) -> None:
        entries["settings"] |= {"anchors": {"kind": "nowhere.Anchors", "shares": [0.1]}, "data": {"kind": "nowhere.D"}}

    path, image = rewrite(folder / "model.onnx", tmp_path / "model.onnx", change), folder / "photos" / "1.png"
    expected = anchorloc.load(folder / "model.onnx")(image, score=0)
    for allow in (False, True):
        assert_same(anchorloc.load(path, allow_import=allow)(image, score=0), expected)
    shapes = "data={kind: ShapesData, train_images: 2, val_images: 2, size: 96}"
    judged = anchorloc.evaluate.run(path, shapes, out=tmp_path / "judged", resamples=0)
    assert "2 images" in str(judged)


def test_a_model_is_pickled(folder: Path) -> None:
    """Programs hand it to other processes."""
    model, image = anchorloc.load(folder / "model.onnx"), folder / "photos" / "1.png"
    copied = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copied(image).boxes, model(image).boxes)
    assert (copied.score, copied.names) == (model.score, model.names)


def test_one_size_and_class_agnostic_nms_are_exported(folder: Path, tmp_path: Path) -> None:
    """The check of the export compares the graph's own NMS with the network."""
    exact = "transform.resize={kind: TorchvisionShortestSide, size: 64, max_size: 96}"
    words = ["decode.class_agnostic_nms=true", "decode.topk_per=class", exact]
    exported = export_model(folder / BEST, tmp_path / "one.onnx", folder / "photos", (64, 96), words)
    assert (exported.size, exported.reduction) == ((64, 96), None)
    tensor = onnx.load(tmp_path / "one.onnx").graph.input[0].type.tensor_type
    assert (tensor.elem_type, tensor.shape.dim[3].dim_value) == (onnx.TensorProto.FLOAT, 96)
    ours, theirs = anchorloc.load(folder / BEST, *words), anchorloc.load(tmp_path / "one.onnx")
    assert len(ours(folder / "photos" / "1.png")) > 5
    assert_same(theirs(folder / "photos" / "1.png"), ours(folder / "photos" / "1.png"))
    with pytest.raises(InputError, match=r"at most 64 x 96 px, but one has 96 x 50 px .*; export without --size"):
        theirs(folder / "photos" / "2.png")


def test_an_environment_without_torch_predicts_and_evaluates(folder: Path, tmp_path: Path) -> None:
    code = """
import sys
sys.modules |= dict.fromkeys(["torch", "torchvision", "onnx"])  # an import raises ImportError
import anchorloc
from anchorloc.__main__ import main

assert main(["predict", "runs/mine/best.pt", "photos", "--out", "none"]) == 2
found = anchorloc.load("model.onnx")("photos/0.png")
print(len(found))
for call in (found.to_torchvision, lambda: anchorloc.load("gone.pt")):
    try:
        call()
    except anchorloc.errors.InputError as error:
        print(error)
out = sys.argv[1]
assert main(["predict", "model.onnx", "photos", "--out", f"{out}/found"]) == 0
assert main(["evaluate", "model.onnx", "--resamples", "0", "--out", f"{out}/judged"]) == 0
"""
    done = without_torch().run(code, str(tmp_path), folder=folder)
    assert done.returncode == 0, done.stderr
    refused = "torch is not installed, and only .onnx models are used without it; run: pip install torch torchvision"
    assert f"error: {refused}\n" in done.stderr
    found = anchorloc.load(folder / BEST)([*sorted((folder / "photos").iterdir()), folder / "photos" / "0.png"])
    assert done.stdout.startswith(f"{len(found[-1])}\n{refused}\ngone.pt does not exist; check the path\n")
    objects = sum(map(len, found[:-1]))
    assert f"{objects} objects in 6 images at the stored threshold 0.50" in done.stdout
    assert len((tmp_path / "found" / "detections.csv").read_text().splitlines()) == 1 + objects
    judged = json.loads((tmp_path / "judged" / "metrics.json").read_text())["summary"]
    expected = judge_checkpoint(folder / BEST).evaluation.summary.named()
    assert judged == pytest.approx(expected, abs=1e-4)
    assert judged["AR100"] > 0


def test_an_unreadable_image_is_left_out_of_an_evaluation(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = ShapesData(1, 6, 96).open("val")
    read = type(source).image

    def broken(self: Any, index: int) -> Any:
        if index == 2:
            raise InputError("the third cannot be decoded")
        return read(self, index)

    monkeypatch.setattr(type(source), "image", broken)
    judgment = judge_onnx(folder / "model.onnx")
    assert judgment.unreadable == ["the third cannot be decoded"]
    assert judgment.evaluation.images == 5
    assert judgment.analysis is not None
    assert judgment.analysis.shapes


def without_metadata(entries: dict[str, Any]) -> str:
    return ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without_metadata, "has no metadata of anchorloc; give a file that `anchorloc export` wrote"),
        (lambda _: "{", "its metadata are not JSON; export the checkpoint again"),
        (lambda _: "[1]", "its metadata are not JSON; export the checkpoint again"),
        (lambda entries: {"images": entries["images"]}, "is of an earlier version and has no class names"),
        (lambda entries: {**entries, "format": 2}, r"newer version of anchorloc \(format 2, this one reads 1\)"),
        (lambda entries: {**entries, "classes": []}, "metadata entry 'classes': List should have at least 1 item"),
        (lambda entries: {**entries, "threshold": {**THRESHOLD, "score": 2}}, "metadata entry 'threshold.score'"),
        (lambda entries: {**entries, "settings": {"decode": {"nms_iou": 3}}}, "nms_iou must be from 0 to 1"),
    ],
)
def test_a_file_that_does_not_explain_itself_is_refused(
    folder: Path, tmp_path: Path, change: Callable[[dict[str, Any]], Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        load_onnx(rewrite(folder / "model.onnx", tmp_path / "odd.onnx", change))


def test_a_file_that_another_program_has_changed_is_refused(folder: Path, tmp_path: Path) -> None:
    """Names of classes that the network does not score, and a missing output."""

    def one_class_less(entries: dict[str, Any]) -> None:
        del entries["classes"][-1]

    path = rewrite(folder / "model.onnx", tmp_path / "three.onnx", one_class_less)
    with pytest.raises(InputError, match="names 3 classes in its metadata, but its network scores 4; export the check"):
        load_onnx(path)
    model = onnx.load(folder / "model.onnx")
    [output] = [one for one in model.graph.output if one.name == "candidate_boxes"]
    model.graph.output.remove(output)
    onnx.save(model, tmp_path / "less.onnx")
    with pytest.raises(InputError, match=r"less\.onnx lacks the input or output 'candidate_boxes', so another program"):
        load_onnx(tmp_path / "less.onnx")


def test_what_a_file_cannot_do_is_one_sentence(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, photos = folder / "model.onnx", str(folder / "photos")
    (tmp_path / "cut.onnx").write_bytes(path.read_bytes()[:5000])
    (tmp_path / "text.onnx").write_text("no model")
    (tmp_path / "empty.onnx").touch()
    (tmp_path / "archive.onnx").write_bytes((folder / "model.pt2").read_bytes())
    (tmp_path / "renamed.pt").write_bytes((folder / "model.pt2").read_bytes())
    for words, sentence in (
        ([str(tmp_path / "cut.onnx")], "cut.onnx is not an ONNX file of `anchorloc export` or is damaged"),
        ([str(tmp_path / "text.onnx")], "text.onnx is not an ONNX file of `anchorloc export` or is damaged"),
        ([str(tmp_path / "empty.onnx")], "empty.onnx is not an ONNX file of `anchorloc export` or is damaged"),
        ([str(tmp_path / "archive.onnx")], "archive.onnx is not an ONNX file of `anchorloc export` or is damaged"),
        ([str(folder / "model.pt2")], "give a file that a run wrote, or an export to .onnx"),
        ([str(tmp_path / "renamed.pt")], "renamed.pt is not an anchorloc checkpoint"),
        ([str(path), "decode.score_threshold=0.3"], "--score, or score= in Python, shows fewer objects"),
        ([str(path), "decode.nms_io=0.4"], "decode.nms_io: unknown key, did you mean 'nms_iou'?"),
        ([str(path), "anchors.scales=[3]"], "has a fixed anchors.scales; export the checkpoint again"),
        ([str(path), "train.device=cuda"], "model.onnx runs on the CPU, not on cuda; leave the device out"),
        ([str(path), "decode.nms_iou=7"], "nms_iou"),
    ):
        assert run_command(predict.main, [*words, photos, f"--out={tmp_path / 'out'}"]) == 2
        err = capsys.readouterr().err
        assert (err.count("\n"), sentence in err) == (1, True), err
        assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match=r"model\.onnx is exported already; give the checkpoint of a run"):
        export_model(path, tmp_path / "again.onnx", None)
    monkeypatch.setattr(onnx_model, "find_spec", lambda _: None)
    with pytest.raises(InputError, match="needs onnxruntime; run: pip install onnxruntime"):
        load_onnx(path)
