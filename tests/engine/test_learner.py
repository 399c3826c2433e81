"""The update of the weights: micro-batches, compiling, and the moving average."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partialmethod
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from anchorloc.detector import Batch
from anchorloc.engine.build import batches, train_loader, validation_batches, validation_loader
from anchorloc.engine.learner import AveragedModel, Learner
from anchorloc.engine.system.processes import SINGLE_PROCESS
from anchorloc.engine.system.signals import Stopped
from anchorloc.engine.training import Training
from anchorloc.errors import InputError
from tests.engine.small_runs import assert_same, assert_same_run, run, small, weights

PLAIN = ["detector.head.norm=none", "train.optimizer={kind: SGD, learning_rate: 0.01, momentum: 0}"]


def learner(*words: str) -> Learner:
    config = small(*PLAIN, *words)
    return Learner(config, config.data.open("train").categories, SINGLE_PROCESS)


def parts_of_a_step(*words: str) -> list[Batch]:
    config = small(*PLAIN, *words)
    stream = batches(train_loader(config, config.data.open("train"), 0))
    return [next(stream) for _ in range(config.train.gradient_accumulation)]


def plain_update(learner: Learner, parts: list[Batch], rate: float) -> dict[str, float]:
    """The obvious twin of `Learner.update`: losses that are divided before they have gradients."""
    config, model = learner.config, learner.model.train()
    weight = max(1.0, sum(len(part.positives) for part in parts))
    losses = [config.loss(model(part.images), part, config.coder, weight) for part in parts]
    total = torch.stack([value for part in losses for value in part.values()]).sum()
    total.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(model.parameters(), config.train.clip_norm)
    learner.optimizer.step(rate)
    return {f"{name}_loss": sum(part[name].item() for part in losses) for name in losses[0]}


@pytest.fixture
def compile_by(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], None]]:
    """Lets torch.compile work without a C++ compiler, which takes a minute: all that it does before that is done."""

    def use(backend: Any) -> None:
        monkeypatch.setattr(nn.Module, "compile", partialmethod(nn.Module.compile, backend=backend, fullgraph=True))

    yield use
    torch.compiler.reset()


def test_a_compiled_network_is_one_graph_that_learns_the_same(compile_by: Callable[[Any], None]) -> None:
    compile_by("aot_eager")
    plain, compiled, parts = learner(), learner("train.compile=true"), parts_of_a_step()
    for _ in range(2):
        losses = plain.update(parts, 1.0)
        assert compiled.update(parts, 1.0) == pytest.approx(losses, rel=1e-5)
    for name, value in plain.average.module.state_dict().items():
        torch.testing.assert_close(compiled.average.module.state_dict()[name], value, rtol=1e-4, atol=1e-6, msg=name)


def test_a_compiled_mobilenet_takes_batches_of_several_sizes_in_bfloat16(compile_by: Callable[[Any], None]) -> None:
    compile_by("aot_eager")
    words = [
        "detector.backbone={kind: TorchvisionBackbone, name: mobilenet_v2, strides: [8], weights: none}",
        "anchors.strides=[8]",  # few layers compile fast
        "train.precision=bfloat16",
    ]
    plain, compiled = learner(*words), learner(*words, "train.compile=true")
    for size in (64, 96):  # the second one makes the sizes free
        parts = parts_of_a_step(*words, f"data.size={size}")
        losses = plain.update(parts, 0.01)
        assert compiled.update(parts, 0.01) == pytest.approx(losses, rel=0.05)


def test_a_network_that_cannot_be_compiled_is_told_in_a_sentence(
    tmp_path: Path, compile_by: Callable[[Any], None]
) -> None:
    def broken(graph: Any, inputs: Any) -> Any:
        raise RuntimeError("\nC++ compile error\n\ncore.h:7: fatal error: Python.h: No such file\nstopped")

    compile_by(broken)
    with pytest.raises(
        InputError, match=r"cannot compile the network \(core.h:7: fatal error: Python.h: No such file\): .*false$"
    ):
        run(small("train.compile=true"), tmp_path / "run")


@pytest.mark.parametrize(
    "words", [[], ["train.gradient_accumulation=2"], ["train.gradient_accumulation=3"], ["train.clip_norm=0.01"]]
)
def test_an_update_is_what_its_obvious_twin_does(words: list[str]) -> None:
    ours, theirs, parts = learner(*words), learner(*words), parts_of_a_step(*words)
    assert_same(dict(ours.model.state_dict()), dict(theirs.model.state_dict()))
    before = {name: value.clone() for name, value in ours.model.named_parameters()}
    losses, expected = ours.update(parts, 1.0), plain_update(theirs, parts, 1.0)
    assert losses == pytest.approx({"loss": sum(expected.values()), **expected}, rel=1e-5)
    for (name, value), twin in zip(ours.model.named_parameters(), theirs.model.parameters(), strict=True):
        assert torch.allclose(value - before[name], twin - before[name], rtol=1e-3, atol=1e-7), name


def without_objects(batch: Batch) -> Batch:
    empty = {name: getattr(batch, name)[:0] for name in ("positives", "anchors", "boxes", "labels", "ignored")}
    return Batch(images=batch.images, samples=batch.samples, **empty)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["assign={kind: TaskAlignedAssigner}", "detector.head.iou_branch=true"],
        [
            "detector.head={background_class: true}",
            "loss={classification: {kind: HardNegativeLoss}, box: {kind: CIoULoss}}",
        ],
    ],
)
def test_a_part_without_an_object_gives_every_weight_a_gradient(words: list[str]) -> None:
    """Or another process would wait for those that never come."""
    one = learner(*words)
    predictions = one.model.train()(parts_of_a_step()[0].images)
    losses = one.config.loss(predictions, without_objects(parts_of_a_step()[0]), one.config.coder, 1.0)
    torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
    assert [name for name, weight in one.model.named_parameters() if weight.grad is None] == []
    assert all(weight.grad.isfinite().all() for weight in one.model.parameters() if weight.grad is not None)


def test_a_run_in_parts_that_was_stopped_goes_on_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = small("train.length=6 iterations", "train.gradient_accumulation=2")
    run(config, tmp_path / "whole")
    step = Training.step

    def stopped(self: Training, batch: Any, rate: float) -> dict[str, float]:
        losses = step(self, batch, rate)
        if self.clock.step == 4:
            raise Stopped(15)
        return losses

    with monkeypatch.context() as patch:
        patch.setattr(Training, "step", stopped)
        with pytest.raises(Stopped):
            run(config, tmp_path / "parts")
    run(config, tmp_path / "parts", resume=True)
    assert weights(tmp_path / "parts")["step"] == 6
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.parametrize(
    ("words", "expected"),
    [(["train.gradient_accumulation=2"], [2, 2, 2]), (["train.batch_size=64", "data.val_images=20"], [16, 4])],
)
def test_a_validation_batch_is_as_large_as_a_part_but_no_larger_than_one_process_can_hold(
    words: list[str], expected: list[int]
) -> None:
    config = small(*words)
    val = config.data.open("val")
    loader = validation_loader(config, val, validation_batches(config, val))
    sizes = [len(batch.samples) for batch in batches(loader)]
    assert sizes == expected


def test_the_average_follows_the_model() -> None:
    model = torch.nn.BatchNorm1d(2)
    average = AveragedModel(model, decay=0.9)
    with torch.no_grad():
        model.weight.fill_(3.0)
    assert model.num_batches_tracked is not None
    model.num_batches_tracked.fill_(5)
    average.update()
    assert isinstance(average.module, torch.nn.BatchNorm1d)
    assert average.module.weight.tolist() == pytest.approx([1 + 2 * (1 - 2 / 11)] * 2)  # decay (1 + 1) / (10 + 1)
    assert average.module.num_batches_tracked == 5
    for _ in range(200):
        average.update()
    assert isinstance(average.module, torch.nn.BatchNorm1d)
    assert average.module.weight.tolist() == pytest.approx([3.0, 3.0])
