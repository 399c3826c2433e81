"""The commands of `anchorloc lab`: report, fit, compare and sheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anchorloc.cli import warn
from anchorloc.config import Config
from anchorloc.data import refuse_other_counts
from anchorloc.errors import InputError
from anchorloc.files import (
    default_output,
    make_folder,
    new_folder,
    refuse_existing,
    write_bytes,
    write_json,
    write_text,
)
from anchorloc.lab.fit import FitSettings, fit_anchors
from anchorloc.lab.fit.fit_split import split_for_fit
from anchorloc.lab.inspection import inspect_anchors, open_views, refuse_localizer
from anchorloc.lab.invocation import Invocation
from anchorloc.lab.network_views import training_pictures
from anchorloc.lab.part_checks import check_parts
from anchorloc.lab.report import print_comparison, print_inspections, write_comparison, write_lab_report
from anchorloc.lab.report.anchor_fit import anchors_block, fit_json, fit_lines
from anchorloc.lab.report.sheet import draw_sheet
from anchorloc.lab.suggestions import build_error
from anchorloc.text import counted, printable


def report(call: Invocation, *, out: Path | None, passes: int, max_images: int) -> None:
    """Measure the anchors of a config, print the key figures, and write the report."""
    (config,) = _checked(call)
    with new_folder(out, "lab") as folder:
        inspections = list(inspect_anchors(open_views(config, passes, max_images)))
        print_inspections(inspections)
        title = f"{call.file.name if call.file else 'built-in shapes'}: anchors"
        page = write_lab_report(folder, inspections, title, call.facts)
    print(f"report: {printable(str(page))}")


def fit(call: Invocation, *, out: Path | None, max_images: int, **options: Any) -> None:
    """Fit anchor shapes, print how they score, and write fit.json and anchors.yaml; `options` are FitSettings."""
    (config,), settings = _checked(call), FitSettings(**options)
    refuse_localizer(config)
    with new_folder(out, "fit") as folder:
        split = split_for_fit(config, settings.seed).sample(max_images)
        found = fit_anchors(config, split, settings)
        for warning in dict.fromkeys((*split.train.warnings, *split.held_out.warnings)):
            warn(warning)
        for line in fit_lines(found):
            print(printable(line))
        block = anchors_block(found.anchors)
        print(f"\n{block}")
        write_text(folder / "anchors.yaml", f"# {printable(call.command)}\n{block}")
        write_json(folder / "fit.json", fit_json(found, {"command": call.command, "seed": settings.seed}))
    print(f"to paste into a config: {printable(str(folder / 'anchors.yaml'))}")


def compare(call: Invocation, *, out: Path | None, passes: int, max_images: int) -> None:
    """Measure the anchors of several configs, and print and write the figures side by side."""
    configs = _checked(call)
    if len({(config.data, config.transform.resize) for config in configs}) > 1:
        warn("the configs differ in data or image size, so the figures do not compare anchors alone")
    with new_folder(out, "compare") as folder:
        views = (open_views(config, passes, max_images) for config in configs)
        inspections = [list(inspect_anchors(of_config, findings=False)) for of_config in views]
        named = dict(zip(_short_names(call.files), inspections, strict=True))
        print_comparison(named)
        page = write_comparison(folder, named, call.facts)
    print(f"report: {printable(str(page))}")


def sheet(call: Invocation, *, out: Path | None, images: int, epoch: int) -> None:
    """Draw pictures of one training epoch on one PNG, with their boxes and the positive anchors of each box."""
    path = out or default_output("sheet", ".png")
    if path.suffix.lower() != ".png":
        raise InputError(f"the sheet is a PNG, so --out must end in .png, got {path}")
    refuse_existing(path)
    (config,) = _checked(call)
    source = config.data.open("train")
    check_parts(config, source)
    refuse_other_counts(config.task == "localization", source, "train")
    pictures = list(training_pictures(config, source, images, epoch))
    make_folder(path.parent)
    write_bytes(path, draw_sheet(pictures, source.categories))
    boxes = sum(len(one.sample.target) for one in pictures)
    without = sum(len(one.assignment.unassigned) for one in pictures)
    contents = f"{counted(len(pictures), 'picture')}, {counted(boxes, 'box')}, {without:,} without a positive anchor"
    print(f"sheet: {printable(str(path))} ({contents})")


def _checked(call: Invocation) -> tuple[Config, ...]:
    """Return the configs of a call; warn of those whose anchors fit no detector."""
    for path, config in zip(call.paths, call.configs, strict=True):
        if call.chose_network(path) and (error := build_error(config)):
            warn(f"training would refuse {path or 'these settings'}: {error}")
    return call.configs


def _short_names(files: Sequence[Path]) -> list[str]:
    """Return the stems of the files if they differ, else the whole paths."""
    stems = [path.stem for path in files]
    return stems if len(set(stems)) == len(stems) else [str(path) for path in files]
