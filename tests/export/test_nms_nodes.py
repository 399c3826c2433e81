"""The NMS of an exported graph against the decoder's."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from anchorloc.export.onnx_file import with_nms
from anchorloc.structures import Detections
from tests.engine.small_runs import small

CLASSES, ANCHORS = 3, 40


def graph_with_nms(*overrides: str) -> onnxruntime.InferenceSession:
    """Return a session that takes candidates, and gives what an exported file makes of them."""
    number, value = TensorProto.FLOAT, helper.make_tensor_value_info
    shapes: dict[str, list[str | int | None]] = {
        "boxes": ["batch", ANCHORS, 4],
        "scores": ["batch", CLASSES, ANCHORS],
    }
    graph = helper.make_graph(
        [helper.make_node("Identity", [f"given_{name}"], [f"candidate_{name}"]) for name in shapes],
        "candidates",
        [value(f"given_{name}", number, shape) for name, shape in shapes.items()],
        [value(f"candidate_{name}", number, shape) for name, shape in shapes.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return onnxruntime.InferenceSession(with_nms(model, small(*overrides)), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("soft", [0.0, 0.3])
@pytest.mark.parametrize("agnostic", ["true", "false"])
@pytest.mark.parametrize("most", [4, 200])
def test_the_graph_keeps_what_the_decoder_keeps(soft: float, agnostic: str, most: int) -> None:
    """Two images of crowded boxes; the second has three candidates."""
    words = [f"decode.soft_nms_sigma={soft}", f"decode.class_agnostic_nms={agnostic}", "decode.nms_iou=0.4"]
    words += [f"decode.max_detections={most}", "decode.score_threshold=0.05"]
    random = np.random.default_rng(0)
    corners = random.uniform(0, 30, (2, ANCHORS, 2))
    boxes = np.concatenate([corners, corners + random.uniform(5, 30, (2, ANCHORS, 2))], axis=2).astype(np.float32)
    scores = random.uniform(0, 1, (2, CLASSES, ANCHORS)).astype(np.float32)
    scores[scores < 0.4] = 0
    scores[1, :, 1:] = 0
    scores[1, :, 0] = [0.9, 0.8, 0.7]
    boxes[1, 1:] = 0  # boxes without area are no candidates
    given = {"given_boxes": boxes, "given_scores": scores}
    found = graph_with_nms(*words).run(["boxes", "scores", "labels", "counts"], given)
    decoder = small(*words).decoder
    for image, (kept, kept_scores, labels, count) in enumerate(zip(*found, strict=True)):
        anchors, classes = np.nonzero(scores[image].T)
        values = scores[image][classes, anchors]
        expected = decoder.select_best(Detections(boxes[image][anchors], values, classes, anchors, ""))
        assert count == len(expected) <= most
        np.testing.assert_array_equal(labels[:count], expected.labels)
        np.testing.assert_array_equal(kept[:count], expected.boxes)
        np.testing.assert_allclose(kept_scores[:count], expected.scores, rtol=1e-5)
        assert not kept_scores[count:].any()
        assert not kept[count:].any()
    assert found[3][0] > 3
