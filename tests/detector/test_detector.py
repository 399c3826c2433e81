"""The parts of the network, each against an independent computation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.models.detection._utils import BoxCoder
from torchvision.ops import sigmoid_focal_loss

from anchorloc import detector
from anchorloc.anchors import AnchorGenerator
from anchorloc.assign import ATSSAssigner, MaxIoUAssigner
from anchorloc.boxes import decode_boxes, encode_boxes
from anchorloc.detector import (
    Batch,
    Collate,
    Criterion,
    Decoder,
    DeltaCoder,
    DetectorSettings,
    FeaturePyramid,
    FocalLoss,
    GIoULoss,
    Head,
    Predictions,
    QualityFocalLoss,
    ResidualBackbone,
    SmoothL1Loss,
    TorchvisionBackbone,
)
from anchorloc.detector.box_losses import paired_iou
from anchorloc.detector.layers import flatten_level
from anchorloc.errors import InputError
from anchorloc.structures import Sample, Target

TINY = DetectorSettings(
    ResidualBackbone(channels=(8, 8, 16, 16), blocks=(1, 1, 1, 1), first_stride=8),
    FeaturePyramid(channels=16),
    Head(channels=16),
)
ANCHORS = AnchorGenerator(strides=(8, 16, 32), scales=(3,), height_to_width=(1,))


def random_boxes(count: int, seed: int = 0, size: float = 160) -> np.ndarray:
    random = np.random.default_rng(seed)
    low = random.uniform(0, size - 50, (count, 2))
    return np.concatenate([low, low + random.uniform(4, 50, (count, 2))], axis=1)


def sample(boxes: np.ndarray, shape: tuple[int, int] = (160, 160), image_id: int = 1) -> Sample:
    count = len(boxes)
    target = Target(
        boxes.reshape(-1, 4),
        np.arange(count, dtype=np.int64) % 3,
        np.zeros(count, bool),
        np.full(count, 100.0),
        np.arange(count, dtype=np.int64),
    )
    return Sample(np.full((*shape, 3), 50, np.uint8), target, image_id, (1.0, 1.0), shape, (0, 0, *shape))


def collate(samples: list[Sample], generator: AnchorGenerator = ANCHORS) -> Batch:
    return Collate(generator, ATSSAssigner(), multiple=32)(samples)


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0)])
def test_coder_equals_torchvision_and_the_box_library(weights: tuple[float, float, float, float]) -> None:
    boxes, anchors = random_boxes(50), random_boxes(50, seed=1)
    coder = DeltaCoder(weights)
    deltas = coder.encode(torch.tensor(boxes), torch.tensor(anchors))
    theirs = BoxCoder(weights)
    expected = theirs.encode_single(
        torch.tensor(boxes, dtype=torch.float32), torch.tensor(anchors, dtype=torch.float32)
    )
    torch.testing.assert_close(deltas, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(deltas.numpy(), encode_boxes(boxes, anchors, weights), rtol=1e-4, atol=1e-5)
    wild = 4 * torch.randn(50, 4, generator=torch.Generator().manual_seed(0))  # some past the bound of the size
    decoded = coder.decode(wild, torch.tensor(anchors))
    torch.testing.assert_close(decoded, theirs.decode_single(wild, torch.tensor(anchors).float()), rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(decoded.numpy(), decode_boxes(wild.numpy(), anchors, weights), rtol=1e-4, atol=1e-2)


def test_coder_round_trip() -> None:
    boxes, anchors = torch.tensor(random_boxes(200)).float(), torch.tensor(random_boxes(200, seed=1)).float()
    coder = DeltaCoder()
    torch.testing.assert_close(coder.decode(coder.encode(boxes, anchors), anchors), boxes, rtol=1e-4, atol=1e-3)


def test_flatten_level_has_the_order_of_the_grid() -> None:
    rows, columns, shapes, channels = 2, 3, 2, 5
    output = torch.zeros(1, shapes * channels, rows, columns)
    for index, (row, column, shape) in enumerate(np.ndindex(rows, columns, shapes)):
        output[0, shape * channels : (shape + 1) * channels, row, column] = index
    flat = flatten_level(output, channels)
    assert flat.shape == (1, rows * columns * shapes, channels)
    assert (flat[0, :, 0] == torch.arange(rows * columns * shapes)).all()


@pytest.mark.parametrize(("height", "width"), [(160, 160), (64, 96), (32, 32)])
def test_the_network_predicts_for_every_anchor_of_the_grid(height: int, width: int) -> None:
    anchors = AnchorGenerator(strides=(8, 16, 32, 64), scales=((2,), (2, 4), (3,), (1, 2)), height_to_width=(1, 2))
    settings = DetectorSettings(TINY.backbone, FeaturePyramid(16, extra_levels=1), TINY.head)
    model = settings(anchors.strides, anchors.shapes_per_level, classes=3).eval()
    images = torch.zeros(2, 3, height, width, dtype=torch.uint8)
    predictions = model(images)
    count = len(anchors((height, width)))
    assert predictions.logits.shape == (2, count, 3)
    assert predictions.deltas.shape == (2, count, 4)
    assert abs(predictions.logits.sigmoid().mean().item() - 0.01) < 0.005  # the prior


def test_every_public_name_is_found_and_no_other() -> None:
    assert all(hasattr(detector, name) for name in detector.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Decode'"):
        detector.Decode  # noqa: B018


@pytest.mark.parametrize("mean", [(0.485, 0.456, 0.406), (0.5, 0.1, 1 / 3)])
def test_the_fill_becomes_exactly_zero(mean: tuple[float, float, float]) -> None:
    settings = DetectorSettings(TINY.backbone, TINY.pyramid, TINY.head, mean=mean)
    model = settings(ANCHORS.strides, ANCHORS.shapes_per_level, classes=3)
    assert model.mean.flatten().tolist() == list(settings.fill)


def test_strides_that_do_not_fit_are_one_sentence() -> None:
    with pytest.raises(ValueError, match=r"anchors\.strides \[8, 16\] do not fit .* strides are \[8, 16, 32\]"):
        TINY((8, 16), (1, 1), 3)


def test_collate_pads_and_keeps_indices_of_the_whole_batch() -> None:
    samples = [sample(random_boxes(3), (160, 130), 1), sample(random_boxes(0), (100, 160), 2), sample(random_boxes(2))]
    batch = collate(samples)
    grid = ANCHORS((160, 160))
    assert batch.images.shape == (3, 3, 160, 160)
    assert (batch.images[0, :, :, :130] == 50).all()
    assert (batch.images[1, 0, 100:] == 124).all()
    for index, one in enumerate(samples):
        assignment = ATSSAssigner()(grid, one.target.boxes, one.target.crowd)
        mine = (batch.positives // len(grid)) == index
        assert (batch.positives[mine].numpy() % len(grid)).tolist() == assignment.anchors.tolist()
        np.testing.assert_array_equal(batch.boxes[mine], one.target.boxes[assignment.rows].astype(np.float32))
        np.testing.assert_array_equal(batch.labels[mine], one.target.labels[assignment.rows])
    np.testing.assert_array_equal(batch.anchors, grid.boxes[batch.positives % len(grid)])


def test_crowd_boxes_become_ignored_anchors() -> None:
    one = sample(np.array([[0.0, 0, 160, 160]]))
    one.target.crowd[:] = True
    batch = collate([sample(random_boxes(0)), one])
    assert len(batch.positives) == 0
    assert len(batch.ignored) > 0
    assert (batch.ignored >= len(ANCHORS((160, 160)))).all()


def predictions_for(batch: Batch, seed: int = 0) -> Predictions:
    count = len(ANCHORS((batch.images.shape[2], batch.images.shape[3])))
    generator = torch.Generator().manual_seed(seed)
    shape = (len(batch.images), count)
    logits = torch.randn(*shape, 3, generator=generator, requires_grad=True)
    return Predictions(logits, (0.1 * torch.randn(*shape, 4, generator=generator)).requires_grad_())


def test_focal_loss_equals_torchvision() -> None:
    logits, targets = torch.randn(100, 3), (torch.rand(100, 3) > 0.7).float()
    ours = FocalLoss(0.25, 2.0)(logits, targets * 0.4)  # any value above 0 is a positive
    torch.testing.assert_close(ours, sigmoid_focal_loss(logits, targets, 0.25, 2.0))


def test_quality_focal_loss_by_hand() -> None:
    loss = QualityFocalLoss(2.0)(torch.tensor([0.0, 0.0]), torch.tensor([1.0, 0.0]))
    np.testing.assert_allclose(loss, [0.25 * np.log(2)] * 2, rtol=1e-6)  # |1 - 0.5|² times ln 2
    best = QualityFocalLoss(2.0)(torch.logit(torch.tensor(0.6)), torch.tensor(0.6))
    assert best.item() == pytest.approx(0.0, abs=1e-12)


def test_losses_are_sums_over_positives_divided_by_their_number() -> None:
    batch = collate([sample(random_boxes(4)), sample(random_boxes(1, seed=3))])
    predictions = predictions_for(batch)
    losses = Criterion(FocalLoss(), SmoothL1Loss(), box_weight=3.0)(predictions, batch, DeltaCoder())
    flat = predictions.logits.flatten(0, 1)
    targets = torch.zeros_like(flat)
    targets[batch.positives, batch.labels] = 1
    count = len(batch.positives)
    torch.testing.assert_close(losses["classification"], sigmoid_focal_loss(flat, targets, reduction="sum") / count)
    deltas = predictions.deltas.flatten(0, 1)[batch.positives]
    expected = torch.nn.functional.smooth_l1_loss(
        deltas, DeltaCoder().encode(batch.boxes, batch.anchors), beta=1 / 9, reduction="sum"
    )
    torch.testing.assert_close(losses["box"], 3.0 * expected / count)


def test_perfect_boxes_have_no_box_loss() -> None:
    batch = collate([sample(random_boxes(4))])
    coder = DeltaCoder()
    predictions = predictions_for(batch)
    with torch.no_grad():
        predictions.deltas.flatten(0, 1)[batch.positives] = coder.encode(batch.boxes, batch.anchors)
    for loss in (GIoULoss(), SmoothL1Loss()):
        assert Criterion(box=loss)(predictions, batch, coder)["box"].item() == pytest.approx(0, abs=1e-5)
    found = paired_iou(batch.boxes, batch.boxes)
    np.testing.assert_allclose(found, 1, rtol=1e-5)


def test_ignored_anchors_carry_no_loss() -> None:
    one = sample(np.array([[0.0, 0, 160, 160]]))
    one.target.crowd[:] = True
    batch = collate([one])
    predictions = predictions_for(batch)
    Criterion()(predictions, batch, DeltaCoder())["classification"].backward()  # type: ignore[no-untyped-call]
    gradient = predictions.logits.grad
    assert gradient is not None
    silent = (gradient[0] == 0).all(dim=1).nonzero().squeeze(1)
    assert silent.tolist() == batch.ignored.tolist()


def test_a_batch_without_objects_trains() -> None:
    model = TINY(ANCHORS.strides, ANCHORS.shapes_per_level, 3)
    batch = collate([sample(random_boxes(0))] * 2)
    losses = Criterion()(model(batch.images), batch, DeltaCoder())
    assert losses["box"].item() == 0.0
    (losses["box"] + losses["classification"]).backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


def test_decoding_perfect_predictions_gives_the_boxes_back_in_original_pixels() -> None:
    boxes = np.array([[10.0, 10, 50, 60], [80, 90, 150, 140], [100, 10, 130, 30]])
    one = sample(boxes)
    scaled = Sample(
        one.image, one.target, 7, (0.5, 2.0), (320, 80), one.extent
    )  # network pixels for one original pixel
    batch = collate([scaled])
    grid, coder = ANCHORS((160, 160)), DeltaCoder()
    logits, deltas = torch.full((1, len(grid), 3), -9.0), torch.zeros(1, len(grid), 4)
    logits[0, batch.positives, batch.labels] = 5.0
    deltas[0, batch.positives] = coder.encode(batch.boxes, batch.anchors)
    (found,) = Decoder()(Predictions(logits, deltas), grid, [scaled], coder)
    order = np.argsort(found.labels)
    np.testing.assert_allclose(found.boxes[order], boxes / [2.0, 0.5, 2.0, 0.5], atol=1e-3)
    assert found.labels[order].tolist() == [0, 1, 2]
    assert found.image_id == 7
    assert set(found.anchors.tolist()) <= set(batch.positives.tolist())


def test_decoding_drops_anchors_of_the_padding_and_boxes_without_area() -> None:
    """Every anchor has a good score; offsets move half of the boxes off the image."""
    grid, coder = ANCHORS((160, 160)), DeltaCoder()
    one = replace(sample(random_boxes(0), (100, 160)), extent=(0, 0, 100, 160))
    deltas = torch.zeros(1, len(grid), 4)
    deltas[0, ::2, 0] = 100.0  # far to the right
    predictions = Predictions(torch.full((1, len(grid), 1), 2.0), deltas)
    (found,) = Decoder(nms_iou=1.0, topk_candidates=10**6, max_detections=10**6)(predictions, grid, [one], coder)
    centers = (grid.boxes[:, 1] + grid.boxes[:, 3]) / 2
    expected = [anchor for anchor in range(1, len(grid), 2) if centers[anchor] < 100]
    assert sorted(found.anchors.tolist()) == expected
    assert (found.boxes[:, 2:] > found.boxes[:, :2]).all()
    assert found.boxes[:, 3].max() <= 100


def test_decoding_keeps_the_best_and_stops_at_the_limits() -> None:
    grid = ANCHORS((160, 160))
    logits = torch.linspace(-2, 2, len(grid)).reshape(1, -1, 1)
    predictions = Predictions(logits, torch.zeros(1, len(grid), 4))
    (found,) = Decoder(score_threshold=0.5, nms_iou=1.0, max_detections=5)(
        predictions, grid, [sample(random_boxes(0))], DeltaCoder()
    )
    assert found.anchors.tolist() == list(range(len(grid) - 1, len(grid) - 6, -1))
    (none,) = Decoder(score_threshold=0.99)(predictions, grid, [sample(random_boxes(0))], DeltaCoder())
    assert len(none) == 0
    assert none.boxes.shape == (0, 4)


@pytest.mark.parametrize("candidates", [1, 3, 1000])
def test_candidates_are_counted_by_class_or_by_level(candidates: int) -> None:
    """By a slow obvious loop over the groups."""
    grid = ANCHORS((160, 160))
    scores = torch.rand(3, len(grid), 3, generator=torch.Generator().manual_seed(0))
    scores[1] = 0.1  # an image without a candidate
    levels = np.repeat(np.arange(3), [len(level) for level in grid.levels])
    samples = [replace(sample(random_boxes(0)), image_id=number) for number in (7, 8, 9)]
    for group in ("class", "level"):
        decoder = Decoder(0.5, candidates, topk_per=group)
        batch = decoder.decode(
            decoder.above_threshold(scores), torch.zeros(3, len(grid), 4), grid, samples, DeltaCoder()
        )
        assert [found.image_id for found in batch] == [7, 8, 9]
        for found, values in zip(batch, scores, strict=True):
            expected = set()
            for value in range(3):
                pairs = [
                    (-values[a, c].item(), a, c)
                    for a, c in np.ndindex(len(grid), 3)
                    if values[a, c] > 0.5 and value == (c if group == "class" else levels[a])
                ]
                expected |= {(a, c) for _, a, c in sorted(pairs)[:candidates]}
            assert set(zip(found.anchors.tolist(), found.labels.tolist(), strict=True)) == expected
            assert len(found) == len(expected)


def test_a_softmax_shares_its_score_with_the_background() -> None:
    logits = torch.tensor([[[1.0, 2.0, 0.0]]])
    scores = Predictions(logits, torch.zeros(1, 1, 4), background_class=True).scores()
    expected = np.exp([2.0, 0.0]) / np.exp([1.0, 2.0, 0.0]).sum()
    np.testing.assert_allclose(scores[0, 0], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "channels"),
    [("mobilenet_v2", (32, 96, 1280)), ("resnet18", (128, 256, 512)), ("mobilenet_v3_small", (24, 48, 576))],
)
def test_torchvision_backbones_give_the_last_map_of_each_stride(name: str, channels: tuple[int, ...]) -> None:
    module = TorchvisionBackbone(name, weights="none")().eval()
    assert module.channels == channels
    maps = module(torch.zeros(1, 3, 96, 64))
    assert [tuple(m.shape[1:]) for m in maps] == [
        (c, 96 // s, 64 // s) for c, s in zip(channels, (8, 16, 32), strict=True)
    ]


def test_tensorflow_padding_shifts_the_grid_of_strided_convolutions() -> None:
    torch.manual_seed(0)
    plain = TorchvisionBackbone("mobilenet_v2", weights="none", strides=(8,))
    ours = TorchvisionBackbone("mobilenet_v2", weights="none", strides=(8,), tensorflow_padding=True)()
    theirs = plain()
    theirs.load_state_dict(ours.state_dict())  # the names are those of the plain network
    first = next(module for module in ours.modules() if isinstance(module, torch.nn.Conv2d))
    images = torch.randn(1, 3, 32, 32)
    padded = torch.nn.functional.pad(images, (0, 1, 0, 1))
    expected = torch.nn.functional.conv2d(padded, first.weight, stride=2)
    torch.testing.assert_close(first(images), expected)


@pytest.mark.parametrize("tensorflow_padding", [False, True])
def test_strided_depthwise_convolutions_are_float32_under_autocast(tensorflow_padding: bool) -> None:
    torch.manual_seed(0)
    backbone = TorchvisionBackbone(
        "mobilenet_v2", weights="none", strides=(8,), tensorflow_padding=tensorflow_padding
    )()
    strided = [m for m in backbone.modules() if isinstance(m, torch.nn.Conv2d) and m.stride[0] == 2 and m.groups > 1]
    assert len(strided) == 2
    images = torch.randn(2, 3, 48, 64)
    maps = backbone(images)
    for conv in strided:
        features = torch.randn(2, conv.in_channels, 16, 24, dtype=torch.bfloat16)
        padding = (0, 1, 0, 1) if tensorflow_padding else (1, 1, 1, 1)
        padded = torch.nn.functional.pad(features.float(), padding)
        expected = torch.nn.functional.conv2d(padded, conv.weight, stride=2, groups=conv.groups)
        (gradient,) = torch.autograd.grad(expected.sum(), conv.weight)
        with torch.autocast("cpu", torch.bfloat16):
            found = conv(features)
        assert torch.equal(found, expected.bfloat16())
        found.sum().backward()
        torch.testing.assert_close(conv.weight.grad, gradient)
    with torch.autocast("cpu", torch.bfloat16):
        fast = backbone(images)
    assert fast[0].dtype == torch.bfloat16
    assert (fast[0] - maps[0]).abs().mean() < 0.1 * maps[0].abs().mean()


def test_backbone_mistakes_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a torchvision classifier"):
        TorchvisionBackbone("mobilenet_v22")()
    with pytest.raises(InputError, match="does not exist"):
        TorchvisionBackbone("resnet18", weights=str(tmp_path / "none.pth"))()
    with pytest.raises(InputError, match="neither default, none, a file"):
        TorchvisionBackbone("resnet18", weights="IMAGENET1K_V9")()
    with pytest.raises(InputError, match="no map of stride 64"):
        TorchvisionBackbone("resnet18", weights="none", strides=(64,))()
    path = tmp_path / "other.pth"
    torch.save({"features.0.0.weight": torch.zeros(3)}, path)
    with pytest.raises(InputError, match=r"other\.pth does not fit resnet18"):
        TorchvisionBackbone("resnet18", weights=str(path))()


def test_backbone_weights_are_loaded(real_data: Path) -> None:
    path = real_data / "weights" / "mobilenet_v2_imagenet_tvnaming.pth"
    module = TorchvisionBackbone("mobilenet_v2", weights=str(path))()
    stored = torch.load(path, weights_only=True)["features.0.0.weight"]
    loaded = next(p for p in module.parameters())
    torch.testing.assert_close(loaded.detach(), stored)


def test_max_iou_fits_too() -> None:
    batch = Collate(ANCHORS, MaxIoUAssigner(rescue_iou=0.1), multiple=32)([sample(random_boxes(5))])
    assert len(batch.positives) >= 5
