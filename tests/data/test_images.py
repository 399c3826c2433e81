"""Image files: every kind to RGB, and every bad one refused by name."""

from __future__ import annotations

import io
import json
import os
import random
import re
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from anchorloc.data import CocoData
from anchorloc.data.cut_off_jpeg import may_lack_end
from anchorloc.data.image_check import OrientationTally, read_whole
from anchorloc.data.image_settings import ImageSettings
from anchorloc.data.images import Header, read_header, read_image
from anchorloc.errors import InputError, ItemError
from anchorloc.structures import Pixels
from tests.data.data_sets import SIZES, write_data_set

GRAY = np.array([[0, 100], [200, 255]], np.uint8)


def save(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)  # type: ignore[arg-type]
    return path


def scene(size: tuple[int, int] = (40, 30)) -> Image.Image:
    """A picture, (width, height), whose top left corner is red, the rest blue."""
    image = Image.new("RGB", size, "blue")
    ImageDraw.Draw(image).rectangle((0, 0, 9, 9), fill="red")
    return image


def is_red(pixel: np.ndarray) -> bool:
    return bool(pixel[0] > 200 and pixel[2] < 60)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "I;16"])
def test_every_mode_becomes_rgb(mode: str, tmp_path: Path) -> None:
    values = GRAY if mode != "1" else np.where(GRAY > 127, 255, 0).astype(np.uint8)
    image = Image.fromarray(GRAY.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(GRAY).convert(mode)
    assert image.mode == mode
    path = save(image, tmp_path / f"gray.{'tif' if mode == 'CMYK' else 'png'}")
    pixels = read_image(path)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, np.repeat(values[:, :, None], 3, axis=2))
    assert pixels.flags.writeable  # torch warns otherwise
    assert read_header(path).size == (2, 2)


def test_sixteen_bits_keep_their_levels(tmp_path: Path) -> None:
    """Pillow's own conversion clips at 255, which leaves 17 of 4096 levels of such a scan."""
    ramp = np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64)
    for name in ("ramp.png", "ramp.tif", "ramp.pgm"):
        pixels = read_image(save(Image.fromarray(ramp), tmp_path / name))
        np.testing.assert_allclose(pixels[..., 0], ramp / 257, atol=0.51)
        assert len(np.unique(pixels)) == 256


def test_transparent_pixels_lie_on_white(tmp_path: Path) -> None:
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, 0], rgba[0, :, 3] = 255, (0, 128, 255)
    expected = [[[255, 255, 255], [255, 127, 127], [255, 0, 0]]]
    np.testing.assert_allclose(read_image(save(Image.fromarray(rgba), tmp_path / "a.png")), expected, atol=1)
    palette = Image.new("P", (2, 1), 0)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    palette.putpixel((1, 0), 1)
    pixels = read_image(save(palette, tmp_path / "p.png", transparency=0))
    np.testing.assert_array_equal(pixels, [[[255, 255, 255], [255, 0, 0]]])


