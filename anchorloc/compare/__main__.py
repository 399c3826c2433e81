"""Compare settings, result files of any tool, or checkpoints, and test which differences are significant.

    anchorloc compare STUDY.yaml                # train, or resume a study
    anchorloc compare STUDY.yaml data.root=DIR  # override a key in each
    anchorloc compare STUDY.yaml --engine ray   # several runs at a time
    anchorloc compare old.json new.json --annotations val.json
    anchorloc compare old=a.json new=b.json new=c.json --annotations val.json
    anchorloc compare runs/old runs/new         # on the val split of runs/new

A study trains each setting with several seeds. Result files are in COCO's result format; several files of one name are
its seeds. Each name is compared with every earlier one, or with --reference. Checkpoints are compared by the classes
that all of them know. docs/comparing.md and docs/studies.md explain them.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from anchorloc.cli import (
    add_allow_import,
    add_grouping,
    command_parser,
    positive_fraction,
    positive_int,
    run_command,
    split_words,
    warn,
)
from anchorloc.errors import InputError
from anchorloc.files import exists, new_folder, refuse_existing, refuse_missing, write_json
from anchorloc.startup import import_torch
from anchorloc.text import printable

if TYPE_CHECKING:
    from anchorloc.compare.result_files.file_comparison import ComparisonOptions, FileComparison
    from anchorloc.compare.result_files.named_files import NamedFiles
    from anchorloc.data import Split

STUDY, RESULTS, CHECKPOINTS = "a study", "result files", "checkpoints"
OPTIONS = {  # by what they apply to, without the options that always do
    STUDY: {"engine", "address", "allow_import"},
    RESULTS: {"annotations", "reference", "group_by", "group_by_name", "images", "json", "max_detections", "score"}
    | {"fail_if_worse"},
    CHECKPOINTS: {"split", "reference", "group_by_name", "json", "max_detections", "score", "fail_if_worse"}
    | {"allow_import"},
}
STDOUT = Path("-")


def main(argv: Sequence[str] | None = None) -> int:
    """Run `anchorloc compare` and return its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    arguments = parse(words)
    overrides = _take_overrides(arguments)
    kind = _kind(arguments)
    from anchorloc.config import imports_allowed, own_failures  # --help does not wait for these

    with imports_allowed(arguments.allow_import), own_failures():
        if kind == STUDY:
            return _run_study(arguments, overrides, shlex.join(["anchorloc", "compare", *words]))
        return _compare(arguments, kind)


def _take_overrides(arguments: argparse.Namespace) -> list[str]:
    """Return the words beside a study that override its settings, and leave the study in `arguments`.

    Raises:
        InputError: there is another file beside a study.
    """
    files, overrides = split_words(arguments.files)
    studies = list(filter(_is_study, files))
    if not studies:
        return []  # name=FILE is no override
    if len(files) > 1:
        raise InputError(
            f"{studies[0]} is a study; give no other file with it, or give result files with --annotations"
        )
    arguments.files = list(map(str, files))
    return overrides


def _is_study(path: Path) -> bool:
    return path.suffix.lower() in (".yaml", ".yml")


def _kind(arguments: argparse.Namespace) -> str:
    """Return what the words name, after a check that it is one thing and that the options apply to it.

    Raises:
        InputError: the words name several things, or an option does not apply.
    """
    files = [Path(word if exists(word) else word.partition("=")[2] or word) for word in arguments.files]
    for path in files:
        if not path.is_dir():
            refuse_missing(path)
    checkpoints = [path for path in files if path.is_dir() or path.suffix.lower() in (".pt", ".pth")]
    kind = CHECKPOINTS if checkpoints else RESULTS
    if len(files) == 1 and arguments.annotations is None and not checkpoints and files[0].suffix.lower() != ".json":
        kind = STUDY
    elif checkpoints and len(checkpoints) < len(files):
        raise InputError(
            f"{checkpoints[0]} is no result file; give result files only, or checkpoints and folders of runs only"
        )
    for option in sorted(set.union(*OPTIONS.values()) - OPTIONS[kind]):
        if getattr(arguments, option) not in (None, False):
            fits = " or ".join(one for one, known in OPTIONS.items() if option in known)
            raise InputError(f"--{option.replace('_', '-')} needs {fits}; remove it")
    return kind


