"""Write the files of a comparison of result files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from anchorloc.compare.result_files.captions import MEANINGS, verdict_sentence
from anchorloc.compare.result_files.file_comparison import FileComparison
from anchorloc.compare.result_files.page import render_comparison
from anchorloc.compare.result_files.pair_comparison import PairComparison, ScoreDifference
from anchorloc.files import write_json, write_text
from anchorloc.report.csv import write_csv


def write_comparison(folder: Path, comparison: FileComparison) -> Path:
    """Write comparison.html, comparison.json, differences.csv and images.csv; return the path of comparison.html.

    Raises:
        InputError: the file system refuses.
    """
    write_json(folder / "comparison.json", comparison_json(comparison))
    write_csv(
        folder / "differences.csv",
        (
            *("name", "against", "kind", "score", "boxes", f"{comparison.unit}s", "value", "against_value"),
            *("difference", "low", "high", "p", "verdict", f"{comparison.unit}s_needed"),
        ),
        (_cells(pair, one) for pair in comparison.pairs for one in pair.differences),
    )
    write_csv(
        folder / "images.csv",
        ("image", *(f"errors of {name}" for name in comparison.errors)),
        zip(comparison.image_names, *(errors.tolist() for errors in comparison.errors.values()), strict=True),
    )
    page = folder / "comparison.html"
    write_text(page, render_comparison(comparison))
    return page


def comparison_json(comparison: FileComparison) -> dict[str, Any]:
    """Return the comparison as values of JSON."""
    options = comparison.options
    return {
        "annotations": str(options.annotations),
        "images": len(comparison.image_names),
        "boxes": comparison.boxes,
        "paired_by": comparison.unit,
        "groups": comparison.groups,
        "max_detections": options.max_detections,
        "reference": options.reference,
        "names": {
            name: [{"file": str(file.path), "best_score_threshold": _finite(file.threshold)} for file in files]
            for name, files in comparison.files.items()
        },
        "pairs": [
            {
                "name": pair.name,
                "against": pair.against,
                "verdict": pair.ap.decision,
                "sentence": verdict_sentence(pair, comparison.unit),
                "scores": [_difference(one) for one in (pair.ap, *pair.of("scores"))],
                "classes": [_difference(one) for one in pair.of("classes")],
                "images": [
                    {"image": comparison.image_names[one.index], "errors": one.ours, "errors_against": one.theirs}
                    for one in images
                ],
            }
            for pair, images in zip(comparison.pairs, comparison.differing, strict=True)
        ],
        "meanings": MEANINGS,
        "note": comparison.note,
        "warnings": list(comparison.warnings),
    }


def _difference(one: ScoreDifference) -> dict[str, Any]:
    judged = one.judged
    return {
        "score": one.score.name,
        "boxes": one.score.boxes,
        "groups": one.score.groups,
        "value": one.ours,
        "against_value": one.theirs,
        "difference": one.value,
        "interval": None if judged is None or judged.interval is None else list(judged.interval),
        "p": None if judged is None else judged.p,
        "verdict": one.decision,
        "needed": one.groups_needed,
    }


def _finite(value: float) -> float | None:
    return value if value < float("inf") else None


def _cells(pair: PairComparison, one: ScoreDifference) -> tuple[object, ...]:
    judged = one.judged
    between = (None, None, None) if judged is None else (*(judged.interval or (None, None)), judged.p)
    kind = "class" if one.score.family == "classes" else "score"
    counts = (one.score.boxes, one.score.groups)
    values = (one.ours, one.theirs, one.value)
    return pair.name, pair.against, kind, one.score.name, *counts, *values, *between, one.decision, one.groups_needed
