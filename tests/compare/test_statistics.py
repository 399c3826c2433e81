"""Test the statistics of a comparison against closed forms, brute force and simulated studies."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from anchorloc.compare.statistics.permutation import MAX_EXACT_SEEDS, family_wise_p, smallest_p
from anchorloc.compare.statistics.students_t import critical_t, two_sided_p
from anchorloc.compare.statistics.variance_components import VarianceComponents, estimate_components
from anchorloc.compare.statistics.verdicts import LEVEL, POWER, Verdict, judge_pairs, mean_estimate, more_seeds, power

Array = NDArray[np.float64]
IMAGES, DRAWN = 40, 100
SEED_NOISE, IMAGE_NOISE, MIXED = (0.02, 0.02, 0.03), (0.002, 0.25, 0.1), (0.02, 0.1, 0.1)  # seed, image, both


@pytest.mark.parametrize(
    ("freedom", "p", "t"),
    [
        *((1, 0.05, 12.7062), (2, 0.05, 4.30265), (7, 0.05, 2.36462), (7, 0.01, 3.49948), (7, 0.001, 5.40788)),
        *((30, 0.05, 2.04227), (1e9, 0.05, 1.96234)),
    ],
)
def test_students_t_is_that_of_the_tables(freedom: float, p: float, t: float) -> None:
    assert critical_t(p, freedom) == pytest.approx(t, rel=2e-4)
    assert two_sided_p(-t, freedom) == pytest.approx(p, rel=2e-3)


def test_degrees_between_whole_numbers() -> None:
    drawn = np.abs(np.random.default_rng(0).standard_t(2.5, 400_000))
    assert critical_t(0.05, 2.5) == pytest.approx(float(np.quantile(drawn, 0.95)), rel=0.01)


def test_fewer_than_one_degree_of_freedom_is_refused() -> None:
    with pytest.raises(ValueError, match=r"got 0\.5"):
        critical_t(0.05, 0.5)


def slow_family_wise_p(differences: Array) -> list[float]:
    """Try all swaps in plain loops; step down from the largest statistic."""
    seeds, contrasts = differences.shape

    def statistic(signs: tuple[int, ...], contrast: int) -> float:
        column = differences[:, contrast]
        spread = np.sqrt(sum(d * d for d in column))
        return abs(sum(s * d for s, d in zip(signs, column, strict=True))) / spread if spread else 0.0

    plain = (1,) * seeds
    order = sorted(range(contrasts), key=lambda contrast: -statistic(plain, contrast))
    p, floor = [0.0] * contrasts, 0.0
    for place, contrast in enumerate(order):
        count = sum(
            max(statistic(signs, other) for other in order[place:]) >= statistic(plain, contrast) - 1e-12
            for signs in itertools.product((1, -1), repeat=seeds)
        )
        floor = max(floor, count / 2**seeds)
        p[contrast] = floor
    return p


@pytest.mark.parametrize("case", range(6))
def test_p_is_that_of_plain_loops(case: int) -> None:
    random = np.random.default_rng(case)
    differences = random.normal(0.3 * (case % 3), 1, (2 + case, 1 + case % 4)).round(1)
    assert family_wise_p(differences) == pytest.approx(slow_family_wise_p(differences))


def test_the_smallest_p_is_reached_and_never_passed() -> None:
    for seeds in range(2, 9):
        same = np.ones((seeds, 3)) * [0.1, -0.2, 0.3]
        assert family_wise_p(same) == pytest.approx(smallest_p(seeds))
    assert next(seeds for seeds in range(2, 12) if smallest_p(seeds) <= LEVEL) == 6
    assert family_wise_p(np.zeros((4, 2))).tolist() == [1, 1]


def test_many_seeds_draw_their_swaps() -> None:
    random = np.random.default_rng(0)
    differences = random.normal([1.5, 0.1], 1, (MAX_EXACT_SEEDS + 1, 2))
    p = family_wise_p(differences)
    assert smallest_p(MAX_EXACT_SEEDS + 1) <= p[0] < 0.01 < p[1]
    assert p.tolist() == family_wise_p(differences).tolist()


def test_components_of_known_noise() -> None:
    """Averaged over many studies, the estimates are the variances that generated the values."""
    random = np.random.default_rng(0)
    seed, image, both = 0.1, 0.3, 0.3
    found = []
    for _ in range(300):
        values = noise(random, 1, 5, (seed, image, both))[0]
        ap, drawn = observed(random, values[None])
        parts = estimate_components(ap[0], drawn[:, 0], IMAGES)
        found.append((parts.seed, parts.image, parts.interaction))
        assert parts.variance() >= max(ap[0].var(ddof=1) / 5, drawn[:, 0].mean(axis=1).var(ddof=1)) * (1 - 1e-9)
    assert np.mean(found, axis=0) == pytest.approx([seed**2, image**2 / IMAGES, both**2 / IMAGES], rel=0.25)


def noise(random: np.random.Generator, settings: int, seeds: int, deviations: tuple[float, float, float]) -> Array:
    """Return the noise of seeds, images and their interaction per image (M, S, N)."""
    seed, image, both = deviations
    return (
        random.normal(0, seed, (settings, seeds, 1))
        + random.normal(0, image, (settings, 1, IMAGES))
        + random.normal(0, both, (settings, seeds, IMAGES))
    )


def observed(random: np.random.Generator, values: Array) -> tuple[Array, Array]:
    """Return AP of each setting and seed (M, S), and on resampled images (B, M, S)."""
    weights = random.multinomial(IMAGES, np.full(IMAGES, 1 / IMAGES), DRAWN) / IMAGES
    return values.mean(axis=2), np.moveaxis(values @ weights.T, 2, 0)


def simulated(
    studies: int, truth: tuple[float, ...], seeds: int, deviations: tuple[float, float, float]
) -> tuple[list[list[Verdict]], float]:
    """Return the verdicts of many studies with true AP `truth`, and the coverage of the 95% interval of one setting."""
    random = np.random.default_rng(7)
    names = [f"setting {number}" for number in range(len(truth))]
    pairs = [(name, names[0]) for name in names[1:]]
    found, held = [], 0
    for _ in range(studies):
        values = np.array(truth)[:, None, None] + noise(random, len(truth), seeds, deviations)
        ap, drawn = observed(random, values)
        found.append(judge_pairs(ap, drawn, IMAGES, names, pairs))
        one = mean_estimate(ap[1], drawn[:, 1], IMAGES)
        held += one.low <= truth[1] <= one.high
    return found, held / studies


@cache
def without_difference(deviations: tuple[float, float, float]) -> tuple[list[list[Verdict]], float]:
    return simulated(2000, (0.5, 0.5, 0.5, 0.5), 8, deviations)


@pytest.mark.parametrize("deviations", [SEED_NOISE, IMAGE_NOISE], ids=["seeds", "images"])
def test_without_a_true_difference_a_winner_is_rare(deviations: tuple[float, float, float]) -> None:
    """At most 5% of studies name a better setting; better or worse, within two standard errors of 5%."""
    studies, _ = without_difference(deviations)
    named = sum(any(verdict.decision != "not shown" for verdict in study) for study in studies)
    better = sum(any(verdict.decision == "better" for verdict in study) for study in studies)
    assert better <= 0.05 * len(studies)
    assert named <= (0.05 + 2 * np.sqrt(0.05 * 0.95 / len(studies))) * len(studies)


@pytest.mark.parametrize("deviations", [SEED_NOISE, IMAGE_NOISE], ids=["seeds", "images"])
def test_intervals_cover_what_they_should(deviations: tuple[float, float, float]) -> None:
    studies, held = without_difference(deviations)
    joint = np.mean([all(v.difference.low <= 0 <= v.difference.high for v in study) for study in studies])
    assert held >= 0.93
    assert joint >= 0.93


def test_p_alone_would_take_the_luck_of_the_images_for_skill() -> None:
    """All seeds see the same images, so p alone is too small: a verdict also needs the interval."""
    studies, _ = without_difference(IMAGE_NOISE)
    assert np.mean([study[0].p <= 0.05 for study in studies]) > 0.3


@pytest.mark.parametrize("difference", [0.05, 0.09])
def test_a_true_difference_is_found_with_the_computed_power(difference: float) -> None:
    studies, _ = simulated(600, (0.5, 0.5 + difference), 8, MIXED)
    seed, image, both = MIXED
    truth = VarianceComponents(2 * seed**2, 2 * image**2 / IMAGES, 2 * both**2 / IMAGES, 8, IMAGES - 1)
    rate = np.mean([study[0].decision == "better" for study in studies])
    computed = power(difference, truth, LEVEL)
    assert 0.2 < computed < 0.98
    assert rate == pytest.approx(computed, abs=0.06)  # three standard errors of 600 studies


def test_so_many_more_seeds_would_tell() -> None:
    """If seeds are the noise, the advised number reaches the power, and one seed fewer does not."""
    random = np.random.default_rng(3)
    ap, drawn = observed(random, np.array([0.5, 0.53])[:, None, None] + noise(random, 2, 4, (0.03, 0.01, 0.02)))
    parts = estimate_components(ap[1] - ap[0], drawn[:, 1] - drawn[:, 0], IMAGES)
    more = more_seeds(0.03, parts, LEVEL)
    assert more is not None
    assert power(0.03, parts, LEVEL, 4 + more) >= POWER > power(0.03, parts, LEVEL, 3 + more)
    assert more_seeds(0.0, parts, LEVEL) is None
    assert more_seeds(10.0, parts, LEVEL) == 2  # p must be within reach: six seeds


def test_more_seeds_do_not_help_against_the_luck_of_images() -> None:
    random = np.random.default_rng(3)
    ap, drawn = observed(random, noise(random, 2, 8, IMAGE_NOISE))
    parts = estimate_components(ap[1] - ap[0], drawn[:, 1] - drawn[:, 0], IMAGES)
    assert more_seeds(0.02, parts, LEVEL) is None


def test_no_winner_below_six_seeds() -> None:
    ap = np.array([[0.1] * 5, [0.9] * 5]) + np.linspace(0, 0.01, 5)
    drawn = ap + np.random.default_rng(0).normal(0, 0.001, (DRAWN, 2, 1))
    (verdict,) = judge_pairs(ap, drawn, IMAGES, ["a", "b"], [("b", "a")])
    assert verdict.decision == "not shown"
    assert verdict.reason == "5 seeds cannot reach p 0.05; about 1 more seed would decide it"
    assert verdict.difference.low > 0.7


def test_settings_that_are_the_same_are_not_told_apart() -> None:
    ap = np.full((3, 8), 0.5)
    drawn = np.repeat(np.random.default_rng(0).normal(0.5, 0.1, (DRAWN, 1, 1)), 3, axis=1).repeat(8, axis=2)
    found = judge_pairs(ap, drawn, IMAGES, list("abc"), [("b", "a"), ("c", "b")])
    assert [(v.decision, v.p, v.difference.value) for v in found] == [("not shown", 1, 0)] * 2
