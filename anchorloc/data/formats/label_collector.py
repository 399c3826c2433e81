"""Collect the labels of a data set while its files are read, split by split."""

from __future__ import annotations

from pathlib import Path

from anchorloc.data.formats.image_finder import ImageFolder
from anchorloc.data.formats.labels import ORDER, Builder, LabeledData, Labels, Notes


class LabelCollector:
    """The images, boxes and classes of a data set, and what was not read as written.

    Args:
        source: file or folder of the labels.
        images: folder of the images; the default is `root`.
        root: folder that holds all files; the default is `source`, or the folder of the file `source`.
    """

    def __init__(self, source: Path, images: Path | None = None, root: Path | None = None) -> None:
        self.source = source
        self.root = root or (source if source.is_dir() else source.parent)
        self.notes = Notes()
        self.categories: dict[str, int] = {}  # ids by name, shared by all splits
        self.images = ImageFolder(images or self.root, self.notes)
        self.builders: dict[str, Builder] = {}

    def split(self, name: str) -> Builder:
        """Return the builder of a split."""
        return self.builders.setdefault(name, Builder(self.categories))

    def labeled(self, format: str, *, by_name: bool = True) -> LabeledData:
        """Return what was collected.

        Args:
            format: name of the format.
            by_name: number the classes by name, so that ids do not depend on the order of the files.
        """
        if by_name:
            self._sort_categories()
        splits = {
            split: Labels(self.source, self.builders[split].document(), self.images.folder)
            for split in ORDER
            if split in self.builders
        }
        return LabeledData(format, splits, self.notes.sentences())

    def _sort_categories(self) -> None:
        number = {name: place + 1 for place, name in enumerate(sorted(self.categories))}
        by_id = {old: number[name] for name, old in self.categories.items()}
        for builder in self.builders.values():
            for annotation in builder.annotations:
                annotation["category_id"] = by_id[annotation["category_id"]]
        self.categories.clear()
        self.categories.update(number)
