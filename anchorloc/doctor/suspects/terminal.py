"""Print the surest suspects on a terminal of 80 columns."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from anchorloc.doctor.suspects.label_suspects import KINDS, LIKELY, LabelSuspects
from anchorloc.doctor.suspects.suspect_table import what_is_suspected
from anchorloc.text import counted, printable, shorten

PRINTED = 5  # suspects of each kind


def print_suspects(suspects: LabelSuspects, console: Console) -> None:
    """Print how many suspects of each kind there are, and the surest ones."""
    matches = suspects.matches
    sizes = f"{counted(len(matches.labels), 'label')} beside {counted(len(matches.detections), 'detection')}"
    _line(console, f"{sizes} in {counted(len(suspects.truth), 'image')}", "dim")
    for warning in suspects.warnings:
        _line(console, f"warning: {warning}", "yellow", wrap=True)
    for kind, nouns in KINDS.items():
        total, likely = len(suspects.ranked[kind].scores), suspects.likely(kind)
        _line(console, "")
        _line(console, f"{nouns}: {likely:,} likely (score from {LIKELY:g}), {total:,} in all", "bold")
        for one in suspects.of(kind, PRINTED):
            name = shorten(suspects.truth.name(one.image), 30)
            _line(console, f"  {one.score:.2f}  {name}: {what_is_suspected(suspects, one)}")


def _line(console: Console, text: str, style: str = "", *, wrap: bool = False) -> None:
    console.print(Text(printable(text), style), no_wrap=not wrap, overflow="ellipsis")
