"""Summarize the table of benchmarks.accuracy: both methods per set and seed, and how much of the gap is closed."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence

OURS, EQUAL, PEER = "ours", "ours-equal-epochs", "torchvision"
IDLE = 1.8  # cores of two


def summary(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the lines, at most 80 columns wide."""
    if not rows:
        return ["no run is done yet"]
    groups = list(dict.fromkeys((row["minutes"], row["set"]) for row in rows))
    lines: list[str] = []
    for minutes, name in groups:
        lines += [*_of_set(name, minutes, [r for r in rows if (r["minutes"], r["set"]) == (minutes, name)]), ""]
    commits = len({row["commit"] for row in rows})
    busy = sum(
        float(row["cores"]) < IDLE for row in rows if row["method"] != EQUAL
    )  # equal-epochs runs have a number of steps, not minutes
    lines.append(
        f"{len(rows)} runs of {commits} commit{'s' * (commits > 1)}; {busy} of the timed had less than {IDLE} cores"
    )
    return lines


def _of_set(name: str, minutes: str, rows: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """Yield the heading, a line for each method, and the gain of ours over each peer."""
    seeds = sorted({int(row["seed"]) for row in rows})
    yield (
        f"{name + ', ' + minutes + ' minutes':36}" + "".join(f"{f'seed {seed}':>9}" for seed in seeds) + f"{'mean':>9}"
    )
    aps = {m: {int(r["seed"]): float(r["AP"]) for r in rows if r["method"] == m} for m in _methods(rows)}
    for method, by_seed in aps.items():
        yield _line(f"  AP of {method}", seeds, by_seed, ".3f")
    for method, by_seed in aps.items():
        if method not in (OURS, EQUAL):
            closed = {seed: gap_closed(ap, by_seed[seed]) for seed, ap in aps.get(OURS, {}).items() if seed in by_seed}
            yield _line(f"  gap of {method} closed", seeds, closed, ".0%")
    both = aps.get(EQUAL, {}).keys() & aps.get(PEER, {}).keys()
    if both:
        more = {seed: aps[EQUAL][seed] - aps[PEER][seed] for seed in both}
        yield _line("  more AP at equal epochs", seeds, more, "+.3f")


def gap_closed(ours: float, peer: float) -> float:
    """Return the fraction of the peer's gap to AP 1 that ours closes; negative where ours is worse."""
    return (ours - peer) / max(1 - peer, 1e-9)


def _methods(rows: Sequence[Mapping[str, str]]) -> list[str]:
    return sorted({row["method"] for row in rows}, key=lambda name: (name != OURS, name))


def _line(title: str, seeds: Sequence[int], values: Mapping[int, float], form: str) -> str:
    cells = [format(values[seed], form) if seed in values else "-" for seed in seeds]
    mean = format(statistics.mean(values.values()), form) if values else "-"
    return f"{title:36}" + "".join(f"{cell:>9}" for cell in (*cells, mean))
