"""The numbers of a study, and how they are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from anchorloc.compare.statistics.permutation import smallest_p
from anchorloc.compare.statistics.verdicts import LEVEL, Estimate, Verdict
from anchorloc.data import Split
from anchorloc.report.localization import LOCALIZATION_NUMBERS
from anchorloc.text import counted, shorten, signed


@dataclass(frozen=True)
class Measures:
    """What the anchors of a setting can find, and what the setting costs; None where it does not apply."""

    assigned: float | None
    ceiling: float | None
    anchors: float
    match_ms: float
    head_mflops: float
    parameters: int
    latency_ms: float
    nms_ms: float


@dataclass(frozen=True)
class MeasureColumn:
    """How a measure is named, written and explained."""

    key: str  # field of Measures
    label: str
    format: str
    description: str

    def text(self, measures: Measures | None) -> str:
        """Return the measure as text, n/a where it is None."""
        value = None if measures is None else getattr(measures, self.key)
        return "n/a" if value is None else self.format.format(value)


MEASURE_COLUMNS = (
    MeasureColumn(
        "assigned",
        "assigned",
        "{:.1%}",
        "boxes of the scored split with a positive anchor; n/a where predictions choose",
    ),
    MeasureColumn("ceiling", "ceiling", "{:.3f}", "oracle AP: the AP of a perfect network with these anchors"),
    MeasureColumn("anchors", "anchors", "{:,.0f}", "anchors per scored image, mean"),
    MeasureColumn("match_ms", "match ms", "{:.2f}", "assignment of the boxes of an image to anchors, median"),
    MeasureColumn(
        "head_mflops", "head MFLOPs", "{:,.1f}", "multiplications and additions of the head, first scored image"
    ),
    MeasureColumn("parameters", "parameters", "{:,}", "parameters of the whole network"),
    MeasureColumn("latency_ms", "image ms", "{:.1f}", "network, decoding and NMS of one image, median on this machine"),
    MeasureColumn("nms_ms", "NMS ms", "{:.2f}", "non-maximum suppression alone, median"),
)


@dataclass(frozen=True)
class SettingRow:
    """The results of one setting."""

    name: str
    ap: Estimate | None  # mean over the seeds that finished; without an interval if a run failed
    seeds: Mapping[int, float]  # AP by seed
    failures: Mapping[int, str]  # reasons by seed
    measures: Measures | None  # None where no run finished
    localization: Mapping[str, float] = field(default_factory=dict)  # means over seeds; empty for detection
    warnings: Mapping[int, str] = field(default_factory=dict)  # about the boxes of a localization task, by seed


@dataclass(frozen=True)
class StudyResult:
    """The results of a study."""

    title: str
    rows: tuple[SettingRow, ...]
    verdicts: tuple[Verdict, ...]
    unjudged: tuple[tuple[str, str], ...]  # pairs with a failed run
    seeds: int
    images: int  # in the split that is scored
    budget: str
    split: Split = "val"  # the scored split: test where there is one

    @property
    def description(self) -> str:
        """Describe the study in one line."""
        settings, seeds = counted(len(self.rows), "setting"), counted(self.seeds, "seed")
        images = counted(self.images, f"{self.split} image", f"{self.split} images")
        return f"{settings}, {seeds} · {self.budget} · final weights, which no split chose, scored on {images}"

    @property
    def smallest_p_note(self) -> str:
        """Say what this many seeds can show."""
        least, pairs = smallest_p(self.seeds), counted(len(self.verdicts) + len(self.unjudged), "pair")
        text = f"With {counted(self.seeds, 'seed')} and {pairs} no p can be below {least:.2g}"
        if least > LEVEL:
            return f"{text}. That is above {LEVEL}, so no winner can be named; use at least 6 seeds."
        return f"{text}; a winner needs {LEVEL} or less (family-wise)."

    @property
    def warnings(self) -> list[str]:
        """Return failures and missing verdicts, a sentence each."""
        failed = [
            f"{shorten(row.name)}, seed {seed}: {reason}" for row in self.rows for seed, reason in row.failures.items()
        ]
        said = [
            f"{shorten(row.name)}, seed {seed}: {warning}"
            for row in self.rows
            for seed, warning in row.warnings.items()
        ]
        unjudged = [f"no verdict on {shorten(a)} against {shorten(b)}: a run failed" for a, b in self.unjudged]
        return [*failed, *said, *unjudged]

    @property
    def localization_columns(self) -> dict[str, tuple[str, str]]:
        """Return the name and the meaning of each number of a localization task by key; empty for detection."""
        return LOCALIZATION_NUMBERS if any(row.localization for row in self.rows) else {}


def verdict_sentence(verdict: Verdict) -> str:
    """Write the verdict on a pair."""
    who, whom = shorten(verdict.setting), shorten(verdict.against)
    if verdict.decision == "not shown":
        return f"{who} against {whom}: not shown ({verdict.reason})"
    return f"{who} is {verdict.decision} than {whom}"


def verdict_numbers(verdict: Verdict) -> str:
    """Write difference, interval and p."""
    d = verdict.difference
    return f"AP {signed(d.value)} ({signed(d.low)} to {signed(d.high)}), p {verdict.p:.2g}"
