"""The words of a comparison of result files."""

from __future__ import annotations

from collections import Counter

from anchorloc.compare.result_files.pair_comparison import PairComparison, ScoreDifference
from anchorloc.compare.statistics.holm import JudgedDifference
from anchorloc.metrics.evidence import MIN_BOXES, MIN_IMAGES
from anchorloc.report.captions import AP_MEANING
from anchorloc.text import about, counted, shorten, signed

MAX_NEEDED = 1_000_000  # images to advise
MAX_CLASSES = 500  # rows of a class table of the page; differences.csv has all

MEANINGS = {
    "score": f"{AP_MEANING}; s, m, l: boxes up to 32² px, up to 96² px and above; F1: all classes together at IoU "
    "0.50, each file at its best score threshold",
    "difference": "the first name minus the second, on the same images; with several files of a name, of their means",
    "interval": "95% interval of this difference alone, over other images; and over other trainings, for a name with "
    "several files; none where all images agree",
    "p": "probability of so great a difference if none is true, corrected for all differences of the table and the "
    "pairs by Holm's method",
    "verdict": f"a winner needs p of at most 0.05; few: under {MIN_BOXES} boxes or {MIN_IMAGES} images with boxes, "
    "which enter no verdict",
    "needed": "how many images like these would show a difference of this size, with a chance of 80%",
}


def verdict_sentence(pair: PairComparison, unit: str) -> str:
    """Write the verdict on AP; `unit` is what is drawn, "image" or "group"."""
    who, whom, ap = shorten(pair.name), shorten(pair.against), pair.ap
    if ap.decision == "few":
        have = counted(ap.score.groups, f"{unit} with boxes", f"{unit}s with boxes")
        return f"{who} against {whom}: no verdict from {have}; it needs {MIN_IMAGES}, and {MIN_BOXES} boxes"
    if ap.decision == "not shown":
        return f"{who} against {whom}: not shown; {_shortage(ap, unit)}"
    return f"{who} is {ap.decision} than {whom}"


def _shortage(difference: ScoreDifference, unit: str) -> str:
    if difference.value == 0:
        return "the scores are equal"
    if difference.groups_needed is None:
        return f"more {unit}s alone would not show it, the files of a name differ too much"
    if difference.groups_needed > MAX_NEEDED:
        return f"a difference of this size would need over {MAX_NEEDED:,} {unit}s"
    return f"about {needed_text(difference)} {unit}s like these would show a difference of this size"


def needed_text(difference: ScoreDifference) -> str:
    """Write how many images or groups would show the difference; empty where that says nothing."""
    count = difference.groups_needed
    return "" if count is None else f"over {MAX_NEEDED:,}" if count > MAX_NEEDED else about(count)


def difference_numbers(difference: ScoreDifference) -> str:
    """Write AP, interval and p in one line."""
    judged = difference.judged
    numbers = f"{difference.score.name} {difference.theirs:.3f} to {difference.ours:.3f}, {signed(difference.value)}"
    if judged is None:
        return numbers
    between = difference_interval(judged)
    return f"{numbers}{between and f' ({between})'}, p {p_text(judged.p)}"


def difference_interval(judged: JudgedDifference) -> str:
    """Write the ends of an interval, or "" if there is none."""
    return "" if judged.interval is None else " to ".join(map(signed, judged.interval))


def p_text(p: float) -> str:
    """Write a p-value with two digits, or that it is below 0.001."""
    return "<0.001" if p < 0.001 else f"{p:.2g}"


def shown_classes(pair: PairComparison) -> list[ScoreDifference]:
    """Return the classes that the page lists: all, or of more than MAX_CLASSES first those with a verdict."""
    classes = pair.of("classes")
    if len(classes) <= MAX_CLASSES:
        return classes
    return sorted(classes, key=lambda one: (one.decision not in ("better", "worse"), -abs(one.value)))[:MAX_CLASSES]


def class_counts(pair: PairComparison) -> str:
    """Count the verdicts on the classes."""
    counts = Counter(one.decision for one in pair.of("classes"))
    words = [f"{counts[word]:,} {word}" for word in ("better", "worse", "not shown", "few")]
    return f"{counted(counts.total(), 'class')} with boxes: {', '.join(words)}"
