"""Samples: a function of (seed, epoch, index) alone, whoever makes them."""

from __future__ import annotations

import pickle
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from anchorloc.anchors import AnchorGenerator
from anchorloc.assign import MaxIoUAssigner
from anchorloc.config import read_config
from anchorloc.data import (
    Augment,
    CocoData,
    IoUCrop,
    Letterbox,
    Mosaic,
    Samples,
    ShapesData,
    Source,
    Transform,
    ZoomOut,
)
from anchorloc.data.cache import ImageCache
from anchorloc.detector.batch import Collate
from anchorloc.engine.build import batches, train_loader, validation_loader
from anchorloc.structures import Sample
from tests.data.data_sets import write_data_set

JITTERED = Augment(0.5, 0.5, (0.5, 2.0), 0.4)
STRONG = Transform(
    Letterbox(64, 96),
    replace(JITTERED, multi_scale=(0.5, 1.0), iou_crop=IoUCrop(), zoom_out=ZoomOut(), mosaic=Mosaic()),
)
EPOCH = 12


@pytest.fixture(scope="module")
def source() -> Source:
    return ShapesData(train_images=EPOCH, size=80).open("train")


def keys(epochs: int) -> list[tuple[int, int]]:
    return [(epoch, index) for epoch in range(epochs) for index in range(EPOCH)]


def bytes_of(sample: Sample) -> bytes:
    target = sample.target
    arrays = (sample.image, target.boxes, target.labels, target.crowd, target.area, target.rows)
    return b"".join(array.tobytes() for array in arrays) + repr((sample.image_id, sample.scale, sample.size)).encode()


def load(samples: Samples, order: Sequence[tuple[int, int]], workers: int) -> list[bytes]:
    loader: DataLoader[Any] = DataLoader(
        samples,  # type: ignore[arg-type]
        sampler=order,
        batch_size=None,
        num_workers=workers,
        collate_fn=bytes_of,  # type: ignore[arg-type]
        multiprocessing_context="fork" if workers else None,
    )
    return list(loader)


def test_workers_order_and_cache_change_nothing(source: Source) -> None:
    expected = load(Samples(source, STRONG, seed=3), keys(2), workers=0)
    assert load(Samples(source, STRONG, seed=3), keys(2), workers=2) == expected
    assert load(Samples(source, STRONG, seed=3), keys(2)[::-1], workers=0) == expected[::-1]
    for limit in (1, 40_000, 1 << 20):  # nothing fits, some, all
        assert load(Samples(source, STRONG, seed=3, cache_bytes=limit), keys(2), workers=2) == expected


def test_seed_epoch_and_index_all_count(source: Source) -> None:
    samples = Samples(source, STRONG, seed=3)
    first = [bytes_of(samples[0, index]) for index in range(EPOCH)]
    later = [bytes_of(samples[1, index]) for index in range(EPOCH)]
    other = [bytes_of(Samples(source, STRONG, seed=4)[0, index]) for index in range(EPOCH)]
    assert len({*first, *later, *other}) == 3 * EPOCH


def test_without_training_nothing_is_random(source: Source) -> None:
    first, second = (Samples(source, STRONG, seed=seed, training=False) for seed in (0, 1))
    assert len(first) == EPOCH
    for index in range(EPOCH):
        assert bytes_of(first[0, index]) == bytes_of(second[7, index])
    image, target, placement = STRONG(source.image(0), source.training_target(0))
    sample = first[0, 0]
    np.testing.assert_array_equal(sample.image, image)
    np.testing.assert_array_equal(sample.target.boxes, target.boxes)
    assert (sample.image_id, sample.scale, sample.size) == (1, placement.scale, (80, 80))
    assert sample.extent == placement.extent


def test_the_generators_of_others_are_not_touched(source: Source) -> None:
    states = random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state()  # type: ignore[index]  # noqa: NPY002
    samples = Samples(source, STRONG)
    before = bytes_of(samples[0, 0])
    assert random.getstate() == states[0]
    assert np.random.get_state()[1].tobytes() == states[1]  # type: ignore[index]  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), states[2])
    random.seed(5)
    torch.manual_seed(5)
    assert bytes_of(samples[0, 0]) == before


