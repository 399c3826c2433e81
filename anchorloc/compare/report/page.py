"""Render a study as one HTML file."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

from anchorloc.compare.report.pareto import pareto_svg
from anchorloc.compare.report.result import MEASURE_COLUMNS, StudyResult
from anchorloc.compare.report.terminal import interval_text
from anchorloc.report.html import render

HEADINGS = (
    ("difference", "difference in AP, mean over seeds, on the same images"),
    (
        "interval",
        "95% interval of the difference, over seeds and images, valid for all pairs together",
    ),
    ("p", "probability that chance of the seeds alone separates any pair this much, if all pairs are equal"),
    ("verdict", "a winner needs p of at most 0.05 and an interval that excludes 0"),
)


def render_study(result: StudyResult, facts: Mapping[str, object]) -> str:
    """Return the page."""
    picture = pareto_svg(result)
    return render(
        "compare/report/page.html",
        result.title,
        facts,
        result.warnings,
        sizes=result.description,
        result=result,
        headings=HEADINGS,
        columns=MEASURE_COLUMNS,
        interval_text=interval_text,
        picture=None if picture is None else Markup(picture),  # the renderer of the SVG has escaped all names
        seeds=sorted({seed for row in result.rows for seed in (*row.seeds, *row.failures)}),
    )
