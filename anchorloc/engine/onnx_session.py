"""Open an ONNX file of any origin with onnxruntime; it reads no other file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from anchorloc.data.resize import MAX_SIDE
from anchorloc.errors import InputError
from anchorloc.files import read_bytes
from anchorloc.startup import allowed_cores
from anchorloc.text import counted

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, NodeArg

AXES: Final = {"images": 4, "sizes": 2, "candidate_boxes": 3, "candidate_scores": 3}  # inputs and outputs of an export
# A tensor outside of the file has an entry of protobuf whose key, field 1, is "location"; a tag and a length may be
# written with more bytes than they need.
_OUTSIDE: Final = re.compile(rb"(\x0a|\x8a\x80*\x00)(\x08|\x88\x80*\x00)location")


def open_session(data: bytes) -> InferenceSession:
    """Return a session of onnxruntime on the CPU for the content of an ONNX file."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = allowed_cores()
    options.log_severity_level = 4  # an error is raised, and need not be printed too
    options.add_session_config_entry("session.load_model_format", "ONNX")  # onnxruntime's own format is not checked
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def open_file(path: Path) -> InferenceSession:
    """Return a session for a file.

    Raises:
        InputError: its tensors are in other files, or onnxruntime cannot load it.
    """
    data = read_bytes(path)
    if _OUTSIDE.search(data):
        raise InputError(f"{path} keeps tensors in other files, which are not read; export the checkpoint again")
    try:
        return open_session(data)
    except Exception as error:  # onnxruntime has a class of its own for each kind of damage
        raise InputError(
            f"{path} is not an ONNX file of `anchorloc export` or is damaged ({reason(error)}); export the checkpoint "
            "again"
        ) from None


def refuse_other_graph(path: Path, session: InferenceSession, classes: int) -> None:
    """Raise InputError unless the file has the inputs and outputs of an export for this number of classes."""
    parts = {part.name: part for part in (*session.get_inputs(), *session.get_outputs())}
    for name, axes in AXES.items():
        if name not in parts:
            raise InputError(
                f"{path} lacks the input or output {name!r}, so another program has changed it; export the checkpoint "
                "again"
            )
        if not _is_expected(parts[name], axes):
            raise InputError(
                f"{path} has the input or output {name!r} with {parts[name].type} of shape {parts[name].shape}, so "
                "another program has changed it; export the checkpoint again"
            )
    known = parts["candidate_scores"].shape[1]
    if known != classes:
        raise InputError(
            f"{path} names {counted(classes, 'class', 'classes')} in its metadata, but its network scores {known}; "
            "export the checkpoint again"
        )


def reason(error: Exception) -> str:
    """Return the start of a message of onnxruntime, on one line."""
    return (str(error).splitlines() or [type(error).__name__])[0][:120]


def _is_expected(part: NodeArg, axes: int) -> bool:
    """Return whether an input or output has the number of axes and the type of an export, and a possible image size."""
    sides = [side for side in part.shape[2:] if isinstance(side, int)] if part.name == "images" else []
    fits: bool = part.type == "tensor(float)" or not part.name.startswith("candidate")
    return fits and len(part.shape) == axes and all(0 < side <= MAX_SIDE for side in sides)
