"""Files and pixels to samples: data sets in COCO format, built-in shapes, transforms."""

from anchorloc.data.coco import CocoData, CocoSource
from anchorloc.data.coco_annotations import read_annotations
from anchorloc.data.coco_results import read_results
from anchorloc.data.resize import Keep, Letterbox, ShortestSide
from anchorloc.data.samples import Samples
from anchorloc.data.shapes import ShapesData
from anchorloc.data.source import Annotations, Source, Split
from anchorloc.data.transforms import Augment, Transform

__all__ = [
    "Annotations",
    "Augment",
    "CocoData",
    "CocoSource",
    "Keep",
    "Letterbox",
    "Samples",
    "ShapesData",
    "ShortestSide",
    "Source",
    "Split",
    "Transform",
    "read_annotations",
    "read_results",
]
