"""Check overrides against the settings in a checkpoint without torch, so that a mistake is reported at once."""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from anchorloc.config import config_from_plain, read_config, to_plain, translated
from anchorloc.data.image_settings import KEYS
from anchorloc.engine.state.run_folder import find_checkpoint
from anchorloc.errors import InputError
from anchorloc.files import refuse_missing

INFERENCE: Final = (*KEYS, "train.device", "train.inference_precision")  # read by predict and export
EVALUATION: Final = (
    *INFERENCE, "data", "train.batch_size", "train.gradient_accumulation", "train.workers", "train.image_cache_mb",
)  # fmt: skip
ONLY_IN_TRAINING: Final = ("data", "train", "loss", "assign", "transform.augment")  # apart from what a command reads
ONLY_IN_TRAINING_OF_A_CONFIG: Final = ("train", "transform.augment")  # its data give classes, its parts must fit
KEPT: Final = ("task", "data", "anchors", "assign", "detector", "coder", "loss", "decode")  # by a run that starts from
# another; the rest is chosen or given anew, apart from the size of images


def settings_to_start_from(run: Path) -> dict[str, Any]:
    """Return the settings of a run that its network needs, as in YAML, with its checkpoint as `detector.weights`.

    Args:
        run: the folder of a run, or a checkpoint.

    Raises:
        InputError: there is no checkpoint, it is damaged, or it holds a localizer.
    """
    path = find_checkpoint(run)
    if (saved := _settings(path)) is None:
        raise InputError(f"--from {path}: it is no checkpoint of a run, or is damaged; give the best.pt of a run")
    plain = to_plain(config_from_plain(translated(saved), str(path)))
    if plain["localizer"] is not None:
        raise InputError(f"--from {path}: a run with a localizer cannot be started from; leave out --from")
    transform = {key: value for key, value in plain["transform"].items() if key != "augment"}
    detector = {**plain["detector"], "weights": str(path)}
    return {**{key: plain[key] for key in KEPT}, "transform": transform, "detector": detector}


def refuse_overrides(path: Path, overrides: Sequence[str], reads: Sequence[str] = EVALUATION) -> None:
    """Refuse a missing file, and overrides that do not fit the settings of a checkpoint or of a config (YAML).

    A file whose settings cannot be read is left to the loader, which says what is wrong with it.

    Args:
        reads: the settings of training that the command reads too: keys, or the first parts of keys.

    Raises:
        InputError: there is no file, or an override is wrong, or the command does not read it.
    """
    refuse_missing(path)
    is_config = path.suffix in (".yaml", ".yml")
    if is_config:
        read_config(path, overrides)
    elif overrides and (plain := _settings(path)) is not None:
        config_from_plain(translated(plain), str(path), overrides)
    for override in overrides:
        key = override.partition("=")[0]
        unread = ONLY_IN_TRAINING_OF_A_CONFIG if is_config else ONLY_IN_TRAINING
        if _begins(key, unread) and not _begins(key, reads) and not any(_begins(one, [key]) for one in reads):
            known = [one for one in reads if _begins(one, [key.partition(".")[0]])]
            others = f", unlike {', '.join(known)}" if known else ""
            raise InputError(f"{override!r}: only training reads {key}{others}; leave it out")


def _begins(key: str, prefixes: Sequence[str]) -> bool:
    """Return whether a dotted key is one of the prefixes or lies below one."""
    return any(key == prefix or key.startswith(f"{prefix}.") for prefix in prefixes)


def _settings(path: Path) -> dict[str, Any] | None:
    try:
        with zipfile.ZipFile(path) as archive:
            [entry] = [entry for entry in archive.infolist() if entry.filename.endswith("/data.pkl")]
            if entry.file_size > path.stat().st_size:  # compressed, which torch.save does not do
                return None
            with archive.open(entry) as file:
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
