"""Write the report as Markdown, to paste into an issue or a README."""

from __future__ import annotations

import re

from anchorloc.metrics import Evaluation
from anchorloc.report.analysis.markdown import analysis_markdown
from anchorloc.report.captions import operating_sentence, size_line
from anchorloc.report.judgment import Judgment
from anchorloc.text import markdown_table, shorten, three_decimals


def render_markdown(judgment: Judgment) -> str:
    """Return the scores, classes, warnings and facts as GitHub-flavored Markdown."""
    evaluation, analysis, facts = judgment.evaluation, judgment.analysis, judgment.facts
    limit = evaluation.summary.max_detections[-1]
    numbers = evaluation.summary.named()
    parts = [
        f"# {escape(judgment.title)}",
        size_line(evaluation),
        markdown_table(list(numbers), [[three_decimals(value) for value in numbers.values()]], names=0),
        operating_sentence(evaluation) or "",
        "\n".join(f"- **Warning:** {escape(warning)}" for warning in judgment.all_warnings),
        *([] if analysis is None else analysis_markdown(analysis)),
        "## Classes",
        markdown_table(
            ["class", "AP", "AP50", "AP75", f"AR{limit}", "images", "boxes", "detections"], _classes(evaluation)
        ),
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


def _classes(evaluation: Evaluation) -> list[list[str]]:
    return [
        [
            escape(shorten(metrics.category.name)),
            *(three_decimals(value) for value in (metrics.ap, metrics.ap50, metrics.ap75, metrics.ar)),
            *(str(count) for count in (metrics.images, metrics.boxes, metrics.detections)),
        ]
        for metrics in evaluation.classes
    ]
