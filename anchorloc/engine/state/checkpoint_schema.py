"""The entries of a checkpoint, and their checks: an undamaged file may still come from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NotRequired

import pydantic
import torch
from torch import Tensor
from typing_extensions import TypedDict

from anchorloc.checkpoint import refuse_unusable
from anchorloc.config import MAX_THREADS, translated
from anchorloc.detector.optimizer import CombinedOptimizer
from anchorloc.engine.state.score_threshold import ThresholdEntry
from anchorloc.errors import InputError

NETWORK = "the network of its settings"
Count = Annotated[int, pydantic.Field(ge=0)]
Finite = Annotated[float, pydantic.Field(allow_inf_nan=False)]
_Category = Annotated[list[int | str], pydantic.Field(min_length=2, max_length=2)]  # id and name
Tensors = dict[str, pydantic.InstanceOf[Tensor]]


class ModelCheckpoint(TypedDict):
    """The entries of best.pt: what is needed to use a model."""

    config: dict[str, Any]
    categories: Annotated[list[_Category], pydantic.Field(min_length=1)]
    step: Count
    model: Tensors
    threshold: NotRequired[ThresholdEntry | None]  # missing in checkpoints of 85da22b


class _Best(TypedDict):
    ap: Finite
    step: Count
    validations_since: Count


class _Means(TypedDict):
    sums: dict[str, Finite]
    count: Count


class _Annealing(TypedDict):
    step: Count
    progress: Annotated[Finite, pydantic.Field(ge=0)]
    start: Annotated[float, pydantic.Field(ge=0, le=1)]
    peak: Annotated[float, pydantic.Field(ge=0, le=1)]


class _Validations(TypedDict):
    count: Count
    seconds: Annotated[Finite, pydantic.Field(ge=0)]


class _Training(TypedDict):
    data: dict[str, str]
    machine: dict[str, int | str]
    model: Tensors
    average_updates: Count
    optimizer: list[dict[str, Any]]
    seconds: Finite
    best: _Best
    means: _Means
    next_validation: Finite
    validated: Count
    validations: NotRequired[_Validations]  # this and the next two are missing in checkpoints of fdba9cb
    annealing: NotRequired[_Annealing]
    images: NotRequired[Annotated[int, pydantic.Field(ge=1)]]
    skipped: Count
    skipped_in_a_row: Count
    log_size: Count
    random: pydantic.InstanceOf[Tensor]
    threads: Annotated[int, pydantic.Field(ge=1, le=MAX_THREADS)]


class TrainingCheckpoint(ModelCheckpoint):
    """The entries of last.pt: also what is needed to resume a run."""

    training: _Training


def check_entries(path: Path, state: Mapping[str, Any], kind: type[ModelCheckpoint] | type[TrainingCheckpoint]) -> None:
    """Raise InputError unless `state`, read from `path`, has the entries of `kind` with their types."""
    try:
        pydantic.TypeAdapter(kind).validate_python(state, strict=True)
    except pydantic.ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(
            f"{path} cannot be used: entry {where!r}: {first['msg']}; give the best.pt or last.pt of a run"
        ) from None


def with_current_names(state: dict[str, Any]) -> dict[str, Any]:
    """Return a checked state with the names of settings and losses that this version uses."""
    state = {**state, "config": translated(state["config"])}
    if "training" in state:
        means = state["training"]["means"]
        sums = {"iou_loss" if name == "quality_loss" else name: value for name, value in means["sums"].items()}
        state["training"] = {**state["training"], "means": {**means, "sums": sums}}
    return state


def check_tensors(path: Path, expected: Mapping[str, Tensor], found: Mapping[str, Tensor], what: str) -> None:
    """Raise InputError unless both have the same names, shapes and types, and all values found are finite.

    `what` the tensors should fit is named in the error.
    """
    if names := sorted(expected.keys() ^ found.keys()):
        problem = "is missing" if names[0] in expected else "is not expected"
        raise InputError(f"{path} does not fit {what}: {names[0]} {problem}")
    for name, tensor in expected.items():
        if describe(tensor) != describe(found[name]):
            raise InputError(f"{path} does not fit {what}: {name} is {describe(found[name])}, not {describe(tensor)}")
    refuse_unusable(path, found)


def check_optimizer(path: Path, optimizer: CombinedOptimizer, states: list[dict[str, Any]]) -> None:
    """Raise InputError unless `states` belong to an optimizer of the same kind and weights."""
    what = "the optimizer of its settings"
    try:
        for part, state in zip(optimizer.parts, states, strict=True):
            theirs, ours = state["param_groups"], part.state_dict()["param_groups"]
            if [sorted(group) for group in theirs] != [sorted(group) for group in ours]:
                raise ValueError
            weights = [weight for group in part.param_groups for weight in group["params"]]
            if [len(group["params"]) for group in theirs] != [len(group["params"]) for group in ours]:
                raise ValueError
            for place, entry in state["state"].items():
                tensors = {name: value for name, value in entry.items() if getattr(value, "ndim", 0)}
                expected = dict.fromkeys(tensors, weights[place].detach())
                check_tensors(path, expected, tensors, f"{what}, weight {place}")
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{path} does not fit {what}: the saved state is of another optimizer; resume with the optimizer of the "
            f"run, or start a new run from its weights (--from {path})"
        ) from None


def describe(tensor: Tensor) -> str:
    """Return type and shape, such as "float32 (16, 3, 3, 3)"; a sparse or empty (meta) tensor is marked."""
    kind = "" if tensor.layout == torch.strided else "sparse "
    return f"{'empty ' if tensor.is_meta else kind}{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
