"""Every band of a TIFF file, whatever its layout."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from anchorloc.data.image_settings import ImageSettings
from anchorloc.data.images import read_header, read_image
from anchorloc.data.tiff_bands import read_page, turned
from anchorloc.errors import ItemError
from tests.data.tiff_files import tiff

DTYPES = ("u1", "u2", "i2", "u4", "i4", "f4", "f8")


def values_of(data: bytes) -> NDArray[Any]:
    page = read_page(io.BytesIO(data))
    assert page is not None
    return page.read_values(data)


@given(st.data())
def test_any_layout_gives_the_values_that_were_written(data: st.DataObject) -> None:
    dtype = np.dtype(data.draw(st.sampled_from(DTYPES)))
    shape = data.draw(st.tuples(st.integers(1, 20), st.integers(1, 40), st.integers(1, 7)))
    raw = np.random.default_rng(data.draw(st.integers(0, 99))).integers(0, 256, (*shape, dtype.itemsize), np.uint8)
    values = raw.view(dtype)[..., 0] if dtype.kind != "f" else raw[..., 0].astype(dtype) / 7
    predictors = [1, 3] if dtype.kind == "f" else [1, 2]
    written = tiff(
        values,
        data.draw(st.sampled_from("<>")),
        separate=data.draw(st.booleans()),
        tile=data.draw(st.sampled_from([0, 16])),
        deflate=True,
        predictor=data.draw(st.sampled_from(predictors)),
        big=data.draw(st.booleans()),
        photometric=1,
    )
    np.testing.assert_array_equal(values_of(written), values)


def test_uncompressed_and_lzw_and_white_that_is_zero(tmp_path: Path) -> None:
    values = np.arange(24, dtype=np.uint16).reshape(2, 4, 3)
    np.testing.assert_array_equal(values_of(tiff(values)), values)
    np.testing.assert_array_equal(values_of(tiff(values, photometric=0)), 65535 - values)
    gray = Image.fromarray(np.arange(600, dtype=np.uint16).reshape(20, 30))
    gray.save(tmp_path / "lzw.tif", compression="tiff_lzw")
    np.testing.assert_array_equal(values_of((tmp_path / "lzw.tif").read_bytes())[..., 0], np.asarray(gray))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_turned_as_pillow_turns_it(orientation: int) -> None:
    values = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(values)
    image.info["exif"] = exif.tobytes()
    np.testing.assert_array_equal(turned(values, orientation), np.asarray(ImageOps.exif_transpose(image)))
    np.testing.assert_array_equal(values_of(tiff(values, tags={274: (orientation,)})), turned(values, orientation))


def save(data: bytes, path: Path) -> Path:
    path.write_bytes(data)
    return path


def test_a_fourth_band_is_alpha_only_if_the_file_says_so(tmp_path: Path) -> None:
    """Pillow takes near infrared for alpha where ExtraSamples is missing."""
    values = np.full((4, 6, 4), 100, np.uint8)
    values[..., 3] = 0
    infrared = save(tiff(values), tmp_path / "infrared.tif")
    assert np.unique(read_image(infrared)).tolist() == [100]
    assert read_header(infrared).unused_bands == 1
    clear = save(tiff(values, extra=(2,)), tmp_path / "alpha.tif")
    assert np.unique(read_image(clear)).tolist() == [255]
    assert read_header(clear).unused_bands == 0
    assert np.unique(read_image(clear, settings=ImageSettings(bands=(1, 2, 3)))).tolist() == [100]


def test_bands_are_chosen_by_number(tmp_path: Path) -> None:
    values = np.arange(5 * 6 * 8, dtype=np.uint8).reshape(5, 6, 8)
    path = save(tiff(values, photometric=1, extra=(0,) * 7), tmp_path / "eight.tif")
    header = read_header(path)
    assert (header.size, header.bands, header.unused_bands, header.kind) == ((5, 6), 8, 5, "8 bands of 8 bits")
    np.testing.assert_array_equal(read_image(path), values[..., :3])
    np.testing.assert_array_equal(read_image(path, settings=ImageSettings(bands=(8, 4, 1))), values[..., [7, 3, 0]])
    gray = read_image(path, settings=ImageSettings(bands=(5,)))
    np.testing.assert_array_equal(gray, np.repeat(values[..., 4:5], 3, axis=2))
    with pytest.raises(ItemError, match=r"has 8 bands, but data\.bands=\[9\]"):
        read_image(path, settings=ImageSettings(bands=(9,)))


def test_a_window_maps_values_of_any_type(tmp_path: Path) -> None:
    hounsfield = np.array([[[-1000], [-200], [0], [200], [3000]]], np.int16)
    path = save(tiff(hounsfield), tmp_path / "ct.tif")
    with pytest.raises(ItemError, match=r"gray values from -1,000 to 3,000, outside 0 to 65,535; set data\.window"):
        read_image(path)
    pixels = read_image(path, settings=ImageSettings(window=(-200, 200)))
    assert pixels[0, :, 0].tolist() == [0, 0, 128, 255, 255]
    shares = save(tiff(np.array([[[0.0], [0.5], [1.0], [np.nan]]], np.float32)), tmp_path / "float.tif")
    with pytest.raises(ItemError, match=r"floating-point pixels of unknown range; set data\.window"):
        read_image(shares)
    assert read_image(shares, settings=ImageSettings(window=(0, 1)))[0, :, 0].tolist() == [0, 128, 255, 0]


def test_pages_are_counted_without_previews(tmp_path: Path) -> None:
    values = np.zeros((4, 4, 3), np.uint8)
    assert read_header(save(tiff(values, pages=3), tmp_path / "stack.tif")).pages == 3
    assert read_header(save(tiff(values, pages=3, tags={254: (1,)}), tmp_path / "pyramid.tif")).pages == 1


def test_a_page_that_names_itself_as_the_next_one_ends() -> None:
    data = bytearray(tiff(np.zeros((4, 4, 3), np.uint8), pages=1))
    number = int.from_bytes(data[4:8], "little")
    end = number + 2 + 12 * int.from_bytes(data[number : number + 2], "little")
    data[end : end + 4] = data[4:8]
    page = read_page(io.BytesIO(bytes(data)))
    assert page is not None
    assert page.pages == 1


def test_a_damaged_file_is_read_or_refused(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (24, 32, 5), np.uint16)
    files = [tiff(values), tiff(values, ">", tile=16, deflate=True, predictor=2), tiff(values, big=True, separate=True)]
    chance, path = random.Random(0), tmp_path / "damaged.tif"
    for _ in range(150):
        data = bytearray(chance.choice(files))
        for _ in range(chance.choice([1, 3, 30])):  # the directory at the end more often
            data[len(data) - 1 - int(600 * chance.random()) if chance.random() < 0.7 else chance.randrange(64)] ^= (
                1 << chance.randrange(8)
            )
        path.write_bytes(data[: chance.choice([len(data), len(data), chance.randrange(len(data))])])
        try:
            assert read_image(path, settings=ImageSettings(max_pixels=10**7, window=(0, 9))).shape[2] == 3
        except ItemError as error:
            assert "\n" not in str(error)  # noqa: PT017


def test_a_file_that_promises_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    """9,000 x 9,000 px of 60,000 bands would take terabytes."""
    data = tiff(np.zeros((4, 4, 1), np.uint8), tags={256: (9000,), 257: (9000,), 277: (60_000,)})
    with pytest.raises(ItemError, match="damaged"):
        read_image(save(data, tmp_path / "a.tif"))
