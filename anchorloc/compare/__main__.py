"""Train each setting with several seeds, and test which differences are significant.

    anchorloc compare STUDY.yaml                # train, or resume a study
    anchorloc compare STUDY.yaml --engine ray   # several runs at a time

docs/comparing.md explains the study file and the statistics.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from anchorloc.cli import command_parser, run_command
from anchorloc.errors import InputError
from anchorloc.files import refuse_missing
from anchorloc.startup import import_torch


def main(argv: Sequence[str] | None = None) -> int:
    """Run `anchorloc compare` and return its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    arguments = parse(words)
    if arguments.address is not None and arguments.engine != "ray":
        raise InputError("--address needs --engine ray; give both")
    refuse_missing(arguments.study)
    from anchorloc.compare.study_file import read_study  # --help does not wait for it

    study = read_study(arguments.study)
    import_torch()
    from anchorloc.compare.study import run_study

    command = shlex.join(["anchorloc", "compare", *words])
    return run_study(study, arguments.out, arguments.engine, arguments.address, command)


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Return the options of the command line: study, out, engine and address."""
    parser = command_parser("compare", __doc__)
    parser.add_argument(
        "study", type=Path, metavar="STUDY.yaml", help="file with the settings, the seeds and the baseline"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder of the study; an existing study is resumed (default: runs/compare-STUDY)",
    )
    parser.add_argument(
        "--engine",
        choices=["local", "ray"],
        default="local",
        help="train the runs one after another (local) or in parallel with Ray (default: local)",
    )
    parser.add_argument(
        "--address",
        metavar="HOST:PORT",
        help="Ray cluster to use; all nodes must see the --out folder (default: this machine)",
    )
    arguments = parser.parse_args(words)
    arguments.out = arguments.out or Path("runs") / f"compare-{arguments.study.stem}"
    return arguments


if __name__ == "__main__":
    sys.exit(run_command(main))
