"""Any torchvision classification network as a backbone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.feature_extraction import create_feature_extractor

from anchorloc.checkpoint import load_weights
from anchorloc.detector.layers import Backbone
from anchorloc.errors import InputError


@dataclass(frozen=True)
class TorchvisionBackbone:
    """A torchvision classifier without its classifier: the last map of each stride, found by running it once."""

    name: str = "mobilenet_v2"  # as in torchvision.models.list_models
    weights: str = "default"  # default (downloaded), none (random), a torchvision weight name, or a file
    strides: tuple[int, ...] = (8, 16, 32)  # of the maps that the pyramid gets
    frozen_stages: int = 0  # leading children of the network that are not trained
    tensorflow_padding: bool = False  # pad stride-2 convolutions like TensorFlow, where the weights come from there

    def __call__(self, *, pretrained: bool = True) -> Backbone:
        """Build the module and load its weights if `pretrained`.

        Raises:
            InputError: unknown network or weights, a file of another network, or no such stride.
        """
        network = self._network(self.weights if pretrained else "none")
        for child in list(_stages(network)[1].children())[: self.frozen_stages]:
            child.requires_grad_(False)
        if self.tensorflow_padding:
            _pad_like_tensorflow(network)
        return _Extractor(network, self.strides, self.name)

    def _network(self, weights: str) -> nn.Module:
        if self.name not in torchvision.models.list_models(module=torchvision.models):
            raise InputError(f"backbone.name={self.name!r} is no torchvision classifier; see torchvision.models")
        if weights == "none":
            return self._build(None)
        if Path(weights).suffix:
            network = self._build(None)
            _load_body(network, load_weights(Path(weights)), weights, self.name)
            return network
        try:
            wanted = "DEFAULT" if weights == "default" else weights
            return self._build(wanted)
        except (URLError, OSError) as error:
            raise InputError(
                f"the weights of {self.name} cannot be downloaded ({error}); "
                "set backbone.weights to a local file, or to none for random ones"
            ) from None
        except (KeyError, ValueError):
            raise InputError(
                f"backbone.weights={weights!r} is neither default, none, a file, nor weights of {self.name}"
            ) from None

    def _build(self, weights: str | None) -> nn.Module:
        network: nn.Module = torchvision.models.get_model(self.name, weights=weights)
        return network


class _Extractor(Backbone):
    def __init__(self, network: nn.Module, strides: tuple[int, ...], name: str) -> None:
        super().__init__()
        found = _stages_by_stride(network)
        if missing := [stride for stride in strides if stride not in found]:
            raise InputError(f"{name} has no map of stride {missing[0]}; it has {sorted(found)}")
        self.body = create_feature_extractor(network, {found[stride][0]: str(stride) for stride in strides})
        self.channels = tuple(found[stride][1] for stride in strides)
        self.strides = strides

    def forward(self, images: Tensor) -> list[Tensor]:
        return list(self.body(images).values())


def _stages(network: nn.Module) -> tuple[str, nn.Module]:
    """Return the module whose children are the stages, and what its name adds to theirs."""
    features = getattr(network, "features", None)
    return ("features.", features) if isinstance(features, nn.Module) else ("", network)


def _stages_by_stride(network: nn.Module) -> dict[int, tuple[str, int]]:
    """Return stride: (node name, channels) of the last direct stage that has it."""
    prefix, stages = _stages(network)
    found: dict[int, tuple[str, int]] = {}
    side = 256
    features = torch.zeros(1, 3, side, side)
    training = network.training
    network.eval()  # keeps the statistics of batch norm as they are
    with torch.no_grad():
        for child, module in stages.named_children():
            if isinstance(module, nn.AdaptiveAvgPool2d | nn.Linear):
                break
            features = module(features)
            found[side // features.shape[-1]] = (f"{prefix}{child}", features.shape[1])
    network.train(training)
    return found


def _load_body(network: nn.Module, state: Mapping[str, Tensor], path: str, name: str) -> None:
    """Load all that is not the classifier; anything else that is missing or of another shape is refused."""
    own = network.state_dict()
    head = ("classifier.", "fc.", "head.", "heads.", "conv5.")  # what stands behind the last map
    wrong = [key for key, value in state.items() if key not in own or own[key].shape != value.shape]
    missing = [key for key in own if key not in state and not key.endswith("num_batches_tracked")]
    for problem, keys in (("does not belong to it or has another shape", wrong), ("is missing", missing)):
        if body := [key for key in keys if not key.startswith(head)]:
            raise InputError(f"{path} does not fit {name}: {body[0]} {problem} ({len(body)} such tensors)")
    network.load_state_dict({key: value for key, value in state.items() if key not in wrong}, strict=False)


class _TensorflowConv2d(nn.Conv2d):
    """A strided convolution padded at the bottom and right first, as TensorFlow's "SAME" does on even sizes."""

    def forward(self, features: Tensor) -> Tensor:
        total = self.kernel_size[0] - self.stride[0]
        before = total // 2
        padded = nn.functional.pad(features, (before, total - before, before, total - before))
        return nn.functional.conv2d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


def _pad_like_tensorflow(network: nn.Module) -> None:
    """Turn every strided convolution with padding into its TensorFlow twin, weights and names kept."""
    for module in network.modules():
        if type(module) is nn.Conv2d and module.stride[0] > 1 and module.padding != (0, 0):
            module.__class__ = _TensorflowConv2d
