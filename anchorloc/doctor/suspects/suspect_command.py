"""`anchorloc doctor LABELS --detections JSON`: rank suspects, print them and write a report."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from anchorloc.data import Labels, LabelSource, read, read_results
from anchorloc.data.formats import is_coco_file
from anchorloc.data.formats.coco_folder import read_coco
from anchorloc.data.image_settings import ImageSettings
from anchorloc.data.label_data import label_source
from anchorloc.doctor.suspects.label_suspects import find_suspects
from anchorloc.doctor.suspects.terminal import print_suspects
from anchorloc.doctor.suspects.writer import PAGE, REVIEW, TABLE, write_suspects
from anchorloc.errors import InputError
from anchorloc.files import new_folder
from anchorloc.text import counted, printable


def rank_suspects(
    path: Path,
    detections: Path,
    kind: str = "auto",
    images: Path | None = None,
    reading: ImageSettings | None = None,
    out: Path | None = None,
) -> int:
    """Print the suspects among labels, write the report into a new folder, and return the exit status.

    Args:
        path: the labels in any format, of the split that was predicted on.
        detections: COCO results of any tool.
        kind: as for `anchorloc.data.read`.
        images: as for `anchorloc.data.read`.
        reading: how the image files are read.
        out: the folder, runs/suspects-DATE-TIME by default.

    Raises:
        InputError: a file is damaged, or the detections do not belong to the labels.
    """
    console = Console(highlight=False)
    labels, source = _read(path, kind, images, reading or ImageSettings())
    notes: list[str] = []
    suspects = find_suspects(source, read_results(detections, source, notes))
    for sentence in (*source.warnings, *notes):
        print(printable(f"warning: {sentence}"))
    with_images = any((labels.folder / source.name(index)).is_file() for index in range(min(50, len(source))))
    with new_folder(out, "suspects") as folder:
        print_suspects(suspects, console)
        facts = {"labels": path, "detections": detections}
        reviewed = write_suspects(folder, suspects, labels, source if with_images else None, facts)
    print()
    print(printable(f"report: {folder / PAGE}; all suspects: {folder / TABLE}"))
    if not with_images:
        print(printable(f"no image was found in {labels.folder}; for pictures and labels to correct give --images DIR"))
    elif reviewed:
        review = shlex.quote(str(folder / REVIEW))
        print(printable(f"{counted(reviewed, 'image')} to correct: `labelme {review}`; names with ? are suspects"))
    return 0


def _read(path: Path, kind: str, images: Path | None, reading: ImageSettings) -> tuple[Labels, LabelSource]:
    """Return the only split of labels, unchecked and checked."""
    data = read_coco(path, images) if is_coco_file(path, kind) else read(path, kind, images)
    if len(data.splits) > 1:
        raise InputError(f"{path} has {' and '.join(data.splits)}; give the file of the one that was predicted on")
    [labels] = data.splits.values()
    return labels, label_source(replace(labels, document=dict(labels.document)), data.notes, reading)
