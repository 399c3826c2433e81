"""Write the files of a report on suspects."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from anchorloc.data import Labels, Source
from anchorloc.doctor.suspects.label_suspects import LabelSuspects
from anchorloc.doctor.suspects.page import render_suspects
from anchorloc.doctor.suspects.review_labels import write_review
from anchorloc.doctor.suspects.suspect_pictures import draw_suspects
from anchorloc.doctor.suspects.suspect_table import HEADER, suspect_rows
from anchorloc.files import write_text
from anchorloc.report.csv import write_csv

TABLE, PAGE, REVIEW = "suspects.csv", "suspects.html", "review"


def write_suspects(
    folder: Path, suspects: LabelSuspects, labels: Labels, source: Source | None, facts: Mapping[str, object]
) -> int:
    """Write suspects.csv, suspects.html and the folder `review`; return the number of its images.

    Args:
        folder: where to write.
        suspects: what to write.
        labels: the labels.
        source: the same labels with their images; None leaves out pictures and `review`.
        facts: names and values for the page.

    Raises:
        InputError: the file system refuses.
    """
    write_csv(folder / TABLE, HEADER, suspect_rows(suspects))
    pictures, unshown = ([], []) if source is None else draw_suspects(suspects, source)
    title = f"suspected label errors: {labels.path.name}"
    page = render_suspects(suspects, title, facts, pictures, [*suspects.warnings, *unshown])
    write_text(folder / PAGE, page)
    return 0 if source is None else write_review(suspects, labels, folder / REVIEW)
