"""The findings on a terminal: at most 40 lines of at most 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from anchorloc.doctor.annotation_table import Table
from anchorloc.doctor.diagnosis import Diagnosis
from anchorloc.doctor.editable import Changes
from anchorloc.doctor.findings import Case
from anchorloc.doctor.rules import Kind, Severity
from anchorloc.text import counted, first_few, plural, printable, short_repr

MOST_LINES = 39  # and one for the shell
WIDTH = 80
EXAMPLES = 5  # of a kind at most, and no more than fit into a line
FEW, MANY = 3, 4  # values that are counted rather than shown case by case, if each has so many on average
COLORS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFORMATION: "cyan"}
INDENT = " " * 9


def print_diagnosis(diagnosis: Diagnosis, console: Console) -> None:
    """Print what was looked at, and each kind of finding with its number, examples and remedy.

    Where there is not enough room, the last kinds lose their examples and remedies, and then their lines.
    """
    for prefix, document, table in zip(_prefixes(diagnosis), diagnosis.documents, diagnosis.tables, strict=True):
        _line(console, f"{prefix}{document.path.name}: {sizes(table)}")
    found = {severity: diagnosis.findings.of(severity) for severity in Severity}
    number = sum(map(len, found.values()))
    room = MOST_LINES - len(diagnosis.documents) - 3 * sum(map(bool, found.values())) - 2  # headings and verdict
    details, shown = max(room - number, 0) // 2, min(room, number)
    for severity, kinds in found.items():
        if kinds:
            console.print()
            console.print(Text(severity.value, f"bold {COLORS[severity]}"))
        for kind, cases in kinds[:shown]:
            _print_kind(console, kind, cases, diagnosis, brief=details <= 0)
            details -= 1
        if len(kinds) > shown:
            _line(console, f"{INDENT}and {counted(len(kinds) - shown, 'kind', 'kinds')} more")
        shown = max(shown - len(kinds), 0)
    console.print()
    console.print(Text(verdict(diagnosis), "bold"))


def sizes(table: Table) -> str:
    """Write what a document holds, in one line."""
    return " · ".join(
        [
            counted(len(table.image_rows), "image", "images"),
            counted(len(table.rows), "box", "boxes"),
            counted(len(table.categories), "class", "classes"),
        ]
    )


def verdict(diagnosis: Diagnosis) -> str:
    """Say in one line how it stands."""
    if diagnosis.findings.clean:
        return "clean: nothing that breaks or bends training or scoring"
    errors, warnings, information = (len(diagnosis.findings.of(severity)) for severity in Severity)
    kinds = f"{counted(errors, 'kind', 'kinds')} of error, {warnings} of warning, {information} of information"
    return f"{kinds}; --json OUT has every case"


def print_changes(changes: Changes, console: Console) -> None:
    """Print what a repair did, a line a kind of change."""
    if not changes:
        _line(console, "nothing to mend")
    for (what, action), count in changes.items():
        _line(console, f"{count:>7,}  {what if count == 1 else plural(what)}: {action}")


def print_parts(names: Sequence[str], tables: Sequence[Table], groups: Sequence[int], console: Console) -> None:
    """Print images, groups, boxes and the boxes of the largest classes of each part."""
    classes = tables[0].class_names
    counts = [table.class_counts().tolist() for table in tables]
    total = [sum(column) for column in zip(*counts, strict=True)]
    shown = sorted(range(len(classes)), key=lambda label: -total[label])[:4]
    width = max(map(len, names))
    heads = ["images", "groups", "boxes", *(_cut(classes[label], 9) for label in shown)]
    _line(console, " " * width + "".join(f"{head:>10}" for head in heads), "dim")
    for name, table, number, boxes in zip(names, tables, groups, counts, strict=True):
        numbers = [len(table.image_rows), number, len(table.rows), *(boxes[label] for label in shown)]
        _line(console, f"{name:<{width}}" + "".join(f"{value:>10,}" for value in numbers))
        absent = [short_repr(classes[label]) for label in range(len(classes)) if total[label] and not boxes[label]]
        if absent:
            _line(console, f"{'':<{width}}    no box of {first_few(absent)}")


def _print_kind(console: Console, kind: Kind, cases: Sequence[Case], diagnosis: Diagnosis, brief: bool) -> None:
    splits = {id(document): prefix for prefix, document in zip(_prefixes(diagnosis), diagnosis.documents, strict=True)}
    title = f"{len(cases):>7,}  {kind.counted(len(cases))}"
    if brief:
        _line(console, f"{title}: {_case(cases[0], splits)}")
        return
    _line(console, title)
    notes = [f"{splits[id(document)]}{words}" for document, words in diagnosis.findings.notes.get(kind, [])]
    _line(console, INDENT + ("; ".join(notes) or _examples(cases, splits)), "dim")
    _line(console, f"{INDENT}→ {kind.remedy}")


def _prefixes(diagnosis: Diagnosis) -> Sequence[str]:
    return ("train ", "val ") if len(diagnosis.documents) > 1 else ("",)


def _examples(cases: Sequence[Case], splits: dict[int, str]) -> str:
    """Write the first cases, as many as a line holds; of few values in many cases the number and first of each."""
    values: dict[str, list[Case]] = {}
    for case in cases:
        values.setdefault(case.value, []).append(case)
    if len(values) <= FEW and len(cases) >= MANY * len(values):
        return "; ".join(f"{value} ({len(same):,}, first {_name(same[0], splits)})" for value, same in values.items())
    text = _case(cases[0], splits)
    for case in cases[1:EXAMPLES]:
        longer = f"{text}; {_case(case, splits)}"
        if cell_len(printable(longer)) > WIDTH - len(INDENT):
            break
        text = longer
    return text


def _case(case: Case, splits: dict[int, str]) -> str:
    return f"{_name(case, splits)}: {case.value}" if case.items else f"{splits[id(case.document)]}{case.value}"


def _name(case: Case, splits: dict[int, str]) -> str:
    return splits[id(case.document)] + case.document.describe(case.items, case.row)


def _line(console: Console, text: str, style: str = "") -> None:
    console.print(Text(printable(text), style), no_wrap=True, overflow="ellipsis")


def _cut(text: str, longest: int) -> str:
    text = printable(text)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
