"""Fold batch normalization into the convolutions before it, for inference."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from anchorloc.structures import Size

PLAIN = ("torch", "anchorloc")  # where a subclass of Conv2d uses its weights as they are


def fold_batch_norm(network: nn.Module, pairs: Iterable[tuple[str, str]]) -> None:
    """Replace every batch normalization whose input is the output of one convolution by that convolution's weights.

    In evaluation both are linear, so the network computes the same up to rounding, with fewer passes over memory.

    Args:
        pairs: the names of the convolutions and of their normalizations, from `foldable_pairs`.
    """
    for conv_name, norm_name in pairs:
        conv: Any = network.get_submodule(conv_name)
        norm: Any = network.get_submodule(norm_name)
        conv.weight, conv.bias = fuse_conv_bn_weights(
            conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
        )
        parent, _, own = norm_name.rpartition(".")
        setattr(network.get_submodule(parent), own, nn.Identity())


def foldable_pairs(network: nn.Module, size: Size, device: str = "meta") -> list[tuple[str, str]]:
    """Return the names of the convolutions and normalizations that only feed, and are only fed by, one another.

    A convolution that also feeds another module, or several normalizations, is not among them.

    Args:
        size: (height, width) of an image that the network can take.
        device: where its forward pass is traced; "meta" computes shapes only, without numbers.
    """
    shadow = copy.deepcopy(network).to(device).eval()
    made: list[tuple[Tensor, str]] = []  # outputs of convolutions, kept so that no id is given twice
    makers: dict[int, str] = {}
    takers: dict[str, set[str]] = {}  # by convolution, the modules that take its output
    feeders: dict[str, set[str]] = {}  # by normalization, the convolutions it takes from

    def look(name: str, module: nn.Module) -> None:
        def before(_: nn.Module, inputs: tuple[object, ...]) -> None:
            for value in inputs:
                if isinstance(value, Tensor) and id(value) in makers:
                    takers.setdefault(makers[id(value)], set()).add(name)
            if type(module) is nn.BatchNorm2d:  # a subclass may have an activation inside
                feeders.setdefault(name, set()).add(makers.get(id(inputs[0]), ""))

        def after(_: nn.Module, inputs: object, output: object) -> None:
            if isinstance(output, Tensor):
                made.append((output, name))
                makers[id(output)] = name

        module.register_forward_pre_hook(before)
        if isinstance(module, nn.Conv2d) and type(module).__module__.partition(".")[0] in PLAIN:
            module.register_forward_hook(after)

    for name, module in shadow.named_modules():
        if not any(module.children()):
            look(name, module)
    with torch.no_grad():
        shadow(torch.zeros(2, 3, *size, device=device))  # group normalization of one cell refuses one image
    return [
        (conv, norm)
        for norm, convs in feeders.items()
        for conv in convs
        if len(convs) == 1 and conv and takers[conv] == {norm}
    ]
