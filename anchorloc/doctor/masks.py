"""What the doctor keeps of the masks of a file that it does not write again."""

from __future__ import annotations

from typing import Any, Final

from anchorloc.data.formats.coco_folder import polygon_box

CLOSE: Final = 3  # px between the edges of a bbox and of the box around its polygon; rounding stays below it


def condensed(item: dict[str, Any]) -> Any:
    """Return in place of the segmentation of an annotation the box of its polygon unless the bbox is the same.

    For any other mask, return whether there is one. Two corners are a polygon to `polygon_box`, so that a document
    without its masks is checked like a whole one.
    """
    box = polygon_box(item["segmentation"])
    if box is None:
        return bool(item["segmentation"])
    try:
        left, top, width, height = item["bbox"]
        near = abs(box[0] - left) <= CLOSE and abs(box[1] - top) <= CLOSE
        near = near and abs(box[2] - left - width) <= CLOSE and abs(box[3] - top - height) <= CLOSE
        return near or [*box]
    except (KeyError, TypeError, ValueError, OverflowError):  # another rule reports the bbox
        return [*box]
