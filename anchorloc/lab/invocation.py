"""What a command of the lab was called with, and the configs that this names; read before torch is loaded."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from anchorloc.config import Config, config_from_plain, read_config
from anchorloc.data import LabelData, read
from anchorloc.data.formats import is_coco_file


@dataclass(frozen=True)
class Invocation:
    """One call of a command: its existing files, its overrides, and what reports say about the call."""

    files: Sequence[Path]
    overrides: Sequence[str]
    command: str
    started: float  # time.perf_counter()

    @property
    def file(self) -> Path | None:
        return self.paths[0]

    @property
    def paths(self) -> Sequence[Path | None]:
        """The files, or None for the default config."""
        return self.files or (None,)

    @property
    def facts(self) -> dict[str, object]:
        return {"command": self.command, "seconds": f"{time.perf_counter() - self.started:.1f}"}

    @cached_property
    def configs(self) -> tuple[Config, ...]:
        """The config of each file, or the default config, with the overrides.

        Raises:
            InputError: a file or an override is wrong.
        """
        return tuple(_read(path, self.overrides) for path in self.paths)

    def chose_network(self, path: Path | None) -> bool:
        """Return whether somebody chose the network: an annotation file alone has none that must fit the anchors."""
        return not _is_annotations(path) or any(word.startswith("detector") for word in self.overrides)


def _read(path: Path | None, overrides: Sequence[str]) -> Config:
    """Return the config at `path`, or the default config on an annotation file, with overrides."""
    if path is None or not _is_annotations(path):
        return read_config(path, overrides)
    if not is_coco_file(path):
        data = {"kind": "LabelData", "path": str(path)}
        config = config_from_plain({"data": data}, "the command line", overrides)
        return config_from_plain({"data": data | _parts(config.data)}, "the command line", overrides)
    in_annotations = path.parent.name == "annotations"  # COCO's layout: the images are beside that folder
    root = path.parent.parent if in_annotations else path.parent
    name = str(path.relative_to(root))
    data = {"kind": "CocoData", "root": str(root), "train": name, "val": name}
    return config_from_plain({"data": data}, "the command line", overrides)


def _parts(data: object) -> dict[str, str]:
    """Return the parts of labels in any format to train and validate on: the same one where there is no such split."""
    if not isinstance(data, LabelData):
        return {}
    splits = read(data.path, data.format, data.images).splits
    only = next(iter(splits))
    return {"train": "train", "val": "val"} if {"train", "val"} <= set(splits) else {"train": only, "val": only}


def _is_annotations(path: Path | None) -> bool:
    return path is not None and (
        path.is_dir() or path.suffix.lower() in (".json", ".jsonl", ".vott", ".xml", ".csv", ".data")
    )
