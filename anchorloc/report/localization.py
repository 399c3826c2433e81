"""The scores of single-object localization, for every form of report."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table

from anchorloc.files import write_json
from anchorloc.metrics import LOCALIZATION_IOUS, Localization
from anchorloc.text import three_decimals

NAME = "localization.json"
LOCALIZATION_NUMBERS: Final = {  # key: (name, meaning)
    "top1_loc_error": ("top-1 LOC error", "share of images with a wrong class or IoU < 0.5"),
    "top1_class_error": ("top-1 class error", "share of images with a wrong class"),
    "corloc": ("CorLoc", "share of images with IoU ≥ 0.5, whatever the class"),
    "mean_iou": ("mean IoU", "mean IoU of the top box with the object"),
    **{
        f"max_box_acc_{threshold}": (f"MaxBoxAcc {threshold}", f"share of images with IoU ≥ {threshold}")
        for threshold in LOCALIZATION_IOUS
    },
    "constant_iou": ("constant box", "mean IoU of always predicting the mean box"),
    "spread_ratio": ("spread", "standard deviation of the boxes, predicted / true"),
}
LOCALIZATION_MEANINGS: Final = {  # by the keys of localization.json
    **{key: meaning for key, (_, meaning) in LOCALIZATION_NUMBERS.items() if not key.startswith("max_box_acc")},
    "max_box_acc": "share of images with IoU ≥ each threshold, whatever the class",
    "spread": "root of the summed variances of center, width and height of the predicted boxes, in image sides",
    "true_spread": "the same of the ground truth",
    "spread_ratio": "spread / true_spread",
    "collapsed": "the boxes hardly follow their objects, and are hardly better than one constant box",
}


def localization_numbers(found: Localization) -> dict[str, float]:
    """Return the value of each of LOCALIZATION_NUMBERS, by key."""
    values = (
        *(found.top1_loc_error, found.top1_class_error, found.corloc, found.mean_iou),
        *found.max_box_acc,
        *(found.constant_iou, found.box_std_ratio),
    )
    return dict(zip(LOCALIZATION_NUMBERS, values, strict=True))


def localization_rows(found: Localization) -> list[tuple[str, float, str]]:
    """Return (name, value, meaning) of every number."""
    numbers = localization_numbers(found)
    return [(name, numbers[key], meaning) for key, (name, meaning) in LOCALIZATION_NUMBERS.items()]


def localization_warning(found: Localization, model: str) -> str | None:
    """Return a warning if the boxes of `model` have collapsed, or are no better than one constant box; else None."""
    mean, constant = round(found.mean_iou, 3), round(found.constant_iou, 3)
    if not found.collapsed and mean > constant:
        return None
    relation = f"only {mean - constant:.3f} above" if mean > constant else "below" if mean < constant else "equal to"
    beside = f"their mean IoU of {mean:.3f} is {relation} the {constant:.3f} of one constant box"
    if not found.collapsed:
        return f"the boxes of {model} are no better than the same box in every image: {beside}"
    spread = f"their standard deviation is {found.box_std_ratio:.0%} of the ground truth's"
    return f"the boxes of {model} have collapsed: {spread}, and {beside}"


def print_localization(found: Localization, console: Console | None = None) -> None:
    """Print a table that fits 80 columns."""
    console = console or Console()
    table = Table(title=f"localization, {found.images:,} images", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("")
    table.add_column("value", justify="right")
    table.add_column("meaning", style="dim")
    for name, value, meaning in localization_rows(found):
        table.add_row(name, three_decimals(value), meaning)
    console.print(table)


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
