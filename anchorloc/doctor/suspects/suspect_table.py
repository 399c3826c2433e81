"""Suspects in words and as rows of a table."""

from __future__ import annotations

from collections.abc import Iterator

from anchorloc.doctor.suspects.label_suspects import KINDS, LabelSuspects, Suspect
from anchorloc.doctor.suspects.suspect_scores import NONE
from anchorloc.structures import Float64Array
from anchorloc.text import short_repr, shorten

HEADER = (
    *("kind", "score", "image_id", "file_name", "annotation_id", "class", "x", "y", "width", "height"),
    *("other_annotation_id", "detected_class", "detection_score"),
    *("detected_x", "detected_y", "detected_width", "detected_height"),
)


def suspect_rows(suspects: LabelSuspects) -> Iterator[list[object]]:
    """Yield a row with the columns HEADER for each suspect, kind by kind, the surest first; None is an empty cell."""
    truth, matches = suspects.truth, suspects.matches
    for kind in KINDS:
        for one in suspects.of(kind):
            row: list[object] = [kind, one.score, truth.image_id(one.image), truth.name(one.image)]
            if one.label == NONE:
                row += [None] * 6
            else:
                named = suspects.class_of(matches.labels, one.label)
                row += [suspects.annotation_id(one.label), named, *_numbers(matches.labels.boxes[one.label])]
            row.append(None if one.other == NONE else suspects.annotation_id(one.other))
            if one.detection == NONE:
                row += [None] * 6
            else:
                box = _numbers(matches.detections.boxes[one.detection])
                score = float(matches.scores[one.detection])
                row += [suspects.class_of(matches.detections, one.detection), score, *box]
            yield row


def what_is_suspected(suspects: LabelSuspects, one: Suspect) -> str:
    """Return a suspect as a short sentence without its image.

    Such as "annotation 12 'cat': detected as 'dog' with score 0.97".
    """
    matches = suspects.matches
    detected = ""
    if one.detection != NONE:
        named = shorten(suspects.class_of(matches.detections, one.detection), 30)
        detected = f"{named!r} with score {matches.scores[one.detection]:.2f}"
    if one.label == NONE:
        return f"no label, detected as {detected}"
    name = shorten(suspects.class_of(matches.labels, one.label), 30)
    label = f"annotation {short_repr(suspects.annotation_id(one.label))} {name!r}"
    if one.other != NONE:
        return f"{label}: same object as annotation {short_repr(suspects.annotation_id(one.other))}"
    if one.kind == "loose-box":
        return f"{label}: box differs from the detection {detected}"
    return f"{label}: detected as {detected}"


def _numbers(box: Float64Array) -> list[float]:
    """Return x, y, width and height of a box (4,) xyxy, rounded to a hundredth of a pixel."""
    x1, y1, x2, y2 = (round(float(value), 2) for value in box)
    return [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)]
