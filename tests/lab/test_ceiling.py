"""The ceiling: equal to the dense decoder, and every loss has its cause."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anchorloc.anchors import AnchorGenerator
from anchorloc.assign import ATSSAssigner, MaxIoUAssigner
from anchorloc.data import CocoData, CocoSource, ShortestSide, Transform
from anchorloc.detector import Decoder, DeltaCoder, Predictions
from anchorloc.lab.ceiling import Ceiling, ceiling, perfect_output
from anchorloc.lab.findings import ceiling_findings
from anchorloc.lab.miss_causes import MissCause
from anchorloc.lab.network_views import NetworkViews
from anchorloc.metrics import evaluate
from anchorloc.structures import Sample
from tests.lab.lab_cases import BoxSource, assigners, source_of, sources, views_of

GENEROUS = AnchorGenerator(strides=(4, 8, 16), scales=(1, 2, 4), height_to_width=(0.25, 0.5, 1, 2, 4))
ONE = AnchorGenerator(strides=(8,), scales=(4,), height_to_width=(1,))  # 32 x 32 px every 8 px

decoders = st.sampled_from(
    [
        Decoder(),
        Decoder(score_threshold=0.6),
        Decoder(nms_iou=0.3, topk_candidates=2),
        Decoder(nms_iou=1, max_detections=3),
    ]
)


@given(sources(), assigners, decoders, st.booleans())
def test_the_sparse_way_is_the_dense_decoder(source: BoxSource, assign: Any, decode: Decoder, still: bool) -> None:
    """A perfect network's whole output, (A, C) scores and (A, 4) offsets, through the decoder as evaluation runs it."""
    views = views_of(source, assign=assign, decode=decode, transform=Transform(ShortestSide(80, 90)))
    for view in views:
        assignment = assign(view.grid, view.target.boxes, view.target.crowd)
        candidates, offsets = perfect_output(views.config, view, assignment)
        deltas = torch.zeros_like(offsets) if still else offsets
        scores = torch.zeros(1, len(view.grid), 2)
        scores[0, candidates.anchors, candidates.labels] = candidates.scores
        predictions = Predictions(torch.logit(scores.double()), deltas[None])
        sample = Sample(np.empty((0, 0, 3), np.uint8), view.target, 1, view.scale, source.size(view.index), view.extent)
        (dense,) = decode(predictions, view.grid, [sample], DeltaCoder())
        (decoded,) = decode.decode(candidates, deltas[None], view.grid, [sample], DeltaCoder())
        sparse = decode.select_best(decoded)
        np.testing.assert_array_equal(sparse.boxes, dense.boxes)
        np.testing.assert_allclose(sparse.scores, dense.scores, rtol=1e-6)
        np.testing.assert_array_equal(sparse.labels, dense.labels)
        np.testing.assert_array_equal(sparse.anchors, dense.anchors)


@given(sources(), assigners, decoders)
def test_every_lost_box_has_one_cause(source: BoxSource, assign: Any, decode: Decoder) -> None:
    limit = ceiling(views_of(source, assign=assign, decode=decode))
    boxes = sum(int((~target.crowd).sum()) for target in source.targets)
    assert limit.perfect.boxes == boxes
    assert len(set(limit.rows.tolist())) == len(limit.rows) == len(limit.causes)
    assert limit.found + sum(limit.count(cause) for cause in MissCause) == boxes
    crowd = np.concatenate([target.crowd for target in source.targets])
    matches = limit.perfect.scores.matches[-1]
    matched = set(matches[matches >= 0].tolist()) - set(np.flatnonzero(crowd).tolist())
    assert limit.found == len(matched)
    if boxes and limit.found == boxes and limit.perfect.detections == boxes:
        assert limit.perfect.summary.ap == pytest.approx(1, abs=1e-12)  # one detection: pycocotools adds an epsilon
    if limit.perfect.summary.ap == 1:
        assert limit.found == boxes


def missed(limit: Ceiling) -> list[tuple[int, int, MissCause]]:
    return [(i, r, MissCause(c)) for i, r, c in zip(limit.images, limit.rows, limit.causes, strict=True)]


def test_generous_anchors_reach_1_exactly() -> None:
    source = source_of(
        [[[3, 5, 20, 40], [50, 20, 110, 60], [30, 70, 33.5, 74]], [[10, 10, 14, 31]], []], [[0, 1, 0], [1], []]
    )
    limit = ceiling(views_of(source, anchors=GENEROUS, assign=MaxIoUAssigner(rescue_iou=0.1)))
    assert limit.perfect.summary.ap == 1
    assert len(limit.causes) == 0
    assert 0 < (limit.anchors_only.summary.ap or 0) < 1


def test_generous_anchors_reach_1_exactly_on_real_data(real_data: Any) -> None:
    data = CocoData(real_data / "airplanes")
    views = views_of(data.open("val"), anchors=GENEROUS, assign=ATSSAssigner(), data=data)
    assert ceiling(views).perfect.summary.ap == 1


