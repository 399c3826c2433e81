"""Render an HTML page in one file that loads nothing else, with every name from a file escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from anchorloc import __version__
from anchorloc.text import percent, shorten, three_decimals

PACKAGE = Path(__file__).resolve().parents[1]


def render(
    template: str,
    title: str,
    facts: Mapping[str, object],
    warnings: Sequence[str],
    *,
    heading: str = "",
    **values: Any,
) -> str:
    """Return a page; `template` is a path in the package that extends report/base.html."""
    return (
        _environment()
        .get_template(template)
        .render(
            title=shorten(title),
            heading=shorten(heading, 500),
            facts={shorten(str(key)): shorten(str(value), 500) for key, value in facts.items()},
            warnings=[shorten(warning, 1000) for warning in warnings],
            version=__version__,
            **values,
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(PACKAGE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = {"three_decimals": three_decimals, "percent": percent, "shorten": shorten}
    environment.filters.update(filters)
    return environment
