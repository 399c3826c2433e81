"""The settings of a new run: from labels or a config, an earlier run and overrides; nothing here loads torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from anchorloc.cli import split_settings

if TYPE_CHECKING:
    from anchorloc.config import Config
    from anchorloc.plan import PlanRequest


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
