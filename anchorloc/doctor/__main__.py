"""Check labels for mistakes that break or distort training or scoring; fix or split them.

    anchorloc doctor train.json
    anchorloc doctor train.json --images images --val val.json --decode
    anchorloc doctor train.json --json findings.json
    anchorloc doctor train.json --fix clean.json
    anchorloc doctor all.json --split data --group-by patient
    anchorloc doctor labels --convert yolo out
    anchorloc doctor train.json --images images --detections out_of_fold.json
    anchorloc doctor a.json --detections r.json --score 0.4 --convert cvat out

Exit status: 0 if there are no errors and no warnings, 1 if there are, 2 if the file or the command cannot be used.
With --fix, the findings describe the input, and the status the fixed copy. Existing files are never overwritten.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console

from anchorloc.cli import add_grouping, command_parser, fraction, positive_float, run_command
from anchorloc.config import read_image_settings
from anchorloc.data import LabeledData, read, write
from anchorloc.data.class_names import drop_root
from anchorloc.data.formats import READERS, WRITERS
from anchorloc.data.formats.writing import COCO_FILES, WITH_SCORES
from anchorloc.data.image_settings import KEYS
from anchorloc.data.label_data import read_detections
from anchorloc.doctor import (
    CocoDocument,
    diagnose,
    findings_csv,
    findings_json,
    json_rows,
    print_diagnosis,
    print_fixes,
    print_left,
    print_splits,
    read_document,
    read_documents,
    repair,
    split_document,
    write_json_rows,
    write_splits,
)
from anchorloc.doctor.conversions import chosen_conversion
from anchorloc.doctor.options import STDOUT, PrintRules, check_options, fold_count, rule_keys
from anchorloc.doctor.suspects.reviewed_labels import with_reviewed
from anchorloc.doctor.suspects.suspect_command import rank_suspects
from anchorloc.errors import InputError
from anchorloc.files import write_text
from anchorloc.text import counted, printable


def main(argv: Sequence[str] | None = None) -> int:
    """Print the findings, write the requested files, and return the exit status."""
    arguments = _parser().parse_intermixed_args(argv)
    check_options(arguments)
    reading = read_image_settings(arguments.overrides)
    if arguments.detections is not None and arguments.convert is None:
        return rank_suspects(
            arguments.annotations, arguments.detections, arguments.format, arguments.images, reading, arguments.out
        )
    if arguments.detections is not None:
        return _convert_detections(arguments)
    console = Console(highlight=False)
    writes = arguments.fix is not None or arguments.split is not None
    documents, data, sentences = read_documents(arguments.annotations, arguments.images, writes, arguments.format)
    for sentence in sentences if arguments.json != STDOUT else ():
        print(printable(sentence))
    one_file = _one_file(arguments.annotations, documents, data)
    if arguments.val is not None:
        _refuse_several(documents, "--val", one_file)
        val = read_document(arguments.val, arguments.val_images or arguments.images)
        documents = [replace(documents[0], split="train"), replace(val, split="val")]
    elif writes:
        _refuse_several(documents, "--fix and --split", one_file)
    if arguments.reviewed is not None:
        documents[0], reviewed = with_reviewed(documents[0], arguments.reviewed)
        print(
            printable(f"took over {counted(reviewed, 'reviewed image', 'reviewed images')} from {arguments.reviewed}")
        )
    documents = [replace(document, reading=reading) for document in documents]
    if arguments.decode and all(document.folder is None for document in documents):
        raise InputError("--decode needs --images DIR")
    diagnosis = diagnose(documents, arguments.stride, arguments.decode)
    diagnosis.findings.keep(arguments.only, arguments.skip)
    status = 0 if diagnosis.findings.clean else 1
    if arguments.json == STDOUT:
        sys.stdout.write(json_rows(findings_json(diagnosis)))
    else:
        print_diagnosis(diagnosis, console)
        if len(documents) > 1 and any("--fix" in rule.advice for rule in diagnosis.findings.cases):
            advice = one_file if arguments.val is None else f"for val: `anchorloc doctor {arguments.val} --fix OUT`"
            print(printable(f"--fix takes one file; {advice}"))
    if arguments.json not in (None, STDOUT):
        write_json_rows(arguments.json, findings_json(diagnosis))
    if arguments.csv is not None:
        write_text(arguments.csv, findings_csv(diagnosis))
    if arguments.fix is not None:
        diagnosis, counts = repair(
            diagnosis,
            arguments.stride,
            arguments.decode,
            partial(chosen_conversion, arguments),
            drop_missing=arguments.drop_missing,
            drop_root=arguments.drop_root,
            drop_boxes=arguments.drop_boxes,
        )
        write_json_rows(arguments.fix, diagnosis.documents[0].content)
        print(f"\nwrote {printable(str(arguments.fix))}:")
        print_fixes(counts, console)
        print_left(diagnosis, counts, console)
        status = 0 if diagnosis.findings.clean else 1
    if arguments.convert is not None:
        kind, out = arguments.convert
        data = data or read(arguments.annotations, arguments.format, arguments.images)
        for labels in data.splits.values() if arguments.drop_root else ():
            drop_root(labels.document)
        write(data, kind, Path(out))
        print(f"\nwrote the labels as {kind}: {printable(out)}")
    if arguments.split is not None:
        files = split_document(
            diagnosis, arguments.fractions, arguments.folds, arguments.group_by, arguments.group_by_name, arguments.seed
        )
        write_splits(files, arguments.split)
        print(f"\nwrote {printable(str(arguments.split))}:")
        print_splits(files, console)
    return status


def _convert_detections(arguments: argparse.Namespace) -> int:
    """Write detections as labels to correct; return the exit status."""
    kind, out = arguments.convert
    given = arguments.annotations, arguments.detections, arguments.format, arguments.images
    data = read_detections(*given, arguments.score)
    write(data, kind, Path(out))
    number = sum(len(labels.document["annotations"]) for labels in data.splits.values())
    scores = "with their scores" if kind in WITH_SCORES else "without scores, for which the format has no place"
    print(f"wrote {counted(number, 'detection')} as {kind}, {scores}: {printable(out)}")
    return 0


def _one_file(source: Path, documents: Sequence[CocoDocument], data: LabeledData | None) -> str:
    """Return the command that checks the first split of labels alone."""
    first = documents[0]
    images = "" if first.folder is None else f" --images {first.folder}"
    if data is None or data.format == "COCO":
        return f"give it: `anchorloc doctor {first.path}{images}`"
    path = Path("DIR", COCO_FILES.format(first.split))
    return f"make one for each split: `anchorloc doctor {source} --convert coco DIR`, then give {path}{images}"


def _refuse_several(documents: Sequence[CocoDocument], options: str, advice: str) -> None:
    """Raise InputError if the labels have splits already."""
    if len(documents) > 1:
        splits = ", ".join(document.split for document in documents)
        raise InputError(f"{options} take one file, but the labels have {splits}; {advice}")


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("doctor", __doc__)
    parser.add_argument(
        "annotations",
        type=Path,
        metavar="LABELS",
        help="file or folder of labels in COCO, YOLO, VOC or another format of --format; with --val, the train file",
    )
    parser.add_argument("overrides", nargs="*", metavar="key=value", help=f"how images are read: {', '.join(KEYS)}")
    parser.add_argument(
        "--format",
        choices=("auto", *READERS),
        default="auto",
        metavar="FORMAT",
        help=f"format of the labels: {', '.join(READERS)} (default: auto, which looks into them)",
    )
    checks = parser.add_argument_group("checks")
    checks.add_argument("--images", type=Path, metavar="DIR", help="images folder; check the image files too")
    checks.add_argument("--val", type=Path, metavar="JSON", help="val file to check and to compare with train")
    checks.add_argument(
        "--val-images", type=Path, metavar="DIR", help="images folder of the val file (default: the --images folder)"
    )
    checks.add_argument(
        "--decode", action="store_true", help="decode all pixels, not only headers; finds damaged files"
    )
    checks.add_argument(
        "--only", type=rule_keys, default=(), metavar="RULES", help="report only these rules, separated by commas"
    )
    checks.add_argument(
        "--skip", type=rule_keys, default=(), metavar="RULES", help="report all but these rules, separated by commas"
    )
    checks.add_argument("--rules", action=PrintRules, help="print every rule and exit")
    checks.add_argument(
        "--stride",
        type=positive_float,
        default=8.0,
        metavar="PX",
        help="report boxes smaller than PX pixels, the finest stride in original pixels (default: 8)",
    )
    outputs = parser.add_argument_group("outputs")
    outputs.add_argument(
        "--json", type=Path, metavar="OUT", help="write every finding to this JSON file; - is standard output"
    )
    outputs.add_argument("--csv", type=Path, metavar="OUT", help="write every finding to this CSV file")
    outputs.add_argument("--fix", type=Path, metavar="OUT", help="write a fixed copy of the annotations to this file")
    outputs.add_argument(
        "--convert",
        nargs=2,
        metavar=("FORMAT", "DIR"),
        help=f"write the labels into this folder as {', '.join(WRITERS)}; yolo, voc and labelme get the images too",
    )
    outputs.add_argument(
        "--detections",
        type=Path,
        metavar="JSON",
        help="rank suspected label errors by these COCO results of any model that was not trained on the images; with "
        "--convert, write the results in place of the boxes, as labels to correct",
    )
    outputs.add_argument(
        "--score",
        type=fraction,
        metavar="S",
        help="with --detections and --convert, leave out detections of a lower score (default: none)",
    )
    outputs.add_argument(
        "--out", type=Path, metavar="DIR", help="folder for suspects (default: runs/suspects-DATE-TIME)"
    )
    outputs.add_argument(
        "--reviewed",
        type=Path,
        metavar="DIR",
        help="with --fix, take over the boxes that were corrected in the folder review of --detections",
    )
    outputs.add_argument(
        "--drop-missing",
        action="store_true",
        help="with --fix, remove images whose files are missing or not read, and their boxes",
    )
    outputs.add_argument(
        "--drop-boxes", action="store_true", help="with --fix, remove boxes of other numbers than x, y, width, height"
    )
    outputs.add_argument(
        "--drop-root", action="store_true", help="with --fix or --convert, remove the root category of Roboflow"
    )
    outputs.add_argument(
        "--fix-xyxy", action="store_true", help="read boxes as x1, y1, x2, y2 and convert them; needs --fix"
    )
    outputs.add_argument(
        "--fix-centers", action="store_true", help="read x and y of boxes as their center; needs --fix"
    )
    outputs.add_argument("--fix-swapped", action="store_true", help="exchange width and height of images; needs --fix")
    outputs.add_argument("--fix-shares", action="store_true", help="multiply boxes by their image's size; needs --fix")
    outputs.add_argument(
        "--fix-scale", type=positive_float, metavar="FACTOR", help="divide boxes by this factor; needs --fix"
    )
    outputs.add_argument(
        "--fix-resized",
        action="store_true",
        help="scale boxes of images whose files have another size than declared; needs --fix and --images",
    )
    split = parser.add_argument_group("splitting")
    split.add_argument("--split", type=Path, metavar="DIR", help="split the file into train.json and val.json in DIR")
    how = split.add_mutually_exclusive_group()
    how.add_argument(
        "--fractions",
        type=positive_float,
        nargs="+",
        default=[0.8, 0.2],
        metavar="F",
        help="fractions of train, val and optionally test (default: 0.8 0.2)",
    )
    how.add_argument(
        "--folds", type=fold_count, metavar="K", help="split into K folds: fold_0_train.json, fold_0_val.json, ..."
    )
    add_grouping(split, "put images in one split")
    split.add_argument("--seed", type=int, default=0, metavar="N", help="random seed of the split (default: 0)")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
