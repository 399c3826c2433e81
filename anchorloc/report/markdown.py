"""The report as Markdown, to paste into an issue or a README."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from anchorloc.metrics import Evaluation
from anchorloc.metrics.analysis import Analysis
from anchorloc.report.analysis.markdown import analysis_markdown
from anchorloc.report.markdown_table import table
from anchorloc.report.words import operating_sentence, size_line
from anchorloc.text import shorten, three_decimals


def render_markdown(
    evaluation: Evaluation,
    title: str,
    facts: Mapping[str, object],
    warnings: Sequence[str],
    analysis: Analysis | None = None,
) -> str:
    """Return the numbers, the classes, the warnings and the facts as GitHub-flavored Markdown."""
    limit = evaluation.summary.max_detections[-1]
    numbers = evaluation.summary.named()
    parts = [
        f"# {escape(title)}",
        size_line(evaluation),
        table(list(numbers), [[three_decimals(value) for value in numbers.values()]], names=0),
        operating_sentence(evaluation) or "",
        "\n".join(f"- **Warning:** {escape(warning)}" for warning in warnings),
        *([] if analysis is None else analysis_markdown(analysis)),
        "## Classes",
        table(["class", "AP", "AP50", "AP75", f"AR{limit}", "images", "boxes", "detections"], _classes(evaluation)),
    ]
    if facts:
        parts += ["## Run", table(["", ""], [[escape(key), escape(str(value))] for key, value in facts.items()], 2)]
    return "\n\n".join(part for part in parts if part) + "\n"


def escape(text: str) -> str:
    """Return `text` as Markdown that shows it as it is, on one line, in a table too."""
    return re.sub(r"([\\`*_\[\]<>|&~#$])", r"\\\1", shorten(text, 500))


def _classes(evaluation: Evaluation) -> list[list[str]]:
    return [
        [
            escape(shorten(metrics.category.name)),
            *(three_decimals(value) for value in (metrics.ap, metrics.ap50, metrics.ap75, metrics.ar)),
            *(str(count) for count in (metrics.images, metrics.boxes, metrics.detections)),
        ]
        for metrics in evaluation.classes
    ]
