"""A plan in a table on the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.table import Table
from rich.text import Text

from anchorloc.plan.choice import Choice
from anchorloc.plan.planner import Plan
from anchorloc.text import shorten

BASIS = {"fixed": "fixed", "data": "from the data", "machine": "from the machine"}


def plan_table(plan: Plan) -> Table:
    """Return one row a choice: its key, which is the override that changes it, its value and the reason."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("setting", "value", "why"):
        table.add_column(heading, overflow="fold")
    for choice in plan.choices:
        table.add_row(Text(choice.key), Text(short_value(choice.value)), Text(choice.why, "dim"))
    return table


def plan_rows(choices: Iterable[Choice]) -> list[dict[str, Any]]:
    """Return the choices as JSON: key, value, why and basis."""
    return [{"key": one.key, "value": one.value, "why": one.why, "basis": BASIS[one.basis]} for one in choices]


def short_value(value: Any) -> str:
    """Return a setting in few characters: the kind first, then what it holds."""
    if isinstance(value, dict):
        kind = f"{value['kind']} " if "kind" in value else ""
        parts = [f"{key} {short_value(item)}" for key, item in value.items() if key != "kind" and item is not None]
        return shorten(kind + ", ".join(parts), 60)
    if isinstance(value, (list, tuple)):
        return shorten(" ".join(map(short_value, value)), 40)
    return f"{value:g}" if isinstance(value, float) else str(value)
