"""Convert a network to ONNX, with NMS in the graph."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from anchorloc.data.resize import MAX_SIDE
from anchorloc.detector import Decoder
from anchorloc.engine.export_metadata import KEY
from anchorloc.errors import InputError
from anchorloc.export.graph import DecodedModule

PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def refuse_without_packages() -> None:
    """Raise InputError if an optional package for ONNX is not installed."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise InputError(f'export to ONNX needs {", ".join(missing)}; run: pip install "anchorloc[export]"')


def dynamic_shapes(multiple: int | None) -> dict[int, Any]:
    """Return the free axes of images (B, 3, H, W): the batch, and with `multiple` height and width in its steps."""
    axes: dict[int, Any] = {0: torch.export.Dim("batch", min=1, max=4096)}
    if multiple is not None:
        most = MAX_SIDE // multiple
        axes |= {2: multiple * torch.export.Dim("rows", min=1, max=most)}
        axes |= {3: multiple * torch.export.Dim("columns", min=1, max=most)}
    return axes


def trace(module: nn.Module, axes: Mapping[int, Any], *inputs: torch.Tensor) -> torch.export.ExportedProgram:
    """Trace a module whose inputs are images with free `axes`, and maybe their sizes; at least two images."""
    shapes = (axes, *({0: axes[0]} for _ in inputs[1:]))
    with torch.no_grad():
        return torch.export.export(module.eval(), inputs, dynamic_shapes=shapes)


def to_onnx(
    decoded: DecodedModule, axes: Mapping[int, Any], images: torch.Tensor, sizes: torch.Tensor, metadata: str
) -> bytes:
    """Return an ONNX model with the outputs boxes (B, D, 4), scores (B, D), labels (B, D) and counts (B,).

    The first `counts` rows of an image hold its detections by descending score; the other rows are 0. Two more outputs
    are what NMS gets: candidate_boxes (B, A, 4) and candidate_scores (B, C, A), 0 where there is no candidate.

    Args:
        axes: the free axes of `images`, from `dynamic_shapes`.
        images: (B, 3, H, W) to trace with, at least two.
        sizes: (B, 2) int64, height and width without padding.
        metadata: the JSON that the file keeps.
    """
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # the exporter warns about its own code
        program = torch.onnx.export(
            trace(decoded, axes, images, sizes),
            dynamo=True,
            verbose=False,
            input_names=["images", "sizes"],
            output_names=["candidate_boxes", "candidate_scores"],
            dynamic_shapes=(axes, {0: axes[0]}),
        )
    assert program is not None
    return _with_suppression(program.model_proto, decoded.decoder, metadata)


def _with_suppression(model: Any, decoder: Decoder, metadata: str) -> bytes:
    """Append NMS to the graph, then a top-k over all classes of each image, and the metadata."""
    from onnx import TensorProto, checker, helper, numpy_helper

    graph = model.graph
    classes = graph.output[1].type.tensor_type.shape.dim[1].dim_value
    constants: dict[str, NDArray[Any]] = {
        "most": np.array([decoder.max_detections], np.int64),
        "iou": np.array([decoder.nms_iou], np.float32),
        "zero": np.array([0.0], np.float32),
        "anchor_axis": np.array(2, np.int64),
        "classes": np.array([classes], np.int64),
        "last_axis": np.array([1], np.int64),
        "per_pair": np.array([-1], np.int64),
    }
    boxes, scores = "candidate_boxes", "candidate_scores"
    nodes: list[tuple[str, list[str], str, dict[str, Any]]] = [
        ("Shape", [scores], "nms_shape", {}),
        ("Gather", ["nms_shape", "nms_anchor_axis"], "nms_anchors", {}),  # A
        ("Mul", ["nms_anchors", "nms_classes"], "nms_pairs", {}),
        ("Min", ["nms_most", "nms_pairs"], "nms_kept_pairs", {}),
    ]
    if decoder.class_agnostic_nms:  # one group of C * A pairs, in the order of scores
        nodes += [
            ("Tile", [boxes, "nms_repeats"], "nms_pair_boxes", {}),
            ("Reshape", [scores, "nms_one_group"], "nms_pair_scores", {}),
        ]
        boxes, scores = "nms_pair_boxes", "nms_pair_scores"
        constants["repeats"] = np.array([1, classes, 1], np.int64)
        constants["one_group"] = np.array([0, 1, -1], np.int64)
    nodes += [
        ("NonMaxSuppression", [boxes, scores, "nms_most", "nms_iou", "nms_zero"], "nms_selected", {}),
        ("GatherND", [scores, "nms_selected"], "nms_kept", {}),
        ("Mul", [scores, "nms_zero"], "nms_nothing", {}),
        ("ScatterND", ["nms_nothing", "nms_selected", "nms_kept"], "nms_scores", {}),
        ("Flatten", ["nms_scores"], "nms_flat", {"axis": 1}),  # (B, C * A)
        ("TopK", ["nms_flat", "nms_kept_pairs"], "scores nms_index", {"axis": 1}),
        ("Greater", ["scores", "nms_zero"], "nms_real", {}),
        ("Cast", ["nms_real"], "nms_ones", {"to": TensorProto.INT64}),
        ("ReduceSum", ["nms_ones", "nms_last_axis"], "counts", {"keepdims": 0}),
        ("Div", ["nms_index", "nms_anchors"], "nms_labels", {}),
        ("Mul", ["nms_labels", "nms_ones"], "labels", {}),
        ("Mod", ["nms_index", "nms_anchors"], "nms_anchor", {}),
        ("Unsqueeze", ["nms_anchor", "nms_per_pair"], "nms_rows", {}),
        ("GatherND", ["candidate_boxes", "nms_rows"], "nms_boxes", {"batch_dims": 1}),
        ("Unsqueeze", ["nms_real", "nms_per_pair"], "nms_real_rows", {}),
        ("Where", ["nms_real_rows", "nms_boxes", "nms_zero"], "boxes", {}),
    ]
    graph.initializer.extend(numpy_helper.from_array(value, f"nms_{name}") for name, value in constants.items())
    for kind, inputs, outputs, attributes in nodes:
        graph.node.append(helper.make_node(kind, inputs, outputs.split(), **attributes))
    candidates = list(graph.output)
    del graph.output[:]
    shapes: tuple[tuple[str, int, list[str | int | None]], ...] = (
        ("boxes", TensorProto.FLOAT, ["batch", "detections", 4]),
        ("scores", TensorProto.FLOAT, ["batch", "detections"]),
        ("labels", TensorProto.INT64, ["batch", "detections"]),
        ("counts", TensorProto.INT64, ["batch"]),
    )
    for name, number, shape in shapes:
        graph.output.append(helper.make_tensor_value_info(name, number, shape))
    graph.output.extend(candidates)
    helper.set_model_props(model, {KEY: metadata})
    checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())
