"""Memory of the max-IoU kernels that is used again from image to image."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

CLAIM = np.dtype((np.record, [("iou", np.float32), ("row", np.int32)]))


class _Scratch(threading.local):
    """All zero whenever no kernel runs. np.zeros takes memory page by page as it is written, so that a big grid
    costs only the anchors that boxes have touched."""

    def __init__(self) -> None:
        self.arrays = _zeros(0)


def _zeros(count: int) -> tuple[NDArray[Any], NDArray[np.uint64], NDArray[np.bool_]]:
    pages = (count + 4095) // 4096
    return np.zeros(count, CLAIM), np.zeros(64 * pages, np.uint64), np.zeros(pages, np.bool_)


_scratch = _Scratch()


def scratch(count: int) -> tuple[NDArray[Any], NDArray[np.uint64], NDArray[np.bool_]]:
    """Return this thread's scratch for at least `count` anchors: a claim and one bit for each, and a flag for every
    4096 of them."""
    if len(_scratch.arrays[0]) < count:
        _scratch.arrays = _zeros(count)
    return _scratch.arrays
