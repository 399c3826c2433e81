"""The suspects as one HTML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from anchorloc.doctor.suspects.label_suspects import KINDS, LIKELY, LabelSuspects
from anchorloc.report.html import render
from anchorloc.report.page import aspect_of
from anchorloc.report.picture import DrawnPicture
from anchorloc.text import counted

NOTE = (
    f"A score from 0 to 1 says how sure the detections contradict the labels; a suspect of at least {LIKELY:g} is "
    "likely. suspects.csv lists all."
)


def render_suspects(
    suspects: LabelSuspects,
    title: str,
    facts: Mapping[str, object],
    pictures: Sequence[DrawnPicture],
    warnings: Sequence[str],
) -> str:
    """Return the whole page, with every name from a file escaped."""
    matches = suspects.matches
    return render(
        "doctor/suspects/page.html",
        title,
        facts,
        warnings,
        sizes=" · ".join(
            (
                counted(len(suspects.truth), "image"),
                counted(len(matches.labels), "label"),
                counted(len(matches.detections), "detection"),
            )
        ),
        counts=[
            (nouns.capitalize(), suspects.likely(kind), len(suspects.ranked[kind].scores))
            for kind, nouns in KINDS.items()
        ],
        note=NOTE,
        pictures=pictures,
        aspect=aspect_of(pictures),
    )