def _run_study(arguments: argparse.Namespace, overrides: Sequence[str], command: str) -> int:
    path, engine = Path(arguments.files[0]), arguments.engine or "local"
    if arguments.address is not None and engine != "ray":
        raise InputError("--address needs --engine ray; give both")
    from anchorloc.compare.study_file import read_study  # --help does not wait for it

    study = read_study(path, overrides)
    import_torch()
    from anchorloc.compare.study import run_study

    return run_study(study, arguments.out or Path("runs") / f"compare-{path.stem}", engine, arguments.address, command)


def _compare(arguments: argparse.Namespace, kind: str) -> int:
    """Print the verdicts on result files or checkpoints, write the report, and return 1 if --fail-if-worse applies."""
    if kind == RESULTS:
        _check_files(arguments)
    if arguments.json not in (None, STDOUT):
        refuse_existing(arguments.json, "--json")
    from anchorloc.compare.result_files.named_files import name_files  # --help does not wait for these
    from anchorloc.compare.result_files.terminal import print_comparison
    from anchorloc.compare.result_files.writer import comparison_json, write_comparison

    words = arguments.files if kind == RESULTS else list(map(_checkpoint_word, arguments.files))
    named = name_files(words)
    with new_folder(arguments.out, "compare") as folder:
        compare = _compare_files if kind == RESULTS else _compare_checkpoints
        comparison = compare(named, arguments, folder)
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


def _check_files(arguments: argparse.Namespace) -> None:
    if arguments.annotations is None:
        raise InputError("result files need --annotations PATH, the labels that they are scored on")
    if not arguments.annotations.is_dir():
        refuse_missing(arguments.annotations)
    if arguments.images is not None and not arguments.images.is_dir():
        raise InputError(f"the image folder {arguments.images} does not exist; correct --images")


def _compare_files(named: NamedFiles, arguments: argparse.Namespace, folder: Path) -> FileComparison:
    from anchorloc.compare.result_files.file_comparison import compare_results
    from anchorloc.data import CocoSource, read_truth

    truth = read_truth(arguments.annotations)
    images = None if arguments.images is None else CocoSource(**vars(truth), folder=arguments.images)
    return compare_results(named, truth, _options(arguments, arguments.annotations), images)


def _compare_checkpoints(named: NamedFiles, arguments: argparse.Namespace, folder: Path) -> FileComparison:
    import_torch()
    from anchorloc.compare.checkpoints import detect_all
    from anchorloc.compare.result_files.file_comparison import compare_results

    split: Split = arguments.split or "val"
    found = detect_all(named, split, folder)
    comparison = compare_results(found.named, found.truth, _options(arguments, Path(split)), found.truth)
    # this command wrote the files: the signs of a wrong file of another tool do not apply
    return replace(comparison, warnings=[*found.warnings, *found.truth.warnings])


def _checkpoint_word(word: str) -> str:
    """Return name=FILE with the checkpoint in the folder of a run; a folder without a name is named by its path."""
    from anchorloc.engine.state.run_folder import find_checkpoint

    name, _, path = (word, "=", word) if exists(word) else word.partition("=")
    return f"{name}={find_checkpoint(Path(path))}" if Path(path).is_dir() else word


def _options(arguments: argparse.Namespace, annotations: Path) -> ComparisonOptions:
    from anchorloc.compare.result_files.file_comparison import ComparisonOptions

    return ComparisonOptions(
        annotations=annotations,
        reference=arguments.reference,
        group_by=arguments.group_by,
        group_by_name=arguments.group_by_name,
        max_detections=arguments.max_detections or 100,
        score=arguments.score,
    )


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = command_parser("compare", __doc__)
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="a study file (YAML) with settings, seeds and baseline, and key=value overrides, applied to every "
        "setting; or result files; or checkpoints and folders of runs. The last two may be given as name=FILE",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder of the study; an existing study is resumed (default: runs/compare-STUDY). Otherwise: new "
        "folder for the report (default: runs/compare-DATE-TIME)",
    )
    add_allow_import(parser)
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
    files = parser.add_argument_group("result files and checkpoints")
    files.add_argument("--annotations", type=Path, metavar="PATH", help="labels with the ground truth, in any format")
    files.add_argument(
        "--reference", metavar="NAME", help="compare every other name with this one (default: all pairs)"
    )
    files.add_argument(
        "--split",
        choices=("train", "val", "test"),
        help="split of the data of the last checkpoint to compare checkpoints on (default: val)",
    )
    add_grouping(files, "treat images as one unit, such as a video or a patient,", "--group")
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
