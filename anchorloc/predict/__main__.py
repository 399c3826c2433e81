"""Find objects in images with a trained model: pictures with boxes, COCO results and a table.

    python -m anchorloc.predict runs/NAME/best.pt photos/ more.jpg --out found
    python -m anchorloc.predict configs/NAME.yaml photos/ detector.weights=FILE
    python -m anchorloc.predict runs/NAME/best.pt aerial.tif --tile 640 --overlap 128 decode.max_detections=1000

Overrides change settings of the model: decode.score_threshold=0.3, decode.class_agnostic_nms=true (class-agnostic NMS),
decode.soft_nms_sigma=0.5 (soft-NMS). Boxes are in the pixels of the image as viewers show it, turned by its EXIF tag. An
image that cannot be read is told and left out; the exit status is 1 then.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from anchorloc.cli import run_command
from anchorloc.data import read_annotations
from anchorloc.errors import InputError
from anchorloc.text import counted, printable

if TYPE_CHECKING:
    from anchorloc.predict.folder import Summary

_SETTING = re.compile(r"[a-z_]+(\.[a-z_0-9]+)*=")


def main(argv: Sequence[str] | None = None) -> int:
    """Write the new folder; return 1 if an image could not be used, else 0."""
    arguments = _parser().parse_intermixed_args(argv)
    out = arguments.out or Path("runs") / f"predict-{datetime.now():%Y%m%d-%H%M%S}"
    if out.exists():
        raise InputError(f"{out} exists already; give another --out")
    inputs, overrides = _split(arguments.inputs)
    if not inputs:
        raise InputError("give image files or folders behind the checkpoint; see --help")

    from anchorloc.predict.folder import predict_folder  # torch takes seconds; the checks above do not need it
    from anchorloc.predict.image_input import find_images
    from anchorloc.predict.localizer import load
    from anchorloc.predict.tiles import Tiles

    if arguments.overlap is not None and arguments.tile is None:
        raise InputError("--overlap is that of tiles; give --tile PX too")
    tiles = None
    if arguments.tile is not None:
        tiles = Tiles(arguments.tile, arguments.tile // 5 if arguments.overlap is None else arguments.overlap)
    files = find_images(inputs)
    annotations = None if arguments.annotations is None else read_annotations(arguments.annotations)
    localizer = load(arguments.checkpoint, *overrides, tiles=tiles, batch_size=arguments.batch)
    summary = predict_folder(localizer, files, out, annotations, None if arguments.no_pictures else arguments.draw)
    _tell(summary, out)
    return 1 if summary.broken else 0


def _split(words: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Paths, and settings: key=value where there is no such file."""
    settings = [word for word in words if _SETTING.match(word) and not Path(word).exists()]
    return [Path(word) for word in words if word not in settings], settings


def _tell(summary: Summary, out: Path) -> None:
    if summary.full:
        print(
            f"note: {counted(summary.full, 'image has', 'images have')} as many detections as are kept, none of a low "
            f"score; raise decode.max_detections={summary.limit} if some are missing"
        )
    found = counted(summary.detections, "detection", "detections")
    print(f"{found} in {counted(summary.images, 'image', 'images')}: {printable(str(out))}")
    if summary.broken:
        print(f"{counted(summary.broken, 'image', 'images')} could not be used, as told above", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m anchorloc.predict",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoint", type=Path, help="best.pt or last.pt of a run, or a config with detector.weights")
    parser.add_argument("inputs", nargs="*", metavar="IMAGE|DIR|key=value", help="images, folders, settings to change")
    parser.add_argument("--out", type=Path, metavar="DIR", help="new folder (runs/predict-DATE-TIME)")
    parser.add_argument("--tile", type=int, metavar="PX", help="cut images into tiles of so many pixels a side")
    parser.add_argument("--overlap", type=int, metavar="PX", help="that tiles share at least (a fifth of a tile)")
    parser.add_argument("--batch", type=int, default=8, metavar="N", help="images or tiles at once (8)")
    parser.add_argument("--draw", type=float, default=0.3, metavar="SCORE", help="least score in the pictures (0.3)")
    parser.add_argument("--no-pictures", action="store_true", help="write no pictures")
    parser.add_argument("--annotations", type=Path, metavar="JSON", help="take image ids from it, by file name")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
