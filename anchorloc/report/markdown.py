"""Write the report as Markdown, to paste into an issue or a README."""

from __future__ import annotations

import re

from anchorloc.metrics import ClassMetrics, Localization
from anchorloc.metrics.analysis import ERROR_TYPES, Analysis
from anchorloc.report.analysis import captions
from anchorloc.report.captions import (
    FEW,
    ap_meaning,
    boxes_text,
    hidden_sentence,
    operating_sentence,
    shown_classes,
    size_line,
)
from anchorloc.report.judgment import Judgment
from anchorloc.report.localization import localization_rows
from anchorloc.text import markdown_table, shorten, signed, three_decimals


def render_markdown(judgment: Judgment) -> str:
    """Return the scores, classes, warnings and facts as GitHub-flavored Markdown."""
    evaluation, analysis, facts = judgment.evaluation, judgment.analysis, judgment.facts
    limit = evaluation.summary.max_detections[-1]
    numbers, shown = evaluation.summary.named(), shown_classes(evaluation.classes)
    parts = [
        f"# {escape(judgment.title)}",
        escape(judgment.heading),
        size_line(evaluation),
        markdown_table(list(numbers), [[three_decimals(value) for value in numbers.values()]], names=0),
        f"{ap_meaning(evaluation.protocol)}.",
        *([] if judgment.localization is None else _one_box(judgment.localization)),
        operating_sentence(evaluation) or "",
        captions.precision_sentence(analysis) or "",
        "\n".join(f"- **Warning:** {escape(warning)}" for warning in judgment.all_warnings),
        *([] if analysis is None else _analysis(analysis)),
        "## Classes",
        markdown_table(
            ["class", "AP", "AP50", "AP75", f"AR{limit}", "images", "boxes", "detections"],
            [_class_row(evaluation.classes[label]) for label in shown],
        ),
        hidden_sentence(len(evaluation.classes) - len(shown)) or "",
        f"{FEW}." if any(metrics.few for metrics in evaluation.classes) else "",
    ]
    if facts:
        parts += [
            "## Run",
            markdown_table(["", ""], [[escape(key), escape(str(value))] for key, value in facts.items()], 2),
        ]
    return "\n\n".join(part for part in parts if part) + "\n"


def escape(text: str) -> str:
    """Return Markdown that shows `text` literally and on one line, also in a table."""
    return re.sub(r"([\\`*_\[\]<>|&~#$])", r"\\\1", shorten(text, 500))


def _one_box(found: Localization) -> list[str]:
    """Return paragraphs, to join by empty lines."""
    rows = [[name, meaning, three_decimals(value)] for name, value, meaning in localization_rows(found)]
    return ["## One box per image", markdown_table(["number", "meaning", ""], rows, 2)]


def _class_row(metrics: ClassMetrics) -> list[str]:
    return [
        escape(shorten(metrics.category.shown_name)),
        *(three_decimals(value) for value in (metrics.ap, metrics.ap50, metrics.ap75, metrics.ar)),
        *(str(metrics.images), boxes_text(metrics), str(metrics.detections)),
    ]


def _analysis(analysis: Analysis) -> list[str]:
    """Return paragraphs, to join by empty lines."""
    return [
        *_intervals(analysis),
        "## Errors",
        captions.threshold_sentence(analysis),
        _errors(analysis),
        captions.GAIN,
        captions.recommendation_sentence(analysis) + " `classes.csv` lists the thresholds.",
        "## Localization and calibration",
        _localization(analysis),
        "## Slices",
        _slices(analysis),
        _meanings(captions.SLICE_COLUMNS),
        *_anchor_shapes(analysis),
    ]


def _intervals(analysis: Analysis) -> list[str]:
    if analysis.bootstrap is None:
        return []
    rows = [[name, captions.interval_text(interval) or "n/a"] for name, interval in analysis.bootstrap.summary.items()]
    return [
        markdown_table(["number", "interval"], rows),
        f"{captions.INTERVAL} ({analysis.bootstrap.resamples:,} resamples). n/a: {captions.NO_INTERVAL}.",
    ]


def _errors(analysis: Analysis) -> str:
    totals = zip(ERROR_TYPES, analysis.errors.totals, analysis.errors.gains, strict=True)
    rows = [[kind, captions.ERRORS[kind], str(count), signed(gain)] for kind, count, gain in totals]
    return markdown_table(["error", "meaning", "count", "AP50 gain"], rows, 2)


def _localization(analysis: Analysis) -> str:
    numbers = captions.box_quality_numbers(analysis)
    return markdown_table(
        ["number", "meaning", ""],
        [[key, captions.BOX_QUALITY[key], three_decimals(numbers[key])] for key in captions.BOX_QUALITY],
        2,
    )


def _slices(analysis: Analysis) -> str:
    rows = [
        [one.group, one.name, str(one.boxes), *map(three_decimals, (one.ap, one.ap50, one.recall50, one.ar, one.iou))]
        for one in analysis.slices
    ]
    return markdown_table(["", "slice", *captions.SLICE_COLUMNS], rows, 2)


def _anchor_shapes(analysis: Analysis) -> list[str]:
    sentence = captions.prunable_sentence(analysis)
    if sentence is None:
        return []
    rows = [
        [
            captions.shape_name(one),
            *(f"{share:.1%}" for share in (one.anchors, one.detection_fraction, one.true_positive_fraction)),
            three_decimals(one.iou),
            signed(one.ap_loss),
        ]
        for one in analysis.shapes
    ]
    return [
        "## Anchor shapes",
        sentence,
        markdown_table(["shape", *captions.SHAPE_COLUMNS], rows),
        _meanings(captions.SHAPE_COLUMNS),
    ]


def _meanings(columns: dict[str, str]) -> str:
    return "\n".join(f"- {column}: {words}" for column, words in columns.items())
