"""Compare names pair by pair on the same images: every score with its difference, interval and verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Literal, get_args

import numpy as np

from anchorloc.compare.result_files.scored_file import ScoredFile
from anchorloc.compare.statistics.holm import JudgedDifference, judge_family
from anchorloc.compare.statistics.jackknife import LeftOutScores, deal_blocks, left_out_weights, paired_difference
from anchorloc.metrics import MatchResult
from anchorloc.metrics.evidence import too_few
from anchorloc.metrics.weighted_ap import in_lanes
from anchorloc.startup import allowed_cores
from anchorloc.structures import Category, Float64Array, IntArray

THREADS = min(2, allowed_cores())

Family = Literal["AP", "scores", "classes"]  # verdicts are corrected for the pairs and scores of one family
FAMILIES: tuple[Family, ...] = get_args(Family)


@dataclass(frozen=True)
class Score:
    """A number that files are compared by, and how much data it rests on."""

    name: str
    family: Family
    boxes: int  # to find
    groups: int  # images, or groups of images, with such a box
    blocks: int  # blocks of the jackknife with such a box

    @property
    def few(self) -> bool:
        """Return whether the score rests on too little data for a verdict."""
        return too_few(self.boxes, self.groups) or self.blocks < 2


@dataclass(frozen=True)
class ScoreDifference:
    """One score of a name and of the name that it is compared with."""

    score: Score
    ours: float
    theirs: float
    judged: JudgedDifference | None = None  # None where the score rests on too little data
    groups_needed: int | None = None  # images or groups that would show a difference of this size, if it is not shown

    @property
    def value(self) -> float:
        """Return the difference."""
        return self.ours - self.theirs

    @property
    def decision(self) -> Literal["better", "worse", "not shown", "few"]:
        """Return the verdict; "few" where there is too little data for one."""
        return "few" if self.judged is None else self.judged.decision


@dataclass(frozen=True)
class PairComparison:
    """A name against another one."""

    name: str
    against: str
    differences: tuple[ScoreDifference, ...]  # AP first, classes last

    def of(self, family: Family) -> list[ScoreDifference]:
        """Return the differences of one family."""
        return [one for one in self.differences if one.score.family == family]

    @property
    def ap(self) -> ScoreDifference:
        """Return the difference in AP, which decides."""
        return self.differences[0]


def compare_files(
    files: Mapping[str, Sequence[ScoredFile]],
    pairs: Sequence[tuple[str, str]],
    categories: Sequence[Category],
    groups: IntArray,
    limits: Sequence[int] = (1, 10, 100),
    score: float | None = None,
) -> list[PairComparison]:
    """Compare each pair (name, against) by every score that has a box to find.

    Args:
        files: the files of each name, scored on the same images.
        pairs: what is compared.
        categories: the classes.
        groups: (N,) the number of each image's group, from 0 without gaps; a group is left out as a whole.
        limits: detections counted per class and image, ascending.
        score: also compare F1 at this score threshold.
    """
    blocks = deal_blocks(groups)
    first = next(iter(files.values()))[0].match_result
    scores = _scores(first, categories, blocks, groups, limits, score)
    values = _left_out(files, blocks, lambda file, sets: file.values(sets, limits, score))
    known = [column for column, one in enumerate(scores) if one.boxes]
    differences = {
        (pair, column): ScoreDifference(scores[column], values[pair[0]].mean(column), values[pair[1]].mean(column))
        for pair in pairs
        for column in known
    }
    for family in FAMILIES:
        keys = [key for key, one in differences.items() if one.score.family == family and not one.score.few]
        paired = [
            paired_difference(values[name].column(column), values[against].column(column), scores[column].blocks)
            for (name, against), column in keys
        ]
        for key, judged in zip(keys, judge_family(paired), strict=True):
            factor = None if judged.decision != "not shown" else judged.images_factor
            needed = None if factor is None else int(np.ceil(factor * (groups.max() + 1)))
            differences[key] = replace(differences[key], judged=judged, groups_needed=needed)
    return [PairComparison(*pair, tuple(differences[pair, column] for column in known)) for pair in pairs]


@dataclass(frozen=True, eq=False)
class _Values:
    """Every score of the S files of a name, on all images and without each block."""

    values: Float64Array  # (S, M)
    left_out: Float64Array  # (K, S, M)

    def mean(self, score: int) -> float:
        return float(self.values[:, score].mean())

    def column(self, score: int) -> LeftOutScores:
        return LeftOutScores(self.values[:, score], self.left_out[:, :, score])


def _left_out(
    files: Mapping[str, Sequence[ScoredFile]],
    blocks: IntArray,
    values: Callable[[ScoredFile, Sequence[IntArray]], list[Float64Array]],
) -> dict[str, _Values]:
    weights = [np.ones(len(blocks), np.int64), *left_out_weights(blocks)]
    for one in (one for some in files.values() for one in some):
        _ = one.match_result.accumulation_index, one.threshold  # made here, before several threads need them
    with ThreadPoolExecutor(THREADS) as pool:
        found = {
            name: [list(chain.from_iterable(pool.map(partial(values, one), in_lanes(weights)))) for one in some]
            for name, some in files.items()
        }
    stacked = {name: np.moveaxis(np.array(rows), 0, 1) for name, rows in found.items()}  # (1 + K, S, M)
    return {name: _Values(rows[0], rows[1:]) for name, rows in stacked.items()}


def _scores(
    match_result: MatchResult,
    categories: Sequence[Category],
    blocks: IntArray,
    groups: IntArray,
    limits: Sequence[int],
    score: float | None,
) -> list[Score]:
    """Return the scores in the order of `ScoredFile.values`."""
    everything, *sizes = map(np.flatnonzero, match_result.countable_boxes)  # rows of boxes
    sorted_rows = everything[np.argsort(match_result.truth_labels[everything], kind="stable")]
    ends = np.searchsorted(match_result.truth_labels[sorted_rows], np.arange(1, len(categories)))
    by_class = np.split(sorted_rows, ends)

    def about(name: str, family: Family, boxes: IntArray) -> Score:
        images = match_result.truth_images[boxes]
        return Score(name, family, len(boxes), len(np.unique(groups[images])), len(np.unique(blocks[images])))

    return [
        about("AP", "AP", everything),
        *(about(name, "scores", everything) for name in ("AP50", "AP75")),
        *(about(f"AP{letter}", "scores", boxes) for letter, boxes in zip("sml", sizes, strict=True)),
        *(about(f"AR{limit}", "scores", everything) for limit in limits),
        *(about(f"AR{letter}", "scores", boxes) for letter, boxes in zip("sml", sizes, strict=True)),
        about("F1", "scores", everything),
        *([] if score is None else [about(f"F1 at {score:g}", "scores", everything)]),
        *(about(category.shown_name, "classes", rows) for category, rows in zip(categories, by_class, strict=True)),
    ]
