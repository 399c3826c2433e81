"""`anchorloc export`: files that find what the network finds, and the check that says so."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

import anchorloc
from anchorloc.cli import run_command
from anchorloc.data import ShapesData
from anchorloc.detector import Decoder
from anchorloc.errors import InputError
from anchorloc.export import __main__ as export
from anchorloc.export.agreement import check_agreement
from anchorloc.structures import Detections
from tests.detector.random_models import save_random
from tests.metrics.evaluation_cases import found

GUIDE = Path(__file__).parents[2] / "docs" / "predict.md"
NOTHING_FOUND = found("", [], [])
ONE = found("", [[10, 10, 20, 20]], [0.5])


def test_the_script_of_the_guide_finds_what_the_network_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The script is all that a user needs; it runs in a process of its own, without this package or torch."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    resize = "transform.resize={kind: Letterbox, height: 96, width: 96}"
    save_random(Path("runs/mine/best.pt"), "decode.max_detections=30", resize)
    Path("photos").mkdir()
    for index in range(3):
        Image.fromarray(ShapesData(1, 3, 96).open("val").image(index)).save(f"photos/{index}.png")
    text = GUIDE.read_text().split("## Export")[1]
    for line in re.findall(r"anchorloc export (.*)", text):
        assert export.main([*line.split(), "data.orientation=ignore", "data.bands=[3,2,1]"]) == 0
    assert len(re.findall(r"checked on 3 images, \d+ detections: boxes within .* px", capsys.readouterr().out)) == 2
    kept = {"anchorloc": ""}
    torch.export.load("model.pt2", extra_files=kept)
    properties = {one.key: one.value for one in onnx.load("model.onnx").metadata_props}
    settings = {"max_pixels": 89_478_485, "orientation": "ignore", "window": None, "bands": [3, 2, 1]}
    assert json.loads(kept["anchorloc"]) == json.loads(properties["anchorloc"]) == {"images": settings}
    script = re.search(r"```python\n(import numpy.*?)```", text, re.DOTALL)
    assert script is not None
    code = f"{script[1]}\nimport sys\nassert not {{'torch', 'anchorloc'}} & set(sys.modules)"
    model = anchorloc.load("runs/mine/best.pt", device="cpu")
    for side, height in ((96, 96), (150, 150), (150, 100)):
        Image.fromarray(ShapesData(1, 3, side).open("val").image(0)[:height]).save("photo.png")
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        expected = model("photo.png")
        lines = np.array([[float(word) for word in line.split()] for line in done.stdout.splitlines()])
        assert len(lines) == len(expected) == 30
        numbers = np.column_stack([expected.labels, expected.scores, expected.boxes]).astype(np.float64)
        np.testing.assert_allclose(lines, numbers, atol=0.006)  # rounded to 2 digits, divided by the scale


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["model.tflite"], "must end in .onnx or .pt2"),
        (["there.onnx"], "exists already"),
        (["model.onnx", "--size", "100", "96"], "must be multiples of 32"),
        (["model.onnx", "decode.soft_nms_sigma=0.5"], "no soft-NMS"),
        (["model.onnx", "--images", "nowhere"], "nowhere does not exist"),
    ],
)
def test_what_cannot_be_exported_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    arguments: list[str], words: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    save_random(tmp_path / "best.pt")
    (tmp_path / "there.onnx").touch()
    assert run_command(export.main, ["best.pt", *arguments]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert words in err
    assert not (tmp_path / "model.onnx").exists()


def test_missing_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anchorloc.export.onnx_file.PACKAGES", ("onnx", "no_such_package"))
    (tmp_path / "best.pt").touch()
    with pytest.raises(InputError, match=r'needs no_such_package; .* pip install "anchorloc\[export\]"'):
        export.main([str(tmp_path / "best.pt"), str(tmp_path / "model.onnx")])


@pytest.mark.parametrize(
    "other",
    [
        NOTHING_FOUND,
        replace(ONE, boxes=ONE.boxes + 0.02),
        replace(ONE, scores=ONE.scores + 2e-4),
        replace(ONE, labels=ONE.labels + 1),
        found("", [[10, 10, 20, 20], [10, 10, 20, 20]], [0.5, 0.5]),
    ],
)
def test_a_difference_fails_the_check(other: Detections) -> None:
    for pair in ((ONE, other), (other, ONE)):
        with pytest.raises(InputError, match="differs from the network"):
            check_agreement([pair[0]], [pair[1]], Decoder())


def test_what_lies_at_threshold_passes() -> None:
    weak = found("", [[10, 10, 20, 20], [50, 50, 60, 60]], [0.5, 0.02005])
    overlapping = found("", [[10, 10, 20, 20], [10, 10, 20, 16]], [0.5, 0.4])  # IoU 0.6, where either may be right
    for other in (weak, overlapping):
        agreement = check_agreement([ONE], [other], Decoder())
        assert (agreement.detections, agreement.at_threshold) == (1, 1)
    with pytest.raises(InputError, match="finds nothing"):
        check_agreement([NOTHING_FOUND], [NOTHING_FOUND], Decoder())
