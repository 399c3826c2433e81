"""Before a run: its data, its plan, and whether it can learn anything."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from anchorloc.config import Config, import_option
from anchorloc.data import LabelSource, Source
from anchorloc.data.tiles import TiledSource
from anchorloc.detector import ResidualBackbone
from anchorloc.doctor.box_format import box_suspicion
from anchorloc.engine.build import build_detector, open_all_splits
from anchorloc.engine.network_part_checks import check_network_parts
from anchorloc.engine.outcome import data_path
from anchorloc.engine.planning import plan_run
from anchorloc.engine.single_values import refuse_single_values
from anchorloc.engine.state.pretrained import class_sentences
from anchorloc.engine.state.run_folder import CONFIG, write_config
from anchorloc.engine.system.display import RunConsole, waiting
from anchorloc.engine.system.processes import SINGLE_PROCESS, Processes
from anchorloc.errors import InputError
from anchorloc.files import new_folder, write_json
from anchorloc.lab.anchor_coverage import measure_coverage
from anchorloc.lab.findings import coverage_sentence
from anchorloc.lab.network_views import NetworkViews
from anchorloc.plan import Plan, PlanRequest, plan_rows, plan_table
from anchorloc.structures import Category
from anchorloc.text import about, counted, printable

PLAN = "plan.json"  # the choices of a plan, with their reasons
MATCHED = 1000  # images whose boxes are matched with anchors before a run
FEW_MATCHED = 0.5  # fraction of the boxes
FEW_IMAGES = 2000  # too few to learn from random weights


def open_data(
    config: Config, console: RunConsole, known: Sequence[Category] = ()
) -> tuple[Source, Source, Source | None]:
    """Open train, val and test, try parts of the user's own, check every image file, and print counts and warnings.

    Args:
        known: as for `open_all_splits`.

    Raises:
        InputError: the data cannot be used, or a part does something else than its protocol says.
    """
    with waiting(console, "reading the data"):
        sources = open_all_splits(config, known)
        check_network_parts(config, sources[0])
    if isinstance(sources[1], LabelSource):
        console.print(printable(sources[1].description), markup=False, highlight=False)
    said = set[str]()  # a note on the labels as a whole is among the warnings of each split
    for split, source in zip(("train", "val", "test"), sources, strict=True):
        if source is None:
            continue
        boxes = sum(len(source.target(index)) for index in range(len(source)))
        counts = (len(source), "image"), (boxes, "box"), (len(source.categories), "class")
        console.print(f"{split}: {', '.join(counted(*one) for one in counts)}")
        warnings = (*source.warnings, *source.check_images())
        for warning in warnings:
            if warning not in said:
                console.warn(warning)
        said.update(warnings)
    return sources


def show_plan(
    request: PlanRequest, sources: tuple[Source, Source], console: RunConsole, processes: Processes = SINGLE_PROCESS
) -> Plan:
    """Return the plan of a run, and print it in a table; the first process makes it for all."""
    with waiting(console, "choosing the settings"):
        plan = processes.broadcast_object(partial(plan_run, request, *sources, console.warn, processes.count))
    console.print(plan_table(plan) if plan.choices else "every setting is given: there is nothing to choose")
    if plan.steps is not None:
        epochs = about((plan.images_seen or 0.0) / len(in_tiles(plan.config, sources[0])))
        console.print(
            f"about {about(plan.steps)} steps, {epochs} epochs, in {plan.config.train.length}", highlight=False
        )
    if plan.hint:
        console.print(plan.hint, highlight=False)
    return plan


def in_tiles(config: Config, train: Source) -> Source:
    """Return the images to train on, in tiles where a plan has chosen some."""
    return train if config.tiles is None or isinstance(train, TiledSource) else config.tiles(train)


def write_plan(out: Path | None, config: Config, command: str, request: PlanRequest, force: bool = False) -> int:
    """Print the plan of a run, write it and its config into a new folder, and return the exit status.

    Raises:
        InputError: settings, data or the file system do not allow it.
    """
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise InputError("--plan needs no torchrun; a run that torchrun starts makes its own plan")
    console = RunConsole()
    with new_folder(out, "plan") as folder:
        train, val, test = open_data(config, console)
        check_boxes(config, (train, val, test), console, force)
        plan = show_plan(request, (train, val), console)
        network = build_detector(plan.config, len(train.categories), pretrained=False)
        refuse_single_values(network, plan.config, train)
        write_config(folder, plan.config, command)
        write_json(folder / PLAN, plan_rows(plan.choices))
    console.print("train with it:", highlight=False)
    print_command(console, shlex.join(["anchorloc", "train", str(folder / CONFIG), *import_option(plan.config)]))
    return 0


def check_boxes(
    config: Config, sources: Sequence[Source | None], console: RunConsole, force: bool = False
) -> tuple[str, ...]:
    """Return warnings of boxes that fit their images only if read in another way, as the doctor sees it.

    Args:
        sources: train, val and test.

    Raises:
        InputError: there are such boxes, and it is not to `force`.
    """
    if (labels := data_path(config)) is None:
        return ()
    warnings = []
    for split, source in zip(("train", "val", "test"), sources, strict=True):
        found = source and box_suspicion(source.whole if isinstance(source, TiledSource) else source)
        if not found:
            continue
        path = getattr(source, "path", labels)
        sentence = f"{path}, {split}: {found}; see `anchorloc doctor {shlex.quote(str(path))}`"
        if not force:
            raise InputError(f"{sentence}, or train all the same with --force")
        warnings.append(sentence)
        console.warn(sentence)
    return tuple(warnings)


def check_prospects(config: Config, train: Source, console: RunConsole, force: bool = False) -> tuple[str, ...]:
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
        console.warn(warning)
    return tuple(warnings)


def _start_warnings(config: Config, images: int) -> Iterator[str]:
    backbone = config.detector.backbone
    random = isinstance(backbone, ResidualBackbone) or getattr(backbone, "weights", "") == "none"
    if random and not config.detector.weights and images < FEW_IMAGES:
        yield (
            f"the network starts from random weights, and {images:,} images are few for that; set "
            "detector.backbone={kind: TorchvisionBackbone} for pretrained ones"
        )


def say_start(config: Config, train: Source, val: Source, not_loaded: Sequence[str], console: RunConsole) -> None:
    """Print which classes and layers `detector.weights` gave a network, and warn where it may have seen val images."""
    weights = config.detector.weights
    if not weights:
        return
    classes = class_sentences(Path(weights), train.categories)
    sentences = [f"not loaded from {weights}: {phrase}" for phrase in not_loaded]
    for sentence in [*(f"from {weights}: {one}" for one in classes), *sentences]:
        console.print(printable(sentence), markup=False, highlight=False, soft_wrap=True)
    if classes and isinstance(val, LabelSource) and val.set_aside:
        console.warn(
            f"{weights} may have been trained on images that are now set aside for val, whose AP is then too good; "
            "give the data a val split of their own: `anchorloc doctor --split`"
        )


def print_command(console: RunConsole, command: str) -> None:
    """Print a command as one line, which can be copied however long it is."""
    console.print(f"  {printable(command)}", highlight=False, markup=False, soft_wrap=True)
