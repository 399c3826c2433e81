"""A script that trains with workers which import it again, as on macOS and Windows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.python_processes import ROOT

SCRIPT = """
import multiprocessing, sys

if multiprocessing.get_start_method(allow_none=True) is None:
    multiprocessing.set_start_method("spawn")

import anchorloc.train

anchorloc.train.run(
    None, "data={train_images: 4, val_images: 2, size: 64}", "train.workers=1", "train.batch_size=2",
    "train.length=1 iteration", "detector.backbone={channels: [8, 8, 8, 8], blocks: [1, 1, 1, 1]}",
    force=True, out=sys.argv[1],
)
"""


def test_the_missing_guard_is_named(tmp_path: Path) -> None:
    script, out = tmp_path / "script.py", tmp_path / "run"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script), str(out)], cwd=ROOT, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 1
    guard = "put the call under `if __name__ == '__main__':`"
    assert f"a loader worker imports this script and calls anchorloc.train.run again; {guard}" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("anchorloc.errors.InputError: a loader worker was killed")
    assert "in a script, put the call of anchorloc.train under `if __name__ == '__main__':`" in done.stderr
    assert "freeze_support" not in done.stderr
