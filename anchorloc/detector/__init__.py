"""Everything in torch that trains: batch, backbone, pyramid, head, coder, losses, decoder, optimizers."""

from anchorloc.detector.backbone import ResidualBackbone
from anchorloc.detector.batch import Batch, Collate, pad_to_multiple
from anchorloc.detector.box_losses import CIoULoss, DIoULoss, GIoULoss, MSELoss, SmoothL1Loss
from anchorloc.detector.class_losses import FocalLoss, HardNegativeLoss, QualityFocalLoss
from anchorloc.detector.coder import DeltaCoder
from anchorloc.detector.decode import Candidates, Decoder
from anchorloc.detector.head import Head
from anchorloc.detector.level_head import LevelHead
from anchorloc.detector.losses import Criterion
from anchorloc.detector.model import Detector, DetectorSettings
from anchorloc.detector.optimizer import SGD, AdamW, CombinedOptimizer, Muon
from anchorloc.detector.path_aggregation import PathAggregation
from anchorloc.detector.predictions import Predictions
from anchorloc.detector.pyramid import FeaturePyramid
from anchorloc.detector.single_box import SingleBoxLocalizer
from anchorloc.detector.ssd_pyramid import SSDLitePyramid, SSDPyramid
from anchorloc.detector.task_aligned import TaskAlignedAssigner
from anchorloc.detector.timm_backbone import TimmBackbone
from anchorloc.detector.torchvision_backbone import TorchvisionBackbone

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
