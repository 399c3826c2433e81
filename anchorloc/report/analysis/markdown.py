"""The analysis as Markdown."""

from __future__ import annotations

from anchorloc.metrics.analysis import ERROR_TYPES, Analysis
from anchorloc.report.analysis.captions import (
    BOX_QUALITY,
    ERRORS,
    INTERVAL,
    SHAPE_COLUMNS,
    SLICE_COLUMNS,
    box_quality_numbers,
    interval_text,
    prunable_sentence,
    recommendation_sentence,
    shape_name,
    signed,
    threshold_sentence,
)
from anchorloc.text import markdown_table, three_decimals


def analysis_markdown(analysis: Analysis) -> list[str]:
    """Return paragraphs, to join by empty lines."""
    return [
        *_intervals(analysis),
        "## Errors",
        threshold_sentence(analysis),
        _errors(analysis),
        recommendation_sentence(analysis) + " `classes.csv` lists the thresholds.",
        "## Localization and calibration",
        _localization(analysis),
        "## Slices",
        _slices(analysis),
        _meanings(SLICE_COLUMNS),
        *_yields(analysis),
    ]


def _intervals(analysis: Analysis) -> list[str]:
    if analysis.bootstrap is None:
        return []
    rows = [[name, interval_text(interval) or "n/a"] for name, interval in analysis.bootstrap.summary.items()]
    return [markdown_table(["number", "interval"], rows), f"{INTERVAL} ({analysis.bootstrap.resamples:,} resamples)."]


def _errors(analysis: Analysis) -> str:
    totals = zip(ERROR_TYPES, analysis.errors.totals, analysis.errors.gains, strict=True)
    rows = [[kind, ERRORS[kind], str(count), signed(gain)] for kind, count, gain in totals]
    return markdown_table(["error", "meaning", "count", "AP50 gain"], rows, 2)


def _localization(analysis: Analysis) -> str:
    numbers = box_quality_numbers(analysis)
    return markdown_table(
        ["number", "meaning", ""], [[key, BOX_QUALITY[key], three_decimals(numbers[key])] for key in BOX_QUALITY], 2
    )


def _slices(analysis: Analysis) -> str:
    rows = [
        [one.group, one.name, str(one.boxes), *map(three_decimals, (one.ap, one.ap50, one.recall50, one.ar, one.iou))]
        for one in analysis.slices
    ]
    return markdown_table(["", "slice", *SLICE_COLUMNS], rows, 2)


def _yields(analysis: Analysis) -> list[str]:
    sentence = prunable_sentence(analysis)
    if sentence is None:
        return []
    rows = [
        [
            shape_name(one),
            *(f"{share:.1%}" for share in (one.anchors, one.kept, one.right)),
            three_decimals(one.iou),
            signed(one.ap_loss),
        ]
        for one in analysis.shapes
    ]
    return ["## Anchor shapes", sentence, markdown_table(["shape", *SHAPE_COLUMNS], rows), _meanings(SHAPE_COLUMNS)]


def _meanings(columns: dict[str, str]) -> str:
    return "\n".join(f"- {column}: {words}" for column, words in columns.items())
