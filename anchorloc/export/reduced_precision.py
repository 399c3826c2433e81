"""Store an exported network in float16 or int8, and measure what that costs and gains on val."""

from __future__ import annotations

import logging
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from anchorloc.data import Source
from anchorloc.engine.judge_model import columns, detect_onnx, score_detections
from anchorloc.engine.onnx_model import OnnxModel
from anchorloc.engine.onnx_session import open_session
from anchorloc.errors import InputError
from anchorloc.structures import Sample
from anchorloc.text import counted

NetworkType = Literal["float32", "float16", "int8"]
CALIBRATED = 100  # val images at most that give the ranges of int8
TIMED = 20  # val images at most for the latency
LAYERS = ("Conv", "Gemm", "MatMul")  # operators with weights


@dataclass(frozen=True)
class Reduction:
    """A network in float32, and in a shorter number type."""

    precision: NetworkType
    images: int  # val images of the APs
    ap: tuple[float, float]  # in float32, reduced
    milliseconds: tuple[float, float]  # per image
    megabytes: tuple[float, float]

    @property
    def loss(self) -> float:
        """Return the AP lost; negative where AP has risen."""
        return self.ap[0] - self.ap[1]

    def __str__(self) -> str:
        (slow, fast), (large, small) = self.milliseconds, self.megabytes
        return (
            f"{self.precision} beside float32 on {self._images}: AP {self.ap[1]:.3f} beside {self.ap[0]:.3f}, "
            f"{fast:.1f} beside {slow:.1f} ms an image, {small:.2f} beside {large:.2f} MB"
        )

    @property
    def _images(self) -> str:
        return counted(self.images, "val image", "val images")

    def named(self) -> dict[str, object]:
        """Return the entries for the metadata of the file."""
        ap = {"float32": self.ap[0], self.precision: self.ap[1], "images": self.images}
        return {"precision": self.precision, "ap": ap}

    def refuse_above(self, max_loss: float) -> None:
        """Raise InputError if more AP is lost than `max_loss`."""
        if self.loss > max_loss:
            raise InputError(
                f"{self.precision} loses {self.loss:.3f} AP on {self._images} ({self.ap[0]:.3f} to {self.ap[1]:.3f}), "
                f"more than {max_loss:g}; no file was written; export in float32, or give a greater --max-loss"
            )


def reduce_precision(model: OnnxModel, data: bytes, precision: NetworkType, source: Source) -> tuple[bytes, Reduction]:
    """Return the exported file with a network in `precision`, and what was measured; decoding and NMS stay in float32.

    Args:
        model: the file `data` in float32.
        source: the val split, with the classes of the model; its images calibrate int8.

    Raises:
        InputError: an image cannot be read, or there is no box to find.
    """
    ap = _ap(model, source)
    if precision == "float16":
        reduced = to_float16(data)
    else:
        reduced = to_int8(data, (model.inputs([sample]) for sample in _samples(model, source, CALIBRATED)))
    other = replace(model, session=open_session(reduced), precision=precision)
    reduced_ap = _ap(other, source)
    milliseconds = _milliseconds((model, other), list(_samples(model, source, TIMED)))
    megabytes = len(data) / 1e6, len(reduced) / 1e6
    return reduced, Reduction(precision, len(source), (ap, reduced_ap), milliseconds, megabytes)


def _ap(model: OnnxModel, source: Source) -> float:
    found, errors = detect_onnx(model, source)
    for error in errors.values():
        raise error
    ap = score_detections(columns(found)[0], source, model.config).summary.ap
    if ap is None:
        raise InputError("val has no box to measure AP on; set data to a val split with labels, or export in float32")
    return ap


