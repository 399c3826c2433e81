"""Anchor generators: from an image size to the anchors of the image."""

from anchorloc.anchors.generator import AnchorGenerator
from anchorloc.anchors.torchvision import TorchvisionAnchors, TorchvisionSSDAnchors
from anchorloc.anchors.whole_image import WholeImageAnchor

__all__ = ["AnchorGenerator", "TorchvisionAnchors", "TorchvisionSSDAnchors", "WholeImageAnchor"]
