"""Losses and the assigner between model and loss, each against an independent computation."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.ops import complete_box_iou_loss, distance_box_iou_loss, generalized_box_iou_loss

from anchorloc.anchors import AnchorGenerator
from anchorloc.assign import ATSSAssigner
from anchorloc.boxes import box_iou, paired_box_iou
from anchorloc.detector import (
    Batch,
    CIoULoss,
    Collate,
    Criterion,
    DeltaCoder,
    DetectorSettings,
    DIoULoss,
    FeaturePyramid,
    FocalLoss,
    GIoULoss,
    HardNegativeLoss,
    Head,
    LevelHead,
    MSELoss,
    Predictions,
    QualityFocalLoss,
    ResidualBackbone,
    SmoothL1Loss,
    TaskAlignedAssigner,
    class_losses,
)
from anchorloc.structures import Sample, Target
from tests.torch_rounding import ROUNDS_ALIKE

ANCHORS = AnchorGenerator(strides=(8, 16, 32), scales=(3,), height_to_width=(1,))
CODER = DeltaCoder()
BOX_LOSSES = [GIoULoss(), DIoULoss(), CIoULoss(), SmoothL1Loss(), MSELoss()]
seeds = st.integers(0, 2**32)


def boxes_of(seed: int, count: int, size: float = 128) -> Tensor:
    random = np.random.default_rng(seed)
    low = random.uniform(0, size - 50, (count, 2))
    return torch.tensor(np.concatenate([low, low + random.uniform(4, 50, (count, 2))], axis=1), dtype=torch.float32)


def sample(boxes: Tensor, crowd: bool = False) -> Sample:
    count = len(boxes)
    rows = np.arange(count, dtype=np.int64)
    target = Target(boxes.numpy().astype(np.float64), rows % 3, np.full(count, crowd), np.ones(count), rows)
    return Sample(np.zeros((128, 128, 3), np.uint8), target, 1, (1.0, 1.0), (128, 128), (0, 0, 128, 128))


def collate(*samples: Sample) -> Batch:
    return Collate(ANCHORS, ATSSAssigner(), multiple=32)(samples)


def predictions_for(batch: Batch, columns: int = 3, seed: int = 0, **more: Any) -> Predictions:
    generator = torch.Generator().manual_seed(seed)
    shape = (len(batch.images), len(ANCHORS((128, 128))))
    logits = torch.randn(*shape, columns, generator=generator).requires_grad_()
    return Predictions(logits, (0.1 * torch.randn(*shape, 4, generator=generator)).requires_grad_(), **more)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (GIoULoss(), generalized_box_iou_loss),
        (DIoULoss(), distance_box_iou_loss),
        (CIoULoss(), complete_box_iou_loss),
    ],
)
@given(seed=seeds)
@settings(max_examples=30)
def test_overlap_losses_and_their_gradients_equal_torchvision(ours: Any, theirs: Any, seed: int) -> None:
    anchors, boxes = boxes_of(seed, 20), boxes_of(seed + 1, 20)
    deltas = (0.5 * torch.randn(20, 4, generator=torch.Generator().manual_seed(seed))).requires_grad_()
    found = ours(deltas, boxes, anchors, CODER)
    expected = theirs(CODER.decode(deltas, anchors), boxes)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(found, expected) or not isinstance(ours, GIoULoss)
    (slope,) = torch.autograd.grad(found.sum(), deltas, retain_graph=True)
    (expected_slope,) = torch.autograd.grad(expected.sum(), deltas)
    torch.testing.assert_close(slope, expected_slope, rtol=1e-3, atol=1e-4)


def test_ciou_by_hand() -> None:
    """A 2 × 1 box in the corner of a 2 × 2 box: IoU 1/2, centers 1/2 apart, diagonal squared 8."""
    boxes, anchors = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[0.0, 0, 2, 1]])
    shape = 4 / math.pi**2 * (math.atan(1) - math.atan(2)) ** 2
    expected = 0.5 + 0.25 / 8 + shape / (0.5 + shape) * shape
    assert CIoULoss()(torch.zeros(1, 4), boxes, anchors, CODER).item() == pytest.approx(expected, rel=1e-5)
    assert DIoULoss()(torch.zeros(1, 4), boxes, anchors, CODER).item() == pytest.approx(0.5 + 0.25 / 8, rel=1e-5)


def test_squared_error_by_hand() -> None:
    boxes, anchors = torch.tensor([[1.0, 0, 3, 2]]), torch.tensor([[0.0, 0, 2, 2]])  # half an anchor to the right
    assert MSELoss()(torch.tensor([[0.0, 0, 2, 0]]), boxes, anchors, CODER).item() == pytest.approx(0.25 + 4)


@pytest.mark.parametrize("loss", [GIoULoss(), DIoULoss(), CIoULoss()], ids=lambda loss: type(loss).__name__)
def test_overlap_losses_are_finite_for_degenerate_pairs(loss: Any) -> None:
    """A point, a line and a far box, each against each, deltas that shrink an anchor to nothing included."""
    kinds = torch.tensor([[5.0, 5, 5, 5], [5, 5, 5, 9], [1, 5, 9, 5], [2, 2, 8, 8], [1e6, 1e6, 1e6 + 1, 1e6 + 1]])
    rows = torch.cartesian_prod(torch.arange(5), torch.arange(5))
    for shrink in (0.0, -80.0):
        deltas = torch.tensor([[0.0, 0, shrink, shrink]]).repeat(25, 1).requires_grad_()
        found = loss(deltas, kinds[rows[:, 0]], kinds[rows[:, 1]], CODER)
        found.sum().backward()
        assert deltas.grad is not None
        assert torch.isfinite(found).all()
        assert torch.isfinite(deltas.grad).all()
        assert (found >= -1e-5).all()


def hard_negatives_one_by_one(logits: Tensor, batch: Batch, ratio: float) -> Tensor:
    """The slow obvious twin: SSD's loss, image by image, anchor by anchor."""
    images, anchors, _ = logits.shape
    labels = {int(a): int(label) + 1 for a, label in zip(batch.positives, batch.labels, strict=True)}
    ignored = set(batch.ignored.tolist())
    total = torch.zeros(())
    for image in range(images):
        positive, negative = [], []
        for anchor in range(anchors):
            place = image * anchors + anchor
            loss = F.cross_entropy(logits[image, anchor][None], torch.tensor([labels.get(place, 0)]))
            if place in labels:
                positive.append(loss)
            elif place not in ignored:
                negative.append(loss)
        hardest = sorted(negative, key=lambda loss: -float(loss))[: math.ceil(ratio * len(positive))]
        total = total + sum(positive, torch.zeros(())) + sum(hardest, torch.zeros(()))
    return total


