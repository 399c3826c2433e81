"""The settings of a new run: from labels or a config, an earlier run and overrides; nothing here loads torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from anchorloc.cli import split_words
from anchorloc.errors import InputError
from anchorloc.files import exists, refuse_missing

if TYPE_CHECKING:
    from anchorloc.config import Config
    from anchorloc.plan import PlanRequest

_KEY = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+(?<!\.yaml)(?<!\.yml)(?<!\.json)")


def read_settings(
    words: Sequence[str], start: Path | None = None, plan: bool = False
) -> tuple[Config, PlanRequest | None]:
    """Return the settings of a new run, and what a plan is asked to choose.

    Args:
        words: the data or a config, and overrides.
        start: folder or checkpoint of the run to start from.
        plan: choose settings for a config too.

    Raises:
        InputError: a file is missing, or a setting is wrong.
    """
    path, overrides = split_settings(words)
    from anchorloc.config import refuse_unimported  # --help does not wait for these
    from anchorloc.plan import read_request

    kept = None
    if start is not None:
        from anchorloc.engine.state.saved_settings import settings_to_start_from

        kept = settings_to_start_from(start)
    config, request = read_request(path, overrides, plan=plan, kept=kept)
    refuse_unimported(config)
    return config, request


def split_settings(words: Sequence[str]) -> tuple[Path | None, list[str]]:
    """Return the path of the data or of the config, if there is one, and the `key=value` overrides.

    Raises:
        InputError: there is more than one file, or it is missing, or a key has no value.
    """
    files, overrides = split_words(words)
    for file in files:
        if _KEY.fullmatch(str(file)) and not exists(str(file)):
            raise InputError(f"{file} is neither a file nor an override; write {file}=VALUE")
    if len(files) > 1:
        raise InputError(
            f"give one data set or config, got {' and '.join(map(str, files))}; write overrides as key=value"
        )
    if files and not files[0].is_dir():
        refuse_missing(files[0])
    return (files[0] if files else None), overrides