@pytest.mark.parametrize(
    ("boxes", "parts", "row", "cause"),
    [
        ([[8, 8, 8, 40], [40, 40, 72, 72]], {}, 0, MissCause.UNUSABLE),
        ([[-40, 8, -8, 40], [40, 40, 72, 72]], {}, 0, MissCause.UNUSABLE),
        ([[8, 8, 12, 12], [40, 40, 72, 72]], {}, 0, MissCause.NO_ANCHOR),
        ([[28, 28, 60, 60], [28.5, 28.5, 60.5, 60.5]], {"positive_iou": 0.9}, 1, MissCause.COLLISION),
        ([[32, 32, 64, 64], [35, 32, 67, 64]], {}, 0, MissCause.SUPPRESSED),
        ([[12, 12, 44, 44], [60, 60, 92, 90]], {"decode": Decoder(max_detections=1)}, 1, MissCause.LIMIT),
        ([[12, 12, 44, 44], [60, 60, 92, 90]], {"decode": Decoder(topk_candidates=1)}, 1, MissCause.LIMIT),
        ([[8, 8, 40, 40], [-6, 60, 26, 92]], {}, 1, MissCause.BORDER),
        ([[12, 12, 36, 36], [60, 60, 92, 92]], {"coder": DeltaCoder(max_ratio=0.7)}, 0, MissCause.CODER),
    ],
)
def test_each_cause(boxes: list[list[float]], parts: dict[str, Any], row: int, cause: MissCause) -> None:
    thresholds = {key: parts.pop(key) for key in list(parts) if key.endswith("iou")}
    source = source_of([[], boxes])
    limit = ceiling(views_of(source, anchors=ONE, assign=MaxIoUAssigner(**thresholds), **parts))
    assert (1, row, cause) in missed(limit)
    assert len(limit.causes) < len(boxes) or cause == MissCause.CODER


def test_of_twins_the_one_without_a_detection_is_lost() -> None:
    """pycocotools gives the detection of either to the last one."""
    same, rescue = source_of([[[32.0, 32, 64, 64]] * 3]), MaxIoUAssigner(rescue_iou=0.1)
    collided = [(0, 1, MissCause.COLLISION), (0, 2, MissCause.COLLISION)]
    assert sorted(missed(ceiling(views_of(same, anchors=ONE)))) == collided
    suppressed = missed(ceiling(views_of(same, anchors=ONE, assign=rescue)))
    assert [cause for *_, cause in suppressed] == [MissCause.SUPPRESSED] * 2
    of_two_classes = source_of([[[32.0, 32, 64, 64]] * 2], [[0, 1]])
    assert missed(ceiling(views_of(of_two_classes, anchors=ONE, assign=rescue))) == []


def test_the_ceiling_of_some_images_is_that_of_a_smaller_set() -> None:
    source = source_of([[[8, 8, 12, 12]], [[40, 40, 72, 72]], [[8, 8, 12, 12], [40, 40, 72, 72]]])
    views = views_of(source, anchors=ONE)
    some = ceiling(replace(views, image_indices=(1, 2)))
    assert missed(some) == [(2, 2, MissCause.NO_ANCHOR)]
    assert some.perfect.boxes == 3
    with pytest.raises(ValueError, match="without epochs"):
        ceiling(NetworkViews(views.config, source, epochs=1))


@pytest.mark.parametrize(
    ("boxes", "parts", "setting", "words"),
    [
        ([[32, 32, 64, 64], [37, 32, 69, 64]], {}, "decode.nms_iou=0.75", "0.75 would find 1 more"),
        ([[32, 32, 64, 64], [33, 32, 65, 64]], {}, None, "not even 0.75 would find it"),
        (
            [[8, 8, 40, 40], [60, 60, 92, 92]],
            {"decode": Decoder(max_detections=1)},
            "decode.max_detections=4",
            "limits four times as high would find 1 more",
        ),
        ([[12, 12, 36, 36]], {"coder": DeltaCoder(max_ratio=0.7)}, "coder.max_ratio=2.8", "2.8 would find 1 more"),
    ],
)
def test_what_the_decoder_loses_is_told_with_a_setting_that_was_tried(
    boxes: list[list[float]], parts: dict[str, Any], setting: str | None, words: str
) -> None:
    views = views_of(source_of([boxes]), anchors=ONE, **parts)
    found = ceiling_findings(views, ceiling(views))
    assert [setting in one.settings and words in one.sentence for one in found] == ([True] if setting else [])


def test_no_image_has_no_ceiling() -> None:
    limit = ceiling(views_of(source_of([[], []])))
    assert limit.perfect.summary.ap is None
    assert len(limit.causes) == limit.found == 0
    assert ceiling_findings(views_of(source_of([[]])), limit) == []


def test_the_numbers_are_those_of_the_detections(real_data: Any) -> None:
    """The ceiling of bccd's val split, scored again from outside: the same boxes given as a perfect result."""
    data = CocoData(real_data / "bccd")
    source = data.open("val")
    assert isinstance(source, CocoSource)
    limit = ceiling(views_of(source, anchors=GENEROUS, assign=ATSSAssigner(), data=data))
    found = np.setdiff1d(source.annotated.rows, limit.rows)
    targets = [source.target(index) for index in range(len(source))]
    perfect = evaluate(
        targets,
        [replace_boxes(target, index, np.isin(target.rows, found)) for index, target in enumerate(targets)],
        source.categories,
    )
    assert limit.perfect.summary.ap == pytest.approx(perfect.summary.ap, abs=1e-9)


def replace_boxes(target: Any, index: int, kept: Any) -> Any:
    """The kept boxes of an image as detections of score 1."""
    from anchorloc.structures import Detections

    some = target.take(kept)
    return Detections(some.boxes, np.ones(len(some)), some.labels, np.full(len(some), -1), index)
