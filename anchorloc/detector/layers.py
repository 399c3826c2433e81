"""Layers and helpers that backbone, pyramid and head share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn

from anchorloc.errors import InputError

SIDE = 256  # pixels, side of the image that a foreign network is tried on


class Backbone(nn.Module):
    """A module that turns images (B, 3, H, W) into a list of maps (B, channels[i], H / strides[i], W / strides[i])."""

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    frozen: Sequence[nn.Module] = ()  # batch normalization that keeps its statistics

    def train(self, mode: bool = True) -> Self:
        """Switch between training and evaluation, in which `frozen` always is."""
        super().train(mode)
        for norm in self.frozen:
            norm.eval()
        return self


def try_network(body: nn.Module, name: str) -> list[Tensor]:
    """Return the maps of a network from another library for a black image of SIDE pixels.

    Raises:
        InputError: it cannot be run on such an image.
    """
    training = body.training
    body.eval()  # keeps the statistics of batch norm as they are
    try:
        with torch.no_grad():
            maps = body(torch.zeros(1, 3, SIDE, SIDE))
    except Exception as error:  # networks for one image size raise many types
        raise cannot_be_run(name, error) from None
    body.train(training)
    return list(maps.values() if isinstance(maps, dict) else maps)


def cannot_be_run(name: str, error: Exception) -> InputError:
    """Return the error for a network from another library that cannot be a backbone."""
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return InputError(f"{name} cannot be run on {SIDE} x {SIDE} px: {reason}; take another")


class ConvNormAct(nn.Module):
    """Convolution without bias, batch normalization, ReLU; He initialization. "Same" size for odd kernels.

    `lite` is ReLU6 and the normalization of SSDLite (arXiv:1801.04381).
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        *,
        groups: int = 1,
        act: bool = True,
        lite: bool = False,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.03) if lite else nn.BatchNorm2d(outputs)
        self.act = (nn.ReLU6 if lite else nn.ReLU)(inplace=True) if act else nn.Identity()
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, features: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, ceil(H / stride), ceil(W / stride))."""
        return self.act(self.norm(self.conv(features)))  # type: ignore[no-any-return]


def flatten_level(output: Tensor, channels: int) -> Tensor:
    """Reorder a (B, K*channels, H, W) level to (B, H*W*K, channels), the order of AnchorGrid."""
    return output.permute(0, 2, 3, 1).reshape(output.shape[0], -1, channels)


def freeze_norms(module: nn.Module) -> list[nn.Module]:
    """Return the batch normalizations in `module`, whose scales and shifts are not trained from now on."""
    return [part.requires_grad_(False) for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
