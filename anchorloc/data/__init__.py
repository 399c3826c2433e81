"""Files and pixels to samples: data sets in the formats of labeling tools, built-in shapes, transforms."""

from anchorloc.data.augment import Augment, IoUCrop, Mosaic, ZoomOut
from anchorloc.data.canvas_plan import plan_canvas
from anchorloc.data.class_matching import match_categories
from anchorloc.data.coco import CocoData, CocoSource
from anchorloc.data.coco_annotations import CocoAnnotations, read_annotations
from anchorloc.data.coco_results import read_results
from anchorloc.data.formats import LabeledData, Labels, read, write
from anchorloc.data.image_settings import ImageSettings
from anchorloc.data.label_data import LabelData, LabelSource, read_truth
from anchorloc.data.resize import Keep, Letterbox, ShortestSide, TorchvisionShortestSide, TorchvisionStretch
from anchorloc.data.samples import Samples
from anchorloc.data.sampling import ClassBalancedSampling, EvenSampling, RepeatFactorSampling
from anchorloc.data.shapes import OneShapeData, ShapesData
from anchorloc.data.source import Annotations, Source, Split, refuse_other_counts
from anchorloc.data.subset import AnnotationSubset, Subset
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
    "ImageSettings",
    "IoUCrop",
    "Keep",
    "LabelData",
    "LabelSource",
    "LabeledData",
    "Labels",
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
    "match_categories",
    "plan_canvas",
    "randomness",
    "read",
    "read_annotations",
    "read_results",
    "read_truth",
    "refuse_other_counts",
    "write",
]
