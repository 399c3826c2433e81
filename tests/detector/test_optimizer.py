"""Optimizers: they reach every weight, and step as their formulas say."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from anchorloc.detector import SGD, AdamW, Muon
from anchorloc.detector.muon import COEFFICIENTS, Float32Muon, orthogonalized
from anchorloc.engine.build import build_detector
from tests.engine.small_runs import small


@pytest.mark.parametrize("optimizer", [AdamW(0.01), Muon(0.01)])
def test_optimizers_reach_every_weight_and_lower_the_loss(optimizer: AdamW | Muon) -> None:
    torch.manual_seed(0)
    model = build_detector(small(), 4).to(memory_format=torch.channels_last)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    stepper = optimizer(model)
    images = torch.randint(0, 255, (4, 3, 96, 96), dtype=torch.uint8)
    losses = []
    for _ in range(8):
        predictions = model(images)
        loss = (predictions.logits - 1).pow(2).mean() + (predictions.deltas - 0.5).pow(2).mean()
        loss.backward()
        stepper.step(1.0)
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert all(not torch.equal(weight, before[name]) for name, weight in model.named_parameters())
    assert all(weight.grad is None for weight in model.parameters())


@pytest.mark.parametrize("optimizer", [AdamW, SGD, Muon])
def test_settings_of_an_optimizer_are_those_it_was_built_with(optimizer: type[AdamW | SGD | Muon]) -> None:
    """A run resumed with another learning rate, by --allow-changes, learns at that one."""
    model = build_detector(small(), 4).to(memory_format=torch.channels_last)
    then, now = optimizer(0.01, weight_decay=0.3)(model), optimizer(0.0001, weight_decay=0.2)(model)
    for weight in model.parameters():
        weight.grad = torch.ones_like(weight)
    then.step(0.5)
    now.load_state_dict(then.state_dict())
    groups = [group for part in now.parts for group in part.param_groups]
    assert {group["full_rate"] for group in groups} == {0.0001}
    assert {group["lr"] for group in groups} == {0.005}  # a run at its end is saved as it was
    assert {group["weight_decay"] for group in groups} == {0.2, 0.0}
    assert all(part.state for part in now.parts)


def test_muon_steps_are_orthogonal_and_as_long_as_adamws() -> None:
    torch.manual_seed(0)
    model = build_detector(small(), 4).to(memory_format=torch.channels_last)
    kernel = model.pyramid.smooth[0].conv.weight  # type: ignore[index, union-attr]
    before = kernel.detach().clone()
    stepper = Muon(0.01, weight_decay=0.0, iterations=5)(model)
    kernel.grad = torch.randn_like(kernel)
    stepper.step(1.0)
    update = (kernel.detach() - before).permute(0, 2, 3, 1).flatten(1)
    singular = torch.linalg.svdvals(update)
    assert singular.min() > 0.5 * singular.max()  # near 0 for a random matrix
    assert update.pow(2).mean().sqrt().item() == pytest.approx(0.2 * 0.01, rel=0.3)


@pytest.mark.parametrize("shape", [(8, 72), (72, 8), (16, 16), (1, 5), (5, 1)])
@pytest.mark.parametrize("iterations", [1, 3, 5])
def test_orthogonalizing_moves_each_singular_value_along_the_polynomial(
    shape: tuple[int, int], iterations: int
) -> None:
    torch.manual_seed(iterations)
    scales = torch.logspace(0, -3, shape[0], dtype=torch.float64)  # singular values of very different size
    matrix = torch.randn(*shape, dtype=torch.float64) * scales[:, None]
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    values = values / matrix.norm()
    a, b, c = COEFFICIENTS
    for _ in range(iterations):
        values = a * values + b * values**3 + c * values**5
    found = orthogonalized(matrix.float(), iterations)
    torch.testing.assert_close(found.double(), left @ values.diag() @ right, rtol=0, atol=2e-3)
    assert not orthogonalized(torch.zeros(shape), iterations).any()


def test_muon_takes_the_steps_of_torch_except_for_its_rounding_to_bfloat16() -> None:
    torch.manual_seed(0)
    start = torch.randn(12, 30)
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    settings: dict[str, Any] = {"lr": 0.1, "weight_decay": 0.3, "momentum": 0.9, "ns_steps": 3}
    torchs = partial(torch.optim.Muon, adjust_lr_fn="match_rms_adamw")
    kinds: list[tuple[nn.Parameter, Any]] = [(ours, Float32Muon), (theirs, torchs)]
    for weight, kind in kinds:
        optimizer = kind([weight], **settings)
        torch.manual_seed(1)
        for _ in range(4):
            weight.grad = torch.randn_like(weight)
            optimizer.step()
    moved = (theirs - start).norm()
    assert (ours - theirs).norm() < 0.02 * moved


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
