"""Box math over NumPy arrays, under the names of `torchvision.ops`.

Boxes are (N, 4) rows (x1, y1, x2, y2) in continuous pixels, x1 <= x2 and y1 <= y2, of float32 or float64; float16 and
integers are lifted. Neither torch nor numba is imported with this package: numba follows on the first call that needs
a compiled loop.
"""

from .checks import FloatArray, IndexArray
from .coding import decode_boxes, encode_boxes
from .geometry import (
    box_area,
    box_convert,
    clip_boxes_to_image,
    denormalize_boxes,
    flip_boxes,
    normalize_boxes,
    remove_small_boxes,
    scale_boxes,
)
from .overlap import (
    best_overlap,
    box_ioa,
    box_iou,
    box_iou_crowd,
    complete_box_iou,
    distance_box_iou,
    generalized_box_iou,
    paired_box_iou,
)
from .suppression import batched_nms, nms, soft_nms

__all__ = [
    "FloatArray",
    "IndexArray",
    "batched_nms",
    "best_overlap",
    "box_area",
    "box_convert",
    "box_ioa",
    "box_iou",
    "box_iou_crowd",
    "clip_boxes_to_image",
    "complete_box_iou",
    "decode_boxes",
    "denormalize_boxes",
    "distance_box_iou",
    "encode_boxes",
    "flip_boxes",
    "generalized_box_iou",
    "nms",
    "normalize_boxes",
    "paired_box_iou",
    "remove_small_boxes",
    "scale_boxes",
    "soft_nms",
]
