"""Cases with damaged and odd checkpoints."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import torch

from anchorloc import train
from anchorloc.checkpoint import load_checkpoint, save_checkpoint
from anchorloc.cli import run_command
from benchmarks.hostile.base import data_set, write
from benchmarks.hostile.item import Item

TAKEN = "taken"


class Code:
    """An object that makes a folder when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, (TAKEN,)


@cache
def trained() -> dict[str, bytes]:
    """Return last.pt and best.pt of a training."""
    with tempfile.TemporaryDirectory() as name:
        with contextlib.redirect_stdout(io.StringIO()):
            status = run_command(train.main, data_set(Path(name)))
        if status:
            raise RuntimeError("the training of the hostile corpus failed")
        return {file: (Path(name) / "out" / file).read_bytes() for file in ("last.pt", "best.pt")}


def changed(edit: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    """Write a checkpoint with changed content and a valid checksum."""

    def act(path: Path) -> None:
        path.write_bytes(trained()["best.pt"])
        state = load_checkpoint(path)
        edit(state)
        save_checkpoint(path, state)

    return act


def content(make: Callable[[bytes], object]) -> Callable[[Path], object]:
    """Write a changed copy of a good file."""
    return lambda path: write(path, make(trained()["best.pt"]))


def first(state: dict[str, Any]) -> str:
    """Return the name of a tensor."""
    return str(next(iter(state["model"])))


CASES: dict[str, tuple[bool, Callable[[Path], object]]] = {
    "best.pt": (True, content(lambda data: data)),
    "last.pt": (True, lambda path: path.write_bytes(trained()["last.pt"])),
    "empty": (False, content(lambda data: b"")),
    "text": (False, content(lambda data: "weights")),
    "truncated": (False, content(lambda data: data[: len(data) // 2])),
    "a byte flipped": (False, content(lambda data: data[:5000] + bytes([data[5000] ^ 1]) + data[5001:])),
    "more behind it": (False, content(lambda data: data + b"\0")),
    "without its checksum": (False, content(lambda data: data[:-64])),
    "a pipe": (False, content(lambda data: None)),
    "a folder": (False, lambda path: path.mkdir()),
    "missing": (False, lambda path: None),
    "pickle with code": (False, lambda path: torch.save(Code(), path)),
    "state dict alone": (False, lambda path: torch.save({"weight": torch.ones(3)}, path)),
    "code, signed": (False, changed(lambda state: state.update(model=Code()))),
    "no model": (False, changed(lambda state: state.pop("model"))),
    "no config": (False, changed(lambda state: state.pop("config"))),
    "config unknown": (False, changed(lambda state: state["config"].update(more=1))),
    "step a word": (False, changed(lambda state: state.update(step="many"))),
    "class a number": (False, changed(lambda state: state.update(categories=[3]))),
    "tensor of another shape": (False, changed(lambda state: state["model"].update({first(state): torch.ones(3)}))),
    "tensor of float64": (
        False,
        changed(lambda state: state["model"].update({first(state): state["model"][first(state)].double()})),
    ),
    "tensor missing": (False, changed(lambda state: state["model"].pop(first(state)))),
    "tensor too many": (False, changed(lambda state: state["model"].update(more=torch.ones(3)))),
    "classes of other data": (False, changed(lambda state: state.update(categories=[[1, "dog"], [2, "bird"]]))),
}


def items() -> Iterator[Item]:
    """Yield every case, evaluated on a valid data set."""
    for name, (good, act) in CASES.items():
        yield Item(f"checkpoint: {name}", good, "evaluate", lambda folder, a=act: _words(folder, a))  # type: ignore[misc]


def _words(folder: Path, act: Callable[[Path], object]) -> list[str]:
    *_, data, out, place = data_set(folder)
    act(folder / "checkpoint.pt")
    return [str(folder / "checkpoint.pt"), data, out, place]
