"""The backbones to choose from; torch and the network are imported on the first call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anchorloc.detector.layers import Backbone


@dataclass(frozen=True)
class ResidualBackbone:
    """A small ResNet (arXiv:1512.03385) for training from random weights in little time.

    The stem keeps most of the work at stride 4 and coarser, where 3×3 convolutions fill a CPU best.
    """

    channels: tuple[int, ...] = (32, 64, 128, 160)  # channels at stride 4, 8, 16, 32, ...
    blocks: tuple[int, ...] = (1, 2, 2, 1)  # residual blocks at each stride
    first_stride: int = 4  # stride of the finest map that the pyramid gets, in pixels

    def __post_init__(self) -> None:
        if len(self.channels) != len(self.blocks):
            raise ValueError(f"need one number of blocks per stage, got {self.channels} and {self.blocks}")
        if min(self.channels, default=0) < 2 or min(self.blocks) < 1:
            raise ValueError(f"need 2 channels and 1 block a stage at least, got {self.channels} and {self.blocks}")
        if self.first_stride not in [4 << stage for stage in range(len(self.channels))]:
            raise ValueError(f"first_stride must be the stride of a stage (4, 8, ...), got {self.first_stride}")

    @property
    def strides(self) -> tuple[int, ...]:
        """The strides of the maps that the pyramid gets, in pixels."""
        return tuple(4 << stage for stage in range(len(self.channels)) if 4 << stage >= self.first_stride)

    def __call__(self, *, pretrained: bool = True) -> Backbone:
        """Build the module, randomly initialized: there are no weights to load."""
        from anchorloc.detector.backbone import ResidualNetwork

        return ResidualNetwork(self)


@dataclass(frozen=True)
class TorchvisionBackbone:
    """A torchvision classifier without its classifier: the last map of each stride, found by running it once."""

    name: str = "mobilenet_v2"  # name of the network, as in torchvision.models.list_models
    weights: str = "default"  # default (downloaded), none (random), the name of torchvision weights, or a file
    strides: tuple[int, ...] = (8, 16, 32)  # strides of the maps that the pyramid gets, in pixels
    frozen_stages: int = 0  # leading stages whose weights and statistics are not trained
    tensorflow_padding: bool = False  # pad stride-2 convolutions as TensorFlow does, for weights from there
    nodes: tuple[str, ...] = ()  # names of the maps that the pyramid gets, fine to coarse; replaces `strides`
    reduced_tail: bool = False  # halve the last stage, as torchvision's detectors do
    ceil_mode: bool = False  # round sizes up in pooling, as in SSD's VGG
    frozen_norm: bool = False  # do not train the statistics, scales and shifts of batch normalization
    norm_eps: float | None = None  # epsilon of batch normalization; null keeps the network's own

    def __post_init__(self) -> None:
        if self.frozen_stages < 0:
            raise ValueError(f"frozen_stages must not be negative, got {self.frozen_stages}")
        if self.norm_eps is not None and not 0 <= self.norm_eps <= 1:
            raise ValueError(f"norm_eps must be from 0 to 1, got {self.norm_eps}")
        if self.norm_eps == 0 and not self.frozen_norm:
            raise ValueError("norm_eps=0 is for frozen_norm=true; batch normalization that learns has 1e-5")

    def __call__(self, *, pretrained: bool = True) -> Backbone:
        """Build the module and load its weights if `pretrained`.

        Raises:
            InputError: unknown network or weights, a file of another network, or no such stride or stage.
        """
        from anchorloc.detector.torchvision_backbone import build

        return build(self, pretrained)


@dataclass(frozen=True)
class TimmBackbone:
    """A network of timm (`pip install "anchorloc[timm]"`) by name, its last map of each stride."""

    name: str = "resnet18"  # name of the network, as in timm.list_models(pretrained=True)
    weights: str = "default"  # default (downloaded), none (random), or a file
    strides: tuple[int, ...] = (8, 16, 32)  # strides of the maps that the pyramid gets, in pixels
    frozen_norm: bool = False  # do not train the statistics, scales and shifts of batch normalization

    def __call__(self, *, pretrained: bool = True) -> Backbone:
        """Build the module and load its weights if `pretrained`.

        Raises:
            InputError: timm is not installed, or the network, its weights or a stride do not exist.
        """
        from anchorloc.detector.timm_backbone import build

        return build(self, pretrained)
