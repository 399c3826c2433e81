"""Tables in GitHub-flavored Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[str]], names: int = 1) -> str:
    """Join cells; the first `names` columns are words, to the left, the others numbers, to the right."""
    rule = [":--" if column < names else "--:" for column in range(len(header))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))
