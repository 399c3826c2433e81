"""Weights that were trained elsewhere, for other classes or other anchors, into a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from anchorloc.detector.level_head import last_convolution
from anchorloc.detector.model import Detector
from anchorloc.errors import InputError

Rows = Sequence[int | None]  # per logit of the network the row of the file that it takes, None where there is none


def logits_of_an_anchor(state: Mapping[str, Tensor]) -> int:
    """Return how many logits an anchor has in a state dict under our names.

    Raises:
        InputError: it has no head of ours.
    """
    for last in ("weight", "1.weight"):  # of a convolution, and of SSDLite's pair
        logits, deltas = state.get(f"head.logits.0.{last}"), state.get(f"head.deltas.0.{last}")
        if logits is not None and deltas is not None and logits.ndim == deltas.ndim == 4 and len(deltas) >= 4:
            return len(logits) // (len(deltas) // 4)
    raise InputError("it has no head.logits.0 and head.deltas.0")


def load_initial(network: Detector, state: Mapping[str, Tensor], rows: Rows) -> list[str]:
    """Load `state`, under the names of `network`, and return what was not loaded, a phrase each.

    What depends on neither anchors nor classes must fit. The last layers are loaded where a cell has as many anchors
    as in the file, the classes row by row.

    Raises:
        InputError: the tensors are those of another network.
    """
    own = network.state_dict()
    last = _last_layers(network)
    _refuse_others(own, state, [name for pair in last for name in pair])
    loaded = {name: value for name, value in state.items() if name in own and value.shape == own[name].shape}
    count = logits_of_an_anchor(state)
    left_out = []
    for logits, deltas in last:
        here, there = (len(tensors[f"{deltas}.weight"]) // 4 for tensors in (own, {**own, **state}))
        for part in ("weight", "bias"):
            loaded.pop(f"{logits}.{part}", None)
        if f"{deltas}.weight" not in loaded or f"{logits}.weight" not in state:
            what = f"{there} anchors a cell in the file, {here} here" if there != here else "not in the file"
            left_out.append(f"{logits} and {deltas}: {what}")
            continue
        for part in ("weight", "bias"):
            name = f"{logits}.{part}"
            loaded[name] = _rows_taken(own[name], state[name], count, rows)
    if any(name.startswith("head.quality.") and name not in loaded for name in own):
        left_out.append("head.quality: not in the file")
    network.load_state_dict(loaded, strict=False)
    return left_out


def _last_layers(network: Detector) -> list[tuple[str, str]]:
    """Return the names of the convolutions that give logits and deltas, in pairs."""
    head = network.head
    names = {id(module): name for name, module in network.named_modules()}
    pairs = zip(_layers(head, "logits"), _layers(head, "deltas"), strict=True)
    return [(names[id(last_convolution(a))], names[id(last_convolution(b))]) for a, b in pairs]


def _layers(head: nn.Module, name: str) -> list[nn.Module]:
    return list(head.get_submodule(name).children())


def _refuse_others(own: Mapping[str, Tensor], state: Mapping[str, Tensor], last: Sequence[str]) -> None:
    """Raise InputError where a tensor that depends on neither anchors nor classes is on one side only."""
    levels = tuple(f"head.{branch}." for branch in ("logits", "deltas", "quality"))
    missing = [name for name in own if name not in state and not name.endswith("num_batches_tracked")]
    foreign = [name for name in state if name not in own and not name.endswith("num_batches_tracked")]
    shaped = [name for name in own if name in state and own[name].shape != state[name].shape]
    shaped = [name for name in shaped if name.rpartition(".")[0] not in last and not name.startswith("head.quality.")]
    for problem, names in (("lacks", missing), ("has", foreign), ("has another shape of", shaped)):
        if body := [name for name in names if problem == "has another shape of" or not name.startswith(levels)]:
            raise InputError(f"it {problem} {body[0]} ({len(body)} such tensors)")


def _rows_taken(own: Tensor, given: Tensor, count: int, rows: Rows) -> Tensor:
    """Return a class layer's weight or bias with the rows of `given` that `rows` names, else those of `own`."""
    mixed = own.clone().view(-1, len(rows), *own.shape[1:])  # (K, logits of an anchor, ...)
    source = given.reshape(-1, count, *given.shape[1:])
    for place, row in enumerate(rows):
        if row is not None:
            mixed[:, place] = source[:, row]
    return mixed.view(own.shape)
