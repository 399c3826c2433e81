"""The GPU path on a pretended GPU and on torch's fake tensors: devices, sizes, synchronizations, and the results."""

from __future__ import annotations

import copy
import math
from dataclasses import fields, replace
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DynamicOutputShapeException, FakeTensorMode
from torch.func import functional_call

from anchorloc.config import Config
from anchorloc.detector import Batch, Criterion, DetectorSettings
from anchorloc.engine.build import build_detector
from anchorloc.engine.inference import autocast, detect_batch
from anchorloc.engine.learner import Learner, NotFiniteError
from anchorloc.engine.system.processes import SINGLE_PROCESS
from anchorloc.engine.trained_model import TrainedModel, for_inference
from anchorloc.engine.validation import run_validation
from anchorloc.structures import Detections
from tests.engine.pretend_gpu import GPU, PretendGpu
from tests.engine.small_runs import small

# Each kind of assigner, head, loss, pyramid and optimizer is in one of them at least.
CASES = {
    "atss-qfl-giou": [],
    "max-iou-focal-smooth-l1-sgd": [
        "assign={kind: MaxIoUAssigner, positive_iou: 0.5, negative_iou: 0.4}",
        "loss={classification: {kind: FocalLoss}, box: {kind: SmoothL1Loss}}",
        "coder.weights=[10, 10, 5, 5]",
        "train.optimizer={kind: SGD, learning_rate: 0.01}",
    ],
    "task-aligned-iou-branch-ciou-muon": [
        "assign={kind: TaskAlignedAssigner}",
        "detector.head.iou_branch=true",
        "loss.box={kind: CIoULoss}",
        "train.optimizer={kind: Muon}",
    ],
    "level-head-hard-negatives-diou": [
        "detector.head={kind: LevelHead}",
        "detector.pyramid={kind: SSDLitePyramid, channels: [16]}",
        "anchors.strides=[4, 8, 16, 32, 64]",
        "loss={classification: {kind: HardNegativeLoss}, box: {kind: DIoULoss}}",
        "decode.topk_per=class",
    ],
    "group-norm-path-aggregation-mse": [
        "detector.head={channels: 32, depth: 1, norm: group, depthwise: true}",
        "detector.pyramid={kind: PathAggregation, channels: 16}",
        "loss.box={kind: MSELoss}",
        "train.gradient_accumulation=2",
    ],
    "single-box": [
        "task=localization",
        "data={kind: OneShapeData, train_images: 8, val_images: 6}",
        "localizer={}",
    ],
}
WAITS = {"task-aligned-iou-branch-ciou-muon": 1}  # in a step: for the count of positives


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def config_of(name: str, device: str, *words: str) -> Config:
    return small(*CASES[name], "data.size=64", *words, f"train.device={device}")


def batch_of(config: Config, images: int, crowd: bool = False) -> Batch:
    """Return the first images; `crowd` makes crowds of their first boxes, whose anchors are ignored."""
    samples = config.samples(config.data.open("train"), training=False)
    chosen = [samples[0, index] for index in range(images)]
    for sample in chosen if crowd else ():
        sample.target.crowd[:1] = True
    return config.method.collate()(chosen)


def learner_of(config: Config) -> Learner:
    return Learner(config, config.data.open("train").categories, SINGLE_PROCESS)


def _state(learner: Learner) -> list[Tensor]:
    return list(learner.average.module.state_dict().values())


def weights_of(learner: Learner) -> list[Tensor]:
    """Return the numbers of the weights on the pretended GPU."""
    return [weight.host for weight in learner.model.parameters()]  # type: ignore[attr-defined]


def test_the_cases_have_every_kind() -> None:
    """A kind that is added is added to CASES."""
    configs = [config_of(name, "cpu") for name in CASES]
    parts = [part for config in configs for part in (config, config.loss, config.detector)]
    used = {type(getattr(part, field.name)) for part in parts for field in fields(part)}
    hints = {**get_type_hints(Criterion), **get_type_hints(Config), **get_type_hints(DetectorSettings)}
    for name in ("assign", "classification", "box", "head"):
        kinds = {
            kind for kind in get_args(hints[name]) if not getattr(kind, "_is_protocol", False)
        }  # parts of one's own
        assert kinds <= used, name


