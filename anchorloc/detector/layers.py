"""What backbone, pyramid and head share."""

from __future__ import annotations

from torch import Tensor, nn


class Backbone(nn.Module):
    """A module that turns images (B, 3, H, W) into a list of maps (B, channels[i], H / strides[i], W / strides[i])."""

    channels: tuple[int, ...]
    strides: tuple[int, ...]


class ConvNormAct(nn.Module):
    """Convolution without bias, batch normalization, ReLU; He initialization. "Same" size for odd kernels."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, *, act: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.act = nn.ReLU(inplace=True) if act else nn.Identity()
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, features: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, ceil(H / stride), ceil(W / stride))."""
        return self.act(self.norm(self.conv(features)))  # type: ignore[no-any-return]
