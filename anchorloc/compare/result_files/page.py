"""The report of a comparison of result files as one HTML file."""

from __future__ import annotations

from anchorloc.compare.result_files.captions import (
    MEANINGS,
    class_counts,
    difference_interval,
    difference_numbers,
    needed_text,
    p_text,
    shown_classes,
    verdict_sentence,
)
from anchorloc.compare.result_files.file_comparison import FileComparison
from anchorloc.report.html import render
from anchorloc.report.page import aspect_of
from anchorloc.text import shorten, signed


def render_comparison(comparison: FileComparison) -> str:
    """Return the whole page, with every name from a file escaped."""
    options = comparison.options
    files = {
        f"{shorten(name)}, file {number}" if len(some) > 1 else name: file.path
        for name, some in comparison.files.items()
        for number, file in enumerate(some, 1)
    }
    return render(
        "compare/result_files/page.html",
        f"{', '.join(map(shorten, comparison.files))} on {options.annotations.stem}",
        {**files, "annotations": options.annotations, "detections counted per class and image": options.max_detections},
        comparison.warnings,
        sizes=comparison.description,
        comparison=comparison,
        meanings=MEANINGS,
        unit=comparison.unit,
        pairs=list(zip(comparison.pairs, comparison.differing, strict=True)),
        pictures=comparison.pictures,
        aspect=aspect_of(comparison.pictures),
        verdict_sentence=verdict_sentence,
        difference_interval=difference_interval,
        difference_numbers=difference_numbers,
        class_counts=class_counts,
        shown_classes=shown_classes,
        needed_text=needed_text,
        p_text=p_text,
        signed=signed,
    )
