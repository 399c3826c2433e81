"""The nodes of an ONNX graph that turn candidates into detections: NMS, or soft-NMS as a loop.

A pair is a class and an anchor, numbered class * A + anchor. The nodes take `candidate_boxes` (B, A, 4) and
`candidate_scores` (B, C, A), where 0 is no candidate. They give `scores` (B, D) by descending score, 0 after the last
detection, and `nms_index` (B, D), the pair of each.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from anchorloc.detector import Decoder

Node = tuple[str, list[str], str, dict[str, Any]]  # operator, inputs, outputs, attributes
Constants = dict[str, NDArray[Any]]  # by name, without the prefix nms_

PAIRS: list[Node] = [
    ("Shape", ["candidate_scores"], "nms_shape", {}),
    ("Gather", ["nms_shape", "nms_anchor_axis"], "nms_anchors", {}),  # A
    ("Mul", ["nms_anchors", "nms_classes"], "nms_pairs", {}),  # C * A
]


def suppression(decoder: Decoder, classes: int, candidates: int) -> tuple[list[Node], Constants]:
    """Return the nodes and their constants.

    Args:
        decoder: the settings.
        classes: the number C of classes.
        candidates: the most pairs of an image with a score above 0.
    """
    constants: Constants = {
        "most": np.array([decoder.max_detections], np.int64),
        "zero": np.array([0.0], np.float32),
        "anchor_axis": np.array(2, np.int64),
        "classes": np.array([classes], np.int64),
        "last_axis": np.array([1], np.int64),
        "per_pair": np.array([-1], np.int64),
    }
    if decoder.soft_nms_sigma:
        nodes, more = _soft(decoder, candidates)
    else:
        nodes, more = _hard(decoder, classes)
    return [*PAIRS, *nodes, *_detections()], constants | more


def _hard(decoder: Decoder, classes: int) -> tuple[list[Node], Constants]:
    constants: Constants = {"iou": np.array([decoder.nms_iou], np.float32)}
    boxes, scores, nodes = "candidate_boxes", "candidate_scores", list[Node]()
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
        ("Min", ["nms_most", "nms_pairs"], "nms_kept_pairs", {}),
        ("TopK", ["nms_flat", "nms_kept_pairs"], "scores nms_index", {"axis": 1}),
    ]
    return nodes, constants


def _soft(decoder: Decoder, candidates: int) -> tuple[list[Node], Constants]:
    """Select the best pair of each image and lower the scores of the others, `max_detections` times.

    The pairs of all classes take part in one loop: scores of one class do not lower scores of another, so that the
    order of all selected pairs is the one that `Decoder` gets by merging classes.
    """
    from onnx import TensorProto, helper

    constants: Constants = {
        "candidates": np.array([candidates], np.int64),
        "one": np.array([1], np.int64),
        "decay": np.array([-1 / decoder.soft_nms_sigma], np.float32),
        "lowest": np.array([decoder.score_threshold], np.float32),
        "least_area": np.array([np.finfo(np.float32).tiny], np.float32),
        "coordinates": np.array([2, 2], np.int64),
        "first": np.array(0, np.int64),
        "step": np.array(1, np.int64),
        "scalar": np.array([], np.int64),
        "by_image": np.array([0, -1], np.int64),
    }
    before: list[Node] = [
        ("Flatten", ["candidate_scores"], "nms_flat", {"axis": 1}),  # (B, C * A)
        ("Min", ["nms_candidates", "nms_pairs"], "nms_count", {}),  # N
        ("TopK", ["nms_flat", "nms_count"], "nms_start nms_pair", {"axis": 1}),  # (B, N)
        ("Div", ["nms_pair", "nms_anchors"], "nms_class", {}),
        ("Mod", ["nms_pair", "nms_anchors"], "nms_row", {}),
        ("Unsqueeze", ["nms_row", "nms_per_pair"], "nms_places", {}),
        ("GatherND", ["candidate_boxes", "nms_places"], "nms_pair_boxes", {"batch_dims": 1}),  # (B, N, 4)
        ("Split", ["nms_pair_boxes", "nms_coordinates"], "nms_low nms_high", {"axis": 2}),
        ("Sub", ["nms_high", "nms_low"], "nms_sides", {}),
        ("ReduceProd", ["nms_sides", "nms_per_pair"], "nms_areas", {"keepdims": 0}),  # (B, N)
        ("Reshape", ["nms_count", "nms_scalar"], "nms_end", {}),
        ("Range", ["nms_first", "nms_end", "nms_step"], "nms_numbers", {}),  # (N,)
        ("Min", ["nms_most", "nms_count"], "nms_rounds", {}),
    ]
    round_: list[Node] = [
        ("TopK", ["state", "nms_one"], "best place", {"axis": 1}),  # (B, 1)
        ("Unsqueeze", ["place", "nms_per_pair"], "box_place", {}),
        ("GatherND", ["nms_low", "box_place"], "box_low", {"batch_dims": 1}),  # (B, 1, 2)
        ("GatherND", ["nms_high", "box_place"], "box_high", {"batch_dims": 1}),
        ("Max", ["nms_low", "box_low"], "low", {}),
        ("Min", ["nms_high", "box_high"], "high", {}),
        ("Sub", ["high", "low"], "between", {}),
        ("Relu", ["between"], "shared", {}),
        ("ReduceProd", ["shared", "nms_per_pair"], "intersection", {"keepdims": 0}),  # (B, N)
        ("GatherElements", ["nms_areas", "place"], "area", {"axis": 1}),
        ("Add", ["nms_areas", "area"], "both", {}),
        ("Sub", ["both", "intersection"], "union", {}),
        ("Max", ["union", "nms_least_area"], "divisor", {}),
        ("Div", ["intersection", "divisor"], "iou", {}),
        ("Mul", ["iou", "iou"], "squared", {}),
        ("Mul", ["squared", "nms_decay"], "exponent", {}),
        ("Exp", ["exponent"], "factor", {}),
        ("Mul", ["state", "factor"], "lowered", {}),
    ]
    left = "lowered"
    if not decoder.class_agnostic_nms:
        round_ += [
            ("GatherElements", ["nms_class", "place"], "class", {"axis": 1}),
            ("Equal", ["nms_class", "class"], "same_class", {}),
            ("Where", ["same_class", "lowered", "state"], "left", {}),
        ]
        left = "left"
    round_ += [
        ("Equal", ["nms_numbers", "place"], "selected", {}),
        ("Where", ["selected", "nms_zero", left], "others", {}),
        ("Greater", ["others", "nms_lowest"], "above", {}),
        ("Where", ["above", "others", "nms_zero"], "next_state", {}),
        ("GatherElements", ["nms_pair", "place"], "pair", {"axis": 1}),
        ("Identity", ["go_on"], "still", {}),
    ]
    number, truth, real = TensorProto.INT64, TensorProto.BOOL, TensorProto.FLOAT
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node(kind, inputs, outputs.split(), **more) for kind, inputs, outputs, more in round_],
        "soft_nms",
        [value("round", number, []), value("go_on", truth, []), value("state", real, ["batch", "pairs"])],
        [
            value("still", truth, []),
            value("next_state", real, ["batch", "pairs"]),
            value("best", real, ["batch", 1]),
            value("pair", number, ["batch", 1]),
        ],
    )
    loop: Node = ("Loop", ["nms_rounds", "", "nms_start"], "nms_state nms_bests nms_best_pairs", {"body": body})
    after: list[Node] = [
        ("Transpose", ["nms_bests"], "nms_scores_by_image", {"perm": [1, 0, 2]}),  # (B, D, 1)
        ("Reshape", ["nms_scores_by_image", "nms_by_image"], "scores", {}),
        ("Transpose", ["nms_best_pairs"], "nms_pairs_by_image", {"perm": [1, 0, 2]}),
        ("Reshape", ["nms_pairs_by_image", "nms_by_image"], "nms_index", {}),
    ]
    return [*before, loop, *after], constants


def _detections() -> list[Node]:
    """Return the nodes that make boxes, labels and counts of `scores` and `nms_index`."""
    from onnx import TensorProto

    return [
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
