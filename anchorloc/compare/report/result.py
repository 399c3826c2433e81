"""What a study found, as numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from anchorloc.compare.statistics.permutation import smallest_p
from anchorloc.compare.statistics.verdicts import LEVEL, Interval, Verdict
from anchorloc.text import counted, shorten


@dataclass(frozen=True)
class Measures:
    """What a setting costs, and what its anchors can find. None where it does not apply."""

    assigned: float | None
    ceiling: float | None
    anchors: float
    match_ms: float
    head_mflops: float
    parameters: int
    latency_ms: float
    nms_ms: float


@dataclass(frozen=True)
class Column:
    """How a measure is written, and what it is."""

    key: str  # of Measures
    label: str
    form: str
    meaning: str

    def text(self, measures: Measures | None) -> str:
        """Write the number for people."""
        value = None if measures is None else getattr(measures, self.key)
        return "n/a" if value is None else self.form.format(value)


COLUMNS = (
    Column("assigned", "assigned", "{:.1%}", "val boxes that some anchor learns; not known where predictions choose"),
    Column("ceiling", "ceiling", "{:.3f}", "AP of a perfect network with these anchors: a limit, never a forecast"),
    Column("anchors", "anchors", "{:,.0f}", "in the mean val image"),
    Column("match_ms", "match ms", "{:.2f}", "to give the boxes of an image to anchors, median"),
    Column("head_mflops", "head MFLOPs", "{:,.1f}", "multiplications and additions of the head, first val image"),
    Column("parameters", "parameters", "{:,}", "numbers that the whole network learns"),
    Column("latency_ms", "image ms", "{:.1f}", "network, decoding and NMS of one image, median on this machine"),
    Column("nms_ms", "NMS ms", "{:.2f}", "of them, non-maximum suppression"),
)


@dataclass(frozen=True)
class SettingRow:
    """One setting."""

    name: str
    ap: Interval | None  # mean over seeds; of those that finished, and with no interval of one
    seeds: Mapping[int, float]  # AP by seed
    failures: Mapping[int, str]  # reasons by seed
    measures: Measures | None  # None where no run finished


@dataclass(frozen=True)
class StudyResult:
    """All of it."""

    title: str
    rows: tuple[SettingRow, ...]
    verdicts: tuple[Verdict, ...]
    unjudged: tuple[tuple[str, str], ...]  # pairs of which a run failed
    seeds: int
    images: int  # in the val split
    budget: str

    @property
    def sizes(self) -> str:
        """What was compared, in one line."""
        settings, seeds = counted(len(self.rows), "setting"), counted(self.seeds, "seed")
        return f"{settings}, {seeds} · {self.budget} · judged on {counted(self.images, 'image')}"

    @property
    def reach(self) -> str:
        """What so many seeds can show at all."""
        least, pairs = smallest_p(self.seeds), counted(len(self.verdicts) + len(self.unjudged), "pair")
        text = f"With {counted(self.seeds, 'seed')} and {pairs} no p can be below {least:.2g}"
        if least > LEVEL:
            return f"{text}: more than {LEVEL}, so no winner can be named; 6 seeds are the least that can."
        return f"{text}; a winner needs {LEVEL} or less, all pairs together."

    @property
    def warnings(self) -> list[str]:
        """What went wrong, a sentence each."""
        failed = [
            f"{shorten(row.name)}, seed {seed}: {reason}" for row in self.rows for seed, reason in row.failures.items()
        ]
        return failed + [f"no verdict on {shorten(a)} against {shorten(b)}: a run failed" for a, b in self.unjudged]


def sentence(verdict: Verdict) -> str:
    """Say what is shown of a pair."""
    who, whom = shorten(verdict.setting), shorten(verdict.against)
    if verdict.word == "not shown":
        return f"{who} against {whom}: not shown ({verdict.reason})"
    return f"{who} is {verdict.word} than {whom}"


def signed(value: float) -> str:
    """Write a difference of AP."""
    return f"{value:+.3f}"


def numbers(verdict: Verdict) -> str:
    """Write difference, interval and p."""
    d = verdict.difference
    return f"AP {signed(d.value)} ({signed(d.low)} to {signed(d.high)}), p {verdict.p:.2g}"
