"""How often images come, and in what order."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorloc.data import ClassBalancedSampling, EvenSampling, RepeatFactorSampling
from anchorloc.data.sampling import class_presence, times_drawn
from anchorloc.engine.batch_samplers import COPY_OFFSET, TrainBatchSampler
from anchorloc.errors import InputError
from tests.lab.lab_cases import source_of

BOX = [10.0, 10.0, 40.0, 30.0]
# Class 1 is rare: it is in 1 of 10 images; the last image is empty.
RARE = source_of([[BOX, BOX]] + [[BOX]] * 8 + [[]], labels=[[0, 1]] + [[0]] * 8 + [[]])


def test_weights_by_hand() -> None:
    assert EvenSampling()(RARE) is None
    images, labels = class_presence(RARE)
    assert list(zip(images, labels, strict=True)) == [(0, 0), (0, 1), *((image, 0) for image in range(1, 9))]
    np.testing.assert_allclose(RepeatFactorSampling(0.4)(RARE), [2.0] + [1.0] * 9)  # sqrt(0.4 / 0.1)
    np.testing.assert_allclose(RepeatFactorSampling(0.05)(RARE), np.ones(10))
    weights = ClassBalancedSampling()(RARE)
    np.testing.assert_allclose(weights, [(1 / 9 + 1) * 9 / 2] + [1 / 9 * 9 / 2] * 8 + [1.0])
    assert weights.sum() == pytest.approx(10)


def test_a_crowd_holds_no_class() -> None:
    source = source_of([[BOX], [BOX]], labels=[[0], [1]], crowd=[[False], [True]])
    assert [column.tolist() for column in class_presence(source)] == [[0], [0]]
    np.testing.assert_allclose(ClassBalancedSampling()(source), [1, 1])


def test_class_balance_shows_every_class_as_often() -> None:
    random = np.random.default_rng(0)
    labels = [[int(random.random() < 0.1)] for _ in range(200)]
    source = source_of([[BOX]] * 200, labels=labels)
    weights = ClassBalancedSampling()(source)
    for label in (0, 1):
        assert weights[np.array(labels)[:, 0] == label].sum() == pytest.approx(100)


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=40), st.integers(0, 1000))
def test_an_epoch_has_as_many_images_and_each_its_share(weights: list[float], seed: int) -> None:
    array = np.array(weights)
    share = array * len(array) / array.sum()
    times = times_drawn(array, np.random.default_rng(seed))
    assert times.sum() == len(array)
    assert (times >= np.floor(share - 1e-9)).all()
    assert (times <= np.ceil(share + 1e-9)).all()


def test_the_mean_over_epochs_is_exact() -> None:
    weights = np.array([0.3, 1.0, 2.2, 0.5])
    random = np.random.default_rng(1)
    mean = np.mean([times_drawn(weights, random) for _ in range(4000)], axis=0)
    np.testing.assert_allclose(mean, weights, atol=0.03)


def stream(order: TrainBatchSampler, batches: int) -> list[tuple[int, int]]:
    return [key for batch in islice(iter(order), batches) for key in batch]


def test_equal_weights_are_a_permutation() -> None:
    keys = stream(TrainBatchSampler(7, 7, 3, weights=np.ones(7)), 4)
    for epoch in range(4):
        assert sorted(keys[7 * epoch : 7 * epoch + 7]) == [(epoch, index) for index in range(7)]


def test_a_weighted_stream_can_be_entered_anywhere_and_its_copies_differ() -> None:
    order = TrainBatchSampler(10, 4, 3, weights=ClassBalancedSampling()(RARE))
    keys = stream(order, 10)
    for start in (1, 3, 7):
        later = TrainBatchSampler(10, 4, 3, start, weights=order.weights)
        assert stream(later, 10 - start) == keys[4 * start :]
    assert len(set(keys)) == len(keys)
    first = keys[:10]
    rare = sorted(turn for turn, index in first if index == 0)
    assert rare == [copy * COPY_OFFSET for copy in range(5)]
    assert {turn % COPY_OFFSET for turn, _ in keys[10:20]} == {1}
    halves = [stream(TrainBatchSampler(10, 4, 3, 0, (rank, 2), weights=order.weights), 10) for rank in (0, 1)]
    assert sorted(halves[0] + halves[1]) == sorted(keys)


@pytest.mark.parametrize("threshold", [0.0, 1.5, float("nan")])
def test_a_threshold_out_of_range_is_refused(threshold: float) -> None:
    with pytest.raises(InputError, match="threshold"):
        RepeatFactorSampling(threshold)
