"""A study on two Ray nodes of which a worker and then a node is killed, beside a repetition without Ray.

    python -m benchmarks.ray_nodes configs/studies/shapes.yaml "train.length=60 iterations" --after 60

Both nodes are on this machine (Linux). Each has one core, so give the study `train.threads: 1`. A worker of the second
node gets SIGKILL after --after seconds, once its run has a checkpoint, and the raylet of that node after another
--after seconds. Then the runs that were in progress at either time, and those of seed 0, are trained again in one
process. The script prints how many of them are equal, AP to the last digit and detections, and whether the verdicts
are. The exit status is 1 if something is lost or differs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from anchorloc.cli import run_command
from anchorloc.compare.run_record import OUTCOMES, RECORD
from anchorloc.engine.state.resume import LAST
from anchorloc.errors import InputError
from anchorloc.text import counted

VERDICTS = "verdicts.csv"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the study twice and compare."""
    arguments = _parser().parse_args(argv)
    on_ray, alone = arguments.out / "ray", arguments.out / "alone"
    if arguments.out.exists():
        raise InputError(f"{arguments.out} exists already; give another --out")
    study = [sys.executable, "-m", "anchorloc.compare", *arguments.words]
    with two_nodes() as (address, second):
        words = ["--out", str(on_ray), "--engine", "ray", "--address", address]
        running = subprocess.Popen([*study, *words])
        hit = set[Path]()
        try:
            for name in ("ray::_run", "raylet/raylet"):
                wait(running, arguments.after, "lower --after")
                while len(saved := in_progress(on_ray)) < 2:  # one on each node
                    wait(running, 0.2, "lower --after")
                hit |= saved
                kill(second, name)
            status = running.wait()
        finally:
            running.terminate()
    if status != 0:
        return status
    shutil.copytree(on_ray, alone)
    again = sorted(hit | {folder.relative_to(on_ray) for folder in on_ray.glob("runs/*/seed-0")})
    for folder in again:
        shutil.rmtree(alone / folder)
    (alone / VERDICTS).unlink()
    status += subprocess.run([*study, "--out", str(alone)], check=False).returncode
    equal = [folder for folder in again if is_equal(on_ray / folder, alone / folder)]
    same = (on_ray / VERDICTS).read_bytes() == (alone / VERDICTS).read_bytes()
    print(f"{counted(len(hit), 'run was', 'runs were')} in progress when a worker and a node were killed")
    print(f"equal without Ray: {len(equal)} of {len(again)} runs; verdicts {'equal' if same else 'differ'}")
    return int(status != 0 or len(equal) < len(again) or not same)


@contextlib.contextmanager
def two_nodes() -> Iterator[tuple[str, int]]:
    """Start two nodes with one core each, and yield the address of the first and the process of the second."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
    start = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--num-cpus=1", "--disable-usage-stats"]
    nodes = []
    try:
        for words in (["--head", f"--port={port}", "--include-dashboard=false"], [f"--address=127.0.0.1:{port}"]):
            nodes.append(subprocess.Popen([*start, *words], stdout=subprocess.DEVNULL))
            wait(nodes[-1], 15, "see what it printed")
        yield f"127.0.0.1:{port}", nodes[1].pid
    finally:
        for node in nodes:
            node.terminate()
            node.wait()


def wait(process: subprocess.Popen[bytes], seconds: float, advice: str) -> None:
    """Wait while a process runs.

    Raises:
        InputError: it ended before.
    """
    with contextlib.suppress(subprocess.TimeoutExpired):
        raise InputError(f"the study or a node ended with status {process.wait(seconds)}; {advice}")


def kill(ancestor: int, name: str) -> None:
    """Send SIGKILL to a process below `ancestor` whose command line has `name` in it."""
    for process in below(ancestor):
        with contextlib.suppress(OSError):
            if name.encode() in Path(f"/proc/{process}/cmdline").read_bytes():
                os.kill(process, signal.SIGKILL)
                return
    raise InputError(f"the second node has no process {name}; give another --after")


def below(ancestor: int) -> Iterator[int]:
    """Yield the children of a process, and theirs, parents first."""
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int((path / "stat").read_text().rpartition(")")[2].split()[1]) == ancestor:
                yield int(path.name)
                yield from below(int(path.name))


def in_progress(study: Path) -> set[Path]:
    """Return the runs that have a checkpoint and have not ended, as paths within the study's folder."""
    saved = {path.parent for path in study.glob(f"runs/*/*/{LAST}")}
    return {folder.relative_to(study) for folder in saved if not (folder / RECORD).exists()}


def is_equal(one: Path, other: Path) -> bool:
    """Return whether two runs have the same AP and matches."""
    if not (one / RECORD).exists() or not (other / RECORD).exists():
        return False
    aps = [json.loads((folder / RECORD).read_text(encoding="utf-8"))["ap"] for folder in (one, other)]
    with np.load(one / OUTCOMES) as first, np.load(other / OUTCOMES) as second:
        return aps[0] == aps[1] and all(np.array_equal(first[key], second[key]) for key in first.files)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="+", metavar="STUDY [key=value ...]", help="as for `anchorloc compare`")
    parser.add_argument("--after", type=float, default=240, metavar="SECONDS", help="when to kill (default: 240)")
    parser.add_argument("--out", type=Path, default=Path("runs/ray_nodes"), help="new folder of both studies")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
