"""How well suspected label errors are ranked: damaged labels, beside cleanlab's scores on the same detections.

    python -m benchmarks.label_errors DATA --sets coco128              # no training
    python -m benchmarks.label_errors DATA --minutes 3 --record        # the other sets too, 9 trainings

DATA holds the sets in COCO format, and weights/ with the ImageNet weights of the backbone. 5% of the boxes get another
class, 5% are removed, 5% are shifted and scaled to an IoU of 0.5 to 0.7 with the original, and 5% are doubled with an
IoU of 0.75 to 0.95, all in the same labels. The detections on `coco128` are those of three public detectors, which come
with the set; on `bccd`, `cards` and `street` `anchorloc train --folds 3` trains on the damaged labels. A ranking is
scored by its average precision, and by the share of the damaged boxes among its first items, as many as 5% and 10% of
the labels. An error that the set itself has counts as a false suspect. "cleanlab" has its default thresholds, and
"cleanlab at F1" the score of best F1 of the detections in their place. It has no score for doubled boxes, and is left
out where it is not installed. A training that is done is not repeated, and a stopped one goes on.

The constants of the scores were chosen on `coco128` with the seeds 0 to 5.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from anchorloc.cli import run_command
from anchorloc.data import CocoAnnotations, read_annotations, read_results
from anchorloc.doctor.suspects import LabelSuspects, Suspect, find_suspects
from anchorloc.doctor.suspects.suspect_scores import NONE
from anchorloc.errors import InputError
from anchorloc.files import make_folder, read_json, write_json
from anchorloc.metrics import evaluate
from anchorloc.structures import Detections
from benchmarks.cleanlab_scores import DEFAULT_THRESHOLDS, import_rank, rankings
from benchmarks.label_damage import (
    KINDS,
    Damage,
    RankedItem,
    average_precision,
    damage,
    hits,
    recall_within,
)
from benchmarks.timing import RESULTS, markdown, recording_parser, save_table

WITH_DETECTIONS, TRAINED = "coco128", ("bccd", "cards", "street")
SEEDS = tuple(range(100, 110))  # other ones than the constants were chosen with
FOLDS = 3
WEIGHTS = "mobilenet_v2_imagenet_tvnaming.pth"
Row = dict[str, object]


def main(argv: Sequence[str] | None = None) -> int:
    """Score the rankings of all sets, and print or record the tables."""
    arguments = _parser().parse_args(argv)
    missing = _why_no_cleanlab()
    if missing:
        print(missing)
    rows, own = list[Row](), list[Row]()
    for name in arguments.sets:
        if name == WITH_DETECTIONS:
            rows += list(_with_given_detections(arguments.data / name, arguments.seeds, not missing))
            own += list(_own_errors_of_given(arguments.data / name))
        else:
            more, found = _with_folds(arguments.data, name, arguments, not missing)
            rows += more
            own += found
    print(markdown(rows))
    print(markdown(own))
    if arguments.record:
        save_table(rows, RESULTS / "label_errors.csv", ("anchorloc", "torch", "cleanlab"))
        save_table(own, RESULTS / "label_errors_undamaged.csv", ("anchorloc", "torch"))
    return 0


def _with_given_detections(folder: Path, seeds: Sequence[int], with_cleanlab: bool) -> Iterator[Row]:
    """Yield the means over the seeds for each file of detections."""
    document = read_json(folder / "annotations/instances_val.json")
    for results in sorted((folder / "detections").glob("*.json")):
        scored: dict[tuple[str, str], list[tuple[float, ...]]] = {}
        for seed in seeds:
            damaged = damage(document, seed)
            for key, numbers in score_rankings(results, damaged, with_cleanlab).items():
                scored.setdefault(key, []).append(numbers)
        yield from _rows(folder.name, results.stem, scored)


def _with_folds(
    data: Path, name: str, arguments: argparse.Namespace, with_cleanlab: bool
) -> tuple[list[Row], list[Row]]:
    """Train on the damaged train labels of a set, and score the detections out of fold."""
    out, images = arguments.out / name, data / name / "images"
    original = data / name / "annotations/instances_train.json"
    damaged = damage(read_json(original), arguments.seeds[0])
    make_folder(out)
    labels = out / "damaged.json"
    if not labels.is_file():
        write_json(labels, damaged.document)
    elif read_json(labels) != json.loads(json.dumps(damaged.document)):
        raise InputError(f"{labels} is of another seed; give another --out")
    runs = out / "folds"
    if not (runs / "detections.json").is_file():
        words = ["--resume", "--out", str(runs)]
        if not (runs / "folds.json").is_file():
            words = [
                *(str(labels), f"data.images={images}", f"train.length={arguments.minutes:g} minutes"),
                f"detector.backbone.weights={data / 'weights' / WEIGHTS}",
                *("detector.backbone.tensorflow_padding=true", "--folds", str(FOLDS), "--out", str(runs)),
            ]
        subprocess.run([sys.executable, "-m", "anchorloc.train", *words], check=True)
    results = runs / "detections.json"
    scored = {key: [numbers] for key, numbers in score_rankings(results, damaged, with_cleanlab).items()}
    found = _own_errors(name, "out of fold", results, read_annotations(original))
    return list(_rows(name, f"{FOLDS} folds", scored)), list(found)


def score_rankings(
    results: Path, damaged: Damage, with_cleanlab: bool
) -> dict[tuple[str, str], tuple[float, float, float, float]]:
    """Return the damaged boxes, the AP and the recall at 5% and 10% by kind and method."""
    truth, detections = _read(results, damaged.document)
    methods = {"anchorloc": _ours(find_suspects(truth, detections))}
    if with_cleanlab:
        point = evaluate(
            [truth.target(index) for index in range(len(truth))], detections, truth.categories
        ).operating_point
        best = 0.5 if point is None else point.threshold
        methods["cleanlab"] = rankings(truth, detections, DEFAULT_THRESHOLDS)
        methods["cleanlab at F1"] = rankings(truth, detections, (best, best))
    boxes = len(damaged.document["annotations"])
    scored = {}
    for method, by_kind in methods.items():
        for kind, items in by_kind.items():
            found, total = hits(items, damaged, kind), damaged.count(kind)
            recalls = (recall_within(found, total, round(share * boxes)) for share in (0.05, 0.1))
            scored[kind, method] = (float(total), average_precision(found, total), *recalls)
    return scored  # type: ignore[return-value]


def _read(results: Path, document: dict[str, Any]) -> tuple[CocoAnnotations, list[Detections]]:
    from anchorloc.data.coco_annotations import parse_annotations

    truth = parse_annotations(dict(document), results)
    return truth, read_results(results, truth)


def _ours(suspects: LabelSuspects) -> dict[str, list[RankedItem]]:
    return {kind: [_item(suspects, one) for one in suspects.of(kind)] for kind in KINDS}


def _item(suspects: LabelSuspects, one: Suspect) -> RankedItem:
    image_id: Any = suspects.truth.image_id(one.image)
    if one.label == NONE:
        return RankedItem(image_id, (), tuple(suspects.matches.detections.boxes[one.detection].tolist()))
    ids: list[Any] = [suspects.annotation_id(row) for row in (one.label, one.other) if row != NONE]
    return RankedItem(image_id, tuple(ids))


def _rows(name: str, detections: str, scored: Mapping[tuple[str, str], Sequence[tuple[float, ...]]]) -> Iterator[Row]:
    for (kind, method), numbers in sorted(scored.items(), key=lambda pair: (KINDS.index(pair[0][0]), pair[0][1])):
        total, ap, at_5, at_10 = np.mean(numbers, axis=0).tolist()
        yield {
            "set": name,
            "detections": detections,
            "kind": kind,
            "method": method,
            "seeds": len(numbers),
            "damaged": f"{total:.0f}",
            "AP": f"{ap:.3f}",
            "recall at 5%": f"{at_5:.3f}",
            "recall at 10%": f"{at_10:.3f}",
        }


def _own_errors_of_given(folder: Path) -> Iterator[Row]:
    for results in sorted((folder / "detections").glob("*.json")):
        truth = read_annotations(folder / "annotations/instances_val.json")
        yield from _own_errors(folder.name, results.stem, results, truth)


def _own_errors(name: str, detections: str, results: Path, truth: CocoAnnotations) -> Iterator[Row]:
    """Yield how many suspects there are in the labels as published, and the surest of each kind."""
    suspects = find_suspects(truth, read_results(results, truth))
    for kind in KINDS:
        first = next(suspects.of(kind), None)
        yield {
            "set": name,
            "detections": detections,
            "kind": kind,
            "labels": len(suspects.matches.labels),
            "likely suspects": suspects.likely(kind),
            "surest": "" if first is None else f"{first.score:.2f} {truth.name(first.image)}",
        }


def _why_no_cleanlab() -> str:
    try:
        import_rank()
    except ImportError as error:
        return f"without cleanlab ({error}); run: pip install cleanlab"
    return ""


def _parser() -> argparse.ArgumentParser:
    parser = recording_parser(__doc__)
    parser.add_argument("data", type=Path, metavar="DATA", help="folder of the sets")
    parser.add_argument("--sets", nargs="+", default=[WITH_DETECTIONS, *TRAINED], choices=(WITH_DETECTIONS, *TRAINED))
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=SEEDS, help="of the damage; trained sets take the first"
    )
    parser.add_argument("--minutes", type=float, default=3, help="of training for each fold (default: 3)")
    parser.add_argument("--out", type=Path, default=Path("runs/label_errors"), help="folder of the trainings")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
