"""Any timm network as a backbone; timm is an optional extra."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from anchorloc.checkpoint import load_weights
from anchorloc.detector.backbone_settings import TimmBackbone
from anchorloc.detector.layers import Backbone, freeze_norms, try_network
from anchorloc.errors import InputError


def build(settings: TimmBackbone, pretrained: bool) -> Backbone:
    """Return the module of a `TimmBackbone`, with its weights loaded if `pretrained`.

    Raises:
        InputError: timm is not installed, or the network, its weights or a stride do not exist.
    """
    places = _places(_network(settings).feature_info, settings)
    network = _network(settings, pretrained and settings.weights == "default", out_indices=places)
    if pretrained and settings.weights not in ("default", "none"):
        _load(network, load_weights(Path(settings.weights)), settings)
    return _Features(network, settings)


def _places(maps: Any, settings: TimmBackbone) -> list[int]:
    """Return the index of the map of each stride among the maps of the network."""
    found = {int(stride): place for stride, place in zip(maps.reduction(), maps.out_indices, strict=True)}
    if missing := [stride for stride in settings.strides if stride not in found]:
        raise InputError(f"{settings.name} has no map of stride {missing[0]}; it has {sorted(found)}")
    return [found[stride] for stride in settings.strides]


def _network(settings: TimmBackbone, pretrained: bool = False, **options: Any) -> Any:
    """Return the network of feature maps; with `out_indices`, without the layers after the last of them."""
    try:
        timm = import_module("timm")
    except ImportError:
        raise InputError('backbone.kind=TimmBackbone needs timm: pip install "anchorloc[timm]"') from None
    try:
        return timm.create_model(settings.name, pretrained=pretrained, features_only=True, **options)
    except Exception as error:  # many types: unknown name, no features, no network
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        more = (
            "; set detector.backbone.weights to a file, or to none, if nothing can be downloaded" if pretrained else ""
        )
        raise InputError(f"timm cannot make {settings.name!r} with features: {reason}{more}") from None


class _Features(Backbone):
    def __init__(self, network: Any, settings: TimmBackbone) -> None:
        super().__init__()
        self.body = network
        self.strides = tuple(int(stride) for stride in network.feature_info.reduction())
        self.channels = tuple(network.feature_info.channels())
        maps = try_network(network, settings.name)
        self.frozen = freeze_norms(network) if settings.frozen_norm else []
        self.train()
        if any(features.shape[1] != width for features, width in zip(maps, self.channels, strict=True)):
            raise InputError(f"{settings.name} gives maps with channels last; take a network of convolutions")

    def forward(self, images: Tensor) -> list[Tensor]:
        return list(self.body(images))


def _load(network: nn.Module, state: Mapping[str, Tensor], settings: TimmBackbone) -> None:
    """Load the weights of the feature layers; refuse missing or misshapen tensors."""
    own = network.state_dict()
    wrong = [name for name, value in own.items() if name not in state or state[name].shape != value.shape]
    if body := [name for name in wrong if not name.endswith("num_batches_tracked")]:
        raise InputError(
            f"{settings.weights} does not fit {settings.name}: no {body[0]} of its shape ({len(body)} such)"
        )
    network.load_state_dict({name: state[name] for name in own if name in state}, strict=False)
