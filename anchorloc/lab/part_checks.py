"""Try the parts of the user's own that work on arrays: data, augmentation, anchors and assigner."""

from __future__ import annotations

from dataclasses import replace
from inspect import getattr_static
from typing import Any

import numpy as np

from anchorloc.anchors.anchors_protocol import AnchorsProtocol
from anchorloc.assign.assigner_protocol import AssignerProtocol
from anchorloc.config import Config, OwnPart, check_assignment, held_to, own_parts, require, require_array
from anchorloc.data import ImageSettings, Source
from anchorloc.data.label_data import open_all
from anchorloc.data.own_data import AugmentationProtocol, DataProtocol
from anchorloc.lab.network_views import NetworkViews
from anchorloc.structures import AnchorGrid, AnchorLevel, Category, Size, Target

MEMBERS = ("__len__", *(name for name in dir(Source) if not name.startswith("_")))


def open_checked(config: Config) -> tuple[Source, Source, Source | None]:
    """Open train, val and, if there is one, test, and try the parts of the user's own on the train split.

    Raises:
        InputError: the data cannot be read, or a part does something else than its protocol says.
    """
    own = next((part for part in own_parts(config) if part.protocol is DataProtocol), None)
    if own is None:
        sources = open_all(config.data)
    else:
        with held_to(own):
            settings = config.data.image_settings
            require(isinstance(settings, ImageSettings), f"its image_settings are {type(settings).__name__}")
            sources = open_all(config.data)
            for split, source in zip(("train", "val", "test"), sources, strict=True):
                if source is not None or split != "test":
                    _check_source(source, split)
    check_parts(config, sources[0])
    return sources


def check_parts(config: Config, train: Source) -> None:
    """Try anchors, assigner and augmentation of the user's own on the first train image with a box.

    Raises:
        InputError: one of them does something else than its protocol says.
    """
    checks = {AnchorsProtocol: _check_anchors, AssignerProtocol: _check_assigner} if config.method.has_anchors else {}
    own = {part.protocol: part for part in own_parts(config)}
    if not own:
        return
    index = next((index for index in range(len(train)) if len(train.training_target(index))), 0)
    for protocol, check in checks.items():
        if protocol in own:
            with held_to(own[protocol]):
                check(own[protocol].part, config, train, index)
    if AugmentationProtocol in own:
        _check_augmentation(own[AugmentationProtocol], config, train, index)


def _check_source(source: Any, split: str) -> None:
    require(source is not None, f"open({split!r}) returned None")
    missing = [name for name in MEMBERS if getattr_static(source, name, None) is None]  # properties may take long
    require(not missing, f"its {split} split lacks {', '.join(missing)}")
    categories = source.categories
    named = isinstance(categories, tuple) and len(categories) and all(isinstance(one, Category) for one in categories)
    require(bool(named), f"the categories of its {split} split are {categories!r}, not a tuple of Category")
    for one in categories:
        kept = isinstance(one.id, int | str) and isinstance(one.name, str)
        require(
            kept,
            f"a category of its {split} split has the id {one.id!r} and the name {one.name!r}, not an int or a string",
        )
    ids = [category.id for category in categories]
    require(len(set(ids)) == len(ids), f"some categories of its {split} split have the same id: {ids}")
    require(len(source) > 0, f"its {split} split has no image")
    images = [source.image_id(index) for index in range(len(source))]
    for index, one in enumerate(images):
        kept = isinstance(one, int | str | np.integer)
        require(kept, f"image {index} of its {split} split has the image_id {one!r}, not an int or a string")
        name = source.name(index)
        require(isinstance(name, str), f"image {index} of its {split} split has the name {name!r}, not a string")
    require(len(set(images)) == len(images), f"some images of its {split} split have the same image_id")
    given = usable = 0
    for index in range(len(source)):
        where, size = f"image {index} of its {split} split", source.size(index)
        whole = isinstance(size, tuple | list) and all(isinstance(side, int | np.integer) and side > 0 for side in size)
        require(whole and len(size) == 2, f"{where} has the size {size!r}, not a tuple (height, width)")
        for read in (source.target, source.training_target):
            _check_target(read(index), len(categories), where)
        boxes, (height, width) = source.training_target(index).boxes, size
        given, usable = given + len(source.target(index)), usable + len(boxes)
        inside = (boxes >= 0) & (boxes <= (width, height, width, height))
        sized = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        require(bool(inside.all() and sized.all()), f"{where} has a training box without area or outside of the image")
    require(usable > 0 or not given, f"none of the {given} boxes of its {split} split is inside of its image")
    require(usable > 0 or split != "train", "its train split has no box")
    same = np.array_equal(source.target(0).boxes, source.target(0).boxes)
    require(same, f"image 0 of its {split} split has other boxes each time that it is asked for them")
    image, size = np.asarray(source.image(0)), source.size(0)
    fits = image.dtype == np.uint8 and image.shape == (*size, 3)
    found = f"the pixels of image 0 of its {split} split are {image.shape} {image.dtype}"
    require(fits, f"{found}, not {(*size, 3)} uint8 as its size {size} says")


