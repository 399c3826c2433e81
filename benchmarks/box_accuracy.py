"""Measure the rounding error of the overlap measures: `python -m benchmarks.box_accuracy`.

For each kind of boxes, 1,000 against 1,000, in float64 and in float32. The exact value is computed in NumPy's
longdouble from the same rounded coordinates. Kinds are random boxes, and boxes on which a careless formula loses
digits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anchorloc import boxes as library
from benchmarks.timing import recording_parser, write_table

Wide = np.longdouble
Boxes = NDArray[Any]
Matrix = Callable[[Boxes, Boxes], Boxes]
ALLOWED = {"float64": 1e-9, "float32": 2e-5}
EPS = Wide(1e-7)


def spread(rng: np.random.Generator, count: int, reach: float, least: float, most: float) -> Boxes:
    """Return boxes with centers up to `reach` from the origin and sides log-uniform between `least` and `most`."""
    centers = rng.uniform(-reach, reach, (count, 2))
    half = np.exp(rng.uniform(np.log(least), np.log(most), (count, 2))) / 2
    return np.hstack([centers - half, centers + half])


def kinds(rng: np.random.Generator, count: int) -> dict[str, tuple[Boxes, Boxes]]:
    """Return two sets of boxes of every kind."""
    plain = spread(rng, count, 500, 1, 500)
    lattice = np.sort(rng.integers(0, 6, (2, count, 2, 2)), axis=2).reshape(2, count, 4).astype(float)
    far = spread(rng, count, 20, 1, 40) + 2.0**20
    return {
        "random": (plain, spread(rng, count, 500, 1, 500)),
        "tiny": (spread(rng, count, 1e-6, 1e-8, 1e-6), spread(rng, count, 1e-6, 1e-8, 1e-6)),
        "tiny on huge": (spread(rng, count, 1e8, 1e7, 1e9), spread(rng, count, 1e8, 1e-3, 1)),
        "huge": (spread(rng, count, 5e8, 1e3, 1e9), spread(rng, count, 5e8, 1e3, 1e9)),
        "far from the origin": (far, spread(rng, count, 20, 1, 40) + 2.0**20),
        "thin": (spread(rng, count, 100, 1e-4, 1e4), spread(rng, count, 100, 1e-4, 1e4)),
        "a few roundings apart": (plain, plain * (1 + rng.integers(-3, 4, plain.shape) * 2.0**-22)),
        "on a lattice, touching and empty": (lattice[0], lattice[1]),
        "one within the other": (spread(rng, count, 1, 50, 100), spread(rng, count, 1, 1e-3, 40)),
        "of every size": (spread(rng, count, 1e3, 1e-5, 1e5), spread(rng, count, 1e3, 1e-5, 1e5)),
    }


def truth(first: Boxes, second: Boxes) -> dict[str, Boxes]:
    """Return every measure of all pairs, by its definition, in longdouble."""
    a, b = first.astype(Wide)[:, None], second.astype(Wide)[None]
    size_a, size_b = a[..., 2:] - a[..., :2], b[..., 2:] - b[..., :2]
    shared = np.maximum(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0)
    hull = np.maximum(a[..., 2:], b[..., 2:]) - np.minimum(a[..., :2], b[..., :2])
    inter, own = shared.prod(-1), size_a.prod(-1)
    union, around = own + size_b.prod(-1) - inter, hull.prod(-1)
    iou = part(inter, union)
    apart = (((a[..., :2] + a[..., 2:]) - (b[..., :2] + b[..., 2:])) ** 2).sum(-1) / 4
    diou = iou - part(apart, (hull**2).sum(-1) + EPS)
    turn = np.arctan2(size_a[..., 0], size_a[..., 1]) - np.arctan2(size_b[..., 0], size_b[..., 1])
    shape = 4 / (4 * np.arctan(Wide(1))) ** 2 * turn**2
    return {
        "box_iou": iou,
        "generalized_box_iou": iou - part(np.maximum(around - union, 0), around),
        "distance_box_iou": diou,
        "complete_box_iou": diou - part(shape**2, 1 - iou + shape + EPS),
        "box_ioa": part(inter, np.broadcast_to(own, inter.shape)),
    }


def part(numerator: Boxes, whole: Boxes) -> Boxes:
    """Return the quotient, 0 where the denominator is 0."""
    return np.divide(numerator, whole, out=np.zeros_like(numerator), where=whole > 0)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure every kind, and write the table; exit with 1 if an error is above its limit."""
    parser = recording_parser(__doc__)
    parser.add_argument(
        "--boxes", type=int, default=1000, help="boxes in each of the two sets of a kind (default: 1000)"
    )
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    rows = measure(arguments.boxes, arguments.seed)
    write_table(rows, "box_accuracy", record=arguments.record)
    if any(row["beyond"] for row in rows):
        raise SystemExit("an error is above its limit")


def measure(count: int, seed: int) -> list[dict[str, object]]:
    """Return one row for each float type, kind and measure."""
    rows: list[dict[str, object]] = []
    for name, allowed in ALLOWED.items():
        for kind, pair in kinds(np.random.default_rng(seed), count).items():
            first, second = (boxes.astype(name) for boxes in pair)
            for measure_name, exact in truth(first, second).items():
                off = np.abs(getattr(library, measure_name)(first, second).astype(Wide) - exact)
                rows.append(
                    {
                        "type": name,
                        "boxes": kind,
                        "measure": measure_name,
                        "pairs": off.size,
                        "furthest off": f"{float(off.max()):.2g}",
                        "beyond": int((~(off <= allowed)).sum()),
                    }
                )
    return rows


if __name__ == "__main__":
    main()
