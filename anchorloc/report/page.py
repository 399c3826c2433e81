"""The report of an evaluation as one HTML file."""

from __future__ import annotations

from collections.abc import Sequence

from anchorloc.metrics import Evaluation
from anchorloc.metrics.analysis import Analysis
from anchorloc.report.analysis.captions import interval_text, precision_sentence
from anchorloc.report.analysis.sections import sections
from anchorloc.report.captions import (
    FEW,
    boxes_text,
    class_numbers,
    hidden_sentence,
    operating_sentence,
    score_captions,
    shown_classes,
    size_line,
)
from anchorloc.report.chart import draw_chart
from anchorloc.report.html import render
from anchorloc.report.judgment import Judgment
from anchorloc.report.localization import localization_rows
from anchorloc.report.picture import DrawnPicture, draw_picture


def render_page(judgment: Judgment) -> str:
    """Return the whole page, with every name from a file escaped."""
    evaluation, analysis = judgment.evaluation, judgment.analysis
    point = evaluation.operating_point
    threshold = None if point is None else point.threshold
    categories = [metrics.category for metrics in evaluation.classes]
    shown = shown_classes(evaluation.classes)
    drawn = [draw_picture(picture, categories, threshold) for picture in judgment.pictures]
    return render(
        "report/page.html",
        judgment.title,
        judgment.facts,
        judgment.all_warnings,
        heading=judgment.heading,
        sizes=size_line(evaluation),
        numbers=_numbers(evaluation, analysis),
        a=None if analysis is None else sections(analysis, evaluation),
        sentences=[operating_sentence(evaluation), precision_sentence(analysis)],
        localization=[] if judgment.localization is None else localization_rows(judgment.localization),
        threshold=threshold,
        limit=evaluation.summary.max_detections[-1],
        classes=[(label, evaluation.classes[label]) for label in shown],
        hidden=hidden_sentence(len(evaluation.classes) - len(shown)),
        class_numbers=class_numbers(evaluation.protocol),
        few=FEW if any(metrics.few for metrics in evaluation.classes) else "",
        boxes_text=boxes_text,
        charts=[chart for chart in map(draw_chart, judgment.charts) if chart is not None],
        pictures=drawn,
        aspect=aspect_of(drawn),
    )


def _numbers(evaluation: Evaluation, analysis: Analysis | None) -> list[tuple[str, float | None, str, str]]:
    """Return the COCO scores as (name, value, caption, interval)."""
    captions = score_captions(evaluation)
    intervals = {} if analysis is None or analysis.bootstrap is None else analysis.bootstrap.summary
    numbers = evaluation.summary.named()
    return [(key, value, captions[key], interval_text(intervals.get(key))) for key, value in numbers.items()]


def aspect_of(pictures: Sequence[DrawnPicture]) -> float:
    """Return the width / height of the frames of the gallery: the median of the pictures, between 0.75 and 1.6."""
    ratios = sorted(picture.width / picture.height for picture in pictures)
    return min(max(ratios[len(ratios) // 2], 0.75), 1.6) if ratios else 1.0
