"""Sizes from the first bytes of a file are those that Pillow reads, or none."""

from __future__ import annotations

import io
from random import Random
from typing import Any

import pytest
from PIL import Image

from anchorloc.data.image_heads import HEAD, size_in_head
from anchorloc.data.images import ORIENTATION


def encoded(mode: str, kind: str, **options: Any) -> bytes:
    """A picture of 40 x 30 px."""
    file = io.BytesIO()
    Image.new(mode, (40, 30), 1).save(file, kind, **options)
    return file.getvalue()


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    return exif


READ = {
    "png": encoded("RGB", "PNG"),
    "png palette": encoded("P", "PNG"),
    "png 16 bits": encoded("I;16", "PNG"),
    "png with profile": encoded("RGB", "PNG", icc_profile=bytes(2000)),
    "jpeg": encoded("RGB", "JPEG"),
    "jpeg gray, progressive": encoded("L", "JPEG", progressive=True),
    "jpeg cmyk": encoded("CMYK", "JPEG", comment="scanned"),
}
OPENED = {
    "png with exif": encoded("RGB", "PNG", exif=turned()),
    "jpeg with exif": encoded("RGB", "JPEG", exif=turned()),
    "jpeg with xmp": encoded("RGB", "JPEG", xmp=b"<x/>"),
    "jpeg with a long header": encoded("RGB", "JPEG", icc_profile=bytes(9000)),
    "gif": encoded("P", "GIF"),
    "png that ends": READ["png"][:30],
    "jpeg that ends": READ["jpeg"][:100],
    "nothing": b"",
    "a page": b"<html>",
}


@pytest.mark.parametrize("kind", READ)
def test_the_size_is_in_the_head(kind: str) -> None:
    assert size_in_head(READ[kind][:HEAD]) == (30, 40)


@pytest.mark.parametrize("kind", OPENED)
def test_what_the_head_does_not_decide_is_opened(kind: str) -> None:
    assert size_in_head(OPENED[kind][:HEAD]) is None


def test_no_damaged_head_has_another_size_than_pillow_reads() -> None:
    chance, agreed = Random(0), 0
    for whole in [READ["png"], READ["png palette"], READ["jpeg"], READ["jpeg cmyk"]] * 250:
        data = bytearray(whole)
        for _ in range(chance.randint(1, 3)):
            data[chance.randrange(min(len(data), 700))] = chance.randrange(256)
        size = size_in_head(bytes(data[:HEAD]))
        try:
            with Image.open(io.BytesIO(bytes(data)), formats=("PNG", "JPEG")) as image:
                assert size in (None, (image.height, image.width))
                agreed += size is not None
        except AssertionError:
            raise
        except Exception:  # decoders raise almost any type; opening refuses such a file later
            continue
    assert agreed > 300
