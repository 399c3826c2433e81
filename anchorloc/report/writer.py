"""The files of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from anchorloc.files import write_json, write_text
from anchorloc.metrics import Evaluation
from anchorloc.metrics.analysis import Analysis
from anchorloc.report.analysis.tables import write_tables
from anchorloc.report.chart import Chart
from anchorloc.report.markdown import render_markdown
from anchorloc.report.page import render_page
from anchorloc.report.picture import Picture
from anchorloc.report.record import evaluation_record


def write_report(
    folder: Path,
    evaluation: Evaluation,
    title: str,
    pictures: Sequence[Picture] = (),
    charts: Sequence[Chart] = (),
    facts: Mapping[str, object] | None = None,
    warnings: Sequence[str] = (),
    analysis: Analysis | None = None,
    names: Sequence[str] = (),
) -> Path:
    """Write `metrics.json`, `report.md`, `report.html` and tables, and return the path of the page.

    Args:
        folder: an existing folder.
        pictures: the gallery, see `pick_pictures`.
        charts: the course of the training, see `training_charts`.
        facts: settings, timings and the like, shown in their order.
        warnings: sentences to be shown before those of the evaluation itself.
        analysis: why the numbers are what they are; it brings tables in CSV with it.
        names: of the image files, for those.

    Raises:
        InputError: the file system refuses.
    """
    facts, warnings = facts or {}, [*warnings, *evaluation.warnings]
    page = folder / "report.html"
    write_json(folder / "metrics.json", evaluation_record(evaluation, facts, warnings, analysis))
    write_text(folder / "report.md", render_markdown(evaluation, title, facts, warnings, analysis))
    if analysis is not None:
        write_tables(folder, analysis, evaluation, names)
    write_text(page, render_page(evaluation, title, pictures, charts, facts, warnings, analysis))
    return page
