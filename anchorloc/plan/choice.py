"""One setting that a plan chose, and what it was chosen from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from anchorloc.anchors import AnchorGenerator
from anchorloc.config import Config
from anchorloc.data.tiles import Tiles
from anchorloc.plan.fingerprint import Fingerprint
from anchorloc.plan.machine import Machine

Basis = Literal["fixed", "data", "machine"]


@dataclass(frozen=True)
class Choice:
    """A setting, its value as in YAML, and the reason; `basis` is what another value would follow from."""

    key: str  # such as transform.resize
    value: Any
    why: str
    basis: Basis


@dataclass(frozen=True)
class Facts:
    """All that the rules look at."""

    data: Fingerprint
    machine: Machine
    seconds: float | None  # for training; None where train.length is in epochs or iterations
    pretrained: bool  # whether the weights of the network can be had
    step_seconds: Callable[[Config], float]  # in training
    fit: Callable[[Config], AnchorGenerator | None]  # anchors fitted to the boxes; None if these are not better
    processes: int = 1  # processes train together
    given: Mapping[str, Any] = field(default_factory=dict)  # by the user, as in YAML
    on_tiles: Callable[[Tiles], Facts] | None = None  # the facts of the images cut into tiles

    def given_value(self, key: str) -> Any:
        """Return the value that the user gave a key such as transform.resize.size; None if there is none."""
        return value_at(self.given, key)

    def steps(self, config: Config) -> float | None:
        """Return how many steps a run in minutes makes."""
        return None if self.seconds is None else self.seconds / self.step_seconds(config)

    def images_seen(self, config: Config) -> float | None:
        """Return how many images a run in minutes trains on, repeats counted."""
        count = self.steps(config)
        return None if count is None else count * config.train.batch_size


def value_at(settings: Mapping[str, Any], key: str) -> Any:
    """Return the value of a key such as transform.resize in nested settings; None if there is none."""
    value: Any = settings
    for part in key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value
