"""Compare settings of anchors over seeds with `anchorloc compare`, and copy its tables into `results/`.

python -m benchmarks.compare_anchors configs/studies/bccd.yaml data.root=path/to/bccd --record
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path

from anchorloc.cli import run_command, split_words
from anchorloc.compare import __main__ as compare
from anchorloc.files import read_bytes, write_bytes
from benchmarks.timing import RESULTS, recording_parser, write_table

TABLES, PICTURE = ("settings", "verdicts"), "pareto.svg"


def main(argv: Sequence[str] | None = None) -> int:
    """Run or resume the study, and copy its tables and picture; the words are the command's."""
    recording, words = recording_parser(__doc__).parse_known_args(argv)
    arguments = compare.parse(words)
    name = split_words(arguments.files)[0][0].stem
    out = arguments.out or Path("runs") / f"compare-{name}"
    status = compare.main([*words, "--out", str(out)])
    if status not in (0, 1):
        return status
    for table in TABLES:
        text = read_bytes(out / f"{table}.csv").decode()
        rows = list(csv.DictReader(text.splitlines()))
        if rows:
            packages = ("torch", "torchvision", "pycocotools")
            write_table(rows, f"compare_{name}_{table}", packages, record=recording.record)
    if recording.record and (out / PICTURE).exists():
        write_bytes(RESULTS / f"compare_{name}.svg", read_bytes(out / PICTURE))
    return status


if __name__ == "__main__":
    sys.exit(run_command(main))
