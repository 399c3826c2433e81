"""Compare settings with statistics that do not fool you: settings × seeds, trained alike, and a verdict on each.

    python -m anchorloc.compare STUDY.yaml                   # the same command goes on where it was stopped
    python -m anchorloc.compare STUDY.yaml --engine ray      # several runs at a time

docs/comparing.md tells what a study file holds and how the verdicts are made.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from anchorloc.cli import run_command
from anchorloc.errors import InputError


def main(argv: Sequence[str] | None = None) -> int:
    """Make the runs of a study that are not made yet, judge them, and write the report."""
    words = list(sys.argv[1:] if argv is None else argv)
    arguments = parse(words)
    if arguments.address is not None and arguments.engine != "ray":
        raise InputError("--address is for --engine ray; give both")
    from anchorloc.compare.session import compare  # torch takes seconds to import: --help does not wait

    command = shlex.join(["python", "-m", "anchorloc.compare", *words])
    return compare(arguments.study, arguments.out, arguments.engine, arguments.address, command)


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Return `study`, `out`, `engine` and `address`."""
    arguments = _parser().parse_args(words)
    arguments.out = arguments.out or Path("runs") / f"compare-{arguments.study.stem}"
    return arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m anchorloc.compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study", type=Path, metavar="STUDY.yaml", help="settings, seeds and a baseline")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the study, new or to go on with (runs/compare-STUDY)"
    )
    parser.add_argument("--engine", choices=["local", "ray"], default="local", help="where the runs are made (local)")
    parser.add_argument("--address", metavar="HOST:PORT", help="a Ray cluster that shares the folder (this machine)")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
