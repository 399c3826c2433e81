"""Any torchvision classification network as a backbone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.feature_extraction import create_feature_extractor

from anchorloc.checkpoint import load_weights
from anchorloc.detector.layers import SIDE, Backbone, cannot_be_run, freeze_norms, try_network
from anchorloc.errors import InputError
from anchorloc.files import exists


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
        network = self._network(self.weights if pretrained else "none")
        if self.tensorflow_padding:
            _pad_like_tensorflow(network)
        _speed_up(network)
        self._adjust(network)
        frozen = _freeze_stages(_stages(network)[1], self.frozen_stages)
        if self.frozen_norm:
            frozen = freeze_norms(network)
        return _Extractor(network, self._maps(network), self.name, frozen)

    def _adjust(self, network: nn.Module) -> None:
        """Apply the options that the weights were trained with (padding, epsilon)."""
        for module in network.modules():
            if isinstance(module, nn.MaxPool2d) and self.ceil_mode:
                module.ceil_mode = True
            if isinstance(module, nn.BatchNorm2d) and self.norm_eps is not None:
                module.eps = self.norm_eps

    def _maps(self, network: nn.Module) -> tuple[str, ...]:
        """Return the names of the maps."""
        if self.nodes:
            return self.nodes
        found = _stages_by_stride(network)
        if missing := [stride for stride in self.strides if stride not in found]:
            raise InputError(
                f"{self.name} has no map of stride {missing[0]} between its stages, but of {sorted(found)}; change "
                "backbone.strides, or name maps inside of stages by backbone.nodes"
            )
        return tuple(found[stride] for stride in self.strides)

    def _network(self, weights: str) -> nn.Module:
        if self.name not in torchvision.models.list_models(module=torchvision.models):
            raise InputError(f"backbone.name={self.name!r} is not a torchvision classifier; see torchvision.models")
        if weights == "none":
            return self._build(None)
        if Path(weights).suffix or exists(weights):
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
        options = {"reduced_tail": True} if self.reduced_tail else {}
        try:
            network: nn.Module = torchvision.models.get_model(self.name, weights=weights, **options)
        except TypeError:
            raise InputError(f"backbone.reduced_tail is for mobilenet_v3, not for {self.name}") from None
        return network


class _Extractor(Backbone):
    def __init__(self, network: nn.Module, nodes: tuple[str, ...], name: str, frozen: list[nn.Module]) -> None:
        super().__init__()
        lists = "torchvision.models.feature_extraction.get_graph_node_names lists them"
        try:
            self.body = create_feature_extractor(network, list(nodes))
        except ValueError:
            raise InputError(f"backbone.nodes {list(nodes)} are not all nodes of {name}; {lists}") from None
        except Exception as error:  # many types: networks that cannot be traced
            raise cannot_be_run(name, error) from None
        maps = try_network(self.body, name)
        for node, features in zip(nodes, maps, strict=True):
            if not _is_map(features):
                raise InputError(f"the node {node} of {name} gives no map (channels, height, width); {lists}")
        shapes = [features.shape for features in maps]
        self.channels = tuple(shape[1] for shape in shapes)
        self.strides = tuple(SIDE // shape[-1] for shape in shapes)
        self.frozen = frozen
        self.train()

    def forward(self, images: Tensor) -> list[Tensor]:
        return list(self.body(images).values())


def _stages(network: nn.Module) -> tuple[str, nn.Module]:
    """Return the module whose children are the stages, and what its name adds to theirs."""
    features = getattr(network, "features", None)
    return ("features.", features) if isinstance(features, nn.Module) else ("", network)


def _freeze_stages(stages: nn.Module, count: int) -> list[nn.Module]:
    """Keep the first `count` children as they are; return their batch normalizations."""
    children = list(stages.children())
    if count > len(children):
        raise InputError(f"backbone.frozen_stages={count} is more than the network has, {len(children)}; lower it")
    return [norm for child in children[:count] for norm in freeze_norms(child.requires_grad_(False))]


def _stages_by_stride(network: nn.Module) -> dict[int, str]:
    """Return stride: node name of the last direct stage that has it, as far as they can be run one after the other."""
    prefix, stages = _stages(network)
    found: dict[int, str] = {}
    features = torch.zeros(1, 3, SIDE, SIDE)
    training = network.training
    network.eval()  # keeps the statistics of batch norm as they are
    with torch.no_grad():
        for child, module in stages.named_children():
            try:
                features = module(features)
            except Exception:  # many types; the remaining children are the classifier or off the path
                break
            if not _is_map(features):
                break
            found[SIDE // features.shape[-1]] = f"{prefix}{child}"
    network.train(training)
    return found


def _is_map(features: object) -> bool:
    """Return whether `features` are maps (B, C, H, W) of a square image, with more than one cell."""
    return isinstance(features, Tensor) and features.ndim == 4 and 1 < features.shape[2] == features.shape[3] <= SIDE


def _load_body(network: nn.Module, state: Mapping[str, Tensor], path: str, name: str) -> None:
    """Load the weights of all layers but the classifier; refuse missing or misshapen tensors."""
    own = network.state_dict()
    head = ("classifier.", "fc.", "head.", "heads.", "conv5.")  # modules behind the last map
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
        return _strided(padded, self.weight, self.bias, self.stride, (0, 0), self.dilation, self.groups)


class _DepthwiseConv2d(nn.Conv2d):
    """A strided depthwise convolution, fast under autocast too."""

    def forward(self, features: Tensor) -> Tensor:
        return _strided(features, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


@torch.fx.wrap  # keep torch.fx from tracing it: the branches depend on the tensor's device
def _strided(features: Tensor, weight: Tensor, bias: Tensor | None, *how: Any) -> Tensor:
    """A strided convolution; a depthwise one in float32 on a CPU, where its bfloat16 gradient takes oneDNN 4 times as
    long (torch 2.15): a quarter of a training step of MobileNetV2, or more.
    """
    if how[-1] == 1 or not (features.is_cpu and torch.is_autocast_enabled("cpu")):
        return nn.functional.conv2d(features, weight, bias, *how)
    with torch.autocast("cpu", enabled=False):
        wide = nn.functional.conv2d(features.float(), weight.float(), bias if bias is None else bias.float(), *how)
    return wide.to(torch.get_autocast_dtype("cpu"))


def _speed_up(network: nn.Module) -> None:
    """Turn every strided depthwise convolution into its faster twin, weights and names kept."""
    for module in network.modules():
        if type(module) is nn.Conv2d and module.stride[0] > 1 and module.groups > 1 and module.padding_mode == "zeros":
            module.__class__ = _DepthwiseConv2d


def _pad_like_tensorflow(network: nn.Module) -> None:
    """Turn every strided convolution with padding into its TensorFlow twin, weights and names kept."""
    for module in network.modules():
        if type(module) is nn.Conv2d and module.stride[0] > 1 and module.padding != (0, 0):
            module.__class__ = _TensorflowConv2d
