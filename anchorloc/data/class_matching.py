"""Give a source the classes of another, matched by name."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np

from anchorloc.data.class_names import Sides, match_all_names
from anchorloc.data.coco_annotations import CocoAnnotations
from anchorloc.data.source import Annotations
from anchorloc.data.tiles import TiledSource
from anchorloc.errors import InputError
from anchorloc.structures import Category

S = TypeVar("S", bound=Annotations)


def match_categories(
    source: S,
    categories: tuple[Category, ...],
    sides: Sides = ("train", "val"),
    advice: str = "give both the same classes",
) -> S:
    """Return `source` with `categories`, in their order and with their ids; its classes are matched by name.

    Args:
        source: annotations; what changes is said in their warnings.
        categories: the classes to have.
        sides: what `categories` and `source` belong to, for messages.
        advice: what to do if the classes differ.

    Raises:
        InputError: the names differ, or a name that decides belongs to several classes.
    """
    if source.categories == categories:
        return source
    places = match_all_names(categories, source.categories, sides, advice)
    labels = np.argsort(places)  # (C,) the new label of each class
    said = f"{sides[1]} has the classes under other ids than {sides[0]}; they are matched by name"
    if isinstance(source, CocoAnnotations):
        return source.relabeled(categories, labels, said)
    if isinstance(source, TiledSource):
        return replace(source, whole=match_categories(source.whole, categories, sides, advice))
    raise InputError(f"{said}, which needs label files; {advice}")
