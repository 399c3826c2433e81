"""Check image files before a long run: what their reading loses, and which EXIF orientation fits the boxes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from anchorloc.data.band_values import choose_bands, opacity, to_bytes
from anchorloc.data.cut_off_jpeg import may_lack_end
from anchorloc.data.image_settings import ImageSettings
from anchorloc.data.images import Header, OpenedImage, needs_turning, open_image, read_header, refuse_unreadable
from anchorloc.errors import ItemError
from anchorloc.structures import FloatArray, Pixels, Size
from anchorloc.text import counted, first_few, percent

DECODED: Final = 16  # files that a check before training decodes, if their content may be lost
FEW_LEVELS: Final = 128  # gray levels; a picture of fewer, of more in its file, is dark or flat
FEW_IN_WINDOW: Final = 8  # gray levels left by a window that shows nothing
NEARLY_ALL: Final = 0.75  # fraction of a picture that alpha makes white; a cut-out object may leave as little
MUCH: Final = 0.25  # the same where alpha is a veil, as another band is: neither clear nor opaque in most pixels
PLAIN: Final = 0.5  # fraction of the hidden pixels that have one gray level, if there is but a background
VALUES: Final = 4_000_000  # looked at in an image


@dataclass(frozen=True)
class Content:
    """What of the values of an image file is left in its pixels."""

    low: float  # the least and the greatest value of the bands that are read
    high: float
    levels: int  # different values in the file
    kept: int  # different values of the pixels
    hidden: float  # fraction that alpha makes white, if that takes over the picture; else 0
    has_window: bool

    @property
    def loses_levels(self) -> bool:
        return self.kept < (FEW_IN_WINDOW if self.has_window else FEW_LEVELS) and self.levels >= 2 * self.kept

    def levels_lost(self, bits: int) -> str:
        """Say how many levels are left, and which part of the range of the bits is used."""
        used = percent(min(1.0, (self.high - self.low) / ((1 << min(bits, 16)) - 1)))
        values = f"{self.low:,.6g} to {self.high:,.6g}"
        return f"{self.levels:,} levels become {self.kept} ({used} of {bits} bits: {values})"


def may_lose(header: Header, settings: ImageSettings) -> bool:
    """Return whether reading may lose gray levels, or alpha may hide the picture; only the pixels decide."""
    return header.bits > 8 or (header.has_alpha and settings.bands is None)


@dataclass(frozen=True, eq=False)
class WholeImage:
    """An image file that was decoded once."""

    pixels: Pixels
    cut_off: bool  # whether it is a JPEG without its end
    content: Content | None  # None if reading cannot lose any


def read_whole(path: Path, settings: ImageSettings) -> WholeImage:
    """Decode an image file to RGB, and compare its values with the pixels that they become.

    Raises:
        ItemError: as `read_image`.
    """
    with open_image(path, settings.max_pixels) as opened:
        content = _content(opened, settings) if may_lose(opened.header, settings) else None
        return WholeImage(opened.rgb(None, settings), opened.cut_off, content)


def read_content(path: Path, settings: ImageSettings) -> Content:
    """Decode an image file, and compare its values with the pixels that they become.

    Raises:
        ItemError: as `read_image`.
    """
    with open_image(path, settings.max_pixels) as opened:
        return _content(opened, settings)


def _content(opened: OpenedImage, settings: ImageSettings) -> Content:
    header = opened.header
    refuse_unreadable(header, settings)
    values = opened.values
    rows = values.reshape(1, -1, values.shape[2])
    values = rows[:, :: -(-rows.shape[1] // VALUES)]
    chosen = choose_bands(values, header.has_alpha, settings)
    pixels = to_bytes(chosen, header.bits, settings)
    finite = chosen[np.isfinite(chosen)] if chosen.dtype.kind == "f" else chosen
    hidden = 0.0
    if header.has_alpha and settings.bands is None:
        hidden = _hidden(opacity(values, header.bits)[..., 0], pixels.mean(axis=-1).astype(np.uint8))
    low, high = (finite.min().item(), finite.max().item()) if finite.size else (0, 0)
    levels = len(np.unique(finite)), len(np.unique(pixels))
    return Content(low, high, *levels, hidden, settings.window is not None)


def _hidden(alpha: NDArray[np.float32], gray: NDArray[np.uint8]) -> float:
    """Return which fraction of a picture its alpha makes white; 0 for a cut-out object or a plain background."""
    covered = gray[alpha < 0.95]
    is_plain = not covered.size or np.bincount(covered).max() >= PLAIN * covered.size
    is_veil = ((alpha > 0.05) & (alpha < 0.95)).mean() > 0.5
    hidden = float(1 - alpha.mean())
    return hidden if not is_plain and hidden >= (MUCH if is_veil else NEARLY_ALL) else 0.0


@dataclass
class OrientationTally:
    """How often an EXIF orientation was applied, and how many boxes lie inside their image either way."""

    setting: str
    turned: list[str] = field(default_factory=list)  # names of images
    left: list[str] = field(default_factory=list)
    boxes: int = 0  # in images whose size differs between the readings
    inside: int = 0  # boxes inside the image as it is read
    inside_by: dict[str, int] = field(default_factory=lambda: {"apply": 0, "ignore": 0})  # the same with a setting

    def add(self, name: str, header: Header, turns: bool, boxes: FloatArray) -> None:
        """Count an image with its boxes, (M, 4) xyxy."""
        if header.orientation == 1:
            return
        (self.turned if turns else self.left).append(name)
        if header.size == header.shown_size:
            return
        stored, shown = (_inside(boxes, size) for size in (header.size, header.shown_size))
        self.boxes += len(boxes)
        self.inside += shown if turns else stored
        self.inside_by["apply"] += shown
        self.inside_by["ignore"] += stored

    @property
    def better(self) -> str:
        """A hint if the boxes fit another reading better, else ""."""
        setting, number = max(self.inside_by.items(), key=lambda pair: pair[1])
        if number <= self.inside:
            return ""
        return f"boxes inside: {self.inside:,} of {self.boxes:,} as read, {number:,} with data.orientation={setting}"

    def sentences(self) -> list[str]:
        """Return a sentence for each outcome, and the hint."""
        said = []
        if self.turned:
            images = counted(len(self.turned), "image is", "images are")
            said.append(
                f"{images} turned by the EXIF orientation, as viewers show them (data.orientation={self.setting}): "
                f"{first_few(self.turned)}"
            )
        if self.left:
            images = counted(len(self.left), "image has", "images have")
            why = (
                "since the stored size is the declared one (data.orientation=auto); without a declared size, predict "
                "turns them unless data.orientation=ignore"
                if self.setting == "auto"
                else f"as data.orientation={self.setting} says"
            )
            said.append(f"{images} an EXIF orientation that is not applied, {why}: {first_few(self.left)}")
        if self.better:
            said.append(
                f"{self.better}; look at some, and correct the sizes by anchorloc doctor --fix with that setting"
            )
        return said


@dataclass
class ImageCheck:
    """Collects what is odd about the image files of a data set."""

    settings: ImageSettings
    orientation: OrientationTally = field(init=False)
    candidates: list[tuple[str, Path, int]] = field(default_factory=list)  # name, path, bits
    with_bands: list[str] = field(default_factory=list)
    with_pages: list[str] = field(default_factory=list)
    cut_off: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.orientation = OrientationTally(self.settings.orientation)

    def add(self, name: str, path: Path, declared: Size, boxes: FloatArray) -> None:
        """Check the header of a file, and the end of a JPEG.

        Raises:
            ItemError: the file cannot be read, or not in the declared size.
        """
        header = read_header(path, self.settings.max_pixels)
        turns = needs_turning(header, declared, self.settings.orientation)
        refuse_unreadable(header, self.settings)
        self.orientation.add(name, header, turns, boxes)
        if header.unused_bands > 0 and self.settings.bands is None:
            self.with_bands.append(name)
        if header.pages > 1:
            self.with_pages.append(name)
        if header.format == "JPEG" and may_lack_end(path):
            with open_image(path, self.settings.max_pixels) as opened:
                opened.rgb(declared, self.settings)  # refuses a file that lacks much
                if opened.cut_off:
                    self.cut_off.append(name)
        if may_lose(header, self.settings):
            self.candidates.append((name, path, header.bits))

    def warnings(self) -> tuple[str, ...]:
        """Return a sentence for each kind of oddity. A few files are decoded, spread over those that may lose
        something."""
        said = self.orientation.sentences()
        if self.with_bands:
            number = counted(len(self.with_bands), "image has", "images have")
            said.append(
                f"{number} more bands than are read: {first_few(self.with_bands)}; data.bands=[R,G,B] chooses others, "
                "counted from 1"
            )
        if self.with_pages:
            number = counted(len(self.with_pages), "file has", "files have")
            said.append(f"{number} several pages or frames, of which the first is read: {first_few(self.with_pages)}")
        if self.cut_off:
            number = counted(len(self.cut_off), "image lacks its end and is", "images lack their ends and are")
            said.append(f"{number} read without the last rows: {first_few(self.cut_off)}; replace the file")
        return (*said, *self._lost())

    def _lost(self) -> list[str]:
        places = np.linspace(0, len(self.candidates) - 1, min(DECODED, len(self.candidates))).round().astype(int)
        flat: list[tuple[str, int, Content]] = []
        hidden: list[tuple[str, Content]] = []
        for name, path, bits in (self.candidates[place] for place in sorted(set(places.tolist()))):
            try:
                content = read_content(path, self.settings)
            except ItemError:  # training names the file when it is read
                continue
            if content.loses_levels:
                flat.append((name, bits, content))
            if content.hidden:
                hidden.append((name, content))
        said, decoded = [], f"{len(places)} decoded images"
        if flat:
            name, bits, content = flat[0]
            window = f"[{min(one.low for _, _, one in flat):.6g},{max(one.high for _, _, one in flat):.6g}]"
            said.append(
                f"few gray levels are left in {len(flat)} of {decoded}, such as {name}: {content.levels_lost(bits)}; "
                f"set data.window to the values that matter, at most {window}, or window the images to 8 bits"
            )
        if hidden:
            name, content = hidden[0]
            said.append(
                f"alpha hides most of {len(hidden)} of {decoded}, such as {name}, of which "
                f"{percent(content.hidden)} becomes white; data.bands=[1,2,3] ignores alpha"
            )
        return said


def _inside(boxes: FloatArray, size: Size) -> int:
    """Count the boxes that lie in an image, half a pixel aside."""
    corner = np.array([size[1], size[0]]) + 0.5
    return int(((boxes[:, :2] >= -0.5) & (boxes[:, 2:] <= corner)).all(axis=1).sum())
