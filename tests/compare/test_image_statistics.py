"""Test verdicts on result files against closed forms, and on simulated detectors with and without a true difference.

A simulated detector finds boxes with an IoU and a score that depend on what makes an image hard for all detectors, on
what makes it hard for this one, and on the box; see `simulated_detectors.py`. Scoring, jackknife and verdicts are the
code of the command.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from anchorloc.compare.statistics.holm import JudgedDifference, holm, judge_family
from anchorloc.compare.statistics.jackknife import (
    MAX_BLOCKS,
    LeftOutScores,
    PairedDifference,
    deal_blocks,
    jackknife_variance,
    left_out_weights,
    paired_difference,
)
from anchorloc.compare.statistics.students_t import critical_t
from anchorloc.structures import Float64Array, IntArray
from tests.compare.simulated_detectors import simulated_matches, simulated_scores


def mean_scores(values: Float64Array) -> LeftOutScores:
    """Return the means of values of files and images (S, N), with each image left out."""
    count = values.shape[1]
    return LeftOutScores(values.mean(axis=1), ((values.sum(axis=1, keepdims=True) - values) / (count - 1)).T)


def test_for_a_mean_the_jackknife_is_the_paired_t_test() -> None:
    random = np.random.default_rng(0)
    ours, theirs = random.normal(0.1, 1, (1, 12)), random.normal(0, 1, (1, 12))
    found = paired_difference(mean_scores(ours), mean_scores(theirs), 12)
    differences = (ours - theirs)[0]
    assert found.value == pytest.approx(differences.mean())
    assert found.image_variance == pytest.approx(differences.var(ddof=1) / 12)
    assert found.seed_variance == 0
    assert found.freedom == pytest.approx(11)
    half = critical_t(0.05, 11) * differences.std(ddof=1) / np.sqrt(12)
    assert found.interval(0.05) == pytest.approx((found.value - half, found.value + half))
    assert PairedDifference(critical_t(0.03, 7) * 0.2, 0.04, 0, 7).p() == pytest.approx(0.03, abs=1e-4)


def test_files_of_one_name_add_their_spread_once() -> None:
    """Averaged over many sets, the variance is the variance that generated the values."""
    random = np.random.default_rng(1)
    seed, both, image, files, images = 0.3, 1.0, 0.7, 3, 20
    found, means = [], []
    for _ in range(1500):
        ours = (
            random.normal(0, seed, (files, 1))
            + random.normal(0, both, (files, images))
            + random.normal(0, image, images)
        )
        one = paired_difference(mean_scores(ours), mean_scores(np.zeros((1, images))), images)
        found.append((one.image_variance, one.seed_variance))
        means.append(one.value)
    expected = (image**2 + both**2 / files) / images
    assert np.mean([one for one, _ in found]) == pytest.approx(expected, rel=0.05)
    assert np.mean([two for _, two in found]) == pytest.approx(seed**2 / files, rel=0.15)
    assert np.var(means) == pytest.approx(expected + seed**2 / files, rel=0.1)


def test_few_files_have_few_degrees_of_freedom() -> None:
    two = LeftOutScores(np.array([0.4, 0.6]), np.tile([[0.4, 0.6]], (50, 1)))
    one = LeftOutScores(np.array([0.2]), np.full((50, 1), 0.2))
    found = paired_difference(two, one, 50)
    assert found.freedom == pytest.approx(1)
    assert found.seed_variance == pytest.approx(0.01)
    assert found.p() == pytest.approx(2 * np.arctan(1 / 3) / np.pi, abs=1e-3)  # t = 3 with 1 degree of freedom


def test_equal_scores_and_constant_differences() -> None:
    assert PairedDifference(0.0, 0.0, 0.0, 9).p() == 1
    constant = PairedDifference(0.5, 0.0, 1e-24, 9)
    assert constant.p() == 2**-9  # the sign test on 10 blocks
    (judged,) = judge_family([constant])
    assert (judged.interval, judged.decision) == (None, "better")  # an interval of no width would claim certainty
    assert constant.images_factor(2**-19) == 2
    open_one = judge_family([constant] * 30)[0]
    assert (open_one.decision, open_one.images_factor) == ("not shown", constant.images_factor(0.05 / 30))
    assert PairedDifference(0.0, 0.1, 0.0, 9).images_factor(0.05) is None
    assert PairedDifference(0.1, 1e-4, 0.1, 9).images_factor(0.05) is None  # the seeds alone vary too much


def test_the_advised_number_of_images_has_the_power() -> None:
    """With the advised number of images, a true difference of the measured size is shown in 4 of 5 sets."""
    random = np.random.default_rng(2)
    advised = PairedDifference(0.1, 1 / 60, 0, 59).images_factor(0.05)
    assert advised is not None
    images = round(60 * advised)
    shown = [
        judge(mean_scores(random.normal(0.1, 1, (1, images))), mean_scores(np.zeros((1, images))), images).decision
        for _ in range(1500)
    ]
    assert np.mean([one == "better" for one in shown]) == pytest.approx(0.8, abs=0.03)


def judge(ours: LeftOutScores, theirs: LeftOutScores, images: int) -> JudgedDifference:
    return judge_family([paired_difference(ours, theirs, images)])[0]


def test_holm_is_step_down() -> None:
    assert holm(np.array([0.03, 0.01, 0.04, 0.5])).tolist() == pytest.approx([0.09, 0.04, 0.09, 0.5])
    assert holm(np.array([0.6, 0.7])).tolist() == [1, 1]
    assert holm(np.zeros(0)).tolist() == []
    assert judge_family([]) == []


def test_an_open_difference_is_advised_at_the_level_that_it_faces() -> None:
    clear, unclear = PairedDifference(1, 0.01, 0, 50), PairedDifference(0.15, 0.01, 0, 50)
    first, *others = judge_family([clear, unclear, unclear])
    assert first.decision == "better"
    assert [one.decision for one in others] == ["not shown"] * 2
    assert others[0].images_factor == unclear.images_factor(0.025)
    assert first.interval is not None
    assert first.interval[0] < 1 < first.interval[1]


def test_groups_stay_in_one_block() -> None:
    assert deal_blocks(np.array([0, 0, 1, 2])).tolist() == [0, 0, 1, 2]
    groups = np.repeat(np.arange(450), 2)
    blocks = deal_blocks(groups)
    assert (blocks[::2] == blocks[1::2]).all()
    assert sorted(np.bincount(blocks)) == [4] * 150 + [6] * 50
    assert len(np.bincount(blocks)) == MAX_BLOCKS
    weights = np.array(list(left_out_weights(np.array([0, 0, 1]))))
    assert weights.tolist() == [[0, 0, 1], [1, 1, 0]]


def test_blocks_of_several_images_give_the_same_variance() -> None:
    values = np.random.default_rng(3).normal(0, 1, 4000)
    blocks = deal_blocks(np.arange(4000))
    left_out = np.array([values[weights > 0].mean() for weights in left_out_weights(blocks)])
    assert jackknife_variance(left_out) == pytest.approx(1 / 4000, rel=0.2)


def simulate(
    sets: int, images: int, qualities: Sequence[float], groups: IntArray | None = None, by_group: bool = True
) -> list[list[JudgedDifference]]:
    """Return the verdicts on all pairs of detectors in simulated sets of images."""
    random = np.random.default_rng(11)
    units = np.arange(images) if groups is None or not by_group else groups
    found = []
    for _ in range(sets):
        scores = [simulated_scores([one], units) for one in simulated_matches(random, images, qualities, groups)]
        pairs = [(a, b) for place, a in enumerate(scores) for b in scores[:place]]
        found.append(judge_family([paired_difference(a, b, int(units.max()) + 1) for a, b in pairs]))
    return found


def count(found: list[list[JudgedDifference]], *decisions: str) -> int:
    """Return in how many sets some pair has one of the decisions."""
    return sum(any(one.decision in decisions for one in some) for some in found)


def upper_bound(successes: int, tries: int) -> float:
    """Return the upper 95% bound of a rate (Wilson, one-sided, with continuity correction)."""
    rate, z = (successes + 0.5) / tries, 1.645
    spread = z * float(np.sqrt(rate * (1 - rate) / tries + (z / (2 * tries)) ** 2))
    return (rate + z**2 / (2 * tries) + spread) / (1 + z**2 / tries)


def test_without_a_true_difference_better_is_rare() -> None:
    """1,000 sets of 20 images with 60 boxes, two detectors of equal quality."""
    found = simulate(1000, 20, (0.5, 0.5))
    assert upper_bound(count(found, "better"), 1000) <= 0.06
    assert count(found, "better", "worse") <= (0.05 + 2 * np.sqrt(0.05 * 0.95 / 1000)) * 1000


def test_all_pairs_together_rarely_name_a_false_winner() -> None:
    found = simulate(150, 15, (0.5, 0.5, 0.5))
    assert count(found, "better", "worse") <= (0.05 + 2 * np.sqrt(0.05 * 0.95 / 150)) * 150


def test_frames_of_a_video_are_no_independent_images() -> None:
    """If frames share what makes them hard for one detector, only whole videos keep the error rate."""
    videos = np.arange(100) // 5
    alone = count(simulate(60, 100, (0.5, 0.5), videos, by_group=False), "better", "worse")
    together = count(simulate(200, 100, (0.5, 0.5), videos), "better", "worse")
    assert alone > 0.2 * 60
    assert together <= (0.05 + 2 * np.sqrt(0.05 * 0.95 / 200)) * 200


@pytest.mark.parametrize(("quality", "power"), [(0.7, 0.12), (0.9, 0.35), (1.3, 0.85)])
def test_the_power_for_three_effects(quality: float, power: float) -> None:
    """60 images with 180 boxes; docs/comparing.md states the AP and the power."""
    found = simulate(100, 60, (0.5, quality))
    assert count(found, "better") / 100 == pytest.approx(power, abs=0.1)
    assert count(found, "worse") <= 1