@pytest.mark.parametrize("ratio", [3.0, 0.5, 1000.0])
def test_hard_negatives_equal_the_slow_twin(ratio: float) -> None:
    crowd = sample(torch.tensor([[0.0, 0, 64, 64]]), crowd=True)
    batch = collate(sample(boxes_of(0, 3)), crowd, sample(boxes_of(1, 1)))
    logits = predictions_for(batch, 4).logits
    found = HardNegativeLoss(ratio).total(logits, batch, torch.ones(len(batch.positives)))
    torch.testing.assert_close(found, hard_negatives_one_by_one(logits.detach(), batch, ratio), rtol=1e-5, atol=1e-4)
    found.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert (logits.grad.flatten(0, 1)[batch.ignored] == 0).all()
    assert (logits.grad[1] == 0).all()  # an image without a positive has no negatives either


def test_hard_negatives_equal_torchvision() -> None:
    """Without ignored anchors it is the classification loss of torchvision's SSD."""
    from torchvision.models.detection.ssd import SSD

    batch = collate(sample(boxes_of(0, 3)), sample(boxes_of(5, 2)))
    predictions = predictions_for(batch, 4)
    grid = ANCHORS((128, 128))
    matched = [ATSSAssigner()(grid, s.target.boxes, s.target.crowd).matched for s in batch.samples]
    peer: Any = SSD.__new__(SSD)
    torch.nn.Module.__init__(peer)
    peer.neg_to_pos_ratio, peer.box_coder = 3.0, _TorchvisionCoder()
    expected = peer.compute_loss(
        [{"boxes": torch.tensor(s.target.boxes), "labels": torch.tensor(s.target.labels) + 1} for s in batch.samples],
        {"cls_logits": predictions.logits, "bbox_regression": predictions.deltas},
        [torch.from_numpy(grid.boxes)] * 2,
        [torch.from_numpy(m).long() for m in matched],
    )
    found = Criterion(HardNegativeLoss(), SmoothL1Loss(beta=1), box_weight=1)(predictions, batch, CODER)
    torch.testing.assert_close(found["classification"], expected["classification"])
    torch.testing.assert_close(found["box"], expected["bbox_regression"].to(torch.float32), rtol=1e-4, atol=1e-5)


