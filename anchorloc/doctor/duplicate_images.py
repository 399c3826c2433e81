"""Find image files that are identical, by SHA-256, or look alike, by a difference hash, within and across splits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anchorloc.doctor.document import CocoDocument
from anchorloc.doctor.findings import Findings
from anchorloc.doctor.rules import Rule
from anchorloc.files import digest
from anchorloc.structures import IntArray, Size

SIDE = 16  # cells of the hash grid a side: 256 bits
MIN_STEP = 4  # in 256 gray levels; a smaller step is noise, as compression makes it
MAX_DISTANCE = 10  # differing bits of two images that look alike
MIN_SET_BITS = 3 * MAX_DISTANCE  # uniform images set fewer bits, and all look alike
_BLOCK = 1 << 22  # pairs compared at once, to bound memory


@dataclass(frozen=True, eq=False)
class ImageHash:
    """A difference hash: a bit per cell of a coarse gray grid, set if the cell is brighter than its left neighbor."""

    bits: NDArray[np.uint64]  # (4,) 256 bits

    @property
    def uniform(self) -> bool:
        """Whether the image shows too little to compare it."""
        return int(np.bitwise_count(self.bits).sum()) < MIN_SET_BITS


@dataclass(frozen=True)
class ImageFile:
    """An image file that can be read."""

    row: int  # in the list of images
    path: Path
    size: Size  # (height, width) as viewers show it, or as stored if the EXIF orientation is ignored
    hash: ImageHash | None  # None if the pixels were not decoded


_Files = tuple[CocoDocument, Sequence[ImageFile]]


def difference_hash(pixels: NDArray[np.uint8]) -> ImageHash:
    """Hash (H, W, 3) RGB so that scale and compression hardly change it."""
    gray = Image.fromarray(pixels).convert("L").resize((SIDE + 1, SIDE), Image.Resampling.BOX)
    grid = np.asarray(gray, np.int16)  # (SIDE, SIDE + 1)
    return ImageHash(np.packbits(grid[:, 1:] > grid[:, :-1] + MIN_STEP).view(np.uint64))


def similar_pairs(first: list[ImageHash], second: list[ImageHash]) -> tuple[IntArray, IntArray, IntArray]:
    """Return the P pairs within MAX_DISTANCE: indices into `first` and `second` and differing bits, (P,) each."""
    if not first or not second:
        empty = np.empty(0, np.int64)
        return empty, empty, empty
    first_bits, second_bits = np.stack([one.bits for one in first]), np.stack([one.bits for one in second])  # (N, 4)
    uniform = np.array([one.uniform for one in first])[:, None], np.array([one.uniform for one in second])[None]
    blocks = []
    step = max(1, _BLOCK // len(second_bits))
    for start in range(0, len(first_bits), step):
        distance = np.zeros((len(first_bits[start : start + step]), len(second_bits)), np.int64)
        for word in range(first_bits.shape[1]):
            distance += np.bitwise_count(first_bits[start : start + step, None, word] ^ second_bits[None, :, word])
        near = (distance <= MAX_DISTANCE) & ~uniform[0][start : start + step] & ~uniform[1]
        rows, columns = np.nonzero(near)
        blocks.append(np.stack([rows + start, columns, distance[near]]))
    pairs = np.concatenate(blocks, axis=1)
    return pairs[0], pairs[1], pairs[2]


def check_duplicate_images(splits: Sequence[_Files], findings: Findings) -> None:
    """Report byte-identical files within each split and between train, the first, and val, the second.

    Only files of equal length are read. If the pixels were decoded, images of val that look like one of train are
    reported as suspected leaks.
    """
    originals = _byte_identical([[file.path for file in files] for _, files in splits])
    for number, (document, files) in enumerate(splits):
        for index, (other, earlier) in originals[number].items():
            rule = Rule.SAME_BYTES if other == number else Rule.LEAK
            value = f"same as {splits[other][0].describe('images', splits[other][1][earlier].row)}"
            findings.add(rule, document, "images", files[index].row, value)
    if len(splits) == 2:
        leaked = {index for index, (other, _) in originals[1].items() if other == 0}
        _check_similar(splits[0], splits[1], leaked, findings)


def _byte_identical(splits: Sequence[Sequence[Path]]) -> list[dict[int, tuple[int, int]]]:
    """Return for each split the indices of files that repeat an earlier one, with that one's (split, index).

    Of several earlier files the one of the first split is taken, so that val points to train. A file that is listed
    twice in a split does not repeat itself: another rule reports its name.
    """
    lengths: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for number, paths in enumerate(splits):
        for index, path in enumerate(paths):
            lengths[path.stat().st_size].append((number, index))
    originals: list[dict[int, tuple[int, int]]] = [{} for _ in splits]
    for group in lengths.values():
        first: dict[str, tuple[int, int]] = {}
        for number, index in group if len(group) > 1 else ():
            first_number, first_index = first.setdefault(digest(splits[number][index]), (number, index))
            same_file = number == first_number and splits[number][index] == splits[first_number][first_index]
            if (number, index) != (first_number, first_index) and not same_file:
                originals[number][index] = (first_number, first_index)
    return originals


def _check_similar(train: _Files, val: _Files, leaked: set[int], findings: Findings) -> None:
    """Report each image of val similar to one of train, with the most similar one."""
    of_train = [(file, file.hash) for file in train[1] if file.hash is not None]
    of_val = [(file, file.hash) for index, file in enumerate(val[1]) if file.hash is not None and index not in leaked]
    val_indices, train_indices, bits = similar_pairs([one for _, one in of_val], [one for _, one in of_train])
    order = np.lexsort((train_indices, bits, val_indices))
    seen: set[int] = set()
    for pair in order.tolist():
        index = int(val_indices[pair])
        if index not in seen:
            seen.add(index)
            other = train[0].describe("images", of_train[int(train_indices[pair])][0].row)
            value = f"like {other}, {bits[pair]} of {SIDE * SIDE} hash bits differ (at most {MAX_DISTANCE})"
            findings.add(Rule.LOOKS_LEAKED, val[0], "images", of_val[index][0].row, value)
