"""Batch samplers: every image once per epoch, shards, and entry at any step."""

from __future__ import annotations

from functools import partial
from itertools import chain, islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorloc.engine.batch_samplers import (
    WINDOW,
    TrainBatchSampler,
    ValidationBatchSampler,
    equal_size_batches,
    in_image_order,
    shape_ranks,
)


def test_an_epoch_has_every_image_once_and_batches_may_span_two() -> None:
    stream = list(islice(TrainBatchSampler(images=10, batch_size=4, seed=0), 5))
    flat = [key for batch in stream for key in batch]
    assert [len(batch) for batch in stream] == [4] * 5
    for epoch in (0, 1):
        assert sorted(index for e, index in flat if e == epoch) == list(range(10))
    assert [i for e, i in flat if e == 0] != [i for e, i in flat if e == 1]


def test_the_order_can_be_entered_anywhere() -> None:
    whole = list(islice(TrainBatchSampler(10, 4, seed=3), 20))
    assert list(islice(TrainBatchSampler(10, 4, seed=3, start=7), 13)) == whole[7:]
    assert list(islice(TrainBatchSampler(10, 4, seed=4), 20)) != whole


@given(
    st.lists(st.sampled_from([(32, 64), (64, 32), (64, 64)]), min_size=1, max_size=40),
    st.integers(1, 5),
    st.integers(0, 30),
    st.integers(1, 2),
    st.booleans(),
)
def test_sorting_by_shape_keeps_every_image_of_an_epoch_and_every_entry(
    sizes: list[tuple[int, int]], batch_size: int, start: int, count: int, weighted: bool
) -> None:
    ranks, images = shape_ranks(sizes), len(sizes)
    assert (ranks is None) == (len(set(sizes)) == 1)
    weights = np.ones(images) if weighted else None
    sampler = partial(TrainBatchSampler, images, batch_size, seed=3, weights=weights, shapes=ranks)
    steps = 2 * WINDOW * -(-images // batch_size)
    whole = list(islice(sampler(), steps + start))
    assert list(islice(sampler(start=start), steps)) == whole[start:]
    shards = [list(islice(sampler(shard=(rank, count)), steps)) for rank in range(count)]
    assert [sorted(chain(*parts)) for parts in zip(*shards, strict=True)] == [sorted(one) for one in whole[:steps]]
    window = max(1, min(WINDOW, images // batch_size)) * batch_size
    complete = (steps * batch_size // window) * window // images  # epochs that are over, windows included
    flat = [key for batch in whole[: steps * batch_size // window * window // batch_size] for key in batch]
    for epoch in range(complete):
        assert sorted(index for turn, index in flat if turn == epoch) == list(range(images))


def test_batches_of_mixed_shapes_have_few_shapes() -> None:
    sizes = [(32, 64), (64, 32)] * 40
    ranks = shape_ranks(sizes)
    assert ranks is not None
    mixed = [
        sum(
            len({sizes[index] for _, index in batch}) > 1
            for batch in islice(TrainBatchSampler(80, 4, 0, shapes=of), 80)
        )
        for of in (None, ranks)
    ]
    assert mixed[0] > 60  # seven of eight batches of a random order
    assert mixed[1] <= 10  # at most one of a window
    order = [ranks[batch[0][1]] for batch in islice(TrainBatchSampler(80, 4, 0, shapes=ranks), 80)]
    assert order != sorted(order)


def test_processes_share_each_batch() -> None:
    whole = list(islice(TrainBatchSampler(10, 4, seed=3), 5))
    parts = [list(islice(TrainBatchSampler(10, 4, seed=3, shard=(rank, 2)), 5)) for rank in (0, 1)]
    assert [sorted(a + b) for a, b in zip(*parts, strict=True)] == [sorted(batch) for batch in whole]


@given(st.lists(st.sampled_from([(32, 64), (64, 32), (64, 64)]), max_size=20), st.integers(1, 5), st.integers(1, 3))
def test_validation_sees_every_image_once_and_pads_none_for_another(
    sizes: list[tuple[int, int]], batch_size: int, count: int
) -> None:
    batches = equal_size_batches(sizes, batch_size)
    assert all(len(batch) <= batch_size and len({sizes[index] for index in batch}) == 1 for batch in batches)
    assert in_image_order(batches, batches) == list(range(len(sizes)))
    shards = [ValidationBatchSampler(batches, (rank, count)) for rank in range(count)]
    seen = sorted(index for shard in shards for batch in shard for _, index in batch)
    assert seen == list(range(len(sizes)))
    assert sum(map(len, shards)) == len(batches)


def test_results_of_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        in_image_order([[0, 1]], [["one"]])


def test_the_pieces_of_a_part_are_all_of_it_and_no_more() -> None:
    whole = next(iter(TrainBatchSampler(100, 10, seed=3)))
    for count, pieces in ((1, 1), (1, 3), (2, 2), (3, 3)):
        streams = [
            iter(TrainBatchSampler(100, 10, seed=3, shard=(rank, count), micro_batches=pieces)) for rank in range(count)
        ]
        dealt = [next(stream) for stream in streams for _ in range(pieces)]
        assert sorted(key for piece in dealt for key in piece) == sorted(whole)
        assert max(map(len, dealt)) - min(map(len, dealt)) <= 1
