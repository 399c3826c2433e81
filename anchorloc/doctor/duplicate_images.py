"""The same picture twice: within a split, or in train and val."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from anchorloc.doctor import rules as kinds
from anchorloc.doctor.document import Document
from anchorloc.doctor.findings import Findings
from anchorloc.doctor.image_files import ImageFile
from anchorloc.doctor.image_hash import ALIKE, SIDE, alike

Split = tuple[Document, Sequence[ImageFile]]


def check_copies(splits: Sequence[Split], findings: Findings) -> None:
    """Note files of the same bytes within each of the splits, and between the first, train, and the second, val.

    Bytes are compared by SHA-256, and read only of files that have the length of another. Where pixels were decoded,
    pairs of train and val whose fingerprints nearly agree are a suspicion.
    """
    twins = _same_bytes([[file.path for file in files] for _, files in splits])
    for number, (document, files) in enumerate(splits):
        for place, (other, earlier) in twins[number].items():
            value = f"as {splits[other][0].describe('images', splits[other][1][earlier].row)}"
            findings.add(
                kinds.SAME_BYTES if other == number else kinds.LEAK, document, "images", files[place].row, value
            )
    if len(splits) == 2:
        leaked = {place for place, (other, _) in twins[1].items() if other == 0}
        _check_likeness(splits[0], splits[1], leaked, findings)


def _same_bytes(splits: Sequence[Sequence[Path]]) -> list[dict[int, tuple[int, int]]]:
    """Return for each split the places of files that an earlier one equals, and (split, place) of that one.

    Of several the one of the first split is taken, so that val points to train. One file listed twice in a split is
    no copy: its name is a finding of its own.
    """
    lengths: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for number, paths in enumerate(splits):
        for place, path in enumerate(paths):
            lengths[path.stat().st_size].append((number, place))
    twins: list[dict[int, tuple[int, int]]] = [{} for _ in splits]
    for group in lengths.values():
        first: dict[bytes, tuple[int, int]] = {}
        for number, place in group if len(group) > 1 else ():
            number_first, place_first = first.setdefault(_digest(splits[number][place]), (number, place))
            same_file = number == number_first and splits[number][place] == splits[number_first][place_first]
            if (number, place) != (number_first, place_first) and not same_file:
                twins[number][place] = (number_first, place_first)
    return twins


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _check_likeness(train: Split, val: Split, leaked: set[int], findings: Findings) -> None:
    ours = [file for file in train[1] if file.fingerprint is not None]
    theirs = [file for place, file in enumerate(val[1]) if file.fingerprint is not None and place not in leaked]
    theirs_at, ours_at, bits = alike(
        [file.fingerprint for file in theirs if file.fingerprint],
        [file.fingerprint for file in ours if file.fingerprint],
    )
    order = np.lexsort((ours_at, bits, theirs_at))
    seen: set[int] = set()
    for pair in order.tolist():
        place = int(theirs_at[pair])
        if place not in seen:
            seen.add(place)
            other = train[0].describe("images", ours[int(ours_at[pair])].row)
            value = f"as {other}, {bits[pair]} of {SIDE * SIDE} bits differ (up to {ALIKE} are a suspicion)"
            findings.add(kinds.LOOKS_LEAKED, val[0], "images", theirs[place].row, value)
