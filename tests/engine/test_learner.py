"""The update of the weights: parts of a batch, learning rates, memory, and numbers that are none."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from functools import partialmethod
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from anchorloc.config import TrainSettings
from anchorloc.data import Samples
from anchorloc.detector import SGD, Batch, Detector
from anchorloc.engine.batch_samplers import TrainBatchSampler
from anchorloc.engine.build import batches, train_loader, validation_loader
from anchorloc.engine.learner import Learner
from anchorloc.engine.schedule import Clock
from anchorloc.engine.system.log import read_log
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
        "detector.backbone={kind: TorchvisionBackbone, name: mobilenet_v2, strides: [8, 16, 32], weights: none}",
        "anchors.strides=[8, 16, 32]",
        "train.precision=bfloat16",
    ]
    plain, compiled = learner(*words), learner(*words, "train.compile=true")
    for size in (96, 128, 160):
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


def test_the_pieces_of_a_part_are_all_of_it_and_no_more() -> None:
    whole = next(iter(TrainBatchSampler(100, 10, seed=3)))
    for count, pieces in ((1, 1), (1, 3), (2, 2), (3, 3)):
        streams = [
            iter(TrainBatchSampler(100, 10, seed=3, shard=(rank, count), micro_batches=pieces)) for rank in range(count)
        ]
        dealt = [next(stream) for stream in streams for _ in range(pieces)]
        assert sorted(key for piece in dealt for key in piece) == sorted(whole)
        assert max(map(len, dealt)) - min(map(len, dealt)) <= 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [(["train.gradient_accumulation=2"], [2, 2, 2]), (["train.batch_size=64", "data.val_images=20"], [16, 4])],
)
def test_a_validation_batch_is_as_large_as_a_part_but_no_larger_than_one_process_can_hold(
    words: list[str], expected: list[int]
) -> None:
    config = small(*words)
    sizes = [len(batch.samples) for batch in batches(validation_loader(config, config.data.open("val")))]
    assert sizes == expected


def test_the_learning_rate_grows_with_the_batch_where_asked_for() -> None:
    plain, scaled = (
        Clock(TrainSettings(length="9 iterations", batch_size=24, warmup=0, base_batch_size=base), images=100)
        for base in (0, 16)
    )
    assert scaled.lr_factor(0.3) == pytest.approx(1.5 * plain.lr_factor(0.3))


def test_sgd_takes_the_steps_of_its_formula() -> None:
    model = nn.Linear(1, 1, bias=False)
    start, gradient = model.weight.item(), 2.0
    stepper = SGD(0.1, weight_decay=0.5, momentum=0.9)(model)
    velocity, expected = 0.0, start
    for rate in (1.0, 0.5):
        model.weight.grad = torch.full((1, 1), gradient)
        stepper.step(rate)
        velocity = 0.9 * velocity + gradient + 0.5 * expected
        expected -= rate * 0.1 * velocity
        assert model.weight.item() == pytest.approx(expected)
    with pytest.raises(ValueError, match="momentum"):
        SGD(0.1, momentum=1.0)


def poison(monkeypatch: pytest.MonkeyPatch, steps: set[int]) -> None:
    """Let the network see an image of infinite brightness at these updates, the first being 0."""
    forward, seen = Detector.forward, iter(range(1000))

    def poisoned(self: Detector, images: Tensor) -> Any:
        bad = self.training and next(seen) in steps
        return forward(self, images.float() * torch.inf if bad else images)

    monkeypatch.setattr("anchorloc.engine.build.refuse_other_grids", lambda *_: None)
    monkeypatch.setattr(Detector, "forward", poisoned)


def test_updates_that_are_no_numbers_are_skipped_as_if_they_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither weights nor statistics nor the optimizer's state know of them; the log counts them."""
    words = ["train.skip_nonfinite=2", "train.validate_every=100", "train.warmup=0"]
    config = small("train.length=6 iterations", *words)
    twin = Learner(config, config.data.open("train").categories, SINGLE_PROCESS)
    with monkeypatch.context() as patch:
        patch.setattr("anchorloc.engine.training.LOG_EVERY", 2)
        poison(patch, {1, 2, 4})
        training = run(config, tmp_path / "run")
    stream = batches(train_loader(config, config.data.open("train"), 0))
    clock = Clock(config.train, images=24)
    for step in range(6):
        batch = [next(stream)]
        if step not in (1, 2, 4):
            twin.update(batch, clock.lr_factor(step / 6))
    assert_same(training.learner.state(), twin.state())
    assert any("running_mean" in name for name in twin.model.state_dict())
    assert [row["skipped"] for row in read_log(tmp_path / "run") if "lr" in row] == [1, 2, 3]
    assert (training.progress.skipped, training.progress.skipped_in_a_row) == (3, 0)
    written = json.loads((tmp_path / "run" / "not_finite.json").read_text())
    assert written["step"] == 4
    assert len(written["images"]) == 4


def test_skipping_does_not_go_on_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    poison(monkeypatch, {1, 3, 4, 5, 6, 7})
    with pytest.raises(InputError, match=r"became (nan|inf) at step 5 after 2 skipped updates in a row, by one"):
        run(small("train.length=9 iterations", "train.skip_nonfinite=2"), tmp_path / "run")
    state = weights(tmp_path / "run")
    assert (state["step"], state["training"]["skipped"]) == (3, 1)
    assert all(tensor.isfinite().all() for tensor in (*state["model"].values(), *state["training"]["model"].values()))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            [],
            "ran out in a network of 4 images at a time: raise train.gradient_accumulation, now 1, which changes no batch",
        ),
        (["train.gradient_accumulation=4"], "ran out in a network of 1 images at a time: lower transform.resize"),
    ],
)
def test_memory_that_ran_out_is_told_with_what_to_lower(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], told: str
) -> None:
    def greedy(self: Detector, images: Tensor) -> Any:
        return torch.empty(1 << 55)

    monkeypatch.setattr(Detector, "forward", greedy)
    with pytest.raises(InputError, match=told):
        run_with_plain_network(small("train.length=2 iterations", *words), tmp_path / "run", monkeypatch)
    assert weights(tmp_path / "run")["step"] == 0


def run_with_plain_network(config: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run without the check that the network fits its anchors, which runs it."""
    monkeypatch.setattr("anchorloc.engine.build.refuse_other_grids", lambda *_: None)
    run(config, folder)


def test_a_killed_loader_worker_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the kernel does it where memory runs out."""
    monkeypatch.setattr(Samples, "__getitem__", lambda self, key: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(InputError, match=r"a loader worker was killed.*: lower train\.workers, now 1"):
        run(small("train.length=2 iterations", "train.workers=1"), tmp_path / "run")
