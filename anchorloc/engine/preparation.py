"""Before a run: its data, its plan, and whether it can learn anything."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from anchorloc.config import Config
from anchorloc.data import LabelSource, Source
from anchorloc.detector import ResidualBackbone
from anchorloc.engine.build import open_all_splits
from anchorloc.engine.planning import plan_run
from anchorloc.engine.state.run_folder import CONFIG, write_config
from anchorloc.engine.system.display import waiting
from anchorloc.errors import InputError
from anchorloc.files import new_folder, write_json
from anchorloc.lab.anchor_coverage import measure_coverage
from anchorloc.lab.findings import coverage_sentence
from anchorloc.lab.network_views import NetworkViews
from anchorloc.plan import Plan, PlanRequest, plan_rows, plan_table
from anchorloc.structures import Category
from anchorloc.text import about, printable

PLAN = "plan.json"  # the choices of a plan, with their reasons
MATCHED = 1000  # images whose boxes are matched with anchors before a run
FEW_MATCHED = 0.5  # fraction of the boxes
FEW_IMAGES = 2000  # too few to learn from random weights


def open_data(config: Config, console: Console, known: Sequence[Category] = ()) -> tuple[Source, Source, Source | None]:
    """Open train, val and test, check every image file, and print counts and warnings.

    Args:
        known: as for `open_all_splits`.
    """
    with waiting(console, "reading the data"):
        sources = open_all_splits(config, known)
    if isinstance(sources[1], LabelSource):
        console.print(printable(sources[1].description), markup=False, highlight=False)
    for split, source in zip(("train", "val", "test"), sources, strict=True):
        if source is None:
            continue
        boxes = sum(len(source.target(index)) for index in range(len(source)))
        console.print(f"{split}: {len(source):,} images, {boxes:,} boxes, {len(source.categories)} classes")
        for warning in (*source.warnings, *source.check_images()):
            warn(console, warning)
    return sources


def show_plan(request: PlanRequest, sources: tuple[Source, Source], console: Console) -> Plan:
    """Return the plan of a run, and print it in a table."""
    with waiting(console, "choosing the settings"):
        plan = plan_run(request, *sources, partial(warn, console))
    console.print(plan_table(plan))
    if plan.steps is not None:
        epochs = (plan.images_seen or 0.0) / len(sources[0])
        console.print(
            f"about {about(plan.steps)} steps, {epochs:.1f} epochs, in {plan.config.train.length}", highlight=False
        )
    return plan


def write_plan(out: Path | None, config: Config, command: str, request: PlanRequest) -> int:
    """Print the plan of a run, write it and its config into a new folder, and return the exit status.

    Raises:
        InputError: settings, data or the file system do not allow it.
    """
    console = Console()
    with new_folder(out, "plan") as folder:
        train, val, _ = open_data(config, console)
        plan = show_plan(request, (train, val), console)
        write_config(folder, plan.config, command)
        write_json(folder / PLAN, plan_rows(plan.choices))
    console.print("train with it:", highlight=False)
    print_command(console, shlex.join(["anchorloc", "train", str(folder / CONFIG)]))
    return 0


def check_prospects(config: Config, train: Source, console: Console, force: bool = False) -> tuple[str, ...]:
    """Print how many boxes have an anchor, and return warnings of what makes a good result unlikely.

    Raises:
        InputError: no box has an anchor, and it is not to `force`.
    """
    warnings = list(_start_warnings(config, len(train)))
    if config.method.has_anchors:
        with waiting(console, "matching anchors and boxes (the first run on a machine compiles kernels)"):
            views = NetworkViews(config, train).subset(MATCHED)
            coverage = measure_coverage(views, rescue_curve=False)
        sentence = coverage_sentence(coverage, len(train))
        console.print(f"anchors: {sentence}", highlight=False)
        advice = "see which with `anchorloc lab report`, and fit the anchors or change the size of the images"
        if len(coverage.boxes) and not coverage.assigned and not force:
            raise InputError(f"only {sentence}: {advice}, or train all the same with --force")
        if len(coverage.boxes) and coverage.assigned < FEW_MATCHED:
            warnings.append(f"only {sentence}; {advice}")
    for warning in warnings:
        warn(console, warning)
    return tuple(warnings)


def _start_warnings(config: Config, images: int) -> Iterator[str]:
    backbone = config.detector.backbone
    random = isinstance(backbone, ResidualBackbone) or backbone.weights == "none"
    if random and not config.detector.weights and images < FEW_IMAGES:
        yield (
            f"the network starts from random weights, and {images:,} images are few for that; set "
            "detector.backbone={kind: TorchvisionBackbone} for pretrained ones"
        )


def print_command(console: Console, command: str) -> None:
    """Print a command as one line, which can be copied however long it is."""
    console.print(f"  {printable(command)}", highlight=False, markup=False, soft_wrap=True)


def warn(console: Console, text: str) -> None:
    """Print a warning as one line."""
    console.print(f"warning: {printable(text)}", markup=False, highlight=False, soft_wrap=True)
