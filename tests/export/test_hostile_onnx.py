"""An ONNX file of unknown origin reads no other file, and one that no export has written is refused in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import set_external_data

import anchorloc
from anchorloc.engine.onnx_model import load_onnx
from anchorloc.errors import InputError

IMAGE = np.zeros((64, 64, 3), np.uint8)
BOXES = ("candidate_boxes", TensorProto.FLOAT, ["B", "A", 4])
SCORES = ("candidate_scores", TensorProto.FLOAT, ["B", 4, "A"])
IMAGES = ("images", TensorProto.UINT8, ["B", 3, "H", "W"])
SIZES = ("sizes", TensorProto.INT64, ["B", 2])


def metadata(folder: Path) -> str:
    return str(onnx.load(folder / "model.onnx").metadata_props[0].value)


def graph(
    about: str,
    parts: Sequence[tuple[str, int, list[Any]]] = (IMAGES, SIZES, BOXES, SCORES),
    boxes: Any = np.zeros((1, 5, 4), np.float32),  # noqa: B008 - not changed
    scores: Any = np.zeros((1, 4, 5), np.float32),  # noqa: B008 - not changed
) -> onnx.ModelProto:
    """A network that finds the same in every image."""
    values = [helper.make_tensor_value_info(*part) for part in parts]
    nodes = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(array, name))
        for name, array in (("candidate_boxes", boxes), ("candidate_scores", scores))
    ]
    model = helper.make_model(helper.make_graph(nodes, "found", values[:2], values[2:]), ir_version=8)
    del model.opset_import[:]
    model.opset_import.extend([helper.make_opsetid("", 17)])
    helper.set_model_props(model, {"anchorloc": about})
    return model


def save(model: onnx.ModelProto, path: Path) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def test_the_graph_of_these_tests_is_taken(folder: Path, tmp_path: Path) -> None:
    found = anchorloc.load(save(graph(metadata(folder)), tmp_path / "model.onnx"))(IMAGE, score=0)
    assert len(found) == 0


@pytest.mark.parametrize("location", ["weights.bin", "../secret", "SECRET"])
def test_no_tensor_is_read_from_another_file(folder: Path, tmp_path: Path, location: str) -> None:
    """Not from the folder of the file either: an export is one file."""
    secret = tmp_path / "secret"
    secret.write_bytes(np.full(20, 0.9, np.float32).tobytes())
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights.bin").write_bytes(secret.read_bytes())
    model = graph(metadata(folder))
    tensor = model.graph.node[1].attribute[0].t
    set_external_data(tensor, str(secret) if location == "SECRET" else location)
    tensor.ClearField("raw_data")
    path = save(model, tmp_path / "model" / "model.onnx")
    with pytest.raises(InputError, match=r"model\.onnx keeps tensors in other files, which are not read; export the"):
        load_onnx(path)
    # protobuf reads a tag and a length that take more bytes than they need.
    plain, longer = b"\x0a\x08location", b"\x8a\x80\x00\x88\x00location"
    data = path.read_bytes()
    assert data.count(plain) == 1
    path.write_bytes(data.replace(plain, longer))
    with pytest.raises(InputError, match="keeps tensors in other files"):
        load_onnx(path)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (
            (("images", TensorProto.UINT8, ["B", 3, 1 << 40, 64]), SIZES, BOXES, SCORES),
            r"'images' with tensor\(uint8\)",
        ),
        ((("images", TensorProto.UINT8, ["B", 3, 64]), SIZES, BOXES, SCORES), "'images'"),
        ((IMAGES, ("sizes", TensorProto.INT64, [2]), BOXES, SCORES), "'sizes'"),
    ],
)
def test_inputs_and_outputs_of_no_export_are_refused(
    folder: Path, tmp_path: Path, parts: Sequence[tuple[str, int, list[Any]]], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        load_onnx(save(graph(metadata(folder), parts), tmp_path / "model.onnx"))


def test_results_that_do_not_fit_together_are_one_sentence(folder: Path, tmp_path: Path) -> None:
    about, path = metadata(folder), tmp_path / "model.onnx"
    free = tuple((name, kind, [None] * len(shape)) for name, kind, shape in (IMAGES, SIZES, BOXES))
    for boxes, scores in (((1, 7, 4), (1, 4, 5)), ((1, 5, 3), (1, 4, 5)), ((2, 5, 4), (2, 4, 5))):
        model = graph(about, (*free, SCORES), np.zeros(boxes, np.float32), np.zeros(scores, np.float32))
        with pytest.raises(InputError, match="which do not fit together; export the checkpoint again"):
            anchorloc.load(save(model, path))(IMAGE)
    model = graph(about)
    model.graph.node[0].CopyFrom(
        helper.make_node("ConstantOfShape", ["sizes"], ["candidate_boxes"])
    )  # sizes has two axes
    with pytest.raises(InputError, match=r"damaged|cannot be run|do not fit together"):
        anchorloc.load(save(model, path))(IMAGE)


def test_sizes_that_fit_no_memory_are_one_sentence(folder: Path, tmp_path: Path) -> None:
    """Where the graph is optimized, or where it runs."""
    model = graph(metadata(folder))
    shape = numpy_helper.from_array(np.array([1, 1 << 42, 4]), "shape")
    model.graph.initializer.append(shape)
    model.graph.node[0].CopyFrom(helper.make_node("ConstantOfShape", ["shape"], ["candidate_boxes"]))
    with pytest.raises(InputError, match=r"is damaged \(|cannot be run \("):
        anchorloc.load(save(model, tmp_path / "model.onnx"))(IMAGE)
    model = graph(metadata(folder))
    model.graph.node[0].attribute[0].t.dims[:] = [1, 1 << 60, 4]
    with pytest.raises(InputError, match=r"is damaged \("):
        load_onnx(save(model, tmp_path / "model.onnx"))


def test_deep_metadata_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="its metadata are not JSON"):
        load_onnx(save(graph("[" * 200_000), tmp_path / "model.onnx"))
