"""An import of this loads what numba needs before the first kernel of a process, which takes half a second."""

from __future__ import annotations

from anchorloc.boxes import box_iou

box_iou([[0, 0, 1, 1]], [[0, 0, 1, 1]])
