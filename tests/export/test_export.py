"""`anchorloc export`: files that find what the network finds, and the check that says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from anchorloc.cli import run_command
from anchorloc.detector import Decoder
from anchorloc.errors import InputError
from anchorloc.export import __main__ as export
from anchorloc.export.agreement import check_agreement
from anchorloc.structures import Detections
from tests.detector.random_models import save_random
from tests.metrics.evaluation_cases import found

NOTHING_FOUND = found("", [], [])
ONE = found("", [[10, 10, 20, 20]], [0.5])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["model.tflite"], "must end in .onnx or .pt2"),
        (["there.onnx"], "exists already"),
        (["nowhere/model.onnx"], "nowhere does not exist; make it, or give another FILE"),
        (["model.onnx", "--size", "100", "96"], "must be multiples of 32"),
        (["model.pt2", "--int8"], "model.pt2 must end in .onnx with --half or --int8"),
        (["model.onnx", "--max-loss", "0.1"], "--max-loss needs --half or --int8"),
        (["model.onnx", "--images", "nowhere"], "nowhere does not exist"),
        (["model.onnx", "--images", "broken"], "no image of the check can be read (first: broken/a.png"),
    ],
)
def test_what_cannot_be_exported_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    arguments: list[str], words: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    save_random(tmp_path / "best.pt")
    (tmp_path / "there.onnx").touch()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_bytes(b"no image")
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
        assert str(agreement).endswith("; only one of the two finds 1 more, at a threshold")
    with pytest.raises(InputError, match="finds nothing"):
        check_agreement([NOTHING_FOUND], [NOTHING_FOUND], Decoder())
