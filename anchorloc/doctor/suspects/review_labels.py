"""The images with likely suspects as a LabelMe folder, in which every suspect is marked by its name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from anchorloc.data import LabeledData, Labels, write
from anchorloc.doctor.suspects.label_suspects import KINDS, LabelSuspects, Suspect
from anchorloc.doctor.suspects.suspect_scores import NONE
from anchorloc.doctor.suspects.suspect_table import what_is_suspected
from anchorloc.structures import Float64Array

MARK: Final = "?"  # begins the class name of a box that a person has to decide on
Item = dict[str, Any]


def write_review(suspects: LabelSuspects, labels: Labels, folder: Path) -> int:
    """Write the images with a likely suspect, with all their boxes, into a new folder; return how many there are.

    A suspected box is called "?KIND: CLASS", and the box of a detection that may be right "?suggested: CLASS". Images
    whose files are missing are left out.

    Raises:
        InputError: a class name does not fit LabelMe, or the file system refuses.
    """
    likely = [one for kind in KINDS for one in suspects.of(kind, suspects.likely(kind))]
    named = {one.image: suspects.truth.name(one.image) for one in likely}
    images = sorted(image for image, name in named.items() if (labels.folder / name).is_file())
    if not images:
        return 0
    shown = _Document(suspects, images)
    for one in filter(shown.has, likely):
        shown.mark(one)
    write(LabeledData("COCO", {"all": replace(labels, document=shown.document())}), "labelme", folder)
    return len(images)


class _Document:
    """A COCO document of some images, in which boxes are renamed and added."""

    def __init__(self, suspects: LabelSuspects, images: list[int]) -> None:
        self.suspects, self.images, self.wanted = suspects, images, set(images)
        self.marks: dict[int, Suspect] = {}  # by label: its surest suspect
        self.added: list[tuple[str, int, int, str]] = []  # mark, image, detection, note

    def has(self, one: Suspect) -> bool:
        """Return whether the image of a suspect is shown."""
        return one.image in self.wanted

    def mark(self, one: Suspect) -> None:
        """Rename the label of a suspect, or add the box of its detection."""
        if one.label != NONE and one.score > getattr(self.marks.get(one.label), "score", 0.0):
            self.marks[one.label] = one
        if one.label == NONE or one.kind == "loose-box":
            mark = one.kind if one.label == NONE else "suggested"
            note = what_is_suspected(self.suspects, one)
            self.added.append((f"{MARK}{mark}", one.image, one.detection, note))

    def document(self) -> Item:
        """Return the images and boxes; the classes are those that are used."""
        truth, ids = self.suspects.truth, dict[str, int]()
        annotations = [
            {
                "id": number,
                "image_id": image + 1,
                "category_id": ids.setdefault(name, len(ids) + 1),
                "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
                "area": (box[2] - box[0]) * (box[3] - box[1]),
                "iscrowd": 0,
                "note": note,
            }
            for number, (image, name, corners, note) in enumerate(self._boxes(), 1)
            for box in [corners.tolist()]
        ]
        sizes = {image: truth.size(image) for image in self.images}
        return {
            "images": [
                {"id": image + 1, "file_name": truth.name(image), "height": height, "width": width}
                for image, (height, width) in sizes.items()
            ],
            "categories": [{"id": number, "name": name} for name, number in ids.items()],
            "annotations": annotations,
        }

    def _boxes(self) -> Iterator[tuple[int, str, Float64Array, str]]:
        """Yield the image, the name, the box and a note for each box."""
        suspects, matches = self.suspects, self.suspects.matches
        for row, image in enumerate(matches.labels.images.tolist()):
            if image in self.wanted:
                name, one = suspects.class_of(matches.labels, row), self.marks.get(row)
                note = "" if one is None else what_is_suspected(suspects, one)
                yield image, name if one is None else f"{MARK}{one.kind}: {name}", matches.labels.boxes[row], note
        for mark, image, detection, note in self.added:
            name = suspects.class_of(matches.detections, detection)
            yield image, f"{mark}: {name}", matches.detections.boxes[detection], note
