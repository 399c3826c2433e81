"""Generate the anchors of an image size, as a grid of cells on each level. It works on NumPy arrays."""

from anchorloc.anchors.generator import AnchorGenerator
from anchorloc.anchors.torchvision import TorchvisionAnchors, TorchvisionSSDAnchors
from anchorloc.anchors.whole_image import WholeImageAnchor

__all__ = ["AnchorGenerator", "TorchvisionAnchors", "TorchvisionSSDAnchors", "WholeImageAnchor"]
