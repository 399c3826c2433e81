"""A written report as Python and notebooks use it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from anchorloc.files import read_bytes
from anchorloc.text import counted, printable, three_decimals


@dataclass(frozen=True)
class ReportPage:
    """The path of an HTML report, which a notebook shows as the page itself."""

    path: Path

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)

    def _repr_html_(self) -> str:
        page = escape(read_bytes(self.path).decode("utf-8"))
        return f'<iframe srcdoc="{page}" style="width: 100%; height: 40em; border: 0"></iframe>'


@dataclass(frozen=True, kw_only=True, repr=False)
class ReportFolder:
    """A report that is written: its numbers, its page, and the warnings on the way to it."""

    folder: Path
    metrics: Mapping[str, Any]  # content of metrics.json, such as `metrics["summary"]["AP"]`; empty without a report
    report: ReportPage | None  # None without a report
    warnings: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()  # an error for each image that was left out of all numbers

    def __repr__(self) -> str:
        """Return the folder and the main numbers in one line."""
        return printable(f"{self.folder}: {', '.join(self._facts())}")

    def _facts(self) -> list[str]:
        if self.report is None:
            return []
        summary, images = self.metrics["summary"], self.metrics["counts"]["images"]
        warnings = [counted(len(self.warnings), "warning")] if self.warnings else []
        scores = [f"{name} {three_decimals(summary[name])}" for name in ("AP", "AP50")]
        return [f"{', '.join(scores)} on {counted(images, 'image')}", *warnings]