def test_training_and_inference_give_what_the_cpu_gives(case: str) -> None:
    """A step does not wait for the device, reading losses does once; inference as often for 2 images as for 5."""
    plain, moved = config_of(case, "cpu"), config_of(case, "cuda")
    parts = [batch_of(plain, 2)] * plain.train.gradient_accumulation
    batches = [batch_of(plain, count) for count in (2, 5)]
    theirs = learner_of(plain)
    expected = theirs.update(parts, 1.0)
    network = for_inference(copy.deepcopy(theirs.average.module), plain, theirs.device)
    scored = run_validation(network, batches, plain, theirs.device)
    with PretendGpu() as gpu:
        ours = learner_of(moved)
        assert next(ours.model.parameters()).device == GPU
        pinned = [part.pin_memory() for part in parts]
        gpu.waits.clear()
        ours.queue_update(pinned, 1.0)
        assert len(gpu.waits) == WAITS.get(case, 0), gpu.waits
        assert ours.read_losses() == [pytest.approx(expected, rel=1e-5)]
        assert len(gpu.waits) == WAITS.get(case, 0) + 1, gpu.waits
        for (name, value), other in zip(ours.average.module.state_dict().items(), _state(theirs), strict=True):
            torch.testing.assert_close(value.host, other, rtol=1e-4, atol=1e-6, msg=name)
        moved_network = for_inference(copy.deepcopy(ours.average.module), moved, ours.device)
        waits = []
        for batch, result in zip(batches, scored, strict=True):
            on_host = batch.pin_memory()
            gpu.waits.clear()
            (found,) = run_validation(moved_network, [on_host], moved, ours.device)
            waits.append(list(gpu.waits))
            assert found.losses == pytest.approx(result.losses, rel=1e-4)
            assert_same_detections(found.detections, result.detections)
        samples = [moved.samples(moved.data.open("train"), training=False)[0, 0]]
        candidates = TrainedModel(moved, (), 0, moved_network, ours.device).candidates(samples)
    assert_same_detections(candidates, TrainedModel(plain, (), 0, network, theirs.device).candidates(samples))
    assert waits[0] == waits[1]
    assert len(waits[0]) == (4 if case == "single-box" else 6 + WAITS.get(case, 0)), waits[0]


def test_ignored_anchors_cost_task_alignment_one_more_wait() -> None:
    name = "task-aligned-iou-branch-ciou-muon"
    plain = config_of(name, "cpu")
    theirs, batch = learner_of(plain), batch_of(plain, 2, crowd=True)
    assert len(batch.ignored)
    expected = theirs.update([batch], 1.0)
    with PretendGpu() as gpu:
        ours, pinned = learner_of(config_of(name, "cuda")), batch.pin_memory()
        gpu.waits.clear()
        ours.queue_update([pinned], 1.0)
        assert len(gpu.waits) == 2, gpu.waits
        assert ours.read_losses() == [pytest.approx(expected, rel=1e-5)]


@pytest.mark.parametrize("name", ["atss-qfl-giou", "max-iou-focal-smooth-l1-sgd", "task-aligned-iou-branch-ciou-muon"])
def test_a_nan_gets_into_no_weight_though_the_host_does_not_wait(name: str) -> None:
    """Nor do the updates after it change a weight, until the losses are read."""
    batch = batch_of(config_of(name, "cpu"), 2)
    with PretendGpu() as gpu:
        learner, parts = learner_of(config_of(name, "cuda")), [batch.pin_memory()]
        *_, last = learner.model.parameters()
        learner.queue_update(parts, 1.0)
        before = [value.clone() for value in weights_of(learner)]
        hook = last.register_hook(lambda gradient: gradient * torch.nan)  # type: ignore[no-untyped-call]
        gpu.waits.clear()
        learner.queue_update(parts, 1.0)
        hook.remove()
        learner.queue_update(parts, 1.0)
        assert len(gpu.waits) == 2 * WAITS.get(name, 0), gpu.waits
        assert all(torch.equal(now, then) for now, then in zip(weights_of(learner), before, strict=True))
        with pytest.raises(NotFiniteError) as caught:
            learner.read_losses()
    assert (caught.value.what, caught.value.place) == ("the norm of the gradients", 1)
    assert math.isnan(caught.value.value)


def test_updates_that_may_be_skipped_wait() -> None:
    """The statistics of batch normalization must not change by a NaN: once a step."""
    moved = config_of("atss-qfl-giou", "cuda", "train.skip_nonfinite=1")
    batch = batch_of(moved, 2)
    with PretendGpu() as gpu:
        learner, pinned = learner_of(moved), batch.pin_memory()
        gpu.waits.clear()
        assert learner.update([pinned], 1.0)["loss"] > 0
        assert len(gpu.waits) == 1, gpu.waits


