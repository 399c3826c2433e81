"""What an evaluation scores, and how; every choice is named in the report."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from anchorloc.data import Annotations, AnnotationSubset, Source, Subset
from anchorloc.data.formats.nearest_names import with_slashes
from anchorloc.data.one_class import OneClass, OneClassAnnotations, as_one_class
from anchorloc.engine.image_groups import group_images
from anchorloc.errors import InputError
from anchorloc.files import read_text
from anchorloc.metrics import Evaluation, Scorer
from anchorloc.metrics.protocol import COCO, Protocol
from anchorloc.report.captions import iou_text
from anchorloc.structures import Detections, IntArray
from anchorloc.text import counted, short_repr

SLICE = re.compile(r"(-?\d{0,9}):(-?\d{0,9})(?::(-?\d{0,9}))?")


@dataclass(frozen=True)
class Scoring:
    """Which images and classes count, by which thresholds, and what computes the numbers."""

    class_agnostic: bool = False
    subset: str | None = None  # a file that lists images, or START:STOP or START:STOP:STEP
    group_by: str | None = None  # images of one value of this key of a COCO file are drawn together for intervals
    group_by_name: str | None = None  # the same, by a part of file_name; see `doctor.split.image_groups`
    protocol: Protocol = COCO
    scorer: Scorer = "anchorloc"  # see `metrics.evaluate`

    def indices(self, annotations: Annotations) -> IntArray:
        """Return the images that are scored (N,).

        Raises:
            InputError: the subset is empty, or names an image that the annotations lack.
        """
        count = len(annotations)
        if self.subset is None:
            return np.arange(count)
        if (found := SLICE.fullmatch(self.subset)) and not Path(self.subset).exists():
            start, stop, step = (int(number) if number else None for number in found.groups())
            if step == 0:
                raise InputError(f"--subset {self.subset}: the step is 0; give another")
            indices = np.sort(np.arange(count)[start:stop:step])
        else:
            indices = _listed(Path(self.subset), annotations)
        if not len(indices):
            raise InputError(f"--subset {self.subset} has none of the {count:,} images; give another")
        return indices

    def annotations(self, annotations: Annotations, indices: IntArray) -> Annotations:
        """Return the annotations that are scored."""
        if self.subset is None and not self.class_agnostic:
            return annotations
        return (OneClassAnnotations if self.class_agnostic else AnnotationSubset)(annotations, indices)

    def source(self, source: Source, indices: IntArray) -> Source:
        """Return the same with pixels."""
        if self.subset is None and not self.class_agnostic:
            return source
        return (OneClass if self.class_agnostic else Subset)(source, indices)

    def groups(self, path: Path, annotations: Annotations, indices: IntArray) -> IntArray | None:
        """Return the number of each scored image's group (N,), from 0 without gaps; None if each is one.

        Args:
            path: the labels.
            annotations: all of them.
            indices: the images that are scored.

        Raises:
            InputError: the groups cannot be formed.
        """
        if self.group_by is None and self.group_by_name is None:
            return None
        groups = group_images(path, annotations, self.group_by, self.group_by_name)
        return np.unique(groups[indices], return_inverse=True)[1].astype(np.int64)

    def described(self, evaluation: Evaluation, groups: IntArray | None) -> Mapping[str, tuple[object, str]]:
        """Return the value and the meaning of every choice, by name."""
        low, high = self.protocol.size_borders
        drawn = "images" if groups is None else counted(int(groups.max()) + 1, "group of images", "groups of images")
        return {
            "class_agnostic": (self.class_agnostic, "whether all classes count as one"),
            "subset": (self.subset, "the images that are scored: a list, or START:STOP:STEP; null: all"),
            "iou_thresholds": (list(self.protocol.ious), "AP and AR are means over these IoU thresholds"),
            "size_borders": (
                [low, high],
                "square roots of the areas between small, medium and large boxes, in px",
            ),
            "max_detections": (
                list(evaluation.summary.max_detections),
                "detections counted per class and image: the last one for AP, each for AR",
            ),
            "intervals_over": (drawn, f"what is drawn with replacement for an interval{self._grouped}"),
        }

    def facts(self, evaluation: Evaluation, groups: IntArray | None) -> dict[str, object]:
        """Return what a report says of the choices that differ from COCO's protocol on all images."""
        described, low, high = self.described(evaluation, groups), *self.protocol.size_borders
        facts: dict[str, object] = {}
        if self.class_agnostic:
            facts["classes"] = "all count as one"
        if self.subset is not None:
            facts["subset of the images"] = self.subset
        if self.protocol.ious != COCO.ious:
            facts["AP and AR are means over"] = iou_text(self.protocol)
        if self.protocol.size_borders != COCO.size_borders:
            facts["small, medium and large"] = f"below, between and above areas of {low:g}² and {high:g}² px"
        if groups is not None:
            facts["intervals over"] = f"{described['intervals_over'][0]}{self._grouped}"
        return facts

    @property
    def _grouped(self) -> str:
        if self.group_by is not None:
            return f", of equal {self.group_by!r}"
        return "" if self.group_by_name is None else f", of equal {self.group_by_name!r} in the file name"

    def detections(self, detections: Sequence[Detections]) -> list[Detections]:
        """Return the detections with the classes that are scored."""
        return list(map(as_one_class, detections)) if self.class_agnostic else list(detections)


DEFAULT_SCORING = Scoring()


def _listed(path: Path, annotations: Annotations) -> IntArray:
    """Return the images that a file lists by name or by id, one a line."""
    images = range(len(annotations))
    places = {str(annotations.image_id(index)): index for index in images}
    places |= {annotations.name(index): index for index in images}
    chosen = set[int]()
    for number, line in enumerate(read_text(path).splitlines(), 1):
        word = line.strip()
        if not word:
            continue
        place = places.get(word, places.get(with_slashes(word)))
        if place is None:
            raise InputError(
                f"{path}, line {number}: {short_repr(word)} is neither the file name nor the id of an annotated image; "
                "correct the list"
            )
        if place in chosen:
            raise InputError(f"{path}, line {number}: {short_repr(word)} is listed twice; remove the line")
        chosen.add(place)
    return np.array(sorted(chosen), np.int64)