class CountingSource:
    """Counts how often an image is decoded."""

    def __init__(self, inner: Source) -> None:
        self.inner, self.decoded = inner, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def __len__(self) -> int:
        return len(self.inner)

    def image(self, index: int) -> np.ndarray:
        self.decoded += 1
        return self.inner.image(index)


@pytest.mark.parametrize(
    ("limit", "decoded"), [(0, 3 * EPOCH), (1, 3 * EPOCH), (80 * 80 * 3 * 5, 5 + 3 * 7), (1 << 20, EPOCH)]
)
def test_the_cache_spares_decoding_within_its_limit(source: Source, limit: int, decoded: int) -> None:
    counting = CountingSource(source)
    samples = Samples(counting, Transform(), cache_bytes=limit)
    for key in keys(3):
        samples[key]
    assert counting.decoded == decoded


def test_a_cached_image_is_not_the_callers_to_change() -> None:
    cache = ImageCache([(2, 3), (4, 5)], 1000)
    assert cache.get(1) is None
    image = np.full((4, 5, 3), 7, np.uint8)
    cache.put(1, image)
    image[:] = 0
    for _ in range(2):
        got = cache.get(1)
        assert got is not None
        assert (got == 7).all()
        got[:] = 0
    assert cache.get(0) is None


class Filler(Dataset[int]):
    """Fills a cache from a worker."""

    def __init__(self, cache: ImageCache) -> None:
        self.cache = cache

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> int:
        self.cache.put(index, np.full((3, 3, 3), index + 1, np.uint8))
        return index


def test_forked_workers_fill_one_cache_and_spawned_ones_get_their_own() -> None:
    cache = ImageCache([(3, 3)] * 4, 1000)
    list(DataLoader(Filler(cache), num_workers=2, multiprocessing_context="fork"))
    assert [int(image.max()) for index in range(4) if (image := cache.get(index)) is not None] == [1, 2, 3, 4]
    copy = pickle.loads(pickle.dumps(cache))
    assert copy.get(0) is None
    copy.put(0, np.full((3, 3, 3), 9, np.uint8))
    assert cache.get(0).max() == 1  # type: ignore[union-attr]


def test_images_and_boxes_of_a_file_set_become_samples(tmp_path: Path) -> None:
    source = CocoData(write_data_set(tmp_path)).open("train")
    sample = Samples(source, Transform(Letterbox(60, 60)), training=False, cache_bytes=100_000)[0, 0]
    assert sample.image.shape == (60, 60, 3)
    assert sample.size == (30, 40)
    np.testing.assert_array_equal(sample.target.boxes[2], [45, 30, 60, 45])  # clipped to the image, then scaled


@pytest.mark.parametrize("training", [True, False])
def test_the_canvas_has_the_color_of_the_padding(source: Source, training: bool) -> None:
    transform = Transform(Letterbox(40, 100), Augment(zoom_out=ZoomOut(probability=1.0)))
    for fill, color in (((127.5, 127.5, 127.5), 128), ((0.0, 0.0, 0.0), 0)):
        image = Samples(source, transform, training=training, fill=fill)[0, 0].image
        batch = Collate(AnchorGenerator(strides=(32,)), MaxIoUAssigner(), 32, fill).pad([image])
        assert batch.shape == (1, 3, 64, 128)
        assert (batch[0, :, 40:] == color).all()
        assert (image == color).all(axis=2).sum() >= 40 * 60  # the image covers at most 40 x 40 pixels


def test_loaders_fill_by_the_mean_of_the_detector() -> None:
    letterbox = "transform.resize={kind: Letterbox, height: 40, width: 100}"
    config = read_config(None, ["detector.mean=[0.5, 0.5, 0.5]", letterbox, "data.size=40", "train.batch_size=1"])
    for loader in (
        train_loader(config, config.data.open("train"), 0),
        validation_loader(config, config.data.open("val"), [[0]]),
    ):
        images = next(batches(loader)).images
        assert (images[0, :, :, -1] == 128).all()
        assert (images[0, :, :40, 50:] == 128).any(dim=0).sum() >= 40 * 30