def to_float16(data: bytes) -> bytes:
    """Return an exported file whose network has weights and maps in float16; inputs and outputs stay as they are.

    The network is converted as a model of its own: in the whole graph, onnxruntime's converter would round boxes too.
    """
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(data))
    graph, (network, _) = model.graph, _network_nodes(model.graph)
    inside = [node for node in graph.node if node.name in network]
    outside = [node for node in graph.node if node.name not in network]
    taken = {name for node in inside for name in node.input}
    needed = {name for node in outside for name in node.input}
    ends = sorted({name for node in inside for name in node.output} & needed)
    part = onnx.utils.Extractor(model).extract_model(["images"], ends)
    with _quiet():
        part = convert_float_to_float16(part, keep_io_types=True)
    same = dict.fromkeys(("rename_inputs", "rename_outputs", "rename_value_infos"), False)
    part = onnx.compose.add_prefix(part, "half_", **same).graph
    kept = [one for one in graph.initializer if one.name in needed or one.name not in taken]
    reduced = onnx.helper.make_graph(
        [*part.node, *outside], graph.name, graph.input, graph.output, [*part.initializer, *kept]
    )
    opsets, version = model.opset_import, model.ir_version
    return bytes(onnx.helper.make_model(reduced, opset_imports=opsets, ir_version=version).SerializeToString())


def to_int8(data: bytes, inputs: Iterator[dict[str, np.ndarray]]) -> bytes:
    """Return an exported file whose network is quantized to 8 bits by onnxruntime, apart from its last layers.

    Weights have 7 bits and a scale per channel: with 8, sums overflow on processors without VNNI.

    Args:
        data: the file in float32.
        inputs: its inputs for the images that give the ranges of all maps.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_static

    model = onnx.load_from_string(data)
    network, last = _network_nodes(model.graph)
    with _quiet(), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        quantize_static(
            model,
            path,
            _Calibration(inputs),
            op_types_to_quantize=["Conv", "Gemm", "MatMul", "Add", "MaxPool", "Relu", "Concat"],
            nodes_to_quantize=sorted(network - last),
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return path.read_bytes()


def _network_nodes(graph: Any) -> tuple[set[str], set[str]]:
    """Return the names of the nodes up to the last layers with weights, and the names of these layers."""
    makers = {output: node for node in graph.node for output in node.output}
    last = {
        node.name
        for node in _upstream(makers, ["candidate_boxes", "candidate_scores"], stop=("Shape", *LAYERS))
        if node.op_type in LAYERS
    }
    ends = [output for node in graph.node if node.name in last for output in node.output]
    return {node.name for node in _upstream(makers, ends)}, last


def _upstream(makers: dict[str, Any], outputs: Sequence[str], stop: Sequence[str] = ()) -> Iterator[Any]:
    """Yield the nodes that `outputs` depend on; do not go beyond operators in `stop`."""
    seen, open_ = set[str](), list(outputs)
    while open_:
        name = open_.pop()
        node = makers.get(name)
        if name in seen or node is None:
            continue
        seen.update(node.output)
        yield node
        if node.op_type not in stop:
            open_.extend(node.input)


def _samples(model: OnnxModel, source: Source, most: int) -> Iterator[Sample]:
    """Yield at most `most` images of a split as the network gets them."""
    samples = model.config.samples(source, training=False)
    return (samples[0, index] for index in spread(len(source), most))


def spread(count: int, most: int) -> list[int]:
    """Return at most `most` of `count` indices, evenly spread."""
    return sorted(set(np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()))


@dataclass(frozen=True, eq=False)
class _Calibration:
    """What onnxruntime asks for the inputs that give the ranges."""

    rest: Iterator[dict[str, np.ndarray]]

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.rest, None)


def _milliseconds(models: tuple[OnnxModel, OnnxModel], samples: list[Sample]) -> tuple[float, float]:
    """Return the median milliseconds of each model for one image; they take turns."""
    seconds: tuple[list[float], list[float]] = [], []
    for sample in samples[:1] + samples:
        inputs = models[0].inputs([sample])
        for model, times in zip(models, seconds, strict=True):
            start = time.perf_counter()
            model.session.run(["boxes"], inputs)
            times.append(time.perf_counter() - start)
    first, second = (1000 * statistics.median(times[1:]) for times in seconds)  # the first image warms up
    return first, second


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the advice that onnxruntime logs about its own tools from the terminal."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
