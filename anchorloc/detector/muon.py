"""Muon, with its Newton-Schulz iterations in float32 and on a small matrix."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # Jordan et al., 2024: the quintic with the steepest start
SMALLEST_NORM = 1e-7  # a smaller matrix is divided by this


class Float32Muon(torch.optim.Muon):
    """torch.optim.Muon with `adjust_lr_fn="match_rms_adamw"`, and its state, but orthogonalized in float32.

    torch does that in bfloat16, which a CPU without instructions for it takes tens of times as long for.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Take a step along the orthogonalized momentum of each matrix, unless `found_inf` is 1."""
        skip: Tensor | None = getattr(self, "found_inf", None)
        for group in self.param_groups:
            rate, momentum = group["lr"], group["momentum"]
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(weight.grad)
                average = state["momentum_buffer"].lerp_(weight.grad, 1 - momentum)
                update = orthogonalized(weight.grad.lerp(average, momentum), group["ns_steps"])
                before = weight if skip is None else weight.clone()
                weight.mul_(1 - rate * group["weight_decay"])
                weight.add_(update, alpha=-0.2 * rate * max(weight.shape) ** 0.5)
                if skip is not None:
                    weight.copy_(torch.where(skip > 0, before, weight))


def orthogonalized(matrix: Tensor, iterations: int) -> Tensor:
    """Return `matrix` (R, C) with all its singular values moved close to 1, in float32.

    An iteration is X <- (a + b G + c G²) X with G = X Xᵀ. All factors are polynomials of the first G, so they commute:
    they are multiplied with each other, as (R, R), and with the matrix once at the end.
    """
    wide = matrix.float() if matrix.shape[0] <= matrix.shape[1] else matrix.float().T
    wide = wide / wide.norm().clamp(min=SMALLEST_NORM)
    gram = wide @ wide.T
    whole = factor = _factor(gram)
    for _ in range(iterations - 1):
        gram = factor @ gram @ factor
        factor = _factor(gram)
        whole = factor @ whole
    found: Tensor = whole @ wide
    return found if matrix.shape[0] <= matrix.shape[1] else found.T


def _factor(gram: Tensor) -> Tensor:
    """Return a + b G + c G²."""
    a, b, c = COEFFICIENTS
    factor: Tensor = torch.addmm(gram, gram, gram, beta=b, alpha=c)
    factor.diagonal().add_(a)
    return factor
