"""Copy small tables to the device of a computation."""

from __future__ import annotations

import torch
from torch import Tensor


def copied_to(device: torch.device, values: Tensor) -> Tensor:
    """Return `values` on `device`; on a GPU without waiting until it has finished its work.

    A copy waits unless its source is pinned memory; torch keeps pinned blocks and uses them again.
    """
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values.to(device)
