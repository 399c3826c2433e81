"""The objects found in one image, with the names of their classes: to print, filter, convert and draw."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np
from PIL import Image, ImageDraw

from anchorloc.data.coco_results import result_rows
from anchorloc.data.image_settings import DEFAULT_SETTINGS, ImageSettings
from anchorloc.errors import InputError
from anchorloc.predict.image_input import ImageLike, read_rgb
from anchorloc.startup import import_torch
from anchorloc.structures import Category, Detections, IntArray, Size
from anchorloc.text import did_you_mean, shorten

if TYPE_CHECKING:
    from torch import Tensor


class Detection(NamedTuple):
    """One object."""

    box: tuple[float, float, float, float]  # x1, y1, x2, y2 in pixels
    score: float
    label: int  # index of the class
    name: str  # name of the class


@dataclass(frozen=True, eq=False, repr=False)
class NamedDetections(Detections):
    """The N objects found in one image, by descending score.

    It prints one line per object, iterates over them, and takes an index or a slice: `found[0]`, `found[:5]`.
    """

    categories: tuple[Category, ...]
    size: Size  # height and width of the image, as a viewer shows it
    image_settings: ImageSettings = DEFAULT_SETTINGS  # how the model reads image files, and `draw` too

    @property
    def names(self) -> list[str]:
        """Return the class name of each box."""
        return [self.categories[label].shown_name for label in self.labels]

    def __iter__(self) -> Iterator[Detection]:
        columns = self.boxes.tolist(), self.scores.tolist(), self.labels.tolist(), self.names
        for box, score, label, name in zip(*columns, strict=True):
            yield Detection(tuple(box), score, label, name)

    @overload
    def __getitem__(self, place: int) -> Detection: ...
    @overload
    def __getitem__(self, place: slice) -> NamedDetections: ...
    def __getitem__(self, place: int | slice) -> Detection | NamedDetections:
        """Return the object at a place, 0 being the highest score, or the objects of a slice."""
        if isinstance(place, slice):
            return self.take(np.arange(len(self))[place])
        return list(self)[place]

    def __repr__(self) -> str:
        names = [shorten(name, 24) for name in self.names]
        width = max(map(len, names), default=0)
        lines = [
            f"{name:{width}} {score:.3f} " + " ".join(f"{side:7.1f}" for side in box)
            for name, (box, score, _, _) in zip(names, self, strict=True)
        ]
        return "\n".join(lines) or "no objects"

    def take(self, rows: IntArray) -> NamedDetections:
        """Return the given rows, in that order."""
        others = {name: vars(self)[name] for name in ("categories", "size", "image_settings")}
        return NamedDetections(**vars(super().take(rows)), **others)

    def where(self, *, score: float = 0.0, label: str | int | Collection[str | int] | None = None) -> NamedDetections:
        """Return the objects of at least a score, and of the given classes.

        Args:
            score: lowest score to keep, from 0 to 1.
            label: name or label of a class, or several of them; None keeps all classes.

        Raises:
            InputError: the model has no such class, or the score is not from 0 to 1.
        """
        kept = self.scores >= checked_score(score)
        if label is not None:
            wanted = [label] if not isinstance(label, Collection) or isinstance(label, str) else label
            kept = kept & np.isin(self.labels, [row for one in wanted for row in self._labels_of(one)])
        return self.take(np.flatnonzero(kept))

    def _labels_of(self, wanted: str | int) -> list[int]:
        found = [row for row, one in enumerate(self.categories) if wanted in (row, one.name, one.shown_name)]
        if not found and isinstance(wanted, str):
            known = [one.shown_name for one in self.categories]
            raise InputError(f"the model has no class {wanted!r}; {did_you_mean(wanted, known)}")
        if not found:
            last = len(self.categories) - 1
            raise InputError(f"the model has no label {wanted}; give one from 0 to {last}, or a class name")
        return found

    def to_dict(self) -> dict[str, list[Any]]:
        """Return boxes (x1, y1, x2, y2), scores, labels and names as lists, ready for JSON."""
        columns = {"boxes": self.boxes, "scores": self.scores, "labels": self.labels}
        return {**{name: values.tolist() for name, values in columns.items()}, "names": self.names}

    def to_coco(self, image_id: int | str) -> list[dict[str, Any]]:
        """Return the rows of COCO's result format; `image_id` is the id of this image in the annotations.

        Boxes are x, y, width, height, rounded to 0.001 px, and scores are rounded to 1e-6. A class has the id that it
        had in the training data.
        """
        given: Any = image_id
        plain = int(given) if isinstance(given, np.integer) else given
        return result_rows(plain, self.boxes, self.scores, self.labels, self.categories)

    def to_supervision(self) -> dict[str, Any]:
        """Return the arguments of supervision's `Detections`: `supervision.Detections(**found.to_supervision())`."""
        return {
            "xyxy": self.boxes.astype(np.float32),
            "confidence": self.scores.astype(np.float32),
            "class_id": self.labels.astype(np.int64),
            "data": {"class_name": np.array(self.names, np.str_)},
        }

    def to_torchvision(self) -> dict[str, Tensor]:
        """Return tensors as torchvision's detectors do: boxes (N, 4), scores (N,), labels (N,) int64 from 0.

        Raises:
            InputError: torch is not installed.
        """
        import_torch()  # the rest of this file works without it
        import torch

        return {
            "boxes": torch.from_numpy(self.boxes.astype(np.float32)),
            "scores": torch.from_numpy(self.scores.astype(np.float32)),
            "labels": torch.from_numpy(self.labels.astype(np.int64)),
        }

    def draw(self, image: ImageLike) -> Image.Image:
        """Return a picture of the image with box, class and score of each object, the highest score on top.

        Args:
            image: the image that the objects were found in, as `Localizer` takes it.

        Raises:
            InputError: the image cannot be read, or has another size.
        """
        from anchorloc.report.drawing import (  # who only finds objects does not wait for the package
            draw_box,
            draw_label,
            load_font,
            palette_color,
            writable_name,
        )

        picture = Image.fromarray(read_rgb(image, settings=self.image_settings))
        if picture.size != self.size[::-1]:
            raise InputError(
                f"the objects were found in an image of {self.size[1]} x {self.size[0]} px, but this one has "
                f"{picture.width} x {picture.height} px; give the image that the model was given"
            )
        canvas = ImageDraw.Draw(picture)
        width = max(1, round(max(picture.size) / 400))
        font = load_font(max(10, round(max(picture.size) / 55)))
        for box, score, label, name in reversed(list(self)):
            color = palette_color(label)
            draw_box(canvas, box, color, width)
            draw_label(canvas, f"{writable_name(name, label, font)} {score:.2f}", box[:2], picture.size, color, font)
        return picture


def checked_score(score: float) -> float:
    """Return a lowest score, which is a number from 0 to 1.

    Raises:
        InputError: it is not.
    """
    if not isinstance(score, int | float | np.number | np.ndarray) or np.ndim(score) or not 0 <= score <= 1:
        raise InputError(f"score must be a number from 0 to 1, got {score!r}")
    return float(score)
