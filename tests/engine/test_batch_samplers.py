"""Batch samplers: every image once per epoch, shards, and entry at any step."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorloc.engine.batch_samplers import (
    TrainBatchSampler,
    ValidationBatchSampler,
    equal_size_batches,
    in_image_order,
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