def assert_same_detections(ours: list[Detections], theirs: list[Detections]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one.boxes, other.boxes, rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(one.scores, other.scores, rtol=1e-4, atol=1e-6)
        assert one.labels.tolist() == other.labels.tolist()
        assert one.anchors.tolist() == other.anchors.tolist()


def test_padded_images_wait_once_more() -> None:
    """Their candidates outside the image are left out."""
    words = ["transform.resize={kind: Letterbox, height: 128, width: 128}", "decode.score_threshold=0"]
    plain, moved = small(*words), small(*words, "train.device=cuda")
    batch = batch_of(plain, 3)
    samples = tuple(replace(sample, extent=(0, 0, 128 - 32 * place, 128)) for place, sample in enumerate(batch.samples))
    batch = replace(batch, samples=samples)
    theirs = learner_of(plain)
    expected = detect_batch(theirs.model, batch, plain, theirs.device)
    with PretendGpu() as gpu:
        ours, pinned = learner_of(moved), batch.pin_memory()
        gpu.waits.clear()
        assert_same_detections(detect_batch(ours.model, pinned, moved, ours.device), expected)
    assert len(gpu.waits) == 6, gpu.waits


def test_the_pretended_gpu_refuses_mixes_and_counts_waits() -> None:
    with PretendGpu() as gpu:
        values = torch.arange(4.0, device="cuda")
        with pytest.raises(RuntimeError, match=r"aten\.add\.Tensor mixes cuda:0 and cpu \(4,\)"):
            values + torch.ones(4)
        with pytest.raises(RuntimeError, match="mixes cuda:0 and cpu"):
            torch.stack([values[0], torch.tensor(1.0)])
        assert (values + torch.tensor(1.0)).host.tolist() == [1, 2, 3, 4]  # type: ignore[attr-defined]
        assert gpu.waits == []
        for waiting in (
            lambda: values.sum().item(),
            lambda: values.tolist(),
            lambda: values.cpu(),
            lambda: values[values > 1],
            lambda: torch.nonzero(values),
            lambda: torch.bincount(values.long()),
            lambda: torch.ones(4).to("cuda"),
            lambda: torch.ones(4).to("cuda", non_blocking=True),
            lambda: values.copy_(torch.ones(4)),
        ):
            gpu.waits.clear()
            waiting()
            assert len(gpu.waits) == 1, (waiting.__code__.co_firstlineno, gpu.waits)
        gpu.waits.clear()
        torch.ones(4).pin_memory().to("cuda", non_blocking=True)
        values[values.long().clamp(max=1)] = 2.0
        assert gpu.waits == []


@pytest.mark.parametrize("name", [name for name in CASES if name != "task-aligned-iou-branch-ciou-muon"])
def test_fake_tensors_of_torch_take_the_same_way_in_bfloat16(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's own rules for devices and types: forward pass under autocast, losses, and the optimizer's step."""
    _allow_autocast(monkeypatch)
    config = config_of(name, "cuda", "train.precision=bfloat16")
    batch = batch_of(config, 2)
    network, types = build_detector(config, 4), []
    network.pyramid.register_forward_hook(lambda _, inputs, output: types.append(_first(output).dtype))
    with FakeTensorMode(allow_non_fake_inputs=True):
        moved = batch.to(GPU)
        with autocast(config, GPU):
            predictions = functional_call(network, on_gpu(network), (moved.images,))
        losses = config.method.losses(predictions, config.method.reassign(predictions, moved))
    assert types == [torch.bfloat16]
    assert predictions.logits.dtype == torch.float32
    assert {(loss.device, loss.dtype, loss.shape) for loss in losses.values()} == {(GPU, torch.float32, ())}


def on_gpu(network: nn.Module) -> dict[str, Tensor]:
    """Return weights and buffers without numbers."""
    named = [*network.named_parameters(), *network.named_buffers()]
    return {
        name: torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=GPU) for name, value in named
    }


def _first(output: Any) -> Tensor:
    return output if isinstance(output, Tensor) else output[0]


def test_task_alignment_on_fake_tensors_stops_at_its_number_of_positives(monkeypatch: pytest.MonkeyPatch) -> None:
    _allow_autocast(monkeypatch)
    config = config_of("task-aligned-iou-branch-ciou-muon", "cuda")
    batch, network = batch_of(config, 2), build_detector(config, 4)
    with FakeTensorMode(allow_non_fake_inputs=True):
        moved = batch.to(GPU)
        predictions = functional_call(network, on_gpu(network), (moved.images,))
        with pytest.raises(DynamicOutputShapeException, match="nonzero"):
            config.method.reassign(predictions, moved)


def _allow_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch turns autocast off where no GPU is; and fake tensors have no pinned memory."""
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    monkeypatch.setattr(Tensor, "pin_memory", lambda self: self)
