"""Checkpoints: tensors and plain values in a file with a checksum."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anchorloc.errors import InputError
from anchorloc.files import read_bytes, unpacked_size, write_bytes

# torch.load does not notice a flipped byte inside a tensor, so the comment of the zip archive holds a checksum of all
# bytes before it; torch.load ignores the comment. The CRC-32 of zip does not cover headers and padding: with it alone,
# 153 of 800 flipped bytes in checkpoints of 166 and 299 kB go unnoticed.
_COMMENT = b"anchorloc sha256 "
_LENGTH = len(_COMMENT) + 64
_END_RECORD = b"PK\x05\x06"
_TORCH = (b"PK", b"\x80")  # first bytes of a file of torch.save: a zip archive, or a pickle in old files


def save_checkpoint(path: Path, state: dict[str, Any], backup: Path | None = None) -> None:
    """Write `state` (tensors, numbers, strings, and lists and dicts of them) whole or not at all.

    The old checkpoint is kept as `backup`, if that is given.

    Raises:
        InputError: the file system refuses; the old file is intact.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    archive = bytearray(buffer.getvalue())
    if archive[-22:-18] != _END_RECORD:
        raise RuntimeError("torch.save no longer ends with an empty zip comment")
    archive[-2:] = _LENGTH.to_bytes(2, "little")
    archive += _COMMENT
    write_bytes(path, bytes(archive) + hashlib.sha256(archive).hexdigest().encode(), backup)


def is_checkpoint(path: Path) -> bool:
    """Whether a file ends with the checksum that `save_checkpoint` writes.

    Raises:
        InputError: the file is missing.
    """
    return read_bytes(path)[-_LENGTH:-64] == _COMMENT


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote, tensors on the CPU; no code in the file is run.

    Raises:
        InputError: the file is missing, damaged, or not a checkpoint of anchorloc.
    """
    data = read_bytes(path)
    if data[-_LENGTH:-64] != _COMMENT:
        exported = ", or an export to .onnx" if path.suffix == ".pt2" else ""
        raise InputError(
            f"{path} is not an anchorloc checkpoint or is cut short; give a file that a run wrote{exported}"
        )
    if hashlib.sha256(data[:-64]).hexdigest().encode() != data[-64:]:
        raise InputError(f"{path} is damaged: its bytes do not match its checksum; use another checkpoint of the run")
    state = _load(path, data)
    if not isinstance(state, dict):
        raise InputError(f"{path} holds a {type(state).__name__}, not a checkpoint")
    return state


def load_weights(path: Path) -> dict[str, Tensor]:
    """Read a plain state dict of any origin, such as torchvision's files; no code in the file is run.

    Raises:
        InputError: the file is missing, unreadable, not a flat dict of tensors, or holds NaN or infinite numbers.
    """
    state = _load(path, read_bytes(path))
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(f"{path} is not a state dict (names to tensors); save one with torch.save(model.state_dict())")
    refuse_unusable(path, state)
    return state


def refuse_unusable(path: Path, state: Mapping[str, Tensor]) -> None:
    """Refuse tensors of `state`, from `path`, that are not what a training writes.

    Raises:
        InputError: a tensor is sparse, has no values or more than the file, or holds NaN or infinity.
    """
    for name, tensor in state.items():
        if tensor.is_meta or tensor.layout != torch.strided:
            raise InputError(f"{path} cannot be used: {name} is {'empty' if tensor.is_meta else 'sparse'}")
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise InputError(f"{path} cannot be used: {name} repeats its numbers to {tensor.numel():,}")
        if not torch.isfinite(tensor).all():
            raise InputError(f"{path} cannot be used: {name} is NaN or infinite in places; give another file")


def _load(path: Path, data: bytes) -> Any:
    """Run torch.load without executing code, and turn its many errors into one."""
    if (unpacked := unpacked_size(data)) > len(data):  # torch.save does not compress
        raise InputError(f"{path} cannot be loaded: its {len(data):,} bytes unpack to {unpacked:,}; give another file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the error below says the same more clearly
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # on damaged files it raises nearly every type
        code = "weights_only" in str(error) and data.startswith(_TORCH)
        reason = "it asks for code to be run" if code else "it is not a torch file or is damaged"
        raise InputError(f"{path} cannot be loaded: {reason}") from None
