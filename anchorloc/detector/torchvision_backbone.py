"""Any torchvision classification network as a backbone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.feature_extraction import create_feature_extractor

from anchorloc.checkpoint import load_weights
from anchorloc.detector.backbone_settings import TorchvisionBackbone
from anchorloc.detector.layers import SIDE, Backbone, cannot_be_run, freeze_norms, try_network
from anchorloc.errors import InputError
from anchorloc.files import exists

LEAST_EPS = torch.finfo(torch.float32).tiny  # torch 2.11 refuses 0; added to a variance, it changes no bit


def build(settings: TorchvisionBackbone, pretrained: bool) -> Backbone:
    """Return the module of a `TorchvisionBackbone`, with its weights loaded if `pretrained`.

    Raises:
        InputError: unknown network or weights, a file of another network, or no such stride or stage.
    """
    network = _network(settings, settings.weights if pretrained else "none")
    if settings.tensorflow_padding:
        _pad_like_tensorflow(network)
    _speed_up(network)
    _adjust(network, settings)
    frozen = _freeze_stages(_stages(network)[1], settings.frozen_stages)
    if settings.frozen_norm:
        frozen = freeze_norms(network)
    return _Extractor(network, _maps(network, settings), settings.name, frozen)


def _adjust(network: nn.Module, settings: TorchvisionBackbone) -> None:
    """Apply the options that the weights were trained with (padding, epsilon)."""
    for module in network.modules():
        if isinstance(module, nn.MaxPool2d) and settings.ceil_mode:
            module.ceil_mode = True
        if isinstance(module, nn.BatchNorm2d) and settings.norm_eps is not None:
            module.eps = settings.norm_eps or LEAST_EPS


def _maps(network: nn.Module, settings: TorchvisionBackbone) -> tuple[str, ...]:
    """Return the names of the maps."""
    if settings.nodes:
        return settings.nodes
    found = _stages_by_stride(network)
    if missing := [stride for stride in settings.strides if stride not in found]:
        raise InputError(
            f"{settings.name} has no map of stride {missing[0]} between its stages, but of {sorted(found)}; change "
            "backbone.strides, or name maps inside of stages by backbone.nodes"
        )
    return tuple(found[stride] for stride in settings.strides)


def _network(settings: TorchvisionBackbone, weights: str) -> nn.Module:
    name = settings.name
    if name not in torchvision.models.list_models(module=torchvision.models):
        raise InputError(f"backbone.name={name!r} is not a torchvision classifier; see torchvision.models")
    if weights == "none":
        return _classifier(settings, None)
    if Path(weights).suffix or exists(weights):
        network = _classifier(settings, None)
        _load_body(network, load_weights(Path(weights)), weights, name)
        return network
    try:
        wanted = "DEFAULT" if weights == "default" else weights
        return _classifier(settings, wanted)
    except (URLError, OSError) as error:
        raise InputError(
            f"the weights of {name} cannot be downloaded ({error}); "
            "set detector.backbone.weights to a local file, or to none for random ones"
        ) from None
    except (KeyError, ValueError):
        raise InputError(
            f"backbone.weights={weights!r} is neither default, none, a file, nor weights of {name}"
        ) from None


def _classifier(settings: TorchvisionBackbone, weights: str | None) -> nn.Module:
    options = {"reduced_tail": True} if settings.reduced_tail else {}
    try:
        network: nn.Module = torchvision.models.get_model(settings.name, weights=weights, **options)
    except TypeError:
        raise InputError(f"backbone.reduced_tail is for mobilenet_v3, not for {settings.name}") from None
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
