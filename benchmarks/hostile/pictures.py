"""Cases with bad and odd image files."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.hostile.base import SIZE, data_set, document, picture
from benchmarks.hostile.item import Item

HEIGHT, WIDTH = SIZE


def saved(image: Image.Image, format: str, **words: Any) -> bytes:
    """Return the bytes of a file."""
    buffer = io.BytesIO()
    image.save(buffer, format, **words)
    return buffer.getvalue()


def exif(orientation: int) -> Image.Exif:
    """Return metadata with an orientation."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def png(width: int, height: int, pixels: bytes, depth: int = 8, color: int = 0) -> bytes:
    """Return a PNG whose header declares any size and mode."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


def spoiled(data: bytes) -> bytes:
    """Return a PNG with a valid header and damaged pixels."""
    start = data.index(b"IDAT") + 40
    return data[:start] + bytes(200) + data[start + 200 :]


RGB = picture()
GRAY16 = Image.fromarray(np.linspace(0, 65535, HEIGHT * WIDTH).astype(np.uint16).reshape(SIZE))
TURNED = picture((WIDTH, HEIGHT))
GOOD: dict[str, Callable[[], bytes]] = {
    "JPEG": lambda: saved(RGB, "JPEG"),
    "JPEG progressive": lambda: saved(RGB, "JPEG", progressive=True),
    "JPEG gray": lambda: saved(RGB.convert("L"), "JPEG"),
    "JPEG CMYK": lambda: saved(RGB.convert("CMYK"), "JPEG"),
    "JPEG turned by EXIF to the declared size": lambda: saved(TURNED, "JPEG", exif=exif(6)),
    "JPEG stored in the declared size, EXIF 6": lambda: saved(RGB, "JPEG", exif=exif(6)),
    "JPEG with EXIF 99": lambda: saved(RGB, "JPEG", exif=exif(99)),
    "JPEG followed by bytes": lambda: saved(RGB, "JPEG") + bytes(100),
    "PNG gray": lambda: saved(RGB.convert("L"), "PNG"),
    "PNG gray with alpha": lambda: saved(RGB.convert("LA"), "PNG"),
    "PNG with alpha": lambda: saved(RGB.convert("RGBA"), "PNG"),
    "PNG palette": lambda: saved(RGB.convert("P"), "PNG"),
    "PNG palette with a transparent color": lambda: saved(RGB.convert("P"), "PNG", transparency=0),
    "PNG of 1 bit": lambda: saved(RGB.convert("1"), "PNG"),
    "PNG gray of 16 bits": lambda: saved(GRAY16, "PNG"),
    "TIFF gray of 16 bits": lambda: saved(GRAY16, "TIFF"),
    "TIFF": lambda: saved(RGB, "TIFF", compression="tiff_lzw"),
    "GIF animated": lambda: saved(RGB, "GIF", save_all=True, append_images=[RGB.rotate(90)]),
    "WebP": lambda: saved(RGB, "WEBP"),
    "BMP": lambda: saved(RGB, "BMP"),
    "PPM": lambda: saved(RGB, "PPM"),
}
BAD: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "JPEG truncated": lambda: saved(RGB, "JPEG")[:-300],
    "JPEG cut in its header": lambda: saved(RGB, "JPEG")[:20],
    "PNG truncated": lambda: saved(RGB, "PNG")[:-300],
    "PNG with damaged pixels": lambda: spoiled(saved(RGB, "PNG")),
    "PNG without pixels": lambda: png(WIDTH, HEIGHT, b""),
    "PNG of width 0": lambda: png(0, HEIGHT, b"\0" * HEIGHT),
    "PNG bomb of 144 megapixels": lambda: png(12_000, 12_000, bytes(1000), depth=1),
    "PNG bomb of 400 megapixels": lambda: png(20_000, 20_000, bytes(1000), depth=1),
    "HTML": lambda: b"<html><script>alert(1)</script></html>",
    "text": lambda: b"not an image",
    "SVG": lambda: b'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="48"/>',
    "PDF": lambda: saved(RGB, "PDF"),
    "EPS, which would start a program": lambda: saved(RGB, "EPS"),
    "ICO": lambda: saved(RGB, "ICO"),
    "TIFF of floats": lambda: saved(Image.fromarray(np.ones(SIZE, np.float32)), "TIFF"),
    "wider than declared": lambda: saved(picture((HEIGHT, WIDTH + 1)), "PNG"),
    "turned, without EXIF": lambda: saved(TURNED, "PNG"),
    "JSON": lambda: b'{"images": []}',
    "zip": lambda: b"PK\x05\x06" + bytes(18),
    "Git LFS pointer": lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
}
PLACES: dict[str, tuple[bool, Callable[[Path], object]]] = {
    "missing": (False, lambda path: None),
    "a folder": (False, lambda path: path.mkdir()),
    "a pipe": (False, os.mkfifo),
    "a link out of the folder": (False, lambda path: path.symlink_to("/etc/hostname")),
    "a link to a device": (False, lambda path: path.symlink_to("/dev/zero")),
    "a link to itself": (False, lambda path: path.symlink_to(path.name)),
    "a link to nothing": (False, lambda path: path.symlink_to("nothing.png")),
    "a link inside the folder": (True, lambda path: path.symlink_to("b.png")),
}
NAMES = {"with blanks": "a picture.png", "Persian": "سگ.png", "in a subfolder": "sub/a.png", "of another type": "a.jpg"}
SHAPES = {"of one pixel": (1, 1), "of one row": (1, 200), "of one column": (300, 1), "2 x 2,000": (2, 2000)}


def items() -> Iterator[Item]:
    """Yield every case, trained on for one step."""
    for good, contents in ((True, GOOD), (False, BAD)):
        for name, content in contents.items():
            yield Item(f"image: {name}", good, "train", lambda f, c=content: _place(f, _written(c)))  # type: ignore[misc]
    for name, (good, act) in PLACES.items():
        yield Item(f"image: {name}", good, "train", lambda f, a=act: _place(f, a))  # type: ignore[misc]
    for name, file_name in NAMES.items():
        yield Item(f"image: name {name}", True, "train", lambda f, n=file_name: _named(f, n))  # type: ignore[misc]
    for name, size in SHAPES.items():
        yield Item(f"image: {name}", True, "train", lambda f, s=size: _shaped(f, s))  # type: ignore[misc]


def _written(content: Callable[[], bytes]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content())


def _place(folder: Path, act: Callable[[Path], object]) -> list[str]:
    words = data_set(folder)
    path = folder / "images" / "a.png"
    path.unlink()
    act(path)
    return words


def _named(folder: Path, name: str) -> list[str]:
    content = document()
    content["images"][0]["file_name"] = name
    (folder / "images" / name).parent.mkdir(parents=True)
    picture().save(folder / "images" / name, "PNG")
    return data_set(folder, content)


def _shaped(folder: Path, size: tuple[int, int]) -> list[str]:
    content = document()
    content["images"][0].update(height=size[0], width=size[1])
    content["annotations"][0]["bbox"] = [0, 0, 1, 1]
    (folder / "images").mkdir(parents=True)
    picture(size).save(folder / "images" / "a.png")
    return data_set(folder, content)
