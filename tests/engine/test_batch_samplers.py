"""Batch samplers: every image once per epoch, shards, and entry at any step."""

from __future__ import annotations

from itertools import islice

from anchorloc.engine.batch_samplers import TrainBatchSampler, ValidationBatchSampler


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


def test_validation_sees_every_image_once_in_order() -> None:
    order = ValidationBatchSampler(10, 4)
    assert [index for batch in order for _, index in batch] == list(range(10))
    assert len(order) == len(list(order)) == 3


def test_the_pieces_of_a_part_are_all_of_it_and_no_more() -> None:
    whole = next(iter(TrainBatchSampler(100, 10, seed=3)))
    for count, pieces in ((1, 1), (1, 3), (2, 2), (3, 3)):
        streams = [
            iter(TrainBatchSampler(100, 10, seed=3, shard=(rank, count), micro_batches=pieces)) for rank in range(count)
        ]
        dealt = [next(stream) for stream in streams for _ in range(pieces)]
        assert sorted(key for piece in dealt for key in piece) == sorted(whole)
        assert max(map(len, dealt)) - min(map(len, dealt)) <= 1
