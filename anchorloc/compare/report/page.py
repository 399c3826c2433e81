"""A study as one HTML file."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

from anchorloc.compare.report.pareto import pareto_svg
from anchorloc.compare.report.result import COLUMNS, StudyResult
from anchorloc.compare.report.terminal import interval
from anchorloc.report.html import render

HEADINGS = (
    ("difference", "mean over seeds of the difference in AP, on the same images"),
    ("interval", "of the difference, over seeds and images; those of all pairs hold together in 95% of studies"),
    ("p", "chance that seeds alone would set any pair so far apart, were all pairs equal"),
    ("verdict", "a winner needs p of at most 0.05 and an interval without 0"),
)


def render_study(result: StudyResult, facts: Mapping[str, object]) -> str:
    """Return the page."""
    picture = pareto_svg(result)
    return render(
        "compare/report/page.html",
        result.title,
        facts,
        result.warnings,
        sizes=result.sizes,
        result=result,
        headings=HEADINGS,
        columns=COLUMNS,
        interval=interval,
        picture=None if picture is None else Markup(picture),  # its names are escaped where it is made
        seeds=sorted({seed for row in result.rows for seed in (*row.seeds, *row.failures)}),
    )
