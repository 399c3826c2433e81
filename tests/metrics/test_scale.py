"""Memory does not grow with boxes² of an image or with classes², measured in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak memory from /proc")

START = """
import json
from pathlib import Path

import numpy as np

from anchorloc.metrics import evaluate
from anchorloc.metrics.analysis import AnalysisOptions, analyze
from anchorloc.structures import Category, Detections, Target

def scored(targets, found, categories, limit=100, **options):
    whole = evaluate(targets, found, categories, (1, 10, limit))
    analysis = analyze(targets, found, categories, (1, 10, limit), AnalysisOptions(**options))
    lines = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    pairs = list(analysis.confusion.pairs())
    return {"AP": whole.summary.ap, "errors": analysis.errors.totals, "pairs": pairs[:2], "confused": len(pairs),
            "known": sum(one is not None for one in analysis.bootstrap.classes) if analysis.bootstrap else 0,
            "peak": peak}
"""
CROWDED = """
side, count = 10, 12_000
x, y = np.divmod(np.arange(count), 120)
boxes = np.stack([x, y, x + 1, y + 1], axis=1) * float(side)
zeros = np.zeros(count, np.int64)
target = Target(boxes, zeros, np.zeros(count, bool), np.full(count, 100.0), np.arange(count))
found = Detections(boxes, np.linspace(0.9, 0.1, count), zeros, zeros, 1)
print(json.dumps(scored([target], [found], [Category(1, "a")], count)))
"""
MANY_CLASSES = """
targets, found = [], []
for image in range(20):
    labels = 50 * (10 * image + np.arange(10))  # 200 of the 10,000 classes, once each
    boxes = np.array([[30.0 * place, 0, 30.0 * place + 20, 20] for place in range(10)])
    targets.append(Target(boxes, labels, np.zeros(10, bool), np.full(10, 400.0), np.arange(10)))
    detected = labels + np.where(np.arange(10) == 0, 1, 0)  # the first one under its neighbor's name
    kept = np.arange(10) < 9  # the last one is missed
    found.append(Detections(boxes[kept], np.full(9, 0.9), detected[kept], np.full(9, -1), image))
print(json.dumps(scored(targets, found, [Category(i, f"c{i}") for i in range(10_000)], resamples=30)))
"""


def run(code: str) -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-c", START + code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_an_image_of_many_boxes_takes_no_matrix_of_overlaps() -> None:
    """A matrix of 12,000 detections by as many boxes would take 1.1 GiB."""
    found = run(CROWDED)
    assert found["AP"] == pytest.approx(1)
    assert found["errors"] == [0, 0, 0, 0, 0, 0]
    assert found["peak"] < 500


def test_classes_without_boxes_take_no_matrix_of_classes() -> None:
    """A confusion matrix of 10,000 classes would take 800 MB, and the precision at three limits 970 MB."""
    found = run(MANY_CLASSES)
    assert found["AP"] == pytest.approx(160 / 200)
    assert found["errors"] == [20, 0, 0, 0, 0, 20]
    assert (found["pairs"], found["confused"]) == ([[0, 1, 1], [500, 501, 1]], 20)
    assert found["known"] < 200  # a resample lacks the image of some class
    assert found["peak"] < 750
