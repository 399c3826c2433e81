"""What surrounds a run fails: a worker is killed, caches are damaged, folders are read-only, the locale is plain C."""

from __future__ import annotations

import json
import multiprocessing
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from anchorloc.checkpoint import load_checkpoint
from anchorloc.data import ShapesData
from anchorloc.data.coco_export import write_coco
from anchorloc.detector import Batch
from anchorloc.engine.system.failures import explained_failures
from anchorloc.engine.system.log import read_log
from anchorloc.engine.training import Training
from anchorloc.errors import InputError
from anchorloc.files import read_json, write_json
from tests.engine.small_runs import SMALL, assert_same, run, small, timeless, weights
from tests.python_processes import with_torch, without_torch

ROOT = Path(__file__).parents[2]
LENGTH = "train.length=9 iterations"  # 4 of 24 images each: one epoch and a half


@pytest.fixture
def spawning() -> Iterator[None]:
    """Python's choice on macOS and Windows; from 3.14 on, Linux has a like one."""
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method("spawn", force=True)
    yield
    multiprocessing.set_start_method(before, force=True)


def killed_at(step: int, monkeypatch: pytest.MonkeyPatch, folder: Path) -> str:
    """Train until a loader's worker is killed, and return the message."""
    take_step = Training.step
    known = {child.pid for child in multiprocessing.active_children()}  # other tests may have left some

    def stepped(self: Training, batch: Sequence[Batch], rate: float) -> dict[str, float]:
        losses = take_step(self, batch, rate)
        if self.clock.step == step:
            worker = next(child for child in multiprocessing.active_children() if child.pid not in known)
            os.kill(worker.pid or 0, signal.SIGKILL)
            time.sleep(10)  # the handler of its death ends this
        return losses

    with monkeypatch.context() as patch:
        patch.setattr(Training, "step", stepped)
        with pytest.raises(InputError) as caught:
            run(small(LENGTH, "train.workers=1"), folder)
    return str(caught.value)


def test_a_worker_killed_in_mid_epoch_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spawning: None
) -> None:
    """The message names the cause and how to resume; the run then ends as if undisturbed, with spawned workers."""
    run(small(LENGTH), tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr("anchorloc.engine.build._start_method", lambda: "fork")
        told = killed_at(4, monkeypatch, tmp_path / "run")
    assert told.startswith("a loader worker was killed, ")
    assert "most often because memory or shared memory ran out" in told
    assert "lower train.workers, now 1, or train.image_cache_mb, now 1024 (DataLoader worker" in told
    assert told.endswith(f"); resume with anchorloc train --resume --out {tmp_path / 'run'}")
    assert weights(tmp_path / "run")["step"] == 3
    run(small(LENGTH, "train.workers=1"), tmp_path / "run", resume=True)
    states = [weights(tmp_path / name) for name in ("whole", "run")]
    for state in states:
        del state["config"]["train"]["workers"]
    assert_same(states[0], states[1])
    assert timeless(read_log(tmp_path / "whole")) == timeless(read_log(tmp_path / "run"))


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGTERM")
def test_a_worker_outlives_the_first_signal_to_its_group() -> None:
    """Its main process ends the step first, and that takes its time; a second signal acts at once."""
    code = (
        "import signal, time\n"
        "from anchorloc.engine.build import WORKER_GRACE_SECONDS, _start_worker\n"
        "_start_worker(0)\n"
        "signal.raise_signal(signal.SIGTERM)\n"
        "assert WORKER_GRACE_SECONDS - 5 < signal.alarm(0) <= WORKER_GRACE_SECONDS\n"
        "print('alive', flush=True)\n"
        "signal.raise_signal(signal.SIGTERM)\n"
        "time.sleep(60)\n"
    )
    done = with_torch().run(code)
    assert (done.stdout, done.returncode) == ("alive\n", -signal.SIGTERM), done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_the_workers_of_a_killed_run_end(tmp_path: Path) -> None:
    """They have made batches that nobody reads, and a process waits at its end until such are read."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    code = (
        "import multiprocessing, os, signal, sys, time\n"
        "from anchorloc.config import read_config\n"
        "from anchorloc.engine.build import train_loader\n"
        "pipe = os.open(sys.argv[1], os.O_WRONLY)\n"  # the workers have it too
        "config = read_config(None, ['data.train_images=32', 'train.workers=2'])\n"
        "batches = iter(train_loader(config, config.data.open('train'), 0))\n"
        "next(batches)\n"
        "print(*[worker.pid for worker in multiprocessing.active_children()], flush=True)\n"
        "time.sleep(2)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = with_torch().run(code, str(pipe))
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(done.stdout.split()) == 2
    ended, _, _ = select.select([reader], [], [], 120)
    assert ended  # no process holds the other end any more
    assert os.read(reader, 1) == b""
    os.close(reader)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error. It is possible"), "worker was killed"),
        (RuntimeError("DataLoader worker (pid(s) 7, 8) exited unexpectedly"), "worker was killed"),
        (RuntimeError("unable to allocate shared memory(shm) for file </torch_7>: No space left"), "worker was killed"),
        (MemoryError("Caught MemoryError in DataLoader worker process 0.\nOriginal Traceback"), "worker was killed"),
        (MemoryError(), "memory ran out with"),
    ],
)
def test_each_failure_is_explained(error: Exception, told: str) -> None:
    with pytest.raises(InputError, match=told), explained_failures(small(), 1):
        raise error


def test_a_bug_in_a_worker_is_not_taken_for_its_death() -> None:
    with pytest.raises(RuntimeError, match="Original Traceback"), explained_failures(small(), 1):
        raise RuntimeError("Caught RuntimeError in DataLoader worker process 0.\nOriginal Traceback")


KERNEL = """
import numba, pathlib, shutil, sys
state, numba.config.CACHE_DIR = sys.argv[1:]
from one_kernel import double
if state == "blocked":  # after the import, which looks for a folder that can be written
    shutil.rmtree(numba.config.CACHE_DIR)
    pathlib.Path(numba.config.CACHE_DIR).touch()
assert double(3) == 6
print(sum(double.stats.cache_hits.values()))
"""


def test_a_damaged_cache_of_machine_code_is_made_anew(tmp_path: Path) -> None:
    """Whether files were cut short (a power cut), hold something else, or cannot be written."""
    lines = ("from anchorloc.boxes.jit import kernel", "@kernel", "def double(x):", "    return 2 * x")
    (tmp_path / "one_kernel.py").write_text("\n".join(lines))
    cache = tmp_path / "cache"

    def from_cache(state: str) -> str:
        """Call the kernel in a new process, and return whether its code came from the cache."""
        done = without_torch().run(KERNEL, state, str(cache), folder=tmp_path)
        return done.stdout.strip() or done.stderr

    assert from_cache("new") == "0"
    assert from_cache("whole") == "1"
    for pattern, content in (("*.nbi", b""), ("*.nbc", b"\x80\x04junk")):
        found = list(cache.rglob(pattern))
        assert found
        for damaged in found:
            damaged.write_bytes(content)
        assert from_cache("damaged") == "0"
        assert from_cache("mended") == "1"
    assert from_cache("blocked") == "0"


# Every command over the data set in sys.argv[1], results in the folder sys.argv[2]: prints their statuses.
COMMANDS = """
import json, locale, pathlib, sys
from anchorloc import __main__ as console
from anchorloc.cli import run_command
root, out, settings = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), json.loads(sys.argv[3])
truth, best = str(root / "annotations/instances_val.json"), str(out / "run/best.pt")
print(locale.getpreferredencoding(False), sys.stdout.encoding)
for name, words in {
    "train": [*settings, "--out", str(out / "run")],
    "evaluate": [best, "--out", str(out / "evaluate")],
    "predict": [best, str(root / "images"), "--out", str(out / "predict")],
    "lab": ["report", *settings, "--out", str(out / "lab")],
    "doctor": [truth, "--images", str(root / "images"), "--fix", str(out / "fixed.json")],
}.items():
    print(name, run_command(console.main, [name, *words]))
