"""What a data set and an augmentation of the user's own must be."""

from __future__ import annotations

from random import Random
from typing import Protocol

from anchorloc.data.image_settings import ImageSettings
from anchorloc.data.source import Source, Split
from anchorloc.structures import FloatArray, IntArray, Pixels


class DataProtocol(Protocol):
    """A data set inherits from ImageSettings and has open(split), which returns a Source for train and for val: its
    categories, and for each image the pixels (H, W, 3) uint8, size (H, W) and boxes (M, 4) float64 as a Target.

    With `has_test = True`, open("test") is scored once at the end of a run. A class that inherits from `Source` needs
    only categories, __len__, size, image and target. The ids of images and classes are ints or strings, all different;
    names are strings. A split to train on has a box.
    """

    @property
    def image_settings(self) -> ImageSettings:
        """How files are read in prediction."""

    def open(self, split: Split) -> Source:
        """Return a split."""


class AugmentationProtocol(Protocol):
    """An augmentation takes pixels (H, W, 3) uint8, boxes (M, 4) float64 in these pixels and a random.Random, and
    returns pixels of the same shape and type, boxes (N, 4) and the rows (N,) of the boxes that they were.

    It gets the picture as the built-in augmentation leaves it, without padding. All random numbers come from the
    generator, and boxes do not depend on the pixels: the lab computes them without. Boxes are clipped to the picture
    afterwards, and fall under the rule of `min_visible`.
    """

    def __call__(self, image: Pixels, boxes: FloatArray, random: Random) -> tuple[Pixels, FloatArray, IntArray]:
        """Return the picture and boxes to train on."""
