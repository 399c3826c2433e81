"""Load weights that were trained for other classes or other anchors into a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from anchorloc.detector.level_head import output_conv
from anchorloc.detector.model import Detector
from anchorloc.errors import InputError

Rows = Sequence[int | None]  # the row of the file for each logit of an anchor, None where the file has none


def logits_per_anchor(state: Mapping[str, Tensor]) -> int:
    """Return the number of logits per anchor in a state dict of this package.

    Raises:
        InputError: it has no head of this package.
    """
    for last in ("weight", "1.weight"):  # a convolution, or the pair of SSDLite
        logits, deltas = state.get(f"head.logits.0.{last}"), state.get(f"head.deltas.0.{last}")
        if logits is not None and deltas is not None and logits.ndim == deltas.ndim == 4 and len(deltas) >= 4:
            return len(logits) // (len(deltas) // 4)
    raise InputError("it has no head.logits.0 and head.deltas.0")


def transfer_weights(network: Detector, state: Mapping[str, Tensor], rows: Rows) -> list[str]:
    """Load `state` into `network`, and return a phrase for each layer that was not loaded.

    Tensors that depend on neither anchors nor classes must fit. The last layers are loaded if a cell has as many
    anchors as in the file, class by class. A level may be missing as a whole, but not in part.

    Raises:
        InputError: the tensors belong to another network.
    """
    own = network.state_dict()
    count = logits_per_anchor(state)
    loaded, left_out = _shared(own, state), []
    for logits, deltas in _last_layers(network):
        taken, reason = _level_weights(own, state, (logits, deltas), count, rows)
        loaded |= taken
        if reason:
            left_out.append(f"{logits} and {deltas}: {reason}")
    quality = {name: state.get(name) for name in own if name.startswith("head.quality.")}
    fitting = {name: value for name, value in quality.items() if value is not None and value.shape == own[name].shape}
    if len(fitting) == len(quality):
        loaded |= fitting
    else:
        left_out.append("head.quality: not in the file, or for other anchors")
    network.load_state_dict(loaded, strict=False)
    return left_out


def _level_weights(
    own: Mapping[str, Tensor], state: Mapping[str, Tensor], last: tuple[str, str], count: int, rows: Rows
) -> tuple[dict[str, Tensor], str]:
    """Return the tensors of `state` for the layers of a level, and why none fit their `last` convolutions, or "".

    Raises:
        InputError: some of the level is there and some is not, or of another shape.
    """
    logits, deltas = last
    names = [name for name in own if name.startswith((_layer_of(logits), _layer_of(deltas)))]
    if not any(name in state for name in names):
        return {}, "not in the file"
    here = len(own[f"{deltas}.weight"]) // 4
    there = sum(state.get(f"{deltas}.weight", torch.empty(0)).shape[:1]) // 4
    shapes = {name: own[name].shape for name in names}
    for layer, width in ((logits, there * count), (deltas, there * 4)):
        for part in ("weight", "bias"):
            shapes[f"{layer}.{part}"] = torch.Size([width, *own[f"{layer}.{part}"].shape[1:]])
    taken = {name: state[name] for name in _fitting(shapes, state)}
    for part in ("weight", "bias"):
        scores, boxes = taken.pop(f"{logits}.{part}"), taken.pop(f"{deltas}.{part}")
        if there == here:
            taken[f"{logits}.{part}"] = _select_rows(own[f"{logits}.{part}"], scores, count, rows)
            taken[f"{deltas}.{part}"] = boxes
    return taken, "" if there == here else f"{there} anchors a cell in the file, {here} here"


def _last_layers(network: Detector) -> list[tuple[str, str]]:
    """Return the names of the last convolutions of logits and deltas, in pairs."""
    head = network.head
    names = {id(module): name for name, module in network.named_modules()}
    pairs = zip(_layers(head, "logits"), _layers(head, "deltas"), strict=True)
    return [(names[id(output_conv(a))], names[id(output_conv(b))]) for a, b in pairs]


def _layers(head: nn.Module, name: str) -> list[nn.Module]:
    return list(head.get_submodule(name).children())


def _layer_of(convolution: str) -> str:
    """Return what the names of a whole layer start with, e.g. head.logits.0."""
    return ".".join(convolution.split(".")[:3]) + "."


def _shared(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors that depend on neither anchors nor classes.

    Raises:
        InputError: one of them is on one side only, or of another shape.
    """
    levels = tuple(f"head.{branch}." for branch in ("logits", "deltas", "quality"))
    foreign = [name for name in state if name not in own and not name.startswith(levels) and not _is_counter(name)]
    if foreign:
        raise InputError(f"it has {foreign[0]} ({len(foreign)} such tensors)")
    shapes = {name: value.shape for name, value in own.items() if not name.startswith(levels)}
    return {name: state[name] for name in _fitting(shapes, state)}


def _fitting(shapes: Mapping[str, torch.Size], state: Mapping[str, Tensor]) -> list[str]:
    """Return the names of `shapes` in `state`; raise InputError if one is not there, or of another shape."""
    present = [name for name in shapes if name in state or not _is_counter(name)]
    missing = [name for name in present if name not in state]
    shaped = [name for name in present if name in state and state[name].shape != shapes[name]]
    for problem, names in (("lacks", missing), ("has another shape of", shaped)):
        if names:
            raise InputError(f"it {problem} {names[0]} ({len(names)} such tensors)")
    return present


def _is_counter(name: str) -> bool:
    """Return whether a tensor is the step counter of batch normalization, which old files lack and nothing reads."""
    return name.endswith("num_batches_tracked")


def _select_rows(own: Tensor, given: Tensor, count: int, rows: Rows) -> Tensor:
    """Take each row from `given` where `rows` has an index, else from `own`; for a class layer's weight or bias."""
    mixed = own.clone().view(-1, len(rows), *own.shape[1:])  # (K, logits per anchor, ...)
    source = given.reshape(-1, count, *given.shape[1:])
    for place, row in enumerate(rows):
        if row is not None:
            mixed[:, place] = source[:, row]
    return mixed.view(own.shape)
