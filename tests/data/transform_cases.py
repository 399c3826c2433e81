"""Random resizes, augmentations and targets."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from anchorloc.data import (
    Augment,
    IoUCrop,
    Keep,
    Letterbox,
    ShortestSide,
    ZoomOut,
)
from anchorloc.structures import Target

RESIZES = st.one_of(
    st.just(Keep()),
    st.builds(Letterbox, st.integers(1, 200), st.integers(1, 200)),
    st.integers(1, 200).flatmap(lambda size: st.builds(ShortestSide, st.just(size), st.integers(size, 400))),
)


JITTERS = st.tuples(st.floats(0.3, 1), st.floats(1, 3)) | st.just((1.0, 1.0))


AUGMENTS = st.builds(
    Augment,
    horizontal_flip=st.just(0.5),
    vertical_flip=st.just(0.5),
    scale_jitter=JITTERS,
    multi_scale=st.sampled_from([(1.0,), (0.6, 1.0, 1.4)]),
    iou_crop=st.sampled_from([None, IoUCrop(0.8), IoUCrop(1.0, (0.3,), 0.5, 3.0)]),
    zoom_out=st.sampled_from([None, ZoomOut(0.7, 3.0)]),
    min_visible=st.sampled_from([0.0, 0.25, 0.7, 1.0]),
)


def target(*boxes: tuple[float, float, float, float]) -> Target:
    count = len(boxes)
    return Target(
        boxes=np.array(boxes, np.float64).reshape(-1, 4),
        labels=np.arange(count),
        crowd=np.arange(count) % 2 == 1,
        area=np.full(count, 7.0),
        rows=np.arange(count) + 100,
    )