"""
PLACES = 'mount --bind set set && mount -o remount,ro,bind set && ! touch set/x 2>&- && "$@"'


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set whose classes have names beyond ASCII."""
    folder = tmp_path_factory.mktemp("foreign")
    data = ShapesData(train_images=8, val_images=3, size=64)
    write_coco({"train": data.open("train"), "val": data.open("val")}, folder / "set")
    for path in (folder / "set" / "annotations").iterdir():
        document = read_json(path)
        for category, name in zip(document["categories"], ("café", "猫", "Öl", "🙂"), strict=True):
            category["name"] = name
        write_json(path, document)
    return folder


def may_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    tried = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False)
    return tried.returncode == 0


def listing(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_commands_work_in_the_c_locale_on_read_only_data(foreign: Path) -> None:
    """Files are UTF-8 whatever the locale, and nothing is written beside the data."""
    before = listing(foreign / "set")
    data = "data={kind: CocoData, root: set}"
    words: list[Any] = [*SMALL[1:], data, "train.length=2 iterations"]
    command = [sys.executable, "-c", COMMANDS, "set", ".", json.dumps(words)]
    if may_mount():
        command = ["unshare", "-m", "sh", "-c", PLACES, "sh", *command]
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    environment = {**os.environ, **plain, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, cwd=foreign, capture_output=True, timeout=300, check=False)
    output = done.stdout.decode("ascii")
    assert done.returncode == 0, output + done.stderr.decode()
    assert output.startswith("ANSI_X3.4-1968 ascii\n")
    for name in ("train", "evaluate", "predict", "lab", "doctor"):
        assert f"\n{name} 0\n" in output, output + done.stderr.decode()
    assert "caf\\xe9" in output
    assert listing(foreign / "set") == before
    written = ["run/report.md", "run/report.html", "evaluate/report.html", "lab/report.html", "fixed.json"]
    for name in written:
        assert "猫" in (foreign / name).read_text(encoding="utf-8"), name
    assert load_checkpoint(foreign / "run" / "best.pt")["categories"][1][1] == "猫"
