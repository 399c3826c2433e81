"""Every kind of backbone, pyramid and head: sizes, a step of learning, and what stays frozen."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet18

from anchorloc.anchors import AnchorGenerator
from anchorloc.detector import (
    DetectorSettings,
    FeaturePyramid,
    Head,
    LevelHead,
    PathAggregation,
    ResidualBackbone,
    SSDLitePyramid,
    TimmBackbone,
    TorchvisionBackbone,
)
from anchorloc.detector.folding import fold_batch_norm, foldable_pairs
from anchorloc.errors import InputError

SMALL = ResidualBackbone((8, 8, 16, 16), (1, 1, 1, 1), 8)  # strides 8, 16, 32
UNEVEN = ((2,), (2, 4), (3,), (1, 2, 3), (2,), (1,))


def anchors_for(strides: list[int]) -> AnchorGenerator:
    return AnchorGenerator(strides=tuple(strides), scales=UNEVEN[: len(strides)], height_to_width=(1, 2))


def check_learns(settings: DetectorSettings, strides: list[int], side: int = 64) -> nn.Module:
    """Predict for every anchor of the grid, and give every weight that is not frozen a finite gradient."""
    torch.manual_seed(0)
    anchors = anchors_for(strides)
    model = settings(anchors.strides, anchors.shapes_per_level, 3, pretrained=False)
    predictions = model.train()(torch.randint(0, 256, (2, 3, side, side), dtype=torch.uint8))
    count = len(anchors((side, side)))
    assert predictions.logits.shape == (2, count, 3 + predictions.background_class)
    assert predictions.deltas.shape == (2, count, 4)
    assert predictions.scores().shape == (2, count, 3)
    extra = 0 if predictions.iou_logits is None else predictions.iou_logits.square().sum()
    (predictions.logits.square().sum() + predictions.deltas.square().sum() + extra).backward()
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            assert weight.grad is not None, name
            assert torch.isfinite(weight.grad).all(), name
    check_folds(copy.deepcopy(model), side)
    return model


def check_folds(model: nn.Module, side: int) -> None:
    """Folded, the network has fewer modules of batch normalization and predicts the same."""
    norms = count_norms(model)
    images = torch.randint(0, 256, (2, 3, side, side), dtype=torch.uint8)
    with torch.no_grad():
        expected = model.eval()(images)
        fold_batch_norm(model, foldable_pairs(model, (side, side)))
        found = model(images)
    for ours, theirs in ((found.logits, expected.logits), (found.deltas, expected.deltas)):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
    assert count_norms(model) < norms or not norms


def count_norms(model: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


def test_only_a_norm_that_a_convolution_feeds_alone_is_folded() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.free = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1, bias=False)
            self.first, self.second, self.third = (nn.BatchNorm2d(4) for _ in range(3))

        def forward(self, images: Tensor) -> Tensor:
            both = self.conv(images)
            total: Tensor = self.first(both) + self.second(both) + self.third(self.free(images))
            return total

    network = Odd().eval()
    for name, value in network.named_buffers():
        if name.endswith(("mean", "var")):
            nn.init.uniform_(value, 0.5, 2)
    images = torch.randn(1, 3, 4, 4)
    expected = network(images)
    fold_batch_norm(network, foldable_pairs(network, (4, 4)))
    torch.testing.assert_close(network(images), expected)
    assert isinstance(network.third, nn.Identity)
    assert count_norms(network) == 2


@pytest.mark.parametrize(
    "name", ["resnet18", "mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0", "convnext_tiny", "shufflenet_v2_x0_5"]
)
def test_torchvision_backbones_learn(name: str) -> None:
    check_learns(DetectorSettings(TorchvisionBackbone(name, "none"), FeaturePyramid(16), Head(16, 1)), [8, 16, 32])


@pytest.mark.parametrize(
    ("pyramid", "strides"),
    [
        (FeaturePyramid(16, extra_levels=2), [8, 16, 32, 64, 128]),
        (FeaturePyramid(16, extra_levels=2, norm="none"), [8, 16, 32, 64, 128]),
        (FeaturePyramid(16, extra_levels=1, norm="none", extra_levels_from="backbone"), [8, 16, 32, 64]),
        (PathAggregation(16), [8, 16, 32]),
        (PathAggregation(16, extra_levels=2), [8, 16, 32, 64, 128]),
    ],
)
@pytest.mark.parametrize(
    "head",
    [
        Head(16, 1),
        Head(32, 2, norm="group", background_class=True),
        Head(16, 2, norm="none", iou_branch=True),
        Head(16, 2, depthwise=True),
        Head(16, 0),
        LevelHead(),
        LevelHead(depthwise=True, background_class=False),
    ],
    ids=str,
)
def test_pyramids_and_heads_learn(pyramid: FeaturePyramid | PathAggregation, strides: list[int], head: Any) -> None:
    check_learns(DetectorSettings(SMALL, pyramid, head), strides, side=128)


def test_levels_from_p2_on_and_levels_of_different_widths() -> None:
    fine = ResidualBackbone((8, 8, 16, 16), (1, 1, 1, 1), 4)
    check_learns(DetectorSettings(fine, FeaturePyramid(16, extra_levels=2), Head(16, 1)), [4, 8, 16, 32, 64, 128], 128)
    check_learns(DetectorSettings(SMALL, SSDLitePyramid((16, 8)), LevelHead()), [8, 16, 32, 64, 128], 128)


def test_a_path_up_brings_fine_pixels_to_coarse_levels() -> None:
    """With the convolutions of the FPN silent but at its finest level, only the path up can reach the coarsest."""
    module = PathAggregation(8)([4, 4, 4]).train()
    maps = [torch.randn(2, 4, 16 >> level, 16 >> level, requires_grad=True) for level in range(3)]
    module(maps)[-1].square().sum().backward()
    assert maps[0].grad is not None
    assert maps[0].grad.abs().sum() > 0
    plain = FeaturePyramid(8)([4, 4, 4]).train()
    maps[0].grad = None
    plain(maps)[-1].square().sum().backward()
    assert maps[0].grad is None


def test_heads_start_at_their_prior() -> None:
    anchors = anchors_for([8, 16, 32])
    for head in (Head(16, prior=0.02), Head(16, prior=0.02, background_class=True), LevelHead(prior=0.02)):
        model = DetectorSettings(SMALL, FeaturePyramid(16), head)(anchors.strides, anchors.shapes_per_level, 3).eval()
        scores = model(torch.zeros(1, 3, 64, 64)).scores()
        assert scores.mean().item() == pytest.approx(0.02, rel=0.25)


def state_of(model: nn.Module, prefix: str) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in model.state_dict().items() if key.startswith(prefix)}


@pytest.mark.parametrize("frozen_norm", [True, False])
def test_frozen_norms_stay_as_they_are(frozen_norm: bool) -> None:
    backbone = TorchvisionBackbone("resnet18", "none", frozen_stages=5, frozen_norm=frozen_norm, norm_eps=0.25)
    model = check_learns(DetectorSettings(backbone, FeaturePyramid(16), Head(16, 1)), [8, 16, 32])
    before = state_of(model, "backbone.body")
    torch.optim.SGD(model.parameters(), 0.1).step()
    model(torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8))
    changed = [key for key, value in state_of(model, "backbone.body").items() if not torch.equal(value, before[key])]
    assert any("running_mean" in key for key in changed) is not frozen_norm
    assert any("bn" in key and key.endswith("weight") for key in changed) is not frozen_norm
    assert "backbone.body.layer4.0.conv1.weight" in changed
    frozen = ("backbone.body.conv1", "backbone.body.bn1", "backbone.body.layer1")
    assert not any(key.startswith(frozen) for key in changed)
    assert {getattr(module, "eps", 0.25) for key, module in model.named_modules() if ".bn" in key} == {0.25}


def test_a_frozen_norm_computes_what_the_normalization_would() -> None:
    plain, frozen = (TorchvisionBackbone("resnet18", "none", frozen_norm=value)() for value in (False, True))
    frozen.load_state_dict(plain.state_dict())
    images = torch.randn(1, 3, 64, 64)
    for ours, theirs in zip(frozen.eval()(images), plain.eval()(images), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_nodes_name_maps_by_hand() -> None:
    module = TorchvisionBackbone("mobilenet_v2", "none", nodes=("features.7.conv.0", "features.18"))()
    assert (module.channels, module.strides) == ((192, 1280), (8, 32))
    with pytest.raises(InputError, match=r"nodes \['features\.99'\] are not all nodes of mobilenet_v2"):
        TorchvisionBackbone("mobilenet_v2", "none", nodes=("features.99",))()
    with pytest.raises(InputError, match=r"reduced_tail is for mobilenet_v3, not for resnet18"):
        TorchvisionBackbone("resnet18", "none", reduced_tail=True)()


def test_parts_that_do_not_fit_are_one_sentence() -> None:
    anchors = anchors_for([8, 16, 32, 64, 128])
    shapes = anchors.shapes_per_level
    with pytest.raises(ValueError, match=r"strides are \[8, 16, 32, 64\]"):
        DetectorSettings(SMALL, PathAggregation(16, 1))(anchors.strides, shapes, 3)
    with pytest.raises(ValueError, match=r"shared by all levels, but their channels are .*; use kind: LevelHead"):
        DetectorSettings(SMALL, SSDLitePyramid((8, 8)))(anchors.strides, shapes, 3)
    with pytest.raises(ValueError, match="multiple of 32"):
        Head(40, norm="group")
    for mean, std in (((0.5, 0.5, 0.5), (1.0, 0.0, 1.0)), ((123.7, 116.3, 103.5), (1.0, 1.0, 1.0))):
        with pytest.raises(ValueError, match="mean and std are of colors from 0 to 1, not 0 to 255"):
            DetectorSettings(mean=mean, std=std)
    for settings, told in (
        ({"frozen_stages": -1}, "frozen_stages must not be negative"),
        ({"norm_eps": 2.0, "frozen_norm": True}, "norm_eps must be from 0 to 1"),
        ({"norm_eps": 0.0}, "norm_eps=0 is for frozen_norm=true"),
    ):
        with pytest.raises(ValueError, match=told):
            TorchvisionBackbone("resnet18", "none", **settings)
    with pytest.raises(InputError, match="frozen_stages=11 is more than the network has, 10"):
        TorchvisionBackbone("resnet18", "none", frozen_stages=11)()


@pytest.mark.parametrize(
    ("name", "nodes", "told"),
    [
        ("mnasnet0_5", (), r"no map of stride 8 between its stages, but of \[32\]; .* by backbone.nodes"),
        ("regnet_y_400mf", (), r"no map of stride 8 between its stages, but of \[2, 32\]"),
        ("swin_t", (), "no map of stride 8 between its stages"),
        ("maxvit_t", (), "no map of stride 8 between its stages"),
        ("vit_b_16", (), "no map of stride 8 between its stages"),
        ("vit_b_16", ("encoder",), "vit_b_16 cannot be run on 256 x 256 px: Wrong image height"),
        ("resnet18", ("flatten",), r"the node flatten of resnet18 gives no map \(channels, height, width\)"),
    ],
)
def test_networks_without_the_maps_are_one_sentence(name: str, nodes: tuple[str, ...], told: str) -> None:
    with pytest.raises(InputError, match=told):
        TorchvisionBackbone(name, "none", nodes=nodes)()


def test_weights_are_read_from_a_file_of_any_name(tmp_path: Path) -> None:
    state = resnet18(weights=None).state_dict()
    torch.save(state, tmp_path / "weights")
    loaded = TorchvisionBackbone("resnet18", str(tmp_path / "weights"))().state_dict()
    torch.testing.assert_close(loaded["body.conv1.weight"], state["conv1.weight"])
    torch.save({**state, "conv1.weight": torch.full_like(state["conv1.weight"], torch.nan)}, tmp_path / "weights")
    with pytest.raises(InputError, match=r"weights cannot be used: conv1\.weight is NaN or infinite"):
        TorchvisionBackbone("resnet18", str(tmp_path / "weights"))()


def test_timm_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InputError, match=r'needs timm: pip install "anchorloc\[timm\]"'):
        TimmBackbone()()


def test_timm_backbones_learn(tmp_path: Path) -> None:
    pytest.importorskip("timm")
    backbone = TimmBackbone("resnet10t", "none", frozen_norm=True)
    model = check_learns(DetectorSettings(backbone, PathAggregation(16), Head(16, 1)), [8, 16, 32])
    path = tmp_path / "weights.pth"
    body = {key.removeprefix("backbone.body."): value for key, value in state_of(model, "backbone.body.").items()}
    torch.save({**body, "fc.weight": torch.zeros(2, 2)}, path)
    loaded = TimmBackbone("resnet10t", str(path))().state_dict()
    torch.testing.assert_close(loaded["body.conv1.0.weight"], body["conv1.0.weight"])
    with pytest.raises(InputError, match="does not fit resnet14t: no "):
        TimmBackbone("resnet14t", str(path))()
    with pytest.raises(InputError, match="timm cannot make 'resnet_1000'"):
        TimmBackbone("resnet_1000", "none")()
    with pytest.raises(InputError, match="no map of stride 64"):
        TimmBackbone("resnet10t", "none", strides=(64,))()


def test_a_timm_backbone_has_no_stage_that_learns_nothing() -> None:
    """Gradients that never come would end a run of several processes."""
    pytest.importorskip("timm")
    backbone = TimmBackbone("resnet10t", "none", strides=(8, 16))()
    assert backbone.strides == (8, 16)
    maps = backbone(torch.randn(2, 3, 64, 64))
    torch.stack([features.sum() for features in maps]).sum().backward()  # type: ignore[no-untyped-call]
    assert all(weight.grad is not None for weight in backbone.parameters())


def test_a_timm_network_of_one_image_size_is_refused() -> None:
    pytest.importorskip("timm")
    with pytest.raises(
        InputError, match=r"swin_tiny_patch4_window7_224 cannot be run on 256 x 256 px: .*; take another"
    ):
        TimmBackbone("swin_tiny_patch4_window7_224", "none")()


def test_frozen_norms_of_timm_keep_their_activations() -> None:
    """There a normalization and the activation behind it may be one module."""
    pytest.importorskip("timm")
    plain, frozen = (TimmBackbone("mobilenetv3_small_050", "none", frozen_norm=value)() for value in (False, True))
    frozen.load_state_dict(plain.state_dict())
    images = torch.randn(2, 3, 64, 64)
    for ours, theirs in zip(frozen.train()(images), plain.eval()(images), strict=True):
        torch.testing.assert_close(ours, theirs)
