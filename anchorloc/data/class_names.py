"""Match classes by name, and recognize the names that decide nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from anchorloc.errors import InputError
from anchorloc.structures import Category
from anchorloc.text import first_few, short_repr

Sides = tuple[str, str]  # names of two lists, such as "train" and "val"


def match_names(given: Sequence[Category], known: Sequence[Category], sides: Sides) -> list[int | None]:
    """Return for each class of `given` the index in `known` of the class with its name, None where there is none.

    Equal lists match in order, so that classes which share a name keep their places.

    Raises:
        InputError: a name that both lists have belongs to several classes of one of them.
    """
    if list(given) == list(known):
        return list(range(len(known)))
    indices = {category.name: index for index, category in enumerate(known)}
    common = indices.keys() & {category.name for category in given}
    for categories, side in zip((given, known), sides, strict=True):
        doubled = doubled_names(categories)
        if name := next((name for name in doubled if name in common), None):
            ids = first_few([short_repr(category.id) for category in doubled[name]])
            raise InputError(
                f"several categories of {side} are named {short_repr(name)}, with the ids {ids}, so the categories of "
                f"{sides[0]} and {sides[1]} cannot be matched by name; give each category its own name"
            )
    return [indices.get(category.name) for category in given]


def match_all_names(
    given: Sequence[Category], known: Sequence[Category], sides: Sides, advice: str, *, more: bool = False
) -> list[int]:
    """Return for each class of `given` the index in `known` of the class with its name.

    Args:
        given: classes that must all be in `known`.
        known: classes that must all be in `given`, unless `more` are allowed.
        sides: what the two lists belong to, for the message.
        advice: what to do if they differ.
        more: whether `known` may have further classes.

    Raises:
        InputError: the lists differ, or a name belongs to several classes; the message shows the differences alone.
    """
    indices = match_names(given, known, sides)
    found = [index for index in indices if index is not None]
    only_given = [category for category, index in zip(given, indices, strict=True) if index is None]
    only_known = [] if more else [known[index] for index in sorted(set(range(len(known))) - set(found))]
    if only_given or only_known:
        clauses = [
            f"only in {side}: {_shown(some)}"
            for some, side in zip((only_given, only_known), sides, strict=True)
            if some
        ]
        alike = alike_names(category.name for category in (*only_given, *only_known))
        if alike:
            clauses.append(f"where {' and '.join(map(short_repr, alike[0]))} differ in blanks or letter case alone")
        raise InputError(f"the categories of {sides[0]} and {sides[1]} differ, {', '.join(clauses)}; {advice}")
    return found


def doubled_names(categories: Sequence[Category]) -> dict[str, list[Category]]:
    """Return the classes that share a name, by name."""
    found: dict[str, list[Category]] = {}
    for category in categories:
        found.setdefault(category.name, []).append(category)
    return {name: some for name, some in found.items() if len(some) > 1}


def plainly(name: str) -> str:
    """Return a name without what spellings of one class differ in: letter case and blanks."""
    return "".join(name.split()).casefold()


def alike_names(names: Iterable[str]) -> list[list[str]]:
    """Return the groups of different names that are equal but for blanks and letter case."""
    groups: dict[str, dict[str, None]] = {}
    for name in names:
        groups.setdefault(plainly(name), {})[name] = None
    return [list(group) for group in groups.values() if len(group) > 1]


def root_row(categories: Sequence[Any], annotations: Sequence[Any]) -> int | None:
    """Return the row of the root category that Roboflow exports, or None; items may be anything.

    The root is no class: it has no box, and every other category has its name as supercategory.
    """
    items = [(row, item) for row, item in enumerate(categories) if type(item) is dict]
    for row, item in items:
        name, own = item.get("name"), item.get("supercategory")
        if type(name) is not str or name in ("", "none") or own not in (None, "", "none"):
            continue
        others = (other.get("supercategory") == name for place, other in items if place != row)
        if len(items) > 1 and all(others):
            used = any(type(one) is dict and one.get("category_id") == item.get("id") for one in annotations)
            return None if used else row
    return None


def drop_root(document: Any) -> None:
    """Remove the root category that Roboflow exports from a COCO document; a document without one stays as it is."""
    content = document if isinstance(document, dict) else {}
    categories, annotations = content.get("categories"), content.get("annotations")
    if isinstance(categories, list) and isinstance(annotations, list):
        row = root_row(categories, annotations)
        if row is not None:
            del categories[row]


def _shown(categories: Sequence[Category]) -> str:
    return first_few([f"{short_repr(category.name)} (id {short_repr(category.id)})" for category in categories])
