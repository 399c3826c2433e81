"""A copy of a document's lists, changed row by row, with every change counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from anchorloc.data.coco_fields import Id
from anchorloc.doctor.document import NOUNS, Document
from anchorloc.doctor.findings import Findings
from anchorloc.doctor.rules import Kind

Item = dict[str, Any]
Changes = Counter[tuple[str, str]]  # what, a noun phrase in the singular, and what became of it


@dataclass(eq=False)
class Draft:
    """The lists of a document while they are mended. Rows stay where they are until `finish`."""

    document: Document
    findings: Findings
    changes: Changes
    lists: dict[str, list[Any]] = field(init=False)
    removed: dict[str, set[int]] = field(init=False)

    def __post_init__(self) -> None:
        self.lists = {name: list(self.document.items(name)) for name in NOUNS}
        self.removed = {name: set() for name in NOUNS}

    def items(self, name: str) -> list[tuple[int, Item]]:
        """The objects of a list that are not removed, with their rows."""
        gone = self.removed[name]
        return [(row, item) for row, item in enumerate(self.lists[name]) if row not in gone and type(item) is dict]

    def remove(self, name: str, rows: Collection[int], what: str, action: str = "removed") -> None:
        """Remove the rows that are still there."""
        fresh = set(rows) - self.removed[name]
        self.removed[name] |= fresh
        self._count(what, action, len(fresh))

    def remove_kind(self, name: str, kind: Kind) -> None:
        """Remove the rows that have a finding of a kind."""
        self.remove(name, self.findings.rows(kind, name), kind.title)

    def edit(self, name: str, rows: Collection[int], what: str, action: str, change: Callable[[Item], Item]) -> None:
        """Merge the keys that `change` returns into each row that is still there."""
        rows = sorted(set(rows) - self.removed[name])
        for row in rows:
            item = self.lists[name][row]
            self.lists[name][row] = {**item, **change(item)}  # the document itself stays as it is
        self._count(what, action, len(rows))

    def edit_kind(self, name: str, kind: Kind, action: str, change: Callable[[Item], Item]) -> None:
        """Edit the rows that have a finding of a kind."""
        self.edit(name, self.findings.rows(kind, name), kind.title, action, change)

    def lost_ids(self, name: str) -> set[Id]:
        """The ids of removed items that no item has any more."""
        kept = {item["id"] for _, item in self.items(name) if type(item.get("id")) in (int, str)}
        gone = (self.lists[name][row] for row in self.removed[name])
        return {item["id"] for item in gone if type(item) is dict and type(item.get("id")) in (int, str)} - kept

    def finish(self) -> Document:
        """Return the document as it is now."""
        lists = {name: [item for _, item in self.items(name)] for name in NOUNS}
        return Document(self.document.path, {**self.document.content, **lists}, self.document.folder)

    def _count(self, what: str, action: str, number: int) -> None:
        if number:
            self.changes[what, action] += number
