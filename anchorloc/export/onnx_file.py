"""Convert a network to ONNX, with NMS in the graph."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn

from anchorloc.config import Config
from anchorloc.data.resize import MAX_SIDE
from anchorloc.engine.export_metadata import KEY
from anchorloc.errors import InputError
from anchorloc.export.graph import DecodedModule, SingleBoxModule
from anchorloc.export.nms_nodes import suppression

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
    decoded: DecodedModule | SingleBoxModule,
    axes: Mapping[int, Any],
    images: torch.Tensor,
    sizes: torch.Tensor,
    config: Config,
) -> bytes:
    """Return an ONNX model with the outputs boxes (B, D, 4), scores (B, D), labels (B, D) and counts (B,).

    The first `counts` rows of an image hold its detections by descending score; the other rows are 0. Two more outputs
    are what NMS gets: candidate_boxes (B, A, 4) and candidate_scores (B, C, A), 0 where there is no candidate.

    Args:
        decoded: the network up to boxes and scores.
        axes: the free axes of `images`, from `dynamic_shapes`.
        images: (B, 3, H, W) to trace with, at least two.
        sizes: (B, 2) int64, height and width without padding.
        config: the settings of NMS.
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
    return with_nms(program.model_proto, config)


def with_nms(model: Any, config: Config) -> bytes:
    """Return an ONNX model with the outputs candidate_boxes and candidate_scores, with NMS and its outputs appended."""
    from onnx import TensorProto, checker, helper, numpy_helper

    graph, decoder = model.graph, config.decoder
    for part in (model, graph, *graph.node, *graph.value_info):
        del part.metadata_props[:]  # stack traces, with the paths of this machine
    classes = graph.output[1].type.tensor_type.shape.dim[1].dim_value
    groups = len(config.anchors.strides) if decoder.topk_per == "level" else classes
    nodes, constants = suppression(decoder, classes, groups * decoder.topk_candidates)
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
    checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def with_metadata(data: bytes, metadata: str) -> bytes:
    """Return an ONNX model with this JSON as its only metadata."""
    import onnx

    model = onnx.load_from_string(data)
    onnx.helper.set_model_props(model, {KEY: metadata})
    return bytes(model.SerializeToString())
