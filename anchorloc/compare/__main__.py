"""Compare settings, or result files of any tool, and test which differences are significant.

    anchorloc compare STUDY.yaml                # train, or resume a study
    anchorloc compare STUDY.yaml --engine ray   # several runs at a time
    anchorloc compare old.json new.json --annotations val.json
    anchorloc compare old=a.json new=b.json new=c.json --annotations val.json

A study trains each setting with several seeds. Result files are in COCO's result format; several files of one name are
its seeds. Each name is compared with every earlier one, or with --reference. docs/comparing.md explains both.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from anchorloc.cli import command_parser, positive_fraction, positive_int, run_command, warn
from anchorloc.errors import InputError
from anchorloc.files import new_folder, refuse_existing, refuse_missing, write_json
from anchorloc.startup import import_torch
from anchorloc.text import printable

FOR_STUDIES = ("engine", "address")
FOR_FILES = ("reference", "group_by", "group_by_name", "images", "json", "max_detections", "score", "fail_if_worse")
STDOUT = Path("-")


def main(argv: Sequence[str] | None = None) -> int:
    """Run `anchorloc compare` and return its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    arguments = parse(words)
    if _is_study(arguments):
        return _run_study(arguments, shlex.join(["anchorloc", "compare", *words]))
    return _compare_files(arguments)


def _is_study(arguments: argparse.Namespace) -> bool:
    """Return whether the words name a study, not result files, after a check of the options.

    Raises:
        InputError: the words name both, or an option does not apply.
    """
    studies = [word for word in arguments.files if Path(word).suffix.lower() in (".yaml", ".yml")]
    alone = len(arguments.files) == 1 and arguments.annotations is None
    study = alone and Path(arguments.files[0]).suffix.lower() != ".json"
    if studies and not study:
        raise InputError(f"{studies[0]} is a study; give it alone, or give result files with --annotations")
    other, what = (FOR_FILES, "result files") if study else (FOR_STUDIES, "a study")
    for option in other:
        if getattr(arguments, option) not in (None, False):
            raise InputError(f"--{option.replace('_', '-')} needs {what}; remove it")
    return study


def _run_study(arguments: argparse.Namespace, command: str) -> int:
    path, engine = Path(arguments.files[0]), arguments.engine or "local"
    if arguments.address is not None and engine != "ray":
        raise InputError("--address needs --engine ray; give both")
    refuse_missing(path)
    from anchorloc.compare.study_file import read_study  # --help does not wait for it

    study = read_study(path)
    import_torch()
    from anchorloc.compare.study import run_study

    return run_study(study, arguments.out or Path("runs") / f"compare-{path.stem}", engine, arguments.address, command)


def _compare_files(arguments: argparse.Namespace) -> int:
    """Print the verdicts on result files, write the report, and return 1 if --fail-if-worse applies."""
    if arguments.annotations is None:
        raise InputError("result files need --annotations PATH, the labels that they are scored on")
    if not arguments.annotations.is_dir():
        refuse_missing(arguments.annotations)
    if arguments.json not in (None, STDOUT):
        refuse_existing(arguments.json, "--json")
    with new_folder(arguments.out, "compare") as folder:
        from anchorloc.compare.result_files.file_comparison import (  # --help does not wait for these
            ComparisonOptions,
            compare_results,
        )
        from anchorloc.compare.result_files.named_files import name_files
        from anchorloc.compare.result_files.terminal import print_comparison
        from anchorloc.compare.result_files.writer import comparison_json, write_comparison

        options = ComparisonOptions(
            annotations=arguments.annotations,
            reference=arguments.reference,
            group_by=arguments.group_by,
            group_by_name=arguments.group_by_name,
            images=arguments.images,
            max_detections=arguments.max_detections or 100,
            score=arguments.score,
        )
        comparison = compare_results(name_files(arguments.files), options)
        page = write_comparison(folder, comparison)
    for warning in comparison.warnings:
        warn(warning)
    if arguments.json == STDOUT:
        sys.stdout.write((folder / "comparison.json").read_text(encoding="utf-8"))
    else:
        if arguments.json is not None:
            write_json(arguments.json, comparison_json(comparison))
        print_comparison(comparison)
        print(f"report: {printable(str(page))}")
    return 1 if arguments.fail_if_worse and any(pair.ap.decision == "worse" for pair in comparison.pairs) else 0


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = command_parser("compare", __doc__)
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="a study file (YAML) with settings, seeds and baseline; or result files, each as FILE or name=FILE",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder of the study; an existing study is resumed (default: runs/compare-STUDY). For result files: new "
        "folder for the report (default: runs/compare-DATE-TIME)",
    )
    study = parser.add_argument_group("studies")
    study.add_argument(
        "--engine",
        choices=["local", "ray"],
        help="train the runs one after another (local) or in parallel with Ray (default: local)",
    )
    study.add_argument(
        "--address",
        metavar="HOST:PORT",
        help="Ray cluster to use; all nodes must see the --out folder (default: this machine)",
    )
    files = parser.add_argument_group("result files")
    files.add_argument("--annotations", type=Path, metavar="PATH", help="labels with the ground truth, in any format")
    files.add_argument(
        "--reference", metavar="NAME", help="compare every other name with this one (default: all pairs)"
    )
    grouping = files.add_mutually_exclusive_group()
    grouping.add_argument(
        "--group-by",
        "--group",
        metavar="KEY",
        help="treat images as one unit, such as a video or a patient, if their entries have the same value of KEY",
    )
    grouping.add_argument(
        "--group-by-name",
        metavar="REGEX",
        help="treat images as one unit if the capture group of REGEX matches the same text of file_name",
    )
    files.add_argument("--images", type=Path, metavar="DIR", help="show images that differ most, from this folder")
    files.add_argument(
        "--json", type=Path, metavar="OUT", help="write the numbers to this file too; - is standard output"
    )
    files.add_argument(
        "--max-detections",
        type=positive_int,
        metavar="N",
        help="score at most N detections per class and image (default: 100)",
    )
    files.add_argument(
        "--score",
        type=positive_fraction,
        metavar="S",
        help="also compare F1 of the detections with a score of at least S",
    )
    files.add_argument("--fail-if-worse", action="store_true", help="exit with status 1 if a name is worse in AP")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(run_command(main))
