"""Lists of a document that fixes change, with a count of every change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from anchorloc.data.coco_fields import Id
from anchorloc.doctor.document import NOUNS, CocoDocument
from anchorloc.doctor.findings import Findings
from anchorloc.doctor.rules import Rule

JsonObject = dict[str, Any]


class FixCounts(Counter[tuple[str, str]]):
    """The number of fixes of each kind: (a noun phrase in the singular, what was done to it)."""

    def __init__(self) -> None:
        super().__init__()
        self.examples: dict[tuple[str, str], str] = {}  # the first item of each kind

    def count(self, what: str, action: str, number: int, example: str = "") -> None:
        """Count fixes of a kind."""
        if number:
            self[what, action] += number
            self.examples.setdefault((what, action), example)


@dataclass(eq=False)
class EditableDocument:
    """Copies of the lists of a document that can be changed. Rows keep their index until `finish`."""

    document: CocoDocument
    findings: Findings
    counts: FixCounts
    lists: dict[str, list[Any]] = field(init=False)
    removed: dict[str, set[int]] = field(init=False)

    def __post_init__(self) -> None:
        self.lists = {name: list(self.document.items(name)) for name in NOUNS}
        self.removed = {name: set() for name in NOUNS}

    def items(self, name: str) -> list[tuple[int, JsonObject]]:
        """Return the JSON objects of a list that are not removed, with their rows."""
        gone = self.removed[name]
        return [(row, item) for row, item in enumerate(self.lists[name]) if row not in gone and type(item) is dict]

    def remove(self, name: str, rows: Collection[int], what: str, action: str = "removed") -> None:
        """Remove the rows that are not removed yet."""
        new = set(rows) - self.removed[name]
        self.removed[name] |= new
        self._count(name, new, what, action)

    def remove_by_rule(self, name: str, rule: Rule) -> None:
        """Remove the rows that break a rule."""
        self.remove(name, self.findings.rows(rule, name), rule.title)

    def edit(
        self, name: str, rows: Collection[int], what: str, action: str, change: Callable[[JsonObject], JsonObject]
    ) -> None:
        """Merge the keys that `change` returns into each row that is not removed."""
        rows = sorted(set(rows) - self.removed[name])
        for row in rows:
            item = self.lists[name][row]
            self.lists[name][row] = {**item, **change(item)}  # a new object, since `document` keeps the old one
        self._count(name, rows, what, action)

    def edit_by_rule(self, name: str, rule: Rule, action: str, change: Callable[[JsonObject], JsonObject]) -> None:
        """Edit the rows that break a rule."""
        self.edit(name, self.findings.rows(rule, name), rule.title, action, change)

    def lost_ids(self, name: str) -> set[Id]:
        """Return the ids of removed items that no remaining item has."""
        kept = {item["id"] for _, item in self.items(name) if type(item.get("id")) in (int, str)}
        gone = (self.lists[name][row] for row in self.removed[name])
        return {item["id"] for item in gone if type(item) is dict and type(item.get("id")) in (int, str)} - kept

    def finish(self) -> CocoDocument:
        """Return the changed document."""
        lists = {name: [item for _, item in self.items(name)] for name in NOUNS}
        return self.document.with_content({**self.document.content, **lists})

    def _count(self, name: str, rows: Collection[int], what: str, action: str) -> None:
        example = self.document.describe(name, min(rows)) if rows else ""
        self.counts.count(what, action, len(rows), example)


def setter(**values: Any) -> Callable[[JsonObject], JsonObject]:
    """Return a change that sets keys to values, for `EditableDocument.edit`."""
    return lambda item: values
