"""Print findings, fixes and splits: at most 40 lines of at most 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from anchorloc.doctor.annotation_table import AnnotationTable
from anchorloc.doctor.diagnosis import Diagnosis
from anchorloc.doctor.editable_document import FixCounts
from anchorloc.doctor.explanations import advice_for
from anchorloc.doctor.findings import Case
from anchorloc.doctor.rules import Rule, Severity
from anchorloc.doctor.split import SplitFile
from anchorloc.text import counted, first_few, plural, printable, short_repr, shorten

MAX_LINES = 39  # leaves one for the shell prompt
WIDTH = 80
MAX_EXAMPLES = 5  # cases shown per rule, if they fit into one line
MAX_VALUES, MIN_REPEATS = 3, 4  # up to 3 values that repeat 4 times on average are counted, not listed
COLORS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFORMATION: "cyan"}
INDENT = " " * 9
UNLABELED = (Rule.UNKNOWN_CATEGORY.title, "annotation of a removed category")  # removed from images that stay


def print_diagnosis(diagnosis: Diagnosis, console: Console) -> None:
    """Print the size of each file, and for each broken rule its number of cases, examples and advice.

    If the lines do not suffice, the last rules lose their examples and advice, then their own line.
    """
    for prefix, document, table in zip(_prefixes(diagnosis), diagnosis.documents, diagnosis.tables, strict=True):
        _line(console, f"{prefix}{document.path.absolute().name}: {_sizes(table)}")
    found = {severity: diagnosis.findings.by_severity(severity) for severity in Severity}
    number = sum(map(len, found.values()))
    headings = 3 * sum(map(bool, found.values()))
    available = MAX_LINES - len(diagnosis.documents) - headings - 2  # 2: the summary and the blank line before it
    details, shown = max(available - number, 0) // 2, min(available, number)
    for severity, rules in found.items():
        if rules:
            console.print()
            console.print(Text(severity.value, f"bold {COLORS[severity]}"))
        for rule, cases in rules[:shown]:
            _print_rule(console, rule, cases, diagnosis, brief=details <= 0)
            details -= 1
        if len(rules) > shown:
            _line(console, f"{INDENT}and {counted(len(rules) - shown, 'kind')} more")
        shown = max(shown - len(rules), 0)
    console.print()
    console.print(Text(_summary(diagnosis), "bold"))


def print_fixes(counts: FixCounts, console: Console) -> None:
    """Print the number of each kind of fix, and its first item."""
    if not counts:
        _line(console, "nothing to fix")
    for (what, action), count in counts.items():
        head, details = f"{count:>7,}  {what if count == 1 else plural(what)}", []
        if cell_len(f"{head}: {action}") <= WIDTH:
            head = f"{head}: {action}"
        else:
            details.append(action)
        if example := counts.examples.get((what, action)):
            details.append(f"{'first ' if count > 1 else ''}{example}")
        _line(console, head)
        if details:
            _line(console, INDENT + "; ".join(details), "dim")


def print_rules(console: Console) -> None:
    """Print every rule: its key, its severity, and what is done about it."""
    for rule in Rule:
        _line(console, f"{rule.key:<20}{rule.severity.name.lower():<13}{rule.title}")
        _line(console, f"{'':<20}→ {rule.advice}", "dim")


def print_left(diagnosis: Diagnosis, counts: FixCounts, console: Console) -> None:
    """Print what a fixed copy lost for good, and the warnings that it still has."""
    lost = sum(
        number
        for (what, action), number in counts.items()
        if action.startswith("removed") and ("box" in what or what in UNLABELED)
    )
    if lost:
        shown = "what it shows" if lost == 1 else "what they show"
        _line(console, f"{counted(lost, 'box is', 'boxes are')} gone; {shown} is background from now on")
    warnings = diagnosis.findings.by_severity(Severity.WARNING)
    if not warnings:
        _line(console, "it has no errors and no warnings")
        return
    _line(console, f"it has no errors and {counted(len(warnings), 'kind of warning', 'kinds of warnings')}:")
    for rule, cases in warnings[:MAX_EXAMPLES]:
        _line(console, f"{len(cases):>7,}  {rule.counted(len(cases))}")
    if len(warnings) > MAX_EXAMPLES:
        _line(console, f"{INDENT}and {counted(len(warnings) - MAX_EXAMPLES, 'kind')} more")


def print_splits(files: Sequence[SplitFile], console: Console) -> None:
    """Print the images, groups, boxes and the boxes of the largest classes of each file."""
    classes = files[0].table.class_names
    counts = [file.table.class_counts().tolist() for file in files]
    total = [sum(column) for column in zip(*counts, strict=True)]
    shown = sorted(range(len(classes)), key=lambda label: -total[label])[:4]
    width = max(len(file.name) for file in files)
    heads = ["images", "groups", "boxes", *(shorten(classes[label], 9) for label in shown)]
    _line(console, " " * width + "".join(f"{head:>10}" for head in heads), "dim")
    for file, boxes in zip(files, counts, strict=True):
        numbers = [len(file.table.image_rows), file.groups, len(file.table.rows), *(boxes[label] for label in shown)]
        _line(console, f"{file.name:<{width}}" + "".join(f"{value:>10,}" for value in numbers))
        absent = [short_repr(classes[label]) for label in range(len(classes)) if total[label] and not boxes[label]]
        if absent:
            _line(console, f"{'':<{width}}    no box of {first_few(absent)}")


def _sizes(table: AnnotationTable) -> str:
    images, boxes, classes = len(table.image_rows), len(table.rows), len(table.categories)
    return f"{counted(images, 'image')} · {counted(boxes, 'box')} · {counted(classes, 'class')}"


def _summary(diagnosis: Diagnosis) -> str:
    if diagnosis.findings.clean:
        return "clean: no errors and no warnings"
    errors, warnings, information = (len(diagnosis.findings.by_severity(severity)) for severity in Severity)
    kinds = f"{counted(errors, 'kind of error', 'kinds of errors')}, "
    kinds += f"{counted(warnings, 'kind of warning', 'kinds of warnings')}, {counted(information, 'note')}"
    return f"{kinds}; --json OUT lists every case"


def _print_rule(console: Console, rule: Rule, cases: Sequence[Case], diagnosis: Diagnosis, brief: bool) -> None:
    prefix_of = {
        id(document): prefix for prefix, document in zip(_prefixes(diagnosis), diagnosis.documents, strict=True)
    }
    title = f"{len(cases):>7,}  {rule.counted(len(cases))}"
    if brief:
        _line(console, f"{title}: {_case(cases[0], prefix_of)}")
        return
    _line(console, title)
    summaries = [f"{prefix_of[id(document)]}{text}" for document, text in diagnosis.findings.summaries.get(rule, [])]
    _line(console, INDENT + ("; ".join(summaries) or _examples(cases, prefix_of)), "dim")
    _line(console, f"{INDENT}→ {advice_for(rule, diagnosis.findings)}")


def _prefixes(diagnosis: Diagnosis) -> Sequence[str]:
    return [document.split and f"{document.split} " for document in diagnosis.documents]


def _examples(cases: Sequence[Case], prefix_of: dict[int, str]) -> str:
    """Write the first cases, as many as fit into a line, or for a few repeated values the number and first of each."""
    values: dict[str, list[Case]] = {}
    for case in cases:
        values.setdefault(case.value, []).append(case)
    if len(values) <= MAX_VALUES and len(cases) >= MIN_REPEATS * len(values):
        return "; ".join(
            f"{value} ({len(same):,}, first {_name(same[0], prefix_of)})" for value, same in values.items()
        )
    text = _case(cases[0], prefix_of)
    for case in cases[1:MAX_EXAMPLES]:
        longer = f"{text}; {_case(case, prefix_of)}"
        if cell_len(printable(longer)) > WIDTH - len(INDENT):
            break
        text = longer
    return text


def _case(case: Case, prefix_of: dict[int, str]) -> str:
    if not case.list_name:
        return f"{prefix_of[id(case.document)]}{case.value}"
    return f"{_name(case, prefix_of)}: {case.value}"


def _name(case: Case, prefix_of: dict[int, str]) -> str:
    return prefix_of[id(case.document)] + case.document.describe(case.list_name, case.row)


def _line(console: Console, text: str, style: str = "") -> None:
    console.print(Text(printable(text), style), no_wrap=True, overflow="ellipsis")
