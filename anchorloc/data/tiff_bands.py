"""Read every band of a TIFF file with its own values: Pillow reads color in 8 bits, and few combinations of bands.

The first page is offered to Pillow as a gray image of its bytes, so that Pillow's decoders do the decompression.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anchorloc.data.pillow_globals import allowing
from anchorloc.errors import ItemError
from anchorloc.structures import Size

Tags = Mapping[int, tuple[int, ...]]

SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 254, 256, 257, 258, 259, 262, 266
STRIP_OFFSETS, ORIENTATION, BANDS, STRIP_ROWS, STRIP_BYTES, PLANAR, PREDICTOR = 273, 274, 277, 278, 279, 284, 317
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES, EXTRA, FORMAT = 322, 323, 324, 325, 338, 339
LAYOUT: Final = (COMPRESSION, FILL_ORDER, STRIP_OFFSETS, STRIP_ROWS, STRIP_BYTES, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES)
CHUNKS: Final = (STRIP_OFFSETS, STRIP_BYTES, TILE_OFFSETS, TILE_BYTES)
LOSSLESS: Final = (1, 5, 8, 32773, 32946, 34925, 50000)  # compressions of bytes: none, LZW, deflate, PackBits, ...
MAGIC: Final = {b"II*\0": "<", b"MM\0*": ">", b"II+\0": "<", b"MM\0+": ">"}  # + is BigTIFF
TYPES: Final = {1: "B", 3: "H", 4: "I", 16: "Q"}  # how the values of a tag are stored
KINDS: Final = {1: "u", 2: "i", 3: "f"}  # NumPy's kind by the tag FORMAT
MAX_TAGS: Final = 4096
MAX_TAG_BYTES: Final = 1 << 26  # the place and length of four million strips
MAX_PAGES: Final = 10_000
MANY_BYTES: Final = 1 << 26  # more of them must be plausible:
MAX_RATIO: Final = 2000  # a byte of deflate holds at most 1,032


@dataclass(frozen=True)
class TiffPage:
    """The first page of a TIFF file, known without its pixels."""

    order: str  # byte order, < or >
    tags: Tags
    pages: int  # pages of the file, without previews and masks

    def tag(self, number: int, default: int) -> int:
        """Return the first value of a tag."""
        return (self.tags.get(number) or (default,))[0]

    @property
    def size(self) -> Size:
        """The (height, width) of the upright image: a TIFF is always turned by its orientation."""
        height, width = self.tag(HEIGHT, 0), self.tag(WIDTH, 0)
        return (width, height) if self.tag(ORIENTATION, 1) in (5, 6, 7, 8) else (height, width)

    @property
    def bands(self) -> int:
        return self.tag(BANDS, 1)

    @property
    def bits(self) -> int:
        """The bits of a value; 0 if they differ among the bands."""
        bits = set(self.tags.get(BITS, (1,)))
        return bits.pop() if len(bits) == 1 else 0

    @property
    def is_color(self) -> bool:
        return self.tag(PHOTOMETRIC, 0) == 2

    @property
    def has_alpha(self) -> bool:
        """Whether the file declares its last band as alpha."""
        return self.tags.get(EXTRA, (0,))[-1] in (1, 2) and self.bands in (2, 4)

    @property
    def is_float(self) -> bool:
        return self.tag(FORMAT, 1) == 3

    @property
    def needs_values(self) -> bool:
        """Whether Pillow would drop bits or bands of it, or refuse it, and `read_values` can read it."""
        if self.tag(PHOTOMETRIC, 0) not in (0, 1, 2) or self.tag(COMPRESSION, 1) not in LOSSLESS:
            return False
        if self.bits not in (8, 16, 32, 64) or not 1 <= self.bands <= 0xFFFF or self.tag(FORMAT, 1) not in KINDS:
            return False
        plain = (3 if self.is_color else 1) + self.has_alpha
        return self.bits > 8 or self.bands != plain

    def read_values(self, data: bytes) -> NDArray[Any]:
        """Return the values (H, W, C) of all bands from the content of the file, upright.

        Raises:
            ItemError: the tags contradict each other.
            Exception: nearly any, on damaged files.
        """
        separate = self.tag(PLANAR, 1) == 2
        planes = range(self.bands) if separate else range(1)
        values = np.concatenate([self._plane(data, plane, 1 if separate else self.bands) for plane in planes], axis=2)
        if self.tag(PHOTOMETRIC, 0) == 0 and not self.is_float:
            values = ~values  # white is zero
        return turned(values, self.tag(ORIENTATION, 1))

    def _plane(self, data: bytes, plane: int, bands: int) -> NDArray[Any]:
        """Return the values (H, W, bands) that are stored together."""
        height, width = self.tag(HEIGHT, 0), self.tag(WIDTH, 0)
        step = self.tag(TILE_WIDTH, width) if TILE_OFFSETS in self.tags else width
        columns = -(-width // step) * step  # with the padding of the last tile
        pixel = bands * self.bits // 8  # bytes
        if height * columns * pixel > max(MANY_BYTES, MAX_RATIO * len(data)):
            raise ItemError("declares more pixels than its bytes can hold; it is damaged, replace the file")
        tags = {number: self.tags[number] for number in LAYOUT if number in self.tags}
        for number in CHUNKS:
            if number in tags and self.tag(PLANAR, 1) == 2:
                part = len(tags[number]) // self.bands
                tags[number] = tags[number][plane * part : (plane + 1) * part]
        tags |= {WIDTH: (columns * pixel,), HEIGHT: (height,), BITS: (8,), PHOTOMETRIC: (1,), BANDS: (1,)}
        if TILE_OFFSETS in tags:
            tags[TILE_WIDTH] = (step * pixel,)
        with allowing(columns * pixel * height), Image.open(io.BytesIO(self._as_bytes(data, tags))) as image:
            stored = np.asarray(image)
        dtype = np.dtype(f"{self.order}{KINDS[self.tag(FORMAT, 1)]}{self.bits // 8}")
        tiles = stored.reshape(height, columns // step, step * pixel)
        if self.tag(PREDICTOR, 1) == 3:
            dtype = dtype.newbyteorder(">")
            tiles = _undo_float_differences(tiles, bands, dtype.itemsize)
        values = np.ascontiguousarray(tiles).view(dtype).reshape(height, -1, step, bands)
        values = values.astype(dtype.newbyteorder("="))
        if self.tag(PREDICTOR, 1) == 2:
            values = np.cumsum(values, axis=2, dtype=values.dtype)  # integers wrap around, as they did when written
        return values.reshape(height, columns, bands)[:, :width]

    def _as_bytes(self, data: bytes, tags: Tags) -> bytes:
        """Return the file with other tags: they follow the old content, whose offsets stay."""
        start = len(data) + len(data) % 2
        magic = b"II*\0" if self.order == "<" else b"MM\0*"
        head = magic + struct.pack(f"{self.order}I", start)
        return head + data[8:].ljust(start - 8, b"\0") + _directory(self.order, tags, start)


def read_page(file: BinaryIO) -> TiffPage | None:
    """Return the first page of a TIFF file, or None if the file is no TIFF.

    Raises:
        Exception: nearly any, on damaged files.
    """
    head = file.read(16)
    order = MAGIC.get(head[:4])
    if order is None:
        return None
    big = b"+" in head[:4]
    start: int = struct.unpack_from(f"{order}Q", head, 8)[0] if big else struct.unpack_from(f"{order}I", head, 4)[0]
    first, seen, pages = None, set[int](), 0
    while start and start not in seen and len(seen) < MAX_PAGES:
        seen.add(start)
        tags, start = _read_directory(file, order, big, start)
        first = tags if first is None else first
        pages += not tags.get(SUBFILE, (0,))[0] & 5  # 1 is a reduced copy, 4 a mask
    return None if first is None else TiffPage(order, first, max(pages, 1))


def turned(values: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Return an image (H, W, C) as viewers show it, by its orientation from 1 to 8, as TIFF and EXIF define it."""
    if orientation in (2, 7):
        values = values[:, ::-1]
    elif orientation in (4, 5):
        values = values[::-1]
    elif orientation == 3:
        values = values[::-1, ::-1]
    if orientation in (5, 6, 7):
        return np.ascontiguousarray(np.rot90(values, -1))
    return np.ascontiguousarray(np.rot90(values) if orientation == 8 else values)


