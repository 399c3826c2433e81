"""The folder of a run: everything that is needed to read, judge and repeat it."""

from __future__ import annotations

import json
import platform
import sys
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from anchorloc.config import Config, to_yaml
from anchorloc.errors import InputError
from anchorloc.files import read_bytes, write_json, write_text

PACKAGES = ("anchorloc", "torch", "torchvision", "numpy", "numba", "pycocotools", "pillow")


def new_run_folder(out: Path | None) -> Path:
    """Create the folder of a new run: `out`, or runs/DATE-TIME.

    Raises:
        InputError: the folder exists already, or cannot be made.
    """
    folder = out or Path("runs") / datetime.now().strftime("%Y%m%d-%H%M%S")
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        refuse_existing(folder)
        raise InputError(f"the run folder {folder} cannot be made: {error.strerror}") from None
    return folder


def refuse_existing(folder: Path | None) -> None:
    """Raise InputError if there is something at `folder`: a run overwrites nothing."""
    if folder is not None and folder.exists():
        raise InputError(f"{folder} exists already; give another --out, or --resume to go on with it")


def describe_run(folder: Path, config: Config, command: str) -> None:
    """Write config.yaml (every setting, resolved) and environment.json (command, versions, machine)."""
    write_text(folder / "config.yaml", f"# {command}\n" + to_yaml(config))
    environment = {
        "command": command,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        **{name: version(name) for name in PACKAGES},
    }
    write_json(folder / "environment.json", environment)


@dataclass
class MetricsLog:
    """metrics.jsonl and TensorBoard, told the same numbers. `size` bytes of the file belong to the last checkpoint."""

    folder: Path
    size: int = 0

    def __post_init__(self) -> None:
        self._file = (self.folder / "metrics.jsonl").open("ab")
        self._file.truncate(self.size)  # lines after the checkpoint that a resumed run will write again
        self._board = SummaryWriter(str(self.folder / "tensorboard"))

    def write(self, step: int, values: dict[str, Any]) -> None:
        """Append one line of plain values, whole."""
        line = json.dumps({"step": step, **values}).encode() + b"\n"
        self._file.write(line)
        self._file.flush()
        self.size += len(line)
        for name, value in values.items():
            if isinstance(value, float | int):
                self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush both."""
        self._file.close()
        self._board.close()


def read_log(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of metrics.jsonl."""
    return [json.loads(line) for line in read_bytes(folder / "metrics.jsonl").splitlines()]
