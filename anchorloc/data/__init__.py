"""Files and pixels to samples: data sets in COCO format, built-in shapes, transforms."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from anchorloc.data.augment import Augment, IoUCrop, Mosaic, ZoomOut
from anchorloc.data.coco import CocoData, CocoSource
from anchorloc.data.coco_annotations import CocoAnnotations, read_annotations
from anchorloc.data.coco_results import read_results
from anchorloc.data.resize import Keep, Letterbox, ShortestSide, TorchvisionShortestSide, TorchvisionStretch
from anchorloc.data.sampling import ClassBalancedSampling, EvenSampling, RepeatFactorSampling
from anchorloc.data.shapes import OneShapeData, ShapesData
from anchorloc.data.source import Annotations, Source, Split, check_same_categories, refuse_other_counts
from anchorloc.data.subset import AnnotationSubset, Subset, readable

if TYPE_CHECKING:
    from anchorloc.data.canvas_plan import plan_canvas
    from anchorloc.data.samples import Samples
    from anchorloc.data.transforms import Transform, randomness

__all__ = [
    "AnnotationSubset",
    "Annotations",
    "Augment",
    "ClassBalancedSampling",
    "CocoAnnotations",
    "CocoData",
    "CocoSource",
    "EvenSampling",
    "IoUCrop",
    "Keep",
    "Letterbox",
    "Mosaic",
    "OneShapeData",
    "RepeatFactorSampling",
    "Samples",
    "ShapesData",
    "ShortestSide",
    "Source",
    "Split",
    "Subset",
    "TorchvisionShortestSide",
    "TorchvisionStretch",
    "Transform",
    "ZoomOut",
    "check_same_categories",
    "plan_canvas",
    "randomness",
    "read_annotations",
    "read_results",
    "readable",
    "refuse_other_counts",
]

# On first use, since scoring a file of detections needs neither torch nor the seconds it takes to load.
_ON_FIRST_USE = {
    "Samples": "samples",
    "Transform": "transforms",
    "plan_canvas": "canvas_plan",
    "randomness": "transforms",
}


def __getattr__(name: str) -> object:
    if name not in _ON_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ON_FIRST_USE[name]}"), name)
