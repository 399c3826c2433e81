"""What an exported file says of itself, as JSON: all that is needed to use it without the checkpoint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Final, NotRequired

import pydantic
from typing_extensions import TypedDict

from anchorloc import __version__
from anchorloc.config import Config, to_plain
from anchorloc.engine.state.score_threshold import ScoreThreshold, ThresholdEntry
from anchorloc.errors import InputError
from anchorloc.files import read_bytes
from anchorloc.structures import Category

KEY: Final = "anchorloc"  # name of the JSON in an ONNX file and in a torch.export archive
FORMAT: Final = 1  # raised where an older release would misread a file


class _Class(TypedDict):
    id: int | str
    name: str


class ExportMetadata(TypedDict):
    """The entries that this package needs of a file; the others are for programs without it."""

    format: int
    classes: Annotated[list[_Class], pydantic.Field(min_length=1)]
    step: Annotated[int, pydantic.Field(ge=0)]
    threshold: ThresholdEntry | None
    settings: dict[str, Any]
    multiple: NotRequired[Annotated[int, pydantic.Field(ge=1)]]
    precision: NotRequired[str]  # missing in earlier files, which are in float32


def write_metadata(
    config: Config,
    categories: Sequence[Category],
    step: int,
    threshold: ScoreThreshold | None,
    checkpoint: Path,
    measured: Mapping[str, object],
) -> str:
    """Return the JSON for a model.

    Args:
        config: its settings.
        categories: its classes.
        step: steps that it was trained for.
        threshold: its score threshold.
        checkpoint: the file of its weights.
        measured: `precision` and `ap` of a network that is not in float32.
    """
    data = config.data
    return json.dumps(
        {
            "format": FORMAT,
            "classes": [{"id": category.id, "name": category.name} for category in categories],
            "threshold": None if threshold is None else asdict(threshold),
            "images": to_plain(data.image_settings),
            "tiles": to_plain(config.tiles),
            "resize": {"kind": type(config.transform.resize).__name__, **to_plain(config.transform.resize)},
            "multiple": config.multiple,
            "fill": config.detector.fill,
            "mean": config.detector.mean,
            "std": config.detector.std,
            "decode": to_plain(config.decoder),
            "precision": "float32",
            "ap": None,
            **measured,
            "step": step,
            "checkpoint": {"name": checkpoint.name, "sha256": hashlib.sha256(read_bytes(checkpoint)).hexdigest()},
            "versions": {"anchorloc": __version__, **{name: version(name) for name in ("torch", "numpy", "pillow")}},
            "settings": to_plain(config),
        }
    )


def read_metadata(path: Path, text: str | None) -> ExportMetadata:
    """Return the checked metadata of the file `path`.

    Raises:
        InputError: it has none, or they are damaged, or of another version.
    """
    if text is None:
        raise InputError(f"{path} has no metadata of anchorloc; give a file that `anchorloc export` wrote")
    try:
        entries = json.loads(text)
        if not isinstance(entries, dict):
            raise ValueError
    except (ValueError, RecursionError):
        raise InputError(f"{path} cannot be used: its metadata are not JSON; export the checkpoint again") from None
    number = entries.get("format")
    if number is None:
        raise InputError(f"{path} is of an earlier version and has no class names; export the checkpoint again")
    if isinstance(number, int) and number > FORMAT:
        raise InputError(
            f"{path} is of a newer version of anchorloc (format {number}, this one reads {FORMAT}); update anchorloc"
        )
    try:
        return pydantic.TypeAdapter(ExportMetadata).validate_python(entries)
    except pydantic.ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(
            f"{path} cannot be used: metadata entry {where!r}: {first['msg']}; export the checkpoint again"
        ) from None
