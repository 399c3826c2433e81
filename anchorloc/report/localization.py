"""The scores of single-object localization: terminal and localization.json."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from anchorloc.files import write_json
from anchorloc.metrics import LOCALIZATION_IOUS, Localization

NAME = "localization.json"


def localization_lines(found: Localization) -> Iterator[tuple[str, float, str]]:
    """Yield (name, value, meaning) of every score."""
    yield "top-1 LOC error", found.top1_loc_error, "share of images with a wrong class or IoU < 0.5"
    yield "top-1 class error", found.top1_class_error, "share of images with a wrong class"
    yield "CorLoc", found.corloc, "share of images with IoU ≥ 0.5, whatever the class"
    yield "mean IoU", found.mean_iou, "mean IoU of the top box with the object"
    for threshold, share in zip(LOCALIZATION_IOUS, found.max_box_acc, strict=True):
        yield f"MaxBoxAcc {threshold}", share, f"share of images with IoU ≥ {threshold}, whatever the class"
    yield "constant box", found.constant_iou, "mean IoU of always predicting the mean box"
    yield "spread", found.box_std_ratio, "standard deviation of the boxes, predicted / true"


def print_localization(found: Localization, console: Console | None = None) -> None:
    """Print a table that fits 80 columns, and a warning if the boxes have collapsed."""
    console = console or Console()
    table = Table(title=f"localization, {found.images:,} images", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("")
    table.add_column("value", justify="right")
    table.add_column("meaning", style="dim")
    for name, value, meaning in localization_lines(found):
        table.add_row(name, f"{value:.3f}", meaning)
    console.print(table)
    if found.collapsed:
        console.print(f"warning: {collapse_sentence(found)}", highlight=False, markup=False)


def collapse_sentence(found: Localization) -> str:
    """Say that the predicted boxes have collapsed, and what shows it."""
    return (
        f"the predicted boxes have collapsed: their standard deviation is {found.box_std_ratio:.0%} of the "
        f"ground truth's, and their mean IoU {found.mean_iou:.3f} barely "
        f"exceeds the {found.constant_iou:.3f} of one constant box"
    )


def write_localization(folder: Path, found: Localization) -> Path:
    """Write localization.json into a report's folder."""
    path = folder / NAME
    write_json(path, localization_json(found))
    return path


def localization_json(found: Localization) -> dict[str, Any]:
    """Return the content of localization.json."""
    accuracy = {str(iou): share for iou, share in zip(LOCALIZATION_IOUS, found.max_box_acc, strict=True)}
    return {
        "images": found.images,
        "top1_loc_error": found.top1_loc_error,
        "top1_class_error": found.top1_class_error,
        "corloc": found.corloc,
        "mean_iou": found.mean_iou,
        "max_box_acc": accuracy,
        "constant_iou": found.constant_iou,
        "spread": found.box_std,
        "true_spread": found.true_box_std,
        "spread_ratio": found.box_std_ratio,
        "collapsed": found.collapsed,
    }
