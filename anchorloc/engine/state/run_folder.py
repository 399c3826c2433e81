"""The folder of a run: everything that is needed to read, judge and repeat it."""

from __future__ import annotations

import platform
import sys
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from anchorloc.config import Config, to_yaml
from anchorloc.engine.state.lock import LOCK, RunLock
from anchorloc.errors import InputError
from anchorloc.files import is_temporary, write_json, write_text

PACKAGES = ("anchorloc", "torch", "torchvision", "numpy", "numba", "pycocotools", "pillow")
CONFIG, ENVIRONMENT = "config.yaml", "environment.json"


def new_run_folder(out: Path | None) -> Path:
    """Create the folder of a new run: `out`, or runs/DATE-TIME.

    Raises:
        InputError: there is something in the folder already, or it cannot be made.
    """
    folder = out or Path("runs") / datetime.now().strftime("%Y%m%d-%H%M%S")
    refuse_existing(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the run folder {folder} cannot be made: {error.strerror}") from None
    return folder


def refuse_existing(folder: Path | None) -> None:
    """Raise InputError if there is something at `folder`: a run overwrites nothing.

    An empty folder is taken, and one whose run was killed before its settings were written.
    """
    try:
        if folder is None or not folder.exists() or (folder.is_dir() and all(map(_is_of_a_start, folder.iterdir()))):
            return
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror}; give another --out") from None
    raise InputError(f"{folder} exists already; give another --out, or --resume to go on with it")


def create_run_folder(out: Path | None, config: Config, command: str) -> tuple[Path, RunLock]:
    """Create the folder of a new run, lock it, and write environment.json and, last, config.yaml.

    Raises:
        InputError: there is something in the folder already, another run takes it at this moment, or the file
            system refuses.
    """
    folder = new_run_folder(out)
    lock = RunLock(folder)
    try:
        refuse_existing(folder)  # now that nobody else can fill it
        remove_temporaries(folder)
        write_json(folder / ENVIRONMENT, _environment(command))
        write_config(folder, config, command)
    except InputError:
        lock.release()
        raise
    return folder, lock


def write_config(folder: Path, config: Config, command: str) -> None:
    """Write config.yaml: every setting, resolved, under the command that made them so."""
    write_text(folder / CONFIG, f"# {command}\n" + to_yaml(config))


def remove_temporaries(folder: Path) -> None:
    """Remove the files that a killed run had not finished writing."""
    for path in filter(is_temporary, folder.iterdir()):
        path.unlink(missing_ok=True)


def _is_of_a_start(path: Path) -> bool:
    return path.name in (LOCK, ENVIRONMENT) or is_temporary(path)


def _environment(command: str) -> dict[str, str]:
    """Command, versions and machine."""
    return {
        "command": command,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        **{name: version(name) for name in PACKAGES},
    }