def _check_target(target: Target, classes: int, where: str) -> None:
    require(isinstance(target, Target), f"{where} has a {type(target).__name__} in place of a Target")
    count = len(target.boxes)
    for name, shape, kinds in (
        ("boxes", (count, 4), "f"), ("labels", (count,), "iu"), ("crowd", (count,), "b"), ("area", (count,), "f"),
        ("rows", (count,), "iu"),
    ):  # fmt: skip
        require_array(getattr(target, name), shape, kinds, f"{name} of {where}")
    boxes, labels = target.boxes, target.labels
    require(bool(np.isfinite(boxes).all()), f"{where} has a box that is not finite")
    require(bool((boxes[:, 2:] >= boxes[:, :2]).all()), f"{where} has a box of negative size: they are x1, y1, x2, y2")
    require(bool(((labels >= 0) & (labels < classes)).all()), f"{where} has the labels {labels}, of {classes} classes")


def _check_anchors(part: Any, config: Config, train: Source, index: int) -> None:
    strides, counts = part.strides, part.shapes_per_level
    positive = all(isinstance(stride, int | float | np.number) and stride > 0 for stride in strides)
    require(len(strides) > 0 and positive, f"its strides are {strides!r}, not numbers above 0")
    whole = all(isinstance(count, int | np.integer) and count > 0 for count in counts)
    require(len(counts) == len(strides) and whole, f"its shapes_per_level are {counts!r} for {len(strides)} strides")
    size = config.padded(config.transform.resize(train.size(index))[0])
    grid = part(size)
    require(isinstance(grid, AnchorGrid), f"it returned {type(grid).__name__}")
    require(grid.image_size == size, f"its grid has the image_size {grid.image_size!r} for an image of {size}")
    require(len(grid.levels) == len(strides), f"its grid has {len(grid.levels)} levels for {len(strides)} strides")
    for number, (level, stride, count) in enumerate(zip(grid.levels, strides, counts, strict=True)):
        rows, columns = (int(np.ceil(side / stride)) for side in size)
        _check_level(level, (rows, columns), int(count), f"level {number}")
    require(bool(np.array_equal(part(size).boxes, grid.boxes)), f"it gave two grids for images of {size}")


def _check_level(level: AnchorLevel, cells: Size, count: int, where: str) -> None:
    rows, columns = cells
    for name, shape in (("x1", columns), ("y1", rows), ("x2", columns), ("y2", rows)):
        values = getattr(level, name)
        require_array(values, (count, shape), "f", f"{name} of {where}")
        require(values.dtype == np.float32, f"{name} of {where} is {values.dtype}, not float32")
        require(bool(np.isfinite(values).all()), f"{name} of {where} is not finite")
    sized = (level.x2 > level.x1).all() and (level.y2 > level.y1).all()
    require(bool(sized), f"{where} has an anchor without area")


def _check_assigner(part: Any, config: Config, train: Source, index: int) -> None:
    view = next(iter(replace(NetworkViews(config, train), image_indices=(index,))))
    target = view.target
    for boxes, crowd in ((target.boxes, target.crowd), (target.boxes[:0], target.crowd[:0])):
        check_assignment(part(view.grid, boxes, crowd), view.grid, boxes, crowd)


def _check_augmentation(own: OwnPart, config: Config, train: Source, index: int) -> None:
    """Try it twice on one picture, and once without the pixels."""
    samples = config.samples(train, training=True)
    with held_to(own):
        first, second = samples[0, index], samples[0, index]
        alike = np.array_equal(first.image, second.image) and np.array_equal(first.target.boxes, second.target.boxes)
        require(alike, "it gave one picture two results: not all its random numbers come from its generator")
        boxes = next(iter(replace(NetworkViews(config, train, epochs=1), image_indices=(index,)))).target.boxes
        require(np.array_equal(boxes, first.target.boxes), "it gave other boxes over black pixels")
