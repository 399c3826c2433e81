"""Any timm network as a backbone; timm is an optional extra."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from anchorloc.checkpoint import load_weights
from anchorloc.detector.layers import Backbone, freeze_norms
from anchorloc.errors import InputError


@dataclass(frozen=True)
class TimmBackbone:
    """A network of timm (`pip install "anchorloc[timm]"`) by name, its last map of each stride."""

    name: str = "resnet18"  # as in timm.list_models(pretrained=True)
    weights: str = "default"  # default (downloaded), none (random), or a file
    strides: tuple[int, ...] = (8, 16, 32)  # of the maps that the pyramid gets
    frozen_norm: bool = False  # batch normalization keeps its statistics, scales and shifts

    def __call__(self, *, pretrained: bool = True) -> Backbone:
        """Build the module and load its weights if `pretrained`.

        Raises:
            InputError: timm is not installed, or the network, its weights or a stride do not exist.
        """
        network = self._network(pretrained and self.weights == "default")
        if pretrained and self.weights not in ("default", "none"):
            _load(network, load_weights(Path(self.weights)), self)
        return _Features(network, self)

    def _network(self, pretrained: bool) -> Any:
        try:
            timm = import_module("timm")
        except ImportError:
            raise InputError('backbone.kind=TimmBackbone needs timm: pip install "anchorloc[timm]"') from None
        try:
            return timm.create_model(self.name, pretrained=pretrained, features_only=True)
        except Exception as error:  # of many types: unknown name, no features, no network
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            more = "; set backbone.weights to a file, or to none, where nothing can be downloaded" if pretrained else ""
            raise InputError(f"timm cannot make {self.name!r} with features: {reason}{more}") from None


class _Features(Backbone):
    def __init__(self, network: Any, settings: TimmBackbone) -> None:
        super().__init__()
        found = {int(stride): place for place, stride in enumerate(network.feature_info.reduction())}
        if missing := [stride for stride in settings.strides if stride not in found]:
            raise InputError(f"{settings.name} has no map of stride {missing[0]}; it has {sorted(found)}")
        self.body = network
        self.places = [found[stride] for stride in settings.strides]
        self.strides = settings.strides
        self.channels = tuple(network.feature_info.channels()[place] for place in self.places)
        with torch.no_grad():
            maps = network.eval()(torch.zeros(1, 3, 256, 256))
        self.frozen = freeze_norms(network) if settings.frozen_norm else []
        self.train()
        if any(maps[place].shape[1] != width for place, width in zip(self.places, self.channels, strict=True)):
            raise InputError(f"{settings.name} gives maps with channels last; take a network of convolutions")

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = self.body(images)
        return [maps[place] for place in self.places]


def _load(network: nn.Module, state: Mapping[str, Tensor], settings: TimmBackbone) -> None:
    """Load what the feature maps need; anything of it that is missing or of another shape is refused."""
    own = network.state_dict()
    wrong = [name for name, value in own.items() if name not in state or state[name].shape != value.shape]
    if body := [name for name in wrong if not name.endswith("num_batches_tracked")]:
        raise InputError(
            f"{settings.weights} does not fit {settings.name}: no {body[0]} of its shape ({len(body)} such)"
        )
    network.load_state_dict({name: state[name] for name in own if name in state}, strict=False)
