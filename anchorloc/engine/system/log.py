"""Log the numbers of a run: metrics.jsonl, and the same for TensorBoard."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from anchorloc.errors import InputError
from anchorloc.files import read_bytes, write_errors

NAME = "metrics.jsonl"


class MetricsLog:
    """Both logs of a run; a resumed run keeps the first `size` bytes of metrics.jsonl, those up to `step`.

    Raises:
        InputError: the file system refuses, here and in every method.
    """

    def __init__(self, folder: Path, size: int = 0, step: int = 0) -> None:
        self._lines = _AppendedFile(folder / NAME, size)
        try:
            self._board = _EventFile(folder / "tensorboard", step)
        except InputError:
            self._lines.close()
            raise
        for row in read_log(folder):
            if row["step"] >= step:  # TensorBoard drops all rows from `step` on, so these are written again
                self._board.write(row.pop("step"), row)

    @property
    def size(self) -> int:  # bytes of metrics.jsonl
        return self._lines.size

    def write(self, step: int, values: dict[str, Any]) -> None:
        """Append one line with these values."""
        self._lines.write(json.dumps({"step": step, **values}).encode() + b"\n")
        self._board.write(step, values)

    def sync(self) -> None:
        """Flush both files to disk."""
        self._lines.sync()
        self._board.sync()

    def close(self) -> None:
        """Close both files."""
        self._lines.close()
        self._board.close()


def read_log(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of metrics.jsonl."""
    return [json.loads(line) for line in read_bytes(folder / NAME).splitlines()]


class _AppendedFile:
    """An unbuffered file that is only appended to; opening it drops all after the first `size` bytes."""

    def __init__(self, path: Path, size: int = 0) -> None:
        self.path, self.size = path, size
        with write_errors(path, 0):
            present = path.stat().st_size if path.exists() else 0
            if present < size:
                raise InputError(
                    f"{path} has {present:,} bytes, less than the {size:,} of the checkpoint; restore the file"
                )
            self._file = path.open("ab", buffering=0)
            self._file.truncate(size)

    def write(self, data: bytes) -> None:
        """Append all of `data`."""
        with write_errors(self.path, len(data)):
            left = memoryview(data)
            while left:
                left = left[self._file.write(left) :]
        self.size += len(data)

    def sync(self) -> None:
        with write_errors(self.path, self.size):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


class _EventFile:
    """An event file of TensorBoard, written without its SummaryWriter, whose thread swallows write errors.

    Every start of a run begins a file, which makes TensorBoard drop the rows of older files from `step` on.
    """

    def __init__(self, folder: Path, step: int) -> None:
        with write_errors(folder, 0):
            folder.mkdir(exist_ok=True)
            before = [int(path.name.split(".")[3]) for path in folder.glob("events.out.tfevents.[0-9]*.*")]
        second = max(
            [int(time.time()), *(number + 1 for number in before)]
        )  # TensorBoard reads files in the order of their names
        self._file = _AppendedFile(folder / f"events.out.tfevents.{second}.{socket.gethostname()}.{os.getpid()}")
        self._records = RecordWriter(self._file)
        self._add(Event(file_version="brain.Event:2"))
        self._add(Event(step=step, session_log=SessionLog(status=SessionLog.START)))

    def write(self, step: int, values: dict[str, Any]) -> None:
        numbers = {name: value for name, value in values.items() if isinstance(value, float | int)}
        tags = {name: name if name.startswith("val/") else f"train/{name}" for name in numbers}
        scalars = [Summary.Value(tag=tags[name], simple_value=value) for name, value in numbers.items()]
        self._add(Event(step=step, summary=Summary(value=scalars)))

    def sync(self) -> None:
        self._file.sync()

    def close(self) -> None:
        self._file.close()

    def _add(self, event: Event) -> None:
        event.wall_time = time.time()
        self._records.write(event.SerializeToString())