class _TorchvisionCoder:
    def encode_single(self, boxes: Tensor, anchors: Tensor) -> Tensor:
        return CODER.encode(boxes, anchors)


def model(head: Head | LevelHead) -> torch.nn.Module:
    settings_ = DetectorSettings(ResidualBackbone((8, 8, 16, 16), (1, 1, 1, 1), 8), FeaturePyramid(16), head)
    return settings_(ANCHORS.strides, ANCHORS.shapes_per_level, 3)


@pytest.mark.parametrize("box", BOX_LOSSES, ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("classification", [FocalLoss(), QualityFocalLoss(), HardNegativeLoss()])
def test_a_batch_without_objects_trains(box: Any, aligned: bool, classification: Any) -> None:
    network = model(Head(channels=16, iou_branch=True, background_class=classification.background_class))
    crowd = sample(torch.tensor([[0.0, 0, 128, 128]]), crowd=True)
    batch = collate(sample(torch.zeros(0, 4)), crowd)
    predictions = network(batch.images)
    if aligned:
        batch = TaskAlignedAssigner()(predictions, batch, ANCHORS((128, 128)), CODER)
    losses = Criterion(classification, box)(predictions, batch, CODER)
    assert losses["box"].item() == losses["iou"].item() == 0.0
    torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())
    assert len(batch.ignored) > 0


def test_the_quality_branch_learns_the_iou_and_shares_the_score() -> None:
    batch = collate(sample(boxes_of(0, 3)))
    predictions = predictions_for(batch)
    quality = torch.randn(predictions.logits.shape[:2], generator=torch.Generator().manual_seed(1))
    predictions = predictions._replace(iou_logits=quality)
    found = Criterion(iou_branch_weight=2.0)(predictions, batch, CODER)["iou"]
    boxes = CODER.decode(predictions.deltas[0, batch.positives], batch.anchors).detach().numpy()
    iou = np.diagonal(box_iou(boxes, batch.boxes.numpy()))
    guess = 1 / (1 + np.exp(-quality[0, batch.positives].numpy()))
    expected = -(iou * np.log(guess) + (1 - iou) * np.log(1 - guess)).mean()
    assert found.item() == pytest.approx(2 * expected, rel=1e-4)
    score = (predictions.logits.sigmoid() * quality.sigmoid()[..., None]) ** 0.5
    torch.testing.assert_close(predictions.scores(), score)


