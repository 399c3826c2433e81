"""Data sets in COCO format, with their images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from anchorloc.data.coco_annotations import CocoAnnotations, read_annotations
from anchorloc.data.formats.image_finder import image_names
from anchorloc.data.formats.nearest_names import NearestNames
from anchorloc.data.image_paths import is_absent, locate
from anchorloc.data.images import MAX_PIXELS, needs_turning, read_header, read_image
from anchorloc.data.source import Split
from anchorloc.data.tiles import TiledSource, Tiles
from anchorloc.errors import InputError, ItemError
from anchorloc.files import digest
from anchorloc.structures import Pixels
from anchorloc.text import counted, first_few, short_repr


@dataclass(frozen=True)
class CocoData:
    """A folder with images and COCO annotation files; the other paths are relative to `root`."""

    root: Path  # folder of the data set
    train: str = "annotations/instances_train.json"  # COCO file of the train split, relative to root
    val: str = "annotations/instances_val.json"  # COCO file of the val split, relative to root
    images: str = "images"  # folder of the images, relative to root
    val_images: str | None = None  # folder of the val images (default: images)
    max_pixels: int = MAX_PIXELS  # maximum pixels per image; larger images are refused
    tiles: Tiles | None = None  # {} trains on tiles of large images; validation sees them whole
    drop_root: bool = False  # leave out the root category that Roboflow exports, which has no box

    def open(self, split: Split) -> CocoSource | TiledSource:
        """Read the annotations of a split, with the sizes of image files where the annotations lack them.

        Raises:
            InputError: the file breaks the data policy, or has no box to train on.
        """
        root = Path(self.root)
        folder = root / (self.images if split == "train" or self.val_images is None else self.val_images)
        path = root / (self.train if split == "train" else self.val)
        annotations = read_annotations(path, folder, without_root=self.drop_root)
        if split == "train" and not annotations.has_trainable_box():
            raise InputError(f"{annotations.path} has no box to train on; annotate some objects")
        source = CocoSource(**vars(annotations), folder=folder, max_pixels=self.max_pixels)
        return self.tiles(source) if self.tiles and split == "train" else source


@dataclass(frozen=True, eq=False)
class CocoSource(CocoAnnotations):
    """One split of a `CocoData`: a `Source`."""

    folder: Path
    max_pixels: int

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the annotation file."""
        return digest(self.path)

    def image(self, index: int) -> Pixels:
        """Read the pixels of an image, in the declared size.

        Raises:
            InputError: the file is missing, outside the folder, damaged, too large or of another size.
        """
        try:
            return read_image(locate(self.folder, self.name(index)), self.size(index), self.max_pixels)
        except ItemError as error:
            raise InputError(f"{self._describe(index)} {error}") from None

    def check_images(self) -> tuple[str, ...]:
        """Check the header of each image file; return warnings on EXIF orientation.

        Raises:
            InputError: a file is missing, outside the folder, not an image, too large or of another size than
                declared. The message names the first one and counts the others.
        """
        if not self.folder.is_dir():
            raise InputError(f"the images folder {self.folder} does not exist; check root and images of the data")
        problems, turned, left = [], [], []
        for index in range(len(self)):
            try:
                header = read_header(locate(self.folder, self.name(index)), self.max_pixels)
                if needs_turning(header, self.size(index)):
                    turned.append(self.name(index))
                elif header.orientation != 1:
                    left.append(self.name(index))
            except ItemError as error:
                problems.append((index, error))
        if problems:
            (index, problem), more = problems[0], len(problems) - 1
            name = self.name(index)
            hint = NearestNames(image_names(self.folder)).hint(name) if is_absent(self.folder, name) else ""
            others = f" ({more:,} more cannot be used either)" if more else ""
            raise InputError(f"{self._describe(index)} {problem}{hint}{others}")
        return _orientation_warnings(turned, left)

    def _describe(self, index: int) -> str:
        return f"{self.path}: image {short_repr(self.image_id(index))}, {self.name(index)},"


def _orientation_warnings(turned: list[str], left: list[str]) -> tuple[str, ...]:
    sentences = []
    if turned:
        number = counted(len(turned), "image is", "images are")
        sentences.append(f"{number} turned by the EXIF tag to the declared size: {first_few(turned)}")
    if left:
        number = counted(len(left), "image has", "images have")
        sentences.append(
            f"{number} an EXIF orientation that is not applied, since the stored size is the declared one: "
            f"{first_few(left)}"
        )
    return tuple(sentences)
