"""Read result files, compare them, and hold what the report shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from anchorloc.compare.result_files.differing_images import (
    MAX_PAIRS,
    ImageDifference,
    count_errors,
    draw_differences,
    most_different,
)
from anchorloc.compare.result_files.named_files import NamedFiles, compared_pairs, same_content
from anchorloc.compare.result_files.pair_comparison import PairComparison, compare_files
from anchorloc.compare.result_files.scored_file import ScoredFile, score_file
from anchorloc.data import Annotations, Source
from anchorloc.engine.image_groups import group_images
from anchorloc.errors import InputError
from anchorloc.report.picture import DrawnPicture, unshown_images
from anchorloc.structures import Float64Array
from anchorloc.text import counted


@dataclass(frozen=True)
class ComparisonOptions:
    """How result files are compared."""

    annotations: Path  # where the boxes come from
    reference: str | None = None  # the name that all others are compared with; None: all pairs
    group_by: str | None = None
    group_by_name: str | None = None
    max_detections: int = 100
    score: float | None = None  # compare F1 at this threshold too


@dataclass(frozen=True, eq=False)
class FileComparison:
    """Everything that the report of a comparison shows."""

    options: ComparisonOptions
    files: Mapping[str, Sequence[ScoredFile]]
    pairs: Sequence[PairComparison]
    image_names: Sequence[str]
    boxes: int
    groups: int
    errors: Mapping[str, Float64Array]  # in each image, by name
    differing: Sequence[Sequence[ImageDifference]]  # for each pair
    pictures: Sequence[DrawnPicture]
    warnings: Sequence[str]

    @property
    def unit(self) -> str:
        """Name what is left out together: "image" or "group"."""
        return "group" if self.options.group_by or self.options.group_by_name else "image"

    @property
    def description(self) -> str:
        """Describe the comparison in one line."""
        files = sum(map(len, self.files.values()))
        paired = "paired by image" if self.unit == "image" else f"paired by {counted(self.groups, 'group')} of images"
        return (
            f"{counted(len(self.files), 'name')} with {counted(files, 'file')} on "
            f"{counted(len(self.image_names), 'image')} with {counted(self.boxes, 'box')}, {paired}"
        )

    @property
    def note(self) -> str:
        """Say what the verdicts hold for."""
        single = [name for name, files in self.files.items() if len(files) == 1]
        if not single:
            return "Verdicts hold for other images like these and for other trainings of each name."
        if len(single) == len(self.files):
            return (
                "Verdicts hold for other images like these; another training of the same model may score differently."
            )
        return "Verdicts hold for other images like these, and for other trainings of the names with several files."


def compare_results(
    named: NamedFiles, truth: Annotations, options: ComparisonOptions, images: Source | None = None
) -> FileComparison:
    """Compare the result files of each name on the same annotations; with `images`, the report shows some.

    Raises:
        InputError: a file cannot be used or does not belong to the annotations, or an option does not fit them.
    """
    pairs = compared_pairs(list(named), options.reference)
    groups = group_images(options.annotations, truth, options.group_by, options.group_by_name)
    limit = options.max_detections
    files = {name: [score_file(path, truth, limit) for path in paths] for name, paths in named.items()}
    boxes = int(next(iter(files.values()))[0].match_result.countable_boxes[0].sum())
    if not boxes:
        raise InputError(f"{options.annotations} has no box to find, so nothing can be compared; give annotated images")
    limits = [*(one for one in (1, 10) if one < limit), limit]
    compared = compare_files(files, pairs, truth.categories, groups, limits, options.score)
    errors = {name: count_errors(some) for name, some in files.items()}
    differing = [most_different(errors[name], errors[against]) for name, against in pairs]
    pictures, unshown = _pictures(pairs, differing, files, images)
    return FileComparison(
        options=options,
        files=files,
        pairs=compared,
        image_names=[truth.name(index) for index in range(len(truth))],
        boxes=boxes,
        groups=int(groups.max(initial=-1)) + 1,
        errors=errors,
        differing=differing,
        pictures=pictures,
        warnings=[
            *truth.warnings,
            *same_content(named),
            *(warning for some in files.values() for file in some for warning in file.warnings),
            *unshown,
        ],
    )


def _pictures(
    pairs: Sequence[tuple[str, str]],
    differing: Sequence[Sequence[ImageDifference]],
    files: Mapping[str, Sequence[ScoredFile]],
    source: Source | None,
) -> tuple[list[DrawnPicture], list[str]]:
    if source is None:
        return [], []
    found = [
        draw_differences(pair, images, files, source, source.categories)
        for pair, images in list(zip(pairs, differing, strict=True))[:MAX_PAIRS]
    ]
    problems = list(dict.fromkeys(problem for _, some in found for problem in some))
    return [one for drawn, _ in found for one in drawn], unshown_images(problems)
