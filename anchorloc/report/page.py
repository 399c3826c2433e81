"""The report as one HTML file that loads nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from anchorloc import __version__
from anchorloc.metrics import Evaluation
from anchorloc.report.chart import Chart, draw_chart
from anchorloc.report.picture import DrawnPicture, Picture, draw_picture
from anchorloc.report.words import decimal, explanations, name, operating_sentence, sizes


def render_page(
    evaluation: Evaluation,
    title: str,
    pictures: Sequence[Picture],
    charts: Sequence[Chart],
    facts: Mapping[str, object],
    warnings: Sequence[str],
) -> str:
    """Return the whole page; every word that comes from a file is escaped."""
    point = evaluation.operating_point
    threshold = None if point is None else point.threshold
    categories = [metrics.category for metrics in evaluation.classes]
    drawn = [draw_picture(picture, categories, threshold) for picture in pictures]
    return (
        _environment()
        .get_template("page.html")
        .render(
            title=name(title),
            sizes=sizes(evaluation),
            numbers=_numbers(evaluation),
            sentence=operating_sentence(evaluation),
            threshold=threshold,
            limit=evaluation.summary.max_detections[-1],
            classes=evaluation.classes,
            charts=[chart for chart in map(draw_chart, charts) if chart is not None],
            pictures=drawn,
            aspect=_aspect(drawn),
            facts={name(str(key)): name(str(value), 500) for key, value in facts.items()},
            warnings=[name(warning, 1000) for warning in warnings],
            version=__version__,
        )
    )


def _numbers(evaluation: Evaluation) -> list[tuple[str, float | None, str]]:
    """COCO's numbers as (name, value, explanation)."""
    words = explanations(evaluation.summary.max_detections)
    return [(key, value, words[key]) for key, value in evaluation.summary.named().items()]


def _aspect(pictures: Sequence[DrawnPicture]) -> float:
    """The width / height of every frame of the gallery: that of the middle picture, within reason."""
    ratios = sorted(picture.width / picture.height for picture in pictures)
    return min(max(ratios[len(ratios) // 2], 0.75), 1.6) if ratios else 1.0


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = {"decimal": decimal, "shown": name}
    environment.filters.update(filters)
    return environment
