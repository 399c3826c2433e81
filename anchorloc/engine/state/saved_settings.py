"""Check overrides against the settings in a checkpoint without torch, so that a mistake is reported at once."""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anchorloc.config import config_from_plain, read_config, translated
from anchorloc.files import refuse_missing


def refuse_overrides(path: Path, overrides: Sequence[str]) -> None:
    """Refuse a missing file, and overrides that do not fit the settings of a checkpoint or of a config (YAML).

    A file whose settings cannot be read is left to the loader, which says what is wrong with it.

    Raises:
        InputError: there is no file, or an override is wrong.
    """
    refuse_missing(path)
    if path.suffix in (".yaml", ".yml"):
        read_config(path, overrides)
    elif overrides and (plain := _settings(path)) is not None:
        config_from_plain(translated(plain), str(path), overrides)


def _settings(path: Path) -> dict[str, Any] | None:
    try:
        with zipfile.ZipFile(path) as archive:
            [name] = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            with archive.open(name) as file:
                settings = _PlainUnpickler(file).load()["config"]
    except Exception:  # on damaged files zipfile and pickle raise nearly every type
        return None
    return settings if isinstance(settings, dict) else None


class _PlainUnpickler(pickle.Unpickler):
    """Reads dicts, lists and scalars; everything else becomes an empty object, and no code of the file is run."""

    def find_class(self, module: str, name: str) -> Any:
        return OrderedDict if (module, name) == ("collections", "OrderedDict") else _Empty

    def persistent_load(self, reference: object) -> None:  # the values of a tensor
        return None


class _Empty:
    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, state: object) -> None: ...
