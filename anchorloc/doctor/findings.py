"""All findings, case by case."""

from __future__ import annotations

from collections.abc import Callable, Collection, Set
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from anchorloc.doctor.document import CocoDocument
from anchorloc.doctor.rules import Rule, Severity
from anchorloc.errors import AccessError, ItemError

T = TypeVar("T")


class Case(NamedTuple):
    """One item that breaks a rule."""

    document: CocoDocument
    list_name: str  # "images", "categories" or "annotations"; "" for the file as a whole
    row: int  # index in that list, -1 for none
    value: str  # the offending value, in words


@dataclass(frozen=True)
class Findings:
    """The cases of every rule."""

    cases: dict[Rule, list[Case]] = field(default_factory=dict)
    summaries: dict[Rule, list[tuple[CocoDocument, str]]] = field(default_factory=dict)

    def add(self, rule: Rule, document: CocoDocument, list_name: str, row: int, value: str) -> None:
        self.cases.setdefault(rule, []).append(Case(document, list_name, row, value))

    def summarize(self, rule: Rule, document: CocoDocument, text: str) -> None:
        """Set a text on all cases of a rule in a document; the terminal prints it in place of examples."""
        self.summaries.setdefault(rule, []).append((document, text))

    def ordered(self) -> list[tuple[Rule, list[Case]]]:
        """Return the rules that have cases: errors, warnings, information."""
        return [(rule, self.cases[rule]) for rule in Rule if rule in self.cases]

    def by_severity(self, severity: Severity) -> list[tuple[Rule, list[Case]]]:
        """Return the rules of one severity that have cases."""
        return [(rule, cases) for rule, cases in self.ordered() if rule.severity is severity]

    def rows(self, rule: Rule, list_name: str) -> set[int]:
        """Return the rows of a list that break a rule."""
        return {case.row for case in self.cases.get(rule, ()) if case.list_name == list_name}

    def forget(self, rule: Rule, list_name: str, rows: Set[int]) -> None:
        """Remove the cases of a rule in rows of a list, which have been fixed."""
        if rows:
            cases = self.cases[rule]
            cases[:] = [case for case in cases if case.list_name != list_name or case.row not in rows]

    def keep(self, only: Collection[str], skip: Collection[str]) -> None:
        """Forget the cases of rules that are not in `only`, unless that is empty, or are in `skip`; both have keys.

        A check that crashed stays: without it the other rules say less than they seem to.
        """
        for rule in [rule for rule in self.cases if (only and rule.key not in only) or rule.key in skip]:
            if rule is not Rule.CRASHED_CHECK:
                del self.cases[rule]
                self.summaries.pop(rule, None)

    @property
    def clean(self) -> bool:
        """Whether there are neither errors nor warnings."""
        return not self.by_severity(Severity.ERROR) and not self.by_severity(Severity.WARNING)


@dataclass(frozen=True)
class Reporter:
    """Adds the cases of one list of one document to the findings."""

    findings: Findings
    document: CocoDocument
    list_name: str

    def add(self, rule: Rule, row: int, value: str) -> None:
        self.findings.add(rule, self.document, self.list_name, row, value)

    def check(self, rule: Rule, row: int, read: Callable[..., T], *arguments: object) -> T | None:
        """Return what `read` returns; if it raises an ItemError, add a case and return None.

        A file that cannot be opened is a case of its own rule: no fix may act as if it were missing or damaged.
        """
        try:
            return read(*arguments)
        except ItemError as error:
            self.add(Rule.NO_ACCESS if isinstance(error, AccessError) else rule, row, without_advice(error))
            return None


def without_advice(error: ItemError) -> str:
    """Return what is wrong, without the advice after the semicolon: the rule has its own."""
    return str(error).partition(";")[0]
