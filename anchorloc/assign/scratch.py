"""Memory of the max-IoU kernels that is used again from image to image."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

CLAIM = np.dtype([("iou", np.float32), ("row", np.int32)])


class _Scratch(threading.local):
    """All zero whenever no kernel runs. np.zeros takes memory page by page as it is written, so that a big grid
    costs only the anchors that boxes have touched."""

    def __init__(self) -> None:
        self.arrays = _zeros(0)


def _zeros(count: int) -> tuple[NDArray[Any], NDArray[np.uint64], NDArray[np.uint64]]:
    return (
        np.zeros(count, CLAIM),
        np.zeros((count >> 6) + 1, np.uint64),
        np.zeros((count >> 12) + 1, np.uint64),
    )


_scratch = _Scratch()


def scratch(count: int) -> tuple[NDArray[Any], NDArray[np.uint64], NDArray[np.uint64]]:
    """Return this thread's scratch for at least `count` anchors: a claim for each, one bit for each, and one bit for
    each word of those."""
    if len(_scratch.arrays[0]) < count:
        _scratch.arrays = _zeros(count)
    return _scratch.arrays
