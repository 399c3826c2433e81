"""The choices of a protocol: other IoU thresholds and borders of sizes."""

from __future__ import annotations

import numpy as np
import pytest

from anchorloc.metrics import Protocol, evaluate
from tests.metrics.evaluation_cases import from_coco, random_set, raw_pycocotools


@pytest.mark.parametrize("seed", range(100, 106))
@pytest.mark.parametrize("ious", [(0.3, 0.5, 0.9), (0.75,), (0.1, 0.4), (0.5, 1.0)])
def test_other_thresholds_and_sizes_are_those_of_pycocotools(seed: int, ious: tuple[float, ...]) -> None:
    truth, results = random_set(seed)
    protocol = Protocol(ious, (16.0, 60.0))
    fast, record = (
        evaluate(*from_coco(truth, results), scorer=scorer, protocol=protocol)
        for scorer in ("anchorloc", "pycocotools")
    )
    raw = raw_pycocotools(truth, results, [1, 10, 100], ious, protocol.area_ranges)
    for one in (fast, record):
        assert np.array_equal(one.scores.precision, raw.eval["precision"][..., -1])
        assert np.array_equal(one.scores.recall, raw.eval["recall"])
        assert (one.summary.ap50 is None) == (0.5 not in ious)
        assert (one.summary.ap75 is None) == (0.75 not in ious)
    assert fast.summary == record.summary
    assert fast.classes == record.classes
    usual = evaluate(*from_coco(truth, results))
    for one in (fast, record):  # counts and pictures stay at IoU 0.5
        assert one.operating_point == usual.operating_point
        assert all(np.array_equal(mine, other) for mine, other in zip(one.matched, usual.matched, strict=True))


@pytest.mark.parametrize(
    ("ious", "borders"),
    [((), (32, 96)), ((0.5, 0.5), (32, 96)), ((0.9, 0.5), (32, 96)), ((0.0,), (32, 96)), ((1.01,), (32, 96)),
     ((0.5,), (96, 32)), ((0.5,), (0, 32)), ((float("nan"),), (32, 96)), ((0.5,), (32, float("inf"))),
     ((0.5,), (32, 32)), ((0.5,), (32, 100_001))],
)  # fmt: skip
def test_thresholds_and_borders_must_ascend(ious: tuple[float, ...], borders: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=r"need ascending IoU thresholds|need two ascending borders"):
        Protocol(ious, borders)


def test_the_places_of_thresholds() -> None:
    protocol = Protocol((0.1, 0.4, 1.0), (0.5, 100_000))
    assert protocol.matched_ious == (0.1, 0.4, 0.5, 1.0)
    assert (protocol.scored, protocol.half_first) == ([0, 1, 3], [2, 0, 1, 3])
    assert (protocol.place(0.4), protocol.place(0.5)) == (1, None)
    assert protocol.area_ranges == ((0, 1e10), (0, 0.25), (0.25, 1e10), (1e10, 1e10))
