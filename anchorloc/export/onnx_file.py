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

from anchorloc.errors import InputError
from anchorloc.export.graph import DecodedModule

PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def refuse_without_packages() -> None:
    """Raise InputError if an optional package for ONNX is not installed."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise InputError(f'export to ONNX needs {", ".join(missing)}; run: pip install "anchorloc[export]"')


def trace(module: nn.Module, *inputs: torch.Tensor) -> torch.export.ExportedProgram:
    """Trace a module for any batch size; the `inputs` (B, ...) must hold at least two."""
    batch = {0: torch.export.Dim("batch", min=1, max=4096)}
    with torch.no_grad():
        return torch.export.export(module.eval(), inputs, dynamic_shapes=(batch,) * len(inputs))


def to_onnx(decoded: DecodedModule, images: torch.Tensor, sizes: torch.Tensor, metadata: Mapping[str, str]) -> bytes:
    """Return an ONNX model with the outputs boxes (B, D, 4), scores (B, D), labels (B, D) and counts (B,).

    The first `counts` rows of an image hold its detections by descending score; the other rows are 0.

    Args:
        images: (B, 3, H, W) to trace with, at least two.
        sizes: (B, 2) int64, height and width without padding.
        metadata: texts to keep in the file.
    """
    batch = {0: torch.export.Dim("batch", min=1, max=4096)}
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # the exporter warns about its own code
        program = torch.onnx.export(
            trace(decoded, images, sizes),
            dynamo=True,
            verbose=False,
            input_names=["images", "sizes"],
            output_names=["all_boxes", "all_scores"],
            dynamic_shapes=(batch, batch),
        )
    assert program is not None
    return _with_suppression(program.model_proto, decoded, metadata)


def _with_suppression(model: Any, decoded: DecodedModule, metadata: Mapping[str, str]) -> bytes:
    """Append NMS to the graph, then a top-k over all classes of each image, and the metadata."""
    from onnx import TensorProto, checker, helper, numpy_helper

    graph = model.graph
    anchors, classes = len(decoded.anchors), graph.output[1].type.tensor_type.shape.dim[1].dim_value
    most = min(decoded.decoder.max_detections, classes * anchors)
    constants: dict[str, NDArray[Any]] = {
        "most": np.array([most], np.int64),
        "iou": np.array([decoded.decoder.nms_iou], np.float32),
        "zero": np.array([0.0], np.float32),
        "anchors": np.array(anchors, np.int64),
        "last_axis": np.array([1], np.int64),
        "per_pair": np.array([-1], np.int64),
    }
    graph.initializer.extend(numpy_helper.from_array(value, f"nms_{name}") for name, value in constants.items())
    nodes = [
        ("NonMaxSuppression", ["all_boxes", "all_scores", "nms_most", "nms_iou", "nms_zero"], "nms_selected", {}),
        ("GatherND", ["all_scores", "nms_selected"], "nms_kept", {}),
        ("Mul", ["all_scores", "nms_zero"], "nms_nothing", {}),
        ("ScatterND", ["nms_nothing", "nms_selected", "nms_kept"], "nms_scores", {}),
        ("Flatten", ["nms_scores"], "nms_flat", {"axis": 1}),  # (B, C * A)
        ("TopK", ["nms_flat", "nms_most"], "scores nms_index", {"axis": 1}),
        ("Greater", ["scores", "nms_zero"], "nms_real", {}),
        ("Cast", ["nms_real"], "nms_ones", {"to": TensorProto.INT64}),
        ("ReduceSum", ["nms_ones", "nms_last_axis"], "counts", {"keepdims": 0}),
        ("Div", ["nms_index", "nms_anchors"], "nms_labels", {}),
        ("Mul", ["nms_labels", "nms_ones"], "labels", {}),
        ("Mod", ["nms_index", "nms_anchors"], "nms_anchor", {}),
        ("Unsqueeze", ["nms_anchor", "nms_per_pair"], "nms_rows", {}),
        ("GatherND", ["all_boxes", "nms_rows"], "nms_boxes", {"batch_dims": 1}),
        ("Unsqueeze", ["nms_real", "nms_per_pair"], "nms_real_rows", {}),
        ("Where", ["nms_real_rows", "nms_boxes", "nms_zero"], "boxes", {}),
    ]
    for kind, inputs, outputs, attributes in nodes:
        graph.node.append(helper.make_node(kind, inputs, outputs.split(), **attributes))  # type: ignore[arg-type]
    del graph.output[:]
    for name, number, shape in (
        ("boxes", TensorProto.FLOAT, ["batch", most, 4]),
        ("scores", TensorProto.FLOAT, ["batch", most]),
        ("labels", TensorProto.INT64, ["batch", most]),
        ("counts", TensorProto.INT64, ["batch"]),
    ):
        graph.output.append(helper.make_tensor_value_info(name, number, shape))
    helper.set_model_props(model, dict(metadata))
    checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())