def _read_directory(file: BinaryIO, order: str, big: bool, start: int) -> tuple[dict[int, tuple[int, ...]], int]:
    """Return the tags with whole numbers of the page at `start`, and where the next page starts; 0 is nowhere."""
    number_code, entry_code, word, size = ("Q", "HHQ", "Q", 20) if big else ("H", "HHI", "I", 12)
    file.seek(start)
    (number,) = struct.unpack(order + number_code, file.read(struct.calcsize(number_code)))
    if number > MAX_TAGS:
        raise ItemError("has a damaged TIFF directory; replace the file")
    entries, place = file.read(size * number), struct.calcsize(word)
    following = file.read(place)
    tags = {}
    for at in range(0, len(entries), size):
        tag, kind, count = struct.unpack_from(order + entry_code, entries, at)
        if kind not in TYPES:
            continue
        value, length = entries[at + size - place : at + size], count * struct.calcsize(TYPES[kind])
        if length > MAX_TAG_BYTES:
            raise ItemError("has a damaged TIFF directory; replace the file")
        if length > place:
            file.seek(struct.unpack(order + word, value)[0])
            value = file.read(length)
        tags[tag] = struct.unpack(f"{order}{count}{TYPES[kind]}", value[:length])
    return tags, struct.unpack(order + word, following)[0] if len(following) == place else 0


def _directory(order: str, tags: Tags, start: int) -> bytes:
    """Return a TIFF directory that is written at `start`."""
    entries, tail = b"", b""
    after = start + 2 + 12 * len(tags) + 4
    for tag, values in sorted(tags.items()):
        kind = 4 if tag in CHUNKS or max(values, default=0) > 0xFFFF else 3
        data = struct.pack(f"{order}{len(values)}{TYPES[kind]}", *values)
        if len(data) > 4:
            place = struct.pack(f"{order}I", after + len(tail))
            tail += data + bytes(len(data) % 2)
        else:
            place = data.ljust(4, b"\0")
        entries += struct.pack(f"{order}HHI", tag, kind, len(values)) + place
    return struct.pack(f"{order}H", len(tags)) + entries + bytes(4) + tail


def _undo_float_differences(tiles: NDArray[np.uint8], bands: int, size: int) -> NDArray[np.uint8]:
    """Undo TIFF's predictor 3 on rows of bytes (H, tiles, bytes): differences of bytes that are sorted by
    significance, the greatest first."""
    height, across, length = tiles.shape
    summed = np.cumsum(tiles.reshape(height, across, length // bands, bands), axis=2, dtype=np.uint8)
    return summed.reshape(height, across, size, length // size).swapaxes(2, 3).reshape(height, across, length)
