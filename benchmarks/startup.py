"""Measure the CPU seconds until a command answers: --help, a misspelt setting or option, and a missing file; and the
seconds until a training prints its first line.

    python -m benchmarks.startup               # under two minutes
    python -m benchmarks.startup --rounds 5

CPU seconds are of the whole process, user and system, so other work of the machine matters little; a row has the
median of the rounds. The checkpoint comes from a run of one step.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from anchorloc.__main__ import COMMANDS
from benchmarks.timing import recording_parser, significant, write_table

ROOT = Path(__file__).resolve().parents[1]
CODE = (
    "import sys; from anchorloc.__main__ import main\n"
    "try: main()\n"
    "except SystemExit: pass\n"
    "print(*{'torch', 'numba'} & set(sys.modules))"
)
LAB = ("report", "fit", "compare", "sheet")
CASES = [  # the words of a command
    *(f"{name} --help" for name in COMMANDS),
    *(f"lab {name} --help" for name in LAB),
    "train train.sede=1",
    "train gone.yaml",
    "train --resume --out gone",
    "train --resume --out run train.sede=1",
    "evaluate run/best.pt decode.nms_io=1",
    "evaluate gone.pt",
    "evaluate --detections gone.json --annotations gone.json",
    "predict run/best.pt . decode.nms_io=1",
    "predict gone.pt .",
    "export run/best.pt model.onnx decode.nms_io=1",
    "export gone.pt model.onnx",
    "compare misspelt.yaml",
    "compare gone.yaml",
    "lab report train.sede=1",
    "lab report gone.yaml",
    "lab fit train.sede=1",
    "lab fit gone.json",
    "lab compare misspelt.yaml gone.yaml",
    "lab sheet train.sede=1",
    "doctor gone.json",
    "doctor --hlp",
    "shapes --hlp",
]
TINY = [
    "data={train_images: 2, val_images: 2, size: 96}",
    "train={length: 1 iterations, batch_size: 2, workers: 0}",
]


def main(argv: Sequence[str] | None = None) -> None:
    """Time every command, and write the table."""
    parser = recording_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        run(folder, ["train", *TINY, "--out", "run"])
        (folder / "misspelt.yaml").write_text("train: {sede: 1}\nsetings: {}\n", encoding="utf-8")
        (folder / "1.jpg").touch()
        rows = [case(folder, words, arguments.rounds) for words in CASES]
        seconds = statistics.median(first_line(folder) for _ in range(arguments.rounds))
        rows.append({"command": "anchorloc train, first line", "seconds": significant(seconds)})
        print(f"first line of anchorloc train: {seconds:.2f} s on the clock", flush=True)
        rows = [{"command": "", "CPU seconds": "", "seconds": "", "loads": "", **row} for row in rows]
    write_table(rows, "startup", ("torch",), record=arguments.record)


def case(folder: Path, words: str, rounds: int) -> dict[str, str]:
    """Return the line of one command."""
    found = [run(folder, words.split()) for _ in range(rounds)]
    seconds = statistics.median(seconds for seconds, _ in found)
    print(f"anchorloc {words}: {seconds:.2f} s", flush=True)
    return {"command": f"anchorloc {words}", "CPU seconds": significant(seconds), "loads": found[0][1]}


def first_line(folder: Path) -> float:
    """Return the seconds on the clock until a training prints its first line."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "anchorloc.train", *TINY, "--out", "first"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        seconds = time.perf_counter() - start
        process.kill()
    return seconds


def run(folder: Path, words: Sequence[str]) -> tuple[float, str]:
    """Run a command in a process; return its CPU seconds, and which of torch and numba it has loaded."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", CODE, *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return seconds, done.stdout.splitlines()[-1] if done.stdout else done.stderr


if __name__ == "__main__":
    main()
