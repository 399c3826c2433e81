"""Scripts whose loader workers import them again, as on macOS and Windows."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.python_processes import with_torch

PIPELINE = Path(__file__).with_name("other_system_script.py")
WITHOUT_GUARD = """
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


def run_script(path: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """Run a script in a process that has imported torch; workers that it spawns import the script and torch."""
    code = f"import runpy; runpy.run_path({str(path)!r}, run_name='__main__')"
    return with_torch().run(code, str(out), SPAWNED=str(out / "spawned"))


def test_the_missing_guard_is_named(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(WITHOUT_GUARD)
    done = run_script(script, tmp_path / "run")
    assert done.returncode == 1
    guard = "put the call under `if __name__ == '__main__':`"
    assert f"a loader worker imports this script and calls anchorloc.train.run again; {guard}" in done.stderr
    [last] = [line for line in done.stderr.splitlines() if line.startswith("anchorloc.errors.InputError: ")][-1:]
    guard = "a script calls anchorloc.train without `if __name__ == '__main__':` around the call"
    assert last.startswith(f"anchorloc.errors.InputError: a loader worker was killed, because {guard}")
    assert "freeze_support" not in done.stderr


def test_the_whole_pipeline_runs_where_nothing_of_linux_is(tmp_path: Path) -> None:
    """Train with workers, validate, evaluate, predict and compare, without fork, links and Linux's own functions."""
    done = run_script(PIPELINE, tmp_path)
    assert done.returncode == 0, done.stderr
    assert set((tmp_path / "spawned").read_text().split()) == {"darwin"}
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 2
    assert "val/AP" in lines[-1]
    assert (tmp_path / "run" / "best.pt").is_file()
    assert not (tmp_path / "run" / "best.pt").is_symlink()
    assert (tmp_path / "judged" / "report.html").is_file()
    assert len(json.loads((tmp_path / "found" / "images.json").read_text())["images"]) == 2
    assert len(list((tmp_path / "found" / "pictures").rglob("*.jpg"))) == 2
    study = json.loads((tmp_path / "study" / "result.json").read_text())
    assert {row["name"]: len(row["seeds"]) for row in study["settings"]} == {"Narrow": 2, "narrow": 2}