def task_aligned_one_by_one(
    assigner: TaskAlignedAssigner, scores: np.ndarray, found: np.ndarray, anchors: np.ndarray, target: Target
) -> dict[int, tuple[int, float]]:
    """The slow obvious twin: anchor: (row, alignment) of one image."""
    centers = (anchors[:, :2] + anchors[:, 2:]) / 2
    wanted: dict[int, list[tuple[float, int, float]]] = {}
    for row, box in enumerate(target.boxes):
        if target.crowd[row]:
            continue
        iou = box_iou(found, box[None].astype(np.float32))[:, 0]
        metric = scores[:, target.labels[row]] ** assigner.alpha * iou**assigner.beta
        inside = [a for a in range(len(anchors)) if (box[:2] < centers[a]).all() and (centers[a] < box[2:]).all()]
        for anchor in sorted(inside, key=lambda a: -metric[a])[: assigner.topk]:
            if metric[anchor] * iou[anchor] > 0:
                wanted.setdefault(anchor, []).append((iou[anchor], row, metric[anchor]))
    chosen = {anchor: max(rows) for anchor, rows in wanted.items()}
    result = {}
    for anchor, (_, row, metric_) in chosen.items():
        mine = [(i, m) for i, r, m in chosen.values() if r == row]
        result[anchor] = (row, metric_ / max(m for _, m in mine) * max(i for i, _ in mine))
    return result


