"""No name in a report runs as script, as a browser sees it; skipped where there is no Chromium."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from anchorloc.metrics import evaluate
from anchorloc.report import Chart, Judgment, Picture, write_report
from anchorloc.structures import Category
from tests.metrics.evaluation_cases import found, target

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")
CANARY = "document.documentElement.id = 'sung'"
NAMES = [
    f"<script>{CANARY}</script>",
    f'"><img src=x onerror="{CANARY}">',
    f'\'><svg onload="{CANARY}">',
    f"</title></style></svg><script>{CANARY}</script>",
    f'<a href="javascript:{CANARY}">x</a><body onload="{CANARY}">',
]


def seen(page: Path, profile: Path) -> str:
    """The document as it is once its scripts have run."""
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
    command += ["--virtual-time-budget=2000", "--dump-dom", page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout


def test_the_canary_can_sing(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("".join(NAMES), encoding="utf-8")
    assert 'id="sung"' in seen(tmp_path / "page.html", tmp_path / "profile")


@pytest.mark.parametrize("guarded", [True, False])
def test_no_name_runs(tmp_path: Path, guarded: bool) -> None:
    """Neither under the policy of the page, nor where a browser knows no such policy."""
    boxes = [[4.0 * i, 0.0, 4.0 * i + 3, 9.0] for i in range(len(NAMES))]
    rows = list(range(len(NAMES)))
    categories = tuple(Category(i, name) for i, name in enumerate(NAMES))
    truth, detections = target(boxes, rows), found(1, boxes, [0.9] * len(rows), rows)
    evaluation = evaluate([truth], [detections], categories)
    pixels = np.zeros((40, 60, 3), np.uint8)
    pictures = [Picture(name, pixels, (40, 60), truth, detections, evaluation.matched[0]) for name in NAMES]
    chart = Chart(NAMES[0], NAMES[1], {NAMES[2]: [(0, 1), (1, 2)]})
    facts = {name: name for name in NAMES}
    write_report(tmp_path, Judgment(NAMES[3], evaluation, None, None, pictures, [chart], facts, NAMES))
    page = tmp_path / "report.html"
    text = page.read_text(encoding="utf-8")
    policy = 'http-equiv="Content-Security-Policy"'
    assert policy in text
    page.write_text(text if guarded else text.replace(policy, 'name="none"'), encoding="utf-8")
    document = seen(page, tmp_path / "profile")
    assert "&lt;script&gt;" in document
    assert 'id="sung"' not in document
