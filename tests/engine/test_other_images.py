"""Detections that depend on their image score lower on others; those that do not score alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from anchorloc.data import Annotations
from anchorloc.engine.other_images import ap_on_other_images
from anchorloc.metrics import evaluate
from anchorloc.structures import Category, Detections, Size, Target
from tests.metrics.evaluation_cases import found, target


@dataclass(frozen=True)
class Boxes(Annotations):
    """One box an image, in shares of its size."""

    shares: np.ndarray  # (N, 4)
    sizes: tuple[Size, ...]

    @property
    def categories(self) -> tuple[Category, ...]:
        return (Category(1, "thing"),)

    def __len__(self) -> int:
        return len(self.shares)

    def size(self, index: int) -> Size:
        return self.sizes[index]

    def target(self, index: int) -> Target:
        height, width = self.sizes[index]
        return target([(self.shares[index] * [width, height, width, height]).tolist()])

    def perfect(self) -> list[Detections]:
        return [found(index + 1, self.target(index).boxes.tolist(), [0.9]) for index in range(len(self))]


def apart(count: int) -> Boxes:
    """Return boxes that do not overlap those of other images."""
    starts = np.arange(count) / count
    shares = np.stack([starts, np.zeros(count), starts + 1 / count, np.ones(count)], axis=1)
    return Boxes(shares, ((100, 200),) * count)


def ap(detections: list[Detections], truth: Boxes) -> float | None:
    targets = [truth.target(index) for index in range(len(truth))]
    return evaluate(targets, detections, truth.categories).summary.ap


def test_boxes_at_other_places_score_nothing_on_other_images() -> None:
    truth = apart(12)
    assert ap(truth.perfect(), truth) == 1
    assert ap_on_other_images(truth.perfect(), truth) == 0


def test_boxes_at_the_usual_place_score_the_same_on_images_of_any_size() -> None:
    sizes = tuple((100 + 10 * index, 300 - 20 * index) for index in range(12))
    truth = Boxes(np.tile([0.25, 0.25, 0.5, 0.75], (12, 1)), sizes)
    assert ap_on_other_images(truth.perfect(), truth) == pytest.approx(1)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_few_images_say_nothing(count: int) -> None:
    truth = apart(max(count, 1))
    assert ap_on_other_images(truth.perfect()[:count], Boxes(truth.shares[:count], truth.sizes[:count])) is None


def test_images_without_boxes_say_nothing() -> None:
    class Empty(Boxes):
        def target(self, index: int) -> Target:
            return target([])

    truth = apart(6)
    assert ap_on_other_images(truth.perfect(), Empty(truth.shares, truth.sizes)) is None


def test_no_detections_score_nothing() -> None:
    truth = apart(6)
    nothing = [found(index + 1, [], []) for index in range(6)]
    assert ap_on_other_images(nothing, truth) == 0
