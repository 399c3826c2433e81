"""Data sets in COCO format, with their images."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from anchorloc.data.coco_annotations import CocoAnnotations, read_annotations
from anchorloc.data.formats.image_finder import image_names
from anchorloc.data.formats.nearest_names import NearestNames
from anchorloc.data.image_check import ImageCheck
from anchorloc.data.image_paths import is_absent, locate
from anchorloc.data.image_settings import DEFAULT_SETTINGS, ImageSettings
from anchorloc.data.images import read_image
from anchorloc.data.source import Split
from anchorloc.data.tiles import TiledSource, Tiles
from anchorloc.errors import InputError, ItemError
from anchorloc.files import digest
from anchorloc.structures import Pixels
from anchorloc.text import short_repr


@dataclass(frozen=True)
class CocoData(ImageSettings):
    """A folder with images and COCO annotation files; the other paths are relative to `root`."""

    root: Path  # folder of the data set
    train: str = "annotations/instances_train.json"  # COCO file of the train split, relative to root
    val: str = "annotations/instances_val.json"  # COCO file of the val split, relative to root
    test: str | None = None  # COCO file of the test split, relative to root, which is scored once at the end of a run
    images: str = "images"  # folder of the images, relative to root
    val_images: str | None = None  # folder of the val images (default: images)
    test_images: str | None = None  # folder of the test images (default: images)
    tiles: Tiles | None = None  # {} trains and detects on tiles of large images, which are scored whole
    drop_root: bool = False  # leave out the root category that Roboflow exports, which has no box

    @property
    def has_test(self) -> bool:
        """Whether there is a test split."""
        return self.test is not None

    def open(self, split: Split) -> CocoSource | TiledSource:
        """Read the annotations of a split, with the sizes of image files where the annotations lack them.

        Raises:
            InputError: the file breaks the data policy, or has no box to train on, or there is no test split.
        """
        names = {"train": self.train, "val": self.val, "test": self.test}
        folders = {"train": None, "val": self.val_images, "test": self.test_images}
        name = names[split]
        if name is None:
            raise InputError(f"data.test is not set, so {self.root} has no test split; set it to the annotation file")
        root = Path(self.root)
        folder = root / (folders[split] or self.images)
        if not (root / name).exists():
            where = f"data.root={self.root} and data.{split}={name}"
            raise InputError(f"{root / name} does not exist; check {where}, or give data=PATH")
        annotations = read_annotations(root / name, folder, without_root=self.drop_root)
        if split == "train" and not annotations.has_trainable_box():
            raise InputError(f"{annotations.path} has no box to train on; annotate some objects")
        source = CocoSource(**vars(annotations), folder=folder, reading=self.image_settings)
        return self.tiles(source) if self.tiles and split == "train" else source


@dataclass(frozen=True, eq=False)
class CocoSource(CocoAnnotations):
    """One split of a `CocoData`: a `Source`."""

    folder: Path
    reading: ImageSettings = field(default=DEFAULT_SETTINGS, kw_only=True)

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
            return read_image(locate(self.folder, self.name(index)), self.size(index), self.reading)
        except ItemError as error:
            raise InputError(f"{self._describe(index)} {error}") from None

    def check_images(self) -> tuple[str, ...]:
        """Check the header of each image file, and the pixels of a few; return warnings.

        They are about EXIF orientations, bands and pages that are not read, and gray levels that are lost.

        Raises:
            InputError: a file is missing, outside the folder, not an image, too large or of another size than
                declared. The message names the first one and counts the others.
        """
        if not self.folder.is_dir():
            raise InputError(f"the images folder {self.folder} does not exist; check root and images of the data")
        problems, check = [], ImageCheck(self.reading)
        for index in range(len(self)):
            name = self.name(index)
            try:
                check.add(name, locate(self.folder, name), self.size(index), self.target(index).boxes)
            except ItemError as error:
                problems.append((index, error))
        if problems:
            (index, problem), more = problems[0], len(problems) - 1
            name = self.name(index)
            hint = NearestNames(image_names(self.folder)).hint(name) if is_absent(self.folder, name) else ""
            others = f" ({more:,} more cannot be used either)" if more else ""
            raise InputError(f"{self._describe(index)} {problem}{hint}{others}")
        return check.warnings()

    def _describe(self, index: int) -> str:
        return f"{self.path}: image {short_repr(self.image_id(index))}, {self.name(index)},"
