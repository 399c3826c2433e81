"""What is left of bits, bands, pages and alpha when an image file is read, and who is warned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anchorloc.data import CocoData
from anchorloc.data.image_check import read_content
from anchorloc.data.image_formats import ForeignFormatError
from anchorloc.data.image_settings import ImageSettings
from anchorloc.data.images import open_image, read_header, read_image, to_pixels
from anchorloc.errors import InputError, ItemError
from benchmarks.hostile.pictures import png
from tests.data.data_sets import write_data_set
from tests.data.tiff_files import tiff


def save(image: Image.Image, path: Path) -> Path:
    image.save(path)
    return path


def test_levels_before_and_after_are_counted(tmp_path: Path) -> None:
    """A CT in Hounsfield units and 12-bit color, both in 16 bits, of which Pillow calls the second one RGB."""
    hounsfield = save(Image.fromarray(np.arange(31768, 33768, dtype=np.uint16).reshape(40, 50)), tmp_path / "ct.png")
    content = read_content(hounsfield, ImageSettings())
    assert (content.low, content.high, content.levels, content.kept) == (31768, 33767, 2000, 8)
    assert content.levels_lost(16) == "2,000 levels become 8 (3.1% of 16 bits: 31,768 to 33,767)"
    assert read_content(hounsfield, ImageSettings(window=(31768, 33768))).kept == 256
    assert read_content(hounsfield, ImageSettings(window=(0, 9))).loses_levels
    color = np.arange(4096 * 3, dtype=np.uint16).reshape(64, 64, 3) % 4096
    path = tmp_path / "color.png"
    path.write_bytes(deep_png(color))
    header = read_header(path)
    assert (header.mode, header.bits, header.kind) == ("RGB", 16, "16-bit color")
    content = read_content(path, ImageSettings())
    assert (content.levels, content.kept, content.loses_levels) == (4096, 16, True)
    np.testing.assert_array_equal(read_image(path), color >> 8)
    np.testing.assert_array_equal(
        read_image(path, settings=ImageSettings(window=(0, 4095), bands=(3, 2, 1))),
        np.floor(color[..., ::-1] * 255.0 / 4095 + 0.5),
    )
    window = ImageSettings(window=(0, 4095))
    np.testing.assert_array_equal(read_image(path.read_bytes(), None, window), read_image(path, None, window))
    with Image.open(path) as opened, pytest.raises(ItemError, match="of which Pillow keeps 8 in RGB; give the path"):
        to_pixels(opened, ImageSettings(window=(0, 4095)))
    full = save(Image.fromarray(np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64)), tmp_path / "full.png")
    assert not read_content(full, ImageSettings()).loses_levels


def deep_png(values: np.ndarray) -> bytes:
    """A PNG of 16 bits: gray and alpha, color, or color and alpha."""
    height, width, bands = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png(width, height, rows, depth=16, color={2: 4, 3: 2, 4: 6}[bands])


@pytest.mark.parametrize("bands", [2, 3, 4])
def test_all_bits_of_a_png_are_read(bands: int, tmp_path: Path) -> None:
    values = np.random.default_rng(bands).integers(0, 65536, (5, 7, bands), np.uint16)
    path = tmp_path / "deep.png"
    path.write_bytes(deep_png(values))
    with open_image(path, 100) as opened:
        assert (opened.header.bands, opened.header.has_alpha, opened.header.unused_bands) == (bands, bands != 3, 0)
        np.testing.assert_array_equal(opened.values, values)
    last = read_image(path, settings=ImageSettings(bands=(bands,), window=(0, 65535)))
    np.testing.assert_array_equal(last[..., 0], np.rint(values[..., -1] / 257))


def test_a_gray_image_stays_gray_when_color_bands_are_chosen(tmp_path: Path) -> None:
    gray = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    settings = ImageSettings(bands=(3, 2, 1))
    expected = read_image(save(gray, tmp_path / "gray.png"))
    np.testing.assert_array_equal(read_image(tmp_path / "gray.png", settings=settings), expected)
    gray.putalpha(0)
    np.testing.assert_array_equal(read_image(save(gray, tmp_path / "clear.png"), settings=settings), expected)
    assert read_image(tmp_path / "clear.png").min() == 255


def test_alpha_that_takes_over_the_picture_is_found_and_a_cut_out_object_is_not(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 4), np.uint8)
    veil = read_content(save(Image.fromarray(noise), tmp_path / "veil.png"), ImageSettings())
    assert veil.hidden == pytest.approx(0.5, abs=0.05)
    assert read_content(tmp_path / "veil.png", ImageSettings(bands=(1, 2, 3))).hidden == 0
    noise[..., 3] = 0
    assert read_content(save(Image.fromarray(noise), tmp_path / "clear.png"), ImageSettings()).hidden == 1
    noise[10:, 10:, 3] = 255
    assert read_content(save(Image.fromarray(noise), tmp_path / "object.png"), ImageSettings()).hidden == 0
    noise[..., :3] = 0
    noise[..., 3] = 0
    assert read_content(save(Image.fromarray(noise), tmp_path / "plain.png"), ImageSettings()).hidden == 0


def test_training_is_warned_of_what_reading_loses(tmp_path: Path) -> None:
    root = write_data_set(tmp_path / "set")
    flat = np.arange(30 * 40, dtype=np.uint16).reshape(30, 40) + 32_000
    save(Image.fromarray(flat), root / "images" / "a.png")
    (root / "images" / "b.png").write_bytes(tiff(np.full((24, 32, 4), 7, np.uint8), pages=2))
    assert CocoData(root).open("train").check_images() == (
        "1 image has more bands than are read: b.png; data.bands=[R,G,B] chooses others, counted from 1",
        "1 file has several pages or frames, of which the first is read: b.png",
        "few gray levels are left in 1 of 1 decoded images, such as a.png: 1,200 levels become 5 (1.8% of "
        "16 bits: 32,000 to 33,199); set data.window to the values that matter, at most [32000,33199], or "
        "window the images to 8 bits",
    )
    source = CocoData(root, window=(32_000, 33_199)).open("train")
    assert len(source.check_images()) == 2
    assert (source.image(0).min(), source.image(0).max()) == (0, 255)
    with pytest.raises(InputError, match=r"a\.png, has 1 band, but data\.bands=\[5\]; .*\(1 more"):
        CocoData(root, bands=(5,)).open("train").check_images()


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\0\0\0\x18ftypheic", "HEIC"),
        (b"\xff\x0a", "JPEG XL"),
        (bytes(128) + b"DICM", "DICOM"),
        (b"II*\0\x10\0\0\0CR\x02", "camera raw"),
    ],
)
def test_a_format_that_is_not_read_is_named(head: bytes, name: str, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(head + bytes(200))
    with pytest.raises(ForeignFormatError, match=f"is a file in the format {name}, which is not read; convert it"):
        read_header(path)


def test_a_raw_photo_is_not_taken_for_its_preview(tmp_path: Path) -> None:
    preview = save(Image.new("RGB", (4, 3)), tmp_path / "photo.tif")
    preview.rename(tmp_path / "photo.nef")
    with pytest.raises(ForeignFormatError, match="camera raw"):
        read_image(tmp_path / "photo.nef")
