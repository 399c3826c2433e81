"""What the rules of a plan know about the machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from anchorloc.cgroups import memory_limit
from anchorloc.startup import allowed_cores

GIB = 1 << 30
UNKNOWN_MEMORY = 8 * GIB  # assumed where nothing says how much there is


@dataclass(frozen=True)
class Machine:
    """The device that trains, and what the process may use of its machine."""

    device: Literal["cpu", "cuda", "mps"]
    cores: int
    memory: int  # bytes, of the machine or its cgroup
    device_memory: int = 0  # bytes of a GPU; 0 without one

    @property
    def for_training(self) -> int:
        """The bytes in which weights and activations must fit."""
        return self.device_memory or self.memory


def this_machine(device: Literal["cpu", "cuda", "mps"], device_memory: int = 0) -> Machine:
    """Return the machine of this process, which trains on `device`."""
    return Machine(device, allowed_cores(), memory_limit() or UNKNOWN_MEMORY, device_memory)
