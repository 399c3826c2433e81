"""Write TIFF files of any bands, by the specification (TIFF 6.0, Adobe's TechNote 3 for predictor 3, BigTIFF)."""

from __future__ import annotations

import struct
import zlib
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

SAMPLE_FORMATS = {"u": 1, "i": 2, "f": 3}


def tiff(
    values: NDArray[Any],
    order: Literal["<", ">"] = "<",
    *,
    separate: bool = False,
    tile: int = 0,
    deflate: bool = False,
    predictor: int = 1,
    big: bool = False,
    photometric: int | None = None,
    extra: tuple[int, ...] = (),
    tags: dict[int, tuple[int, ...]] | None = None,
    pages: int = 1,
) -> bytes:
    """Return a file with values (H, W, C); `tile` is a side in pixels, 0 writes strips of five rows."""
    height, width, bands = values.shape
    chunks = []
    for plane in np.split(values, bands, axis=2) if separate else [values]:
        for top in range(0, height, tile or 5):
            for left in range(0, width, tile or width):
                part = plane[top : top + (tile or 5), left : left + (tile or width)]
                if tile:
                    part = np.pad(part, ((0, tile - part.shape[0]), (0, tile - part.shape[1]), (0, 0)))
                data = _predicted(part, order, predictor)
                chunks.append(zlib.compress(data) if deflate else data)
    known = {
        256: (width,), 257: (height,), 258: (values.itemsize * 8,) * bands, 259: (8 if deflate else 1,),
        262: (photometric if photometric is not None else 2 if bands >= 3 else 1,), 277: (bands,),
        284: (2 if separate else 1,), 317: (predictor,), 339: (SAMPLE_FORMATS[values.dtype.kind],) * bands,
    }  # fmt: skip
    if extra:
        known[338] = extra
    places, content = [], bytearray(16)
    for chunk in chunks:
        places.append(len(content))
        content += chunk + bytes(len(chunk) % 2)
    lengths = tuple(map(len, chunks))
    known |= (
        {322: (tile,), 323: (tile,), 324: tuple(places), 325: lengths}
        if tile
        else {273: tuple(places), 278: (5,), 279: lengths}
    )
    known |= tags or {}
    starts = []
    for page in range(pages):
        starts.append(len(content))
        content += _directory(known, order, big, len(content), last=page == pages - 1)
    if big:
        content[:16] = (b"II+\0" if order == "<" else b"MM\0+") + struct.pack(f"{order}HHQ", 8, 0, starts[0])
    else:
        content[:8] = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", starts[0])
    return bytes(content)


def _directory(tags: dict[int, tuple[int, ...]], order: str, big: bool, start: int, last: bool) -> bytes:
    count, entry, word, room = ("Q", "HHQ", "Q", 8) if big else ("H", "HHI", "I", 4)
    size = struct.calcsize(f"={count}") + len(tags) * (struct.calcsize(f"={entry}") + room) + room
    out, tail = struct.pack(order + count, len(tags)), b""
    for tag, values in sorted(tags.items()):
        data = struct.pack(f"{order}{len(values)}I", *values)
        if len(data) > room:
            place = struct.pack(order + word, start + size + len(tail))
            tail += data
        else:
            place = data.ljust(room, b"\0")
        out += struct.pack(order + entry, tag, 4, len(values)) + place
    return out + struct.pack(order + word, 0 if last else start + size + len(tail)) + tail


def _predicted(part: NDArray[Any], order: Literal["<", ">"], predictor: int) -> bytes:
    if predictor == 2:
        part = np.diff(part, axis=1, prepend=np.zeros_like(part[:, :1]))
    stored = part.astype(part.dtype.newbyteorder(order))
    if predictor != 3:
        return stored.tobytes()
    height, _, bands = part.shape
    sorted_bytes = part.astype(part.dtype.newbyteorder(">")).view(np.uint8).reshape(height, -1, part.itemsize)
    rows = sorted_bytes.swapaxes(1, 2).reshape(height, -1, bands)
    return np.diff(rows, axis=1, prepend=np.zeros_like(rows[:, :1])).tobytes()
