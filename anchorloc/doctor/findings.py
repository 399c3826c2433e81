"""Everything that was found, case by case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from anchorloc.data.item_error import Flaw
from anchorloc.doctor.document import Document
from anchorloc.doctor.rules import KINDS, Kind, Severity

T = TypeVar("T")


class Case(NamedTuple):
    """One item with a finding."""

    document: Document
    items: str  # "images", "categories" or "annotations"; "" for the file as a whole
    row: int  # place in that list, -1 for none
    value: str  # what is there, in words


@dataclass(frozen=True)
class Findings:
    """The cases of every kind."""

    cases: dict[Kind, list[Case]] = field(default_factory=dict)
    notes: dict[Kind, list[tuple[Document, str]]] = field(default_factory=dict)  # on all cases of a kind at once

    def add(self, kind: Kind, document: Document, items: str, row: int, value: str) -> None:
        """Note one case."""
        self.cases.setdefault(kind, []).append(Case(document, items, row, value))

    def note(self, kind: Kind, document: Document, words: str) -> None:
        """Note what says more of a kind in a document than its first cases."""
        self.notes.setdefault(kind, []).append((document, words))

    def ordered(self) -> list[tuple[Kind, list[Case]]]:
        """The kinds that have cases: errors, warnings, information."""
        return [(kind, self.cases[kind]) for kind in KINDS if kind in self.cases]

    def of(self, severity: Severity) -> list[tuple[Kind, list[Case]]]:
        """The kinds of one severity that have cases."""
        return [(kind, cases) for kind, cases in self.ordered() if kind.severity is severity]

    def rows(self, kind: Kind, items: str) -> set[int]:
        """The places in a list that have a finding of a kind."""
        return {case.row for case in self.cases.get(kind, ()) if case.items == items}

    @property
    def clean(self) -> bool:
        """Whether there is nothing but information."""
        return not self.of(Severity.ERROR) and not self.of(Severity.WARNING)


@dataclass(frozen=True)
class Notebook:
    """Where the checks of one list of one document write."""

    findings: Findings
    document: Document
    items: str

    def add(self, kind: Kind, row: int, value: str) -> None:
        """Note one case."""
        self.findings.add(kind, self.document, self.items, row, value)

    def read(self, kind: Kind, row: int, check: Callable[..., T], *arguments: object) -> T | None:
        """Return what `check` returns; a Flaw becomes a case, and None."""
        try:
            return check(*arguments)
        except Flaw as flaw:
            self.add(kind, row, clause(flaw))
            return None


def clause(flaw: Flaw) -> str:
    """Return what is wrong, without the advice that follows it: a kind has its own."""
    return str(flaw).partition(";")[0]
