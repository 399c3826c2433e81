"""Everything that trains: network, losses, assignment by predictions, decoder, optimizers.

A component is a choice in the config, so importing this package loads no torch: a file `*_settings.py` has the fields
and checks of components, and their methods import the torch code from the file beside it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from anchorloc.detector.backbone_settings import ResidualBackbone, TimmBackbone, TorchvisionBackbone
from anchorloc.detector.coder_settings import DeltaCoder
from anchorloc.detector.decoder_settings import Decoder
from anchorloc.detector.detector_settings import DetectorSettings
from anchorloc.detector.head_settings import Head, LevelHead
from anchorloc.detector.loss_settings import (
    CIoULoss,
    Criterion,
    DIoULoss,
    FocalLoss,
    GIoULoss,
    HardNegativeLoss,
    MSELoss,
    QualityFocalLoss,
    SmoothL1Loss,
)
from anchorloc.detector.optimizer_settings import SGD, AdamW, Muon
from anchorloc.detector.padding import pad_to_multiple
from anchorloc.detector.pyramid_settings import FeaturePyramid, PathAggregation, SSDLitePyramid, SSDPyramid
from anchorloc.detector.single_box_settings import SingleBoxLocalizer
from anchorloc.detector.task_aligned_settings import TaskAlignedAssigner

if TYPE_CHECKING:
    from anchorloc.detector.batch import Batch, Collate
    from anchorloc.detector.decode import Candidates
    from anchorloc.detector.model import Detector
    from anchorloc.detector.optimizer import CombinedOptimizer
    from anchorloc.detector.predictions import Predictions

__all__ = [
    "SGD",
    "AdamW",
    "Batch",
    "CIoULoss",
    "Candidates",
    "Collate",
    "CombinedOptimizer",
    "Criterion",
    "DIoULoss",
    "Decoder",
    "DeltaCoder",
    "Detector",
    "DetectorSettings",
    "FeaturePyramid",
    "FocalLoss",
    "GIoULoss",
    "HardNegativeLoss",
    "Head",
    "LevelHead",
    "MSELoss",
    "Muon",
    "PathAggregation",
    "Predictions",
    "QualityFocalLoss",
    "ResidualBackbone",
    "SSDLitePyramid",
    "SSDPyramid",
    "SingleBoxLocalizer",
    "SmoothL1Loss",
    "TaskAlignedAssigner",
    "TimmBackbone",
    "TorchvisionBackbone",
    "pad_to_multiple",
]

_ON_FIRST_USE = {  # they load torch
    "Batch": "batch",
    "Candidates": "decode",
    "Collate": "batch",
    "CombinedOptimizer": "optimizer",
    "Detector": "model",
    "Predictions": "predictions",
}


def __getattr__(name: str) -> object:
    if name not in _ON_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ON_FIRST_USE[name]}"), name)
