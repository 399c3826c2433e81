"""Crops of suspects, with the labels and the detection drawn."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from anchorloc.data import Source
from anchorloc.doctor.suspects.label_suspects import KINDS, LabelSuspects, Suspect
from anchorloc.doctor.suspects.suspect_scores import NONE
from anchorloc.doctor.suspects.suspect_table import what_is_suspected
from anchorloc.errors import InputError
from anchorloc.report.picture import MAX_UNREADABLE, BoxKind, DrawnBox, DrawnPicture, data_uri, unshown_images, xywh
from anchorloc.structures import Float64Array
from anchorloc.text import shorten

PICTURED = 24  # suspects of each kind
MARGIN = 0.75  # around the drawn boxes, as a share of their longer side
LEAST_SIDE = 96.0  # px of a crop


def draw_suspects(suspects: LabelSuspects, source: Source) -> tuple[list[DrawnPicture], list[str]]:
    """Draw the surest suspects of each kind whose images can be read; with them come the warnings."""
    pictures, problems = list[DrawnPicture](), dict[int, str]()  # by image
    for kind in KINDS:
        left = PICTURED
        for suspect in suspects.of(kind):
            if left == 0 or len(problems) == MAX_UNREADABLE:
                break
            if suspect.image not in problems:
                try:
                    pictures.append(_draw(suspects, suspect, source))
                    left -= 1
                except InputError as error:
                    problems[suspect.image] = str(error)
    return pictures, unshown_images(list(problems.values()))


def _draw(suspects: LabelSuspects, suspect: Suspect, source: Source) -> DrawnPicture:
    pixels, (height, width) = source.image(suspect.image), source.size(suspect.image)
    marked = list(_marked(suspects, suspect))
    left, top, right, bottom = _window(np.array([box for _, box, _, _ in marked]), height, width)
    scale_y, scale_x = pixels.shape[0] / height, pixels.shape[1] / width
    rows, columns = (
        slice(int(low * scale), max(int(low * scale) + 1, round(high * scale)))
        for low, high, scale in ((top, bottom, scale_y), (left, right, scale_x))
    )
    shift = np.array([left, top, left, top])
    return DrawnPicture(
        name=f"{suspect.score:.2f} {source.name(suspect.image)}",
        caption=what_is_suspected(suspects, suspect),
        width=right - left,
        height=bottom - top,
        href=data_uri(np.ascontiguousarray(pixels[rows, columns])),
        boxes=[DrawnBox(kind, xywh(box - shift), label, title) for kind, box, label, title in marked],
        group=KINDS[suspect.kind].capitalize(),
    )


def _marked(suspects: LabelSuspects, suspect: Suspect) -> Iterator[tuple[BoxKind, Float64Array, str, str]]:
    """Yield the kind, the box, the label and the title of each box to draw; the suspect stands last, on top."""
    matches = suspects.matches
    if suspect.other != NONE:
        name = shorten(suspects.class_of(matches.labels, suspect.other), 24)
        yield "truth", matches.labels.boxes[suspect.other], "", f"label: {name}"
    if suspect.detection != NONE:
        name = shorten(suspects.class_of(matches.detections, suspect.detection), 24)
        score = matches.scores[suspect.detection]
        title = f"detection: {name}, score {score:.3f}"
        yield "right", matches.detections.boxes[suspect.detection], f"{name} {score:.2f}", title
    if suspect.label != NONE:
        name = shorten(suspects.class_of(matches.labels, suspect.label), 24)
        yield "missed", matches.labels.boxes[suspect.label], name, f"suspected label: {name}"


def _window(boxes: Float64Array, height: int, width: int) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of a square around boxes (N, 4), as far as it lies in the image."""
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    side = max(float((high - low).max()) * (1 + 2 * MARGIN), LEAST_SIDE)
    center = (low + high) / 2
    left, top = (max(0, int(value - side / 2)) for value in center.tolist())
    right, bottom = (int(value + side / 2) + 1 for value in center.tolist())
    return left, top, max(left + 1, min(width, right)), max(top + 1, min(height, bottom))