def test_an_animation_shows_its_first_frame_and_a_suffix_means_nothing(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 3), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    (tmp_path / "moving.gif").rename(tmp_path / "moving.jpg")
    pixels = read_image(tmp_path / "moving.jpg")
    assert pixels.shape == (3, 4, 3)
    assert is_red(pixels[0, 0])


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_has_one_rule(suffix: str, orientation: int, tmp_path: Path) -> None:
    """It is applied, as in viewers, unless only the stored size is the declared one."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(scene(), tmp_path / f"turned.{suffix}", exif=exif)
    corner = [(2, 2), (2, -3), (-3, -3), (-3, 2), (2, 2), (2, -3), (-3, -3), (-3, 2)][orientation - 1]
    assert is_red(read_image(path)[corner])
    ignored = read_image(path, (30, 40), ImageSettings(orientation="ignore"))
    assert is_red(ignored[2, 2])
    as_declared = read_image(path, (30, 40))
    assert as_declared.shape == (30, 40, 3)
    if orientation >= 5:
        assert is_red(as_declared[2, 2])
        for setting in ("auto", "apply"):
            turned = read_image(path, (40, 30), ImageSettings(orientation=setting))
            assert turned.shape == (40, 30, 3)
            assert is_red(turned[corner])
        with pytest.raises(ItemError, match=r"40 x 30 px, but .* declare 30 x 40: it is not turned by its EXIF"):
            read_image(path, (40, 30), ImageSettings(orientation="ignore"))
        with pytest.raises(ItemError, match=r"30 x 40 px, but .* declare 40 x 30: it is turned by its EXIF"):
            read_image(path, (30, 40), ImageSettings(orientation="apply"))
    else:
        assert is_red(as_declared[corner])  # the size decides nothing
        with pytest.raises(ItemError, match="40 x 30 px, but the annotations declare 30 x 40: without an EXIF tag"):
            read_image(path, (40, 30))
    with pytest.raises(ItemError, match="40 x 30 px, but the annotations declare 31 x 40"):
        read_image(path, (40, 31))


def test_a_tiff_is_turned_as_its_format_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(scene(), tmp_path / "turned.tif", exif=exif)
    assert read_header(path).size == (40, 30)
    for size in (None, (40, 30)):
        assert is_red(read_image(path, size)[2, -3])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_data_set(tmp_path / "set")


def make_bad(kind: str, path: Path) -> None:
    path.unlink()
    outside = path.parent.parent / "outside.png"
    scene((32, 24)).save(outside)
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "html":
        path.write_text("<html><script>alert(1)</script></html>")
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "link":
        path.symlink_to(outside)
    elif kind == "dangling":
        path.symlink_to(path.parent / "nothing.png")
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "eps":
        scene((32, 24)).save(path, "EPS")
    elif kind == "other size":
        scene((33, 24)).save(path)
    elif kind == "turned":
        scene((24, 32)).save(path)
    elif kind == "large":
        Image.new("1", (3000, 3000)).save(path)


HEADER = {
    "empty": "not an image",
    "html": "not an image",
    "missing": "does not exist",
    "folder": "not a regular file",
    "pipe": "not a regular file",
    "device": "is a link to /dev/zero, outside the images folder",
    "link": "outside.png, outside the images folder",
    "dangling": "does not exist",
    "loop": "cannot be read",
    "eps": "not an image",
    "other size": "is 33 x 24 px, but the annotations declare 32 x 24",
    "turned": "is 24 x 32 px, but the annotations declare 32 x 24: without an EXIF",
    "large": "has more than 1,000,000 pixels",
}


@pytest.mark.parametrize("kind", HEADER)
def test_a_bad_file_is_named_before_and_while_training(kind: str, root: Path) -> None:
    make_bad(kind, root / "images" / "b.png")
    source = CocoData(root, max_pixels=1_000_000).open("train")
    for attempt in (source.check_images, lambda: source.image(1)):
        with pytest.raises(InputError) as caught:
            attempt()
        message = str(caught.value)
        assert "instances_train.json: image 2, b.png" in message
        assert HEADER[kind] in message
        assert "\n" not in message
    assert source.image(0).shape == (*SIZES["a.png"], 3)


@pytest.mark.parametrize("trailer", [b"", b"ftyp" + bytes(9000)], ids=["plain", "with a film behind"])
def test_a_whole_jpeg_is_not_cut_off(trailer: bytes, tmp_path: Path) -> None:
    path = save(speckles((64, 48)), tmp_path / "a.jpg")
    path.write_bytes(path.read_bytes() + trailer)
    assert may_lack_end(path) is bool(trailer)
    assert not read_whole(path, ImageSettings()).cut_off


def test_a_jpeg_without_its_end_is_read_without_the_last_rows(root: Path) -> None:
    name, path = "b.png", root / "images" / "b.png"  # the suffix means nothing
    height, width = 640, 64
    document = json.loads((root / "annotations" / "instances_train.json").read_text())
    image = next(one for one in document["images"] if one["file_name"] == name)
    image["width"], image["height"] = width, height
    (root / "annotations" / "instances_train.json").write_text(json.dumps(document))
    speckles((width, height)).save(path, "JPEG")
    whole, pixels = path.read_bytes(), read_image(path)
    path.write_bytes(whole[: -len(whole) // 50])
    source = CocoData(root).open("train")
    assert source.check_images() == (
        "1 image lacks its end and is read without the last rows: b.png; replace the file",
    )
    np.testing.assert_array_equal(source.image(1)[:608], pixels[:608])
    assert not np.array_equal(source.image(1)[-1], pixels[-1])
    path.write_bytes(whole[: -len(whole) // 10])
    for attempt in (source.check_images, lambda: source.image(1)):
        with pytest.raises(InputError, match=r"image 2, b\.png, cannot be decoded \(image file is truncated"):
            attempt()


def speckles(size: tuple[int, int]) -> Image.Image:
    width, height = size
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_all_bad_files_are_counted(root: Path) -> None:
    for name in SIZES:
        (root / "images" / name).unlink()
    with pytest.raises(InputError, match=r"a\.png, does not exist .*\(1 more cannot be used either\)"):
        CocoData(root).open("train").check_images()


def test_a_link_inside_the_folder_is_fine(root: Path) -> None:
    images = root / "images"
    (images / "b.png").rename(images / "original.png")
    (images / "b.png").symlink_to("original.png")
    images.rename(root / "elsewhere")
    images.symlink_to(root / "elsewhere")  # the folder itself may be a link
    source = CocoData(root).open("train")
    assert source.check_images() == ()
    assert source.image(1).shape == (24, 32, 3)


def with_orientation(root: Path, name: str, size: tuple[int, int], orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    scene(size).save(root / "images" / name, "JPEG", exif=exif)


def test_orientations_are_counted_before_training(root: Path) -> None:
    with_orientation(root, "a.png", (30, 40), 6)  # stored upright, declared 40 wide
    with_orientation(root, "b.png", (32, 24), 3)  # declared as stored
    source = CocoData(root).open("train")
    assert source.check_images() == (
        "2 images are turned by the EXIF orientation, as viewers show them (data.orientation=auto): a.png, b.png",
    )
    assert source.image(0).shape == (30, 40, 3)
    assert is_red(source.image(0)[2, -3])
    assert is_red(source.image(1)[-3, -3])
    with_orientation(root, "b.png", (32, 24), 8)
    [_, left] = CocoData(root).open("train").check_images()
    assert left.startswith("1 image has an EXIF orientation that is not applied, since the stored size is the declared")
    with pytest.raises(InputError, match=r"b\.png, is 24 x 32 px, but .* as data\.orientation=apply says"):
        CocoData(root, orientation="apply").open("train").check_images()


def test_a_hint_names_the_orientation_that_the_boxes_fit_better() -> None:
    """Stored and declared 40 wide and 30 high, but the boxes were drawn on the upright view, 30 wide and 40 high."""
    header = Header((30, 40), 6, "RGB", "JPEG")
    boxes = np.array([[0, 0, 30, 40], [5, 30, 20, 38], [1, 1, 9, 9]], np.float64)
    tally = OrientationTally("auto")
    tally.add("a.jpg", header, False, boxes)
    assert tally.better == "boxes inside: 1 of 3 as read, 3 with data.orientation=apply"
    tally.add("b.jpg", header, True, boxes)
    assert tally.better == "boxes inside: 4 of 6 as read, 6 with data.orientation=apply"
    tally = OrientationTally("auto")
    tally.add("a.jpg", header, True, boxes)
    tally.add("b.jpg", Header((30, 40), 3, "RGB", "JPEG"), True, boxes)  # its size is the same either way
    assert (tally.better, tally.boxes) == ("", 3)


def read_with_limit(path: Path, limit: int) -> Pixels:
    return read_image(path, settings=ImageSettings(max_pixels=limit))


def test_a_bomb_is_refused_and_the_limit_of_pillow_stays(tmp_path: Path) -> None:
    before = Image.MAX_IMAGE_PIXELS
    path = save(Image.new("1", (2000, 2000)), tmp_path / "bomb.png")
    for limit in (3_999_999, 1_000_000, 10):
        for read in (read_header, read_with_limit):
            with pytest.raises(ItemError, match=f"more than {limit:,} pixels; set data.max_pixels=4000000,"):
                read(path, limit)
    assert read_with_limit(path, 4_000_000).shape == (2000, 2000, 3)
    assert before == Image.MAX_IMAGE_PIXELS


def test_threads_with_different_limits_do_not_disturb_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    path = save(Image.new("1", (300, 300)), tmp_path / "large.png")
    filters = list(warnings.filters)

    def read(limit: int) -> list[bool]:
        outcomes = []
        for _ in range(100):
            try:
                read_with_limit(path, limit)
                outcomes.append(True)
            except ItemError:
                outcomes.append(False)
        return outcomes

    with ThreadPoolExecutor(4) as pool:
        for limit, outcomes in zip((90_000, 89_999) * 2, pool.map(read, (90_000, 89_999) * 2), strict=True):
            assert outcomes == [limit == 90_000] * 100
    assert Image.MAX_IMAGE_PIXELS == 10
    assert warnings.filters == filters


def test_floating_point_pixels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ItemError, match="floating-point"):
        read_image(save(Image.fromarray(np.zeros((3, 3), np.float32)), tmp_path / "f.tif"))
    for value in (70_000, -1):
        deep = Image.fromarray(np.array([[0, value]], np.int32))
        with pytest.raises(ItemError, match="outside 0 to 65,535"):
            read_image(save(deep, tmp_path / "i.tif"))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM"])
def test_damaged_files_are_read_or_refused(form: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, form)
    whole, path, chance = buffer.getvalue(), tmp_path / "damaged", random.Random(form)
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(chance.choice([1, 3, 30])):
            data[int(len(data) * chance.random() ** 2)] = chance.randrange(256)  # headers more often
        path.write_bytes(data[: chance.choice([len(data), len(data), chance.randrange(len(data))])])
        try:
            assert read_with_limit(path, 10**7).shape[2] == 3
        except ItemError as error:
            assert "\n" not in str(error)  # noqa: PT017
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ItemError):
        read_image(path)


def test_the_fruits_with_wrong_suffixes_and_alpha_just_work(real_data: Path) -> None:
    """37 files named .jpg are PNG, 28 of them with transparency; a sticker keeps its white surroundings."""
    source = CocoData(real_data / "fruits").open("train")
    odd = [
        index
        for index in range(len(source))
        if re.search(r"_(1|8|37|42|43|44|72|92)\.", source.name(index)) and not source.name(index).startswith("mixed")
    ]
    assert len(odd) > 10
    assert all(source.image(index).shape == (*source.size(index), 3) for index in odd)
    sticker = next(index for index in odd if source.name(index) == "apple_37.jpg")
    np.testing.assert_array_equal(source.image(sticker)[0, 0], 255)
