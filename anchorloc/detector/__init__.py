"""All torch that learns: batch, backbone, pyramid, head, coder, losses, decoding."""

from anchorloc.detector.backbone import ResidualBackbone
from anchorloc.detector.batch import Batch, Collate
from anchorloc.detector.coder import DeltaCoder
from anchorloc.detector.decode import Candidates, Decoder
from anchorloc.detector.head import Head
from anchorloc.detector.losses import Criterion, FocalLoss, GIoULoss, QualityFocalLoss, SmoothL1Loss
from anchorloc.detector.model import Detector, DetectorSettings, Predictions
from anchorloc.detector.optimizer import AdamW, Muon, Stepper
from anchorloc.detector.pyramid import FeaturePyramid
from anchorloc.detector.torchvision_backbone import TorchvisionBackbone

__all__ = [
    "AdamW",
    "Batch",
    "Candidates",
    "Collate",
    "Criterion",
    "Decoder",
    "DeltaCoder",
    "Detector",
    "DetectorSettings",
    "FeaturePyramid",
    "FocalLoss",
    "GIoULoss",
    "Head",
    "Muon",
    "Predictions",
    "QualityFocalLoss",
    "ResidualBackbone",
    "SmoothL1Loss",
    "Stepper",
    "TorchvisionBackbone",
]