@given(seed=seeds, count=st.integers(0, 6), top=st.integers(1, 20))
@settings(max_examples=40)
def test_task_alignment_equals_the_slow_twin(seed: int, count: int, top: int) -> None:
    assigner, grid = TaskAlignedAssigner(top), ANCHORS((128, 128))
    samples = [sample(boxes_of(seed, count)), sample(torch.zeros(0, 4)), sample(boxes_of(seed + 1, 2))]
    batch = collate(*samples)
    predictions = predictions_for(batch, seed=seed)
    aligned = assigner(predictions, batch, grid, CODER)
    assert aligned.alignment is not None
    expected: dict[int, tuple[int, float]] = {}
    for place, one in enumerate(samples):
        found = CODER.decode(predictions.deltas[place], torch.from_numpy(grid.boxes)).detach().numpy()
        scores = predictions.scores()[place].detach().numpy()
        mine = task_aligned_one_by_one(assigner, scores, found, grid.boxes, one.target)
        expected |= {anchor + place * len(grid): value for anchor, value in mine.items()}
    assert aligned.positives.tolist() == sorted(expected)
    for index, anchor in enumerate(aligned.positives.tolist()):
        row, alignment = expected[anchor]
        target = samples[anchor // len(grid)].target
        np.testing.assert_allclose(aligned.boxes[index], target.boxes[row], rtol=1e-6)
        assert aligned.labels[index] == target.labels[row]
        assert aligned.alignment[index].item() == pytest.approx(alignment, rel=1e-3, abs=1e-6)


@given(seed=seeds, count=st.integers(0, 6), top=st.integers(1, 20))
@settings(max_examples=40)
def test_the_lab_shows_the_task_alignment_of_equal_scores_and_no_offsets(seed: int, count: int, top: int) -> None:
    assigner, grid = TaskAlignedAssigner(top), ANCHORS((128, 128))
    crowd = sample(boxes_of(seed + 1, 1), crowd=True).target
    target = Target(*(np.concatenate(pair) for pair in zip(
        vars(sample(boxes_of(seed, count)).target).values(), vars(crowd).values(), strict=True
    )))  # fmt: skip
    batch = collate(replace(sample(boxes_of(seed, 0)), target=target))
    predictions = Predictions(torch.zeros(1, len(grid), 3), torch.zeros(1, len(grid), 4))
    aligned, shown = assigner(predictions, batch, grid, CODER), assigner.untrained(grid, target.boxes, target.crowd)
    pairs = ((shown.anchors, target.boxes[shown.rows]), (aligned.positives.numpy(), aligned.boxes.double().numpy()))
    found, expected = (sorted(paired_box_iou(grid.boxes[anchors], boxes).tolist()) for anchors, boxes in pairs)
    assert found == pytest.approx(expected, abs=1e-6)
    if ROUNDS_ALIKE:  # else rounding may rank anchors of one IoU otherwise
        assert shown.anchors.tolist() == aligned.positives.tolist()
        np.testing.assert_array_equal(target.boxes[shown.rows].astype(np.float32), aligned.boxes)
    assert shown.ignored.tolist() == aligned.ignored.tolist()
    assert shown.unassigned.tolist() == sorted({*range(count)} - {*shown.rows.tolist()})
    assert shown.count == len(grid)


def test_alignment_weighs_the_losses() -> None:
    batch = collate(sample(boxes_of(0, 3)))
    predictions = predictions_for(batch)
    aligned = TaskAlignedAssigner()(predictions, batch, ANCHORS((128, 128)), CODER)
    assert aligned.alignment is not None
    losses = Criterion(QualityFocalLoss(), SmoothL1Loss(), box_weight=1)(predictions, aligned, CODER)
    each = SmoothL1Loss()(predictions.deltas[0, aligned.positives], aligned.boxes, aligned.anchors, CODER)
    total = max(1.0, aligned.alignment.sum().item())
    torch.testing.assert_close(losses["box"], (each * aligned.alignment).sum() / total)
    targets = torch.zeros_like(predictions.logits[0])
    targets[aligned.positives, aligned.labels] = aligned.alignment
    torch.testing.assert_close(
        losses["classification"], QualityFocalLoss()(predictions.logits[0], targets).sum() / total
    )


def test_crowds_make_no_positive_and_no_loss_under_alignment() -> None:
    batch = collate(sample(torch.tensor([[0.0, 0, 128, 128]]), crowd=True))
    predictions = predictions_for(batch)
    aligned = TaskAlignedAssigner()(predictions, batch, ANCHORS((128, 128)), CODER)
    assert len(aligned.positives) == 0
    assert aligned.ignored.tolist() == batch.ignored.tolist()
    Criterion()(predictions, aligned, CODER)["classification"].backward()  # type: ignore[no-untyped-call]
    gradient = predictions.logits.grad
    assert gradient is not None
    assert (gradient[0, aligned.ignored] == 0).all()


@pytest.mark.parametrize("loss", [FocalLoss(gamma=0.5), QualityFocalLoss(beta=0.5)])
def test_a_sure_score_has_a_finite_gradient(loss: FocalLoss | QualityFocalLoss) -> None:
    """A score of exactly 1 or 0, where the slope of a root is infinite."""
    logits = torch.tensor([30.0, -120.0], requires_grad=True)
    loss(logits, torch.tensor([1.0, 0.0])).sum().backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad.abs().max() < 1e-3


@settings(max_examples=25)
@given(seeds, st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.0]), st.integers(0, 4), st.floats(0.1, 12))
def test_the_total_is_that_of_the_dense_targets(seed: int, exponent: float, count: int, spread: float) -> None:
    """Value and gradients beside the obvious way: a target for every logit, the ignored anchors left out."""
    batch = collate(sample(boxes_of(seed, count)), sample(boxes_of(seed, 2), crowd=True))
    logits = (spread * predictions_for(batch, seed=seed % 1000).logits.detach()).requires_grad_()
    values = torch.rand(len(batch.positives))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(class_losses, "PIECE", 100)
        for loss, learned in (
            (FocalLoss(gamma=exponent), torch.ones_like(values)),
            (QualityFocalLoss(beta=exponent), values),
        ):
            targets = torch.zeros_like(logits.flatten(0, 1))
            targets[batch.positives, batch.labels] = learned
            dense = loss(logits.flatten(0, 1), targets).index_fill(0, batch.ignored, 0.0).sum()
            expected = torch.autograd.grad(dense, logits)[0]
            total = loss.total(logits, batch, values)
            assert total.item() == pytest.approx(dense.item(), rel=1e-4, abs=1e-4)
            found = torch.autograd.grad(3 * total, logits)[0] / 3
            assert torch.allclose(found, expected, rtol=1e-3, atol=1e-5 * spread)
