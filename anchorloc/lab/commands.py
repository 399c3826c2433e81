"""The commands of `anchorloc lab`: report, fit, compare and sheet."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anchorloc.cli import warn
from anchorloc.config import Config, config_from_plain, read_config
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
from anchorloc.lab.network_views import training_pictures
from anchorloc.lab.report import print_comparison, print_inspections, write_comparison, write_lab_report
from anchorloc.lab.report.anchor_fit import anchors_block, fit_json, fit_lines
from anchorloc.lab.report.sheet import draw_sheet
from anchorloc.lab.suggestions import build_error
from anchorloc.text import counted, printable


@dataclass(frozen=True)
class Invocation:
    """One call of a command: its existing files, its overrides, and what reports say about the call."""

    files: Sequence[Path]
    overrides: Sequence[str]
    command: str
    started: float  # time.perf_counter()

    @property
    def file(self) -> Path | None:
        return self.files[0] if self.files else None

    @property
    def facts(self) -> dict[str, object]:
        return {"command": self.command, "seconds": f"{time.perf_counter() - self.started:.1f}"}

    def config(self) -> Config:
        """Return the config of the first file, or the default config, with the overrides."""
        return load_config(self.file, self.overrides)


def report(call: Invocation, *, out: Path | None, passes: int) -> None:
    """Measure the anchors of a config, print the key figures, and write the report."""
    config = call.config()
    with new_folder(out, "lab") as folder:
        inspections = list(inspect_anchors(open_views(config, passes)))
        print_inspections(inspections)
        title = f"{call.file.name if call.file else 'built-in shapes'}: anchors"
        page = write_lab_report(folder, inspections, title, call.facts)
    print(f"report: {printable(str(page))}")


def fit(call: Invocation, *, out: Path | None, **options: Any) -> None:
    """Fit anchor shapes, print how they score, and write fit.json and anchors.yaml; `options` are FitSettings."""
    config, settings = call.config(), FitSettings(**options)
    refuse_localizer(config)
    with new_folder(out, "fit") as folder:
        split = split_for_fit(config, settings.seed)
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


def compare(call: Invocation, *, out: Path | None, passes: int) -> None:
    """Measure the anchors of several configs, and print and write the figures side by side."""
    configs = [load_config(path, call.overrides) for path in call.files]
    if len({(config.data, config.transform.resize) for config in configs}) > 1:
        warn("the configs differ in data or image size, so the figures do not compare anchors alone")
    with new_folder(out, "compare") as folder:
        inspections = [list(inspect_anchors(open_views(config, passes), findings=False)) for config in configs]
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
    config = call.config()
    source = config.data.open("train")
    refuse_other_counts(config.task == "localization", source, "train")
    pictures = list(training_pictures(config, source, images, epoch))
    make_folder(path.parent)
    write_bytes(path, draw_sheet(pictures, source.categories))
    boxes = sum(len(one.sample.target) for one in pictures)
    without = sum(len(one.assignment.unassigned) for one in pictures)
    contents = f"{counted(len(pictures), 'picture')}, {counted(boxes, 'box')}, {without:,} without a positive anchor"
    print(f"sheet: {printable(str(path))} ({contents})")


def load_config(path: Path | None, overrides: Sequence[str]) -> Config:
    """Return the config at `path`, or the default config on an annotation file (.json), with overrides.

    Warns if no detector can be built for the anchors.
    """
    if path is None or path.suffix.lower() != ".json":
        config = read_config(path, overrides)
    else:
        in_annotations = path.parent.name == "annotations"  # COCO's layout: the images are beside that folder
        root = path.parent.parent if in_annotations else path.parent
        name = str(path.relative_to(root))
        data = {"kind": "CocoData", "root": str(root), "train": name, "val": name}
        config = config_from_plain({"data": data}, "the command line", overrides)
        if not any(word.startswith("detector") for word in overrides):
            return config  # nobody chose the default detector, so it need not fit the anchors
    if error := build_error(config):
        warn(f"training would refuse {path or 'these settings'}: {error}")
    return config


def _short_names(files: Sequence[Path]) -> list[str]:
    """Return the stems of the files if they differ, else the whole paths."""
    stems = [path.stem for path in files]
    return stems if len(set(stems)) == len(stems) else [str(path) for path in files]
