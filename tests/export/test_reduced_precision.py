"""Exported networks in float16 and int8: what is reduced, what is stated, and what is refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from anchorloc.data import ShapesData
from anchorloc.engine.onnx_model import OnnxModel, load_onnx
from anchorloc.engine.onnx_session import open_session
from anchorloc.engine.state.score_threshold import ROUNDING
from anchorloc.errors import InputError
from anchorloc.export import __main__ as export
from anchorloc.export import model_file
from anchorloc.export.model_file import export_model
from anchorloc.export.reduced_precision import Reduction, reduce_precision
from anchorloc.metrics import Evaluation, OperatingPoint
from tests.export.exported_files import BEST

FLOAT16, INT8 = onnx.TensorProto.FLOAT16, onnx.TensorProto.INT8


@pytest.mark.parametrize(("precision", "kind"), [("float16", FLOAT16), ("int8", INT8)])
def test_the_network_is_reduced_and_the_rest_is_not(folder: Path, precision: Any, kind: int) -> None:
    model, data = load_onnx(folder / "model.onnx"), (folder / "model.onnx").read_bytes()
    source = ShapesData(train_images=1, val_images=4, size=96).open("val")
    reduced, measured = reduce_precision(model, data, precision, source)
    graph = onnx.load_from_string(reduced).graph
    types = {one.name: one.data_type for one in graph.initializer}
    weights = [types.get(node.input[1], INT8) for node in graph.node if node.op_type == "Conv"]  # INT8: dequantized
    assert weights.count(kind) > 5
    if precision == "int8":
        last = sum(types.get(node.input[1]) == onnx.TensorProto.FLOAT for node in graph.node if node.op_type == "Conv")
        assert last == 8  # logits and offsets of four levels
    assert types["nms_iou"] == onnx.TensorProto.FLOAT
    assert (measured.precision, measured.images) == (precision, 4)
    assert measured.ap[0] == pytest.approx(measured.ap[1], abs=0.05)
    assert min(measured.milliseconds) > 0
    assert measured.megabytes == (len(data) / 1e6, len(reduced) / 1e6)
    assert len(reduced) < len(data)
    inputs = model.inputs([model.config.samples(source, training=False)[0, 0]])
    session = open_session(reduced)
    outputs = ["candidate_boxes", "candidate_scores"]
    (boxes, ours), (other_boxes, theirs) = (one.run(outputs, inputs) for one in (model.session, session))
    both = (ours > 0) & (theirs > 0)  # the best of a level are others where scores are nearly equal
    assert both.sum() > 0.9 * (ours > 0).sum()
    assert 0 < np.abs(ours - theirs)[both].max() < (0.002 if precision == "float16" else 0.05)
    found = both.any(axis=1)  # (B, A)
    assert np.abs(boxes - other_boxes)[found].max() < (0.1 if precision == "float16" else 4)
    assert (other_boxes != other_boxes.astype(np.float16)).mean() > 0.3  # decoded in float32


def test_what_is_lost_is_stated_and_refused() -> None:
    reduction = Reduction("int8", 73, (0.412, 0.405), (38.04, 21.0), (12.1, 3.4))
    assert str(reduction) == (
        "int8 beside float32 on 73 val images: AP 0.405 beside 0.412, 21.0 beside 38.0 ms an image, "
        "3.40 beside 12.10 MB"
    )
    assert reduction.named() == {"precision": "int8", "ap": {"float32": 0.412, "int8": 0.405, "images": 73}}
    reduction.refuse_above(0.0071)
    replace(reduction, ap=(0.4, 0.5)).refuse_above(0.0)
    with pytest.raises(InputError) as caught:
        reduction.refuse_above(0.006)
    assert str(caught.value) == (
        "int8 loses 0.007 AP on 73 val images (0.412 to 0.405), more than 0.006; no file was written; export in "
        "float32, or give a greater --max-loss"
    )


def test_the_command_keeps_precision_and_threshold_in_the_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = (folder / "model.onnx").read_bytes()
    monkeypatch.setattr(model_file, "_convert", lambda *_: (data, model_file._onnx_runner(data)))  # takes seconds
    monkeypatch.setattr(Evaluation, "at_precision", lambda *_: OperatingPoint(0.625, 0.75, 0.5, 0.6))
    words = [str(folder / BEST), str(tmp_path / "small.onnx"), "--int8", "--precision", "0.7"]
    assert export.main(words) == 0
    printed = capsys.readouterr().out
    found = "greatest recall at precision 0.7 over all classes at IoU 0.5 on val, 6 images, at step 0"
    assert f"score threshold: 0.62 ({found}: precision 0.75, recall 0.50)" in printed
    assert re.search(r"^int8 beside float32 on 6 val images: AP 0\.\d+ beside 0\.\d+, ", printed, re.MULTILINE)
    model: OnnxModel = load_onnx(tmp_path / "small.onnx")
    assert model.threshold is not None
    assert (model.threshold.score, model.threshold.found) == (0.625 - ROUNDING, found)
    assert model.facts()["inference"] == "int8 in onnxruntime on cpu"
    [properties] = onnx.load(tmp_path / "small.onnx").metadata_props
    entries = json.loads(properties.value)
    assert entries["precision"] == "int8"
    assert entries["ap"].keys() == {"float32", "int8", "images"}
    with pytest.raises(InputError, match=r"int8 loses .* more than -1; no file was written"):
        export_model(folder / BEST, tmp_path / "lost.onnx", None, network="int8", max_loss=-1)
    monkeypatch.setattr(Evaluation, "at_precision", lambda *_: None)
    with pytest.raises(InputError, match=r"no score threshold reaches precision 0\.99 on 6 val images; give a lower"):
        export_model(folder / BEST, tmp_path / "lost.onnx", None, precision=0.99)
    assert not (tmp_path / "lost.onnx").exists()
