"""Find objects in images with a trained model; write pictures with boxes, COCO results and a CSV table.

    anchorloc predict runs/NAME/best.pt photos/ more.jpg --out found
    anchorloc predict model.onnx photos/
    anchorloc predict configs/NAME.yaml photos/ detector.weights=FILE
    anchorloc predict runs/NAME/best.pt aerial.tif --tile 640 --overlap 128

Pictures, table and counts show the objects of at least the score threshold that the run found on its val split;
results.json has all detections, for scoring. --score and --all change what is shown.

Overrides (key=value) change settings of the model, for example decode.nms_iou=0.5, decode.class_agnostic_nms=true, or
decode.soft_nms_sigma=0.5 for soft-NMS. Images are read as in training: data.max_pixels, data.window, data.bands and
data.orientation change that. Boxes are in pixels of the image as viewers show it, rotated by its EXIF orientation. An
image that cannot be read is reported and skipped; the exit status is then 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from anchorloc.cli import add_allow_import, command_parser, fraction, positive_int, run_command, split_words, warn
from anchorloc.errors import InputError
from anchorloc.files import new_folder
from anchorloc.structures import Category
from anchorloc.text import counted, printable

if TYPE_CHECKING:
    from anchorloc.predict.folder import PredictionSummary
    from anchorloc.predict.localizer import Localizer

DEFAULT_SCORE = 0.3  # to show, for models that store no threshold


def main(argv: Sequence[str] | None = None) -> int:
    """Write the new folder; return 1 if an image could not be read, else 0."""
    arguments = _parser().parse_intermixed_args(argv)
    inputs, overrides = split_words(arguments.inputs)
    if not inputs:
        raise InputError("give image files or folders after the checkpoint; see --help")
    if arguments.overlap is not None and arguments.tile is None:
        raise InputError("--overlap needs --tile")
    from anchorloc.config import own_failures  # --help does not wait for it

    with own_failures(), new_folder(arguments.out, "predict") as out:
        summary, threshold = _predict(arguments, inputs, overrides, out)
    _print_summary(summary, threshold, out)
    return 1 if summary.unreadable else 0


def _predict(
    arguments: argparse.Namespace, inputs: Sequence[Path], overrides: Sequence[str], out: Path
) -> tuple[PredictionSummary, str]:
    """Return what was found, and the score threshold in words."""
    from anchorloc.data.label_data import read_image_list  # --help does not wait for these
    from anchorloc.engine.state.run_folder import find_checkpoint
    from anchorloc.predict.image_ids import class_ids, numbered, pick_listed
    from anchorloc.predict.image_input import find_images
    from anchorloc.predict.square_tiles import SquareTiles

    checkpoint, tiles = find_checkpoint(arguments.checkpoint, print), None
    if arguments.tile is not None:
        tiles = SquareTiles(arguments.tile, arguments.tile // 5 if arguments.overlap is None else arguments.overlap)
    files = find_images(inputs)
    images, categories, notes = numbered(files), tuple[Category, ...](), list[str]()
    if arguments.annotations is not None:
        listed = read_image_list(arguments.annotations)
        images, notes = pick_listed(files, {path for path in inputs if not path.is_dir()}, listed)
        categories, notes = listed.categories, [*listed.notes, *notes]
    from anchorloc.engine.state.saved_settings import INFERENCE, refuse_overrides

    refuse_overrides(checkpoint, overrides, INFERENCE)
    from anchorloc.predict.folder import predict_folder
    from anchorloc.predict.localizer import load

    allowed = arguments.allow_import
    localizer = load(checkpoint, *overrides, tiles=tiles, batch_size=arguments.batch, allow_import=allowed)
    categories, changed = class_ids(localizer.model.categories, categories)
    for note in (*notes, *changed):
        print(f"note: {printable(note)}")
    lowest, threshold = _lowest_score(arguments, overrides, localizer)
    return predict_folder(localizer, images, out, categories, lowest, not arguments.no_pictures), threshold


def _lowest_score(arguments: argparse.Namespace, overrides: Sequence[str], localizer: Localizer) -> tuple[float, str]:
    """Return the lowest score to show, and what the summary calls it."""
    from anchorloc.predict.localizer import sets_threshold

    if arguments.score is not None:
        return arguments.score, f"at the threshold {arguments.score:.2f}"
    if localizer.model.config.task == "localization":
        return 0.0, "as the top box of each"
    if arguments.all or sets_threshold(overrides):
        return 0.0, "at any score that decode.score_threshold lets through"
    stored = localizer.threshold
    if stored is None:
        return DEFAULT_SCORE, f"at the threshold {DEFAULT_SCORE:.2f}, as the model stores none"
    return stored.score, f"at the stored threshold {stored.score:.2f}"


def _print_summary(summary: PredictionSummary, threshold: str, out: Path) -> None:
    if summary.images_at_limit:
        images = counted(summary.images_at_limit, "image has", "images have")
        print(
            f"note: {images} the maximum number of detections, none of a "
            f"low score; raise decode.max_detections={summary.max_detections} if objects are missing"
        )
    found = counted(summary.objects, "object")
    print(f"{found} in {counted(summary.images, 'image')} {threshold}: {printable(str(out))}")
    if summary.unreadable:
        warn(f"{counted(summary.unreadable, 'image')} could not be read; see the errors above")


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("predict", __doc__)
    parser.add_argument(
        "checkpoint", type=Path, help="a run's folder or checkpoint, an .onnx file, or a config with detector.weights"
    )
    parser.add_argument(
        "inputs", nargs="*", metavar="IMAGE|DIR|key=value", help="image files, folders of images, and overrides"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="new output folder (default: runs/predict-DATE-TIME)")
    parser.add_argument(
        "--tile",
        type=positive_int,
        metavar="PX",
        help="cut images into square tiles of this side (default: the tiles of the training, if it had any)",
    )
    parser.add_argument(
        "--overlap",
        type=int,
        metavar="PX",
        help="minimum overlap of neighboring tiles in pixels (default: a fifth of the tile)",
    )
    parser.add_argument(
        "--batch", type=positive_int, default=8, metavar="N", help="images or tiles per forward pass (default: 8)"
    )
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument(
        "--score",
        type=fraction,
        metavar="S",
        help="minimum score in pictures, table and counts (default: the threshold that the model stores, or "
        f"{DEFAULT_SCORE})",
    )
    shown.add_argument("--all", action="store_true", help="show and count all detections, whatever their score")
    parser.add_argument("--no-pictures", action="store_true", help="write no pictures")
    parser.add_argument(
        "--annotations",
        type=Path,
        metavar="PATH",
        help="labels in any format to take the ids of images (by file name) and classes (by name) from",
    )
    add_allow_import(parser)
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
