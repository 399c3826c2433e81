"""Each mend by itself: exactly what it writes, what it leaves as it is, and what it counts."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from anchorloc.doctor import CocoDocument, Findings, Rule, diagnose, repair
from anchorloc.doctor.annotation_table import AnnotationTable
from anchorloc.doctor.box_forms import four_numbers, holds_numbers
from anchorloc.doctor.conversions import (
    centers_to_xywh,
    count_masks,
    divide_boxes,
    exchange_sizes,
    fit_to_files,
    multiply_shares,
)
from anchorloc.doctor.editable_document import EditableDocument, FixCounts, setter
from anchorloc.doctor.explanations import advice_for
from anchorloc.errors import InputError

WIDTH, HEIGHT = 96, 64
INF, NAN = float("inf"), float("nan")


def content(*annotations: dict[str, Any], images: int = 1) -> dict[str, Any]:
    """Return images of 96 x 64 px, two categories, and annotations: sound ones but for what is given."""
    return {
        "images": [
            {"id": number, "file_name": f"{number}.png", "width": WIDTH, "height": HEIGHT}
            for number in range(1, images + 1)
        ],
        "categories": [{"id": 1, "name": "cell"}, {"id": 2, "name": "7"}],
        "annotations": [
            {"id": row, "image_id": 1, "category_id": 1, "bbox": [8, 16, 24, 32], "area": 24 * 32, "iscrowd": 0} | one
            for row, one in enumerate(annotations, start=1)
        ],
    }


def mended(document: dict[str, Any], folder: Path | None = None, **options: Any) -> tuple[dict[str, Any], FixCounts]:
    fixed, counts = repair(diagnose([CocoDocument(Path("a.json"), document, folder)], 1), 1, False, **options)
    return dict(fixed.documents[0].content), counts


def as_written(document: dict[str, Any]) -> tuple[CocoDocument, AnnotationTable]:
    one = CocoDocument(Path("a.json"), document)
    return one, diagnose([one]).tables[0]


NESTED, TEXTS, OBJECT = "nested list unwrapped", "texts written as numbers", "object written as a list"
UNKNOWN: list[Any] = [
    *({"cx": 1, "cy": 2, "w": 3, "h": 4}, {"x": 1, "y": 2, "w": 3}, {}, [], "", None, 5),
    *([1, 2, 3], [1, 2, 3, 4, 5], [[1, 2], [3, 4]], "1 2 3 4 5"),
]
MEANINGFUL: list[Any] = ["1", "x1", [1], [1.5, 2], [[1, 2], [3]], {"a": 1}, {"a": [1, 2], "b": 3}]
MEANINGLESS: list[Any] = [
    *("x", "", [], {}, [[]], [None], [True], [INF], [-INF], [NAN], ["1"], 5, None),
    *([1, "2"], [[1, "2"]], [[[1]]], {"a": None}),
]


@pytest.mark.parametrize(
    ("bbox", "expected"),
    [
        ([[1, 2, 3, 4]], NESTED),
        ([[[1, 2, 3, 4]]], NESTED),
        (["1 2 3 4"], NESTED),
        (["1", 2, "3.0", 4], TEXTS),
        ("[1, 2, 3, 4]", TEXTS),
        (" (1 2,3 4) ", TEXTS),
        ({"x": 1, "y": 2, "width": 3, "height": 4, "score": 0.5}, OBJECT),
        ({"x": 1, "y": 2, "w": 3, "h": 4}, OBJECT),
        ({"left": 1, "top": 2, "width": 3, "height": 4}, OBJECT),
        ({"left": 1, "top": 2, "right": 4, "bottom": 6}, OBJECT),
        ({"xmin": 1, "ymin": 2, "xmax": 4, "ymax": 6}, OBJECT),
        ({"x1": "1", "y1": "2", "x2": "4", "y2": "6"}, OBJECT),
        *((bbox, None) for bbox in UNKNOWN),
        *(([value, 2, 3, 4], None) for value in (None, True, INF, -INF, NAN, "inf", "nan", "1e999", "x")),
    ],
)
def test_forms_of_a_box(bbox: Any, expected: str | None) -> None:
    assert four_numbers(bbox) == (expected and ([1, 2, 3, 4], expected))


@pytest.mark.parametrize(
    ("bbox", "expected"),
    [
        *((bbox, True) for bbox in MEANINGFUL),
        *((bbox, False) for bbox in MEANINGLESS),
    ],
)
def test_what_may_mean_a_sound_box(bbox: Any, expected: bool) -> None:
    assert holds_numbers(bbox) is expected


def test_only_known_sizes_are_exchanged() -> None:
    document = content({}, images=2)
    document["images"][1]["width"] = None
    exchanged, number = exchange_sizes(*as_written(document))
    assert number == 1
    assert exchanged.content == document | {
        "images": [{**document["images"][0], "width": HEIGHT, "height": WIDTH}, document["images"][1]]
    }


def test_boxes_follow_the_size_of_their_file() -> None:
    """The file of the first image is a quarter as wide and half as high; two others need no change."""
    polygon = {"segmentation": [[8, 16, 32, 16, 32, 48]], "area": 384}
    document = content(polygon, {"image_id": 2}, {"image_id": 3}, {"image_id": 4}, images=4)
    document["images"][3]["width"] = None
    sizes = {0: (HEIGHT // 2, WIDTH // 4), 1: (HEIGHT, WIDTH), 3: (10, 10)}
    fitted, number = fit_to_files(*as_written(document), sizes)
    assert number == 1
    first, *others = document["annotations"]
    assert fitted.content["annotations"] == [
        {**first, "bbox": [2, 8, 6, 16], "segmentation": [[2, 8, 8, 8, 8, 24]], "area": 48},
        *others,
    ]
    first, *others = document["images"]
    assert fitted.content["images"] == [{**first, "width": WIDTH // 4, "height": HEIGHT // 2}, *others]
    lower = {0: (HEIGHT // 2, WIDTH)}
    assert fit_to_files(*as_written(document), lower)[0].content["annotations"][0]["bbox"] == [8, 8, 24, 16]


def test_shares_need_the_size_of_every_image() -> None:
    shares = {"bbox": [0.25, 0.5, 0.5, 0.25], "area": 0.125}
    document = content(shares, shares | {"image_id": 2}, images=2)
    multiplied, number = multiply_shares(*as_written(document))
    assert (number, [one["bbox"] for one in multiplied.content["annotations"]]) == (2, [[24, 32, 48, 16]] * 2)
    document["images"][0]["height"] = None
    with pytest.raises(InputError, match=r"a\.json: an image has no width and height, which --fix-shares needs"):
        multiply_shares(*as_written(document))


@pytest.mark.parametrize(
    ("changes", "segmentation", "area"),
    [
        ({"segmentation": [[8, 16, 32, 16, 32, 48]], "area": 384}, [[4, 8, 16, 8, 16, 24]], 96),
        ({"segmentation": [[8, 16, 32, 16, 32, 48]], "area": "384"}, [[4, 8, 16, 8, 16, 24]], 192),
        ({"segmentation": [[8, 16, 32, 16, 32, 48]] * 2, "area": None}, [[4, 8, 16, 8, 16, 24]] * 2, 192),
        ({"segmentation": {"counts": [1], "size": [1, 1]}, "area": 384}, None, 192),
        ({"segmentation": [8, 16, 32, 16, 32, 48], "area": 384}, None, 192),
        ({"segmentation": [[8, 16, "32", 16, 32, 48]], "area": 384}, None, 192),
        ({"segmentation": [[8, 16, 32, 16, 32, 48], 5], "area": 384}, None, 192),
        ({"segmentation": [], "area": 384}, None, 192),
        ({"area": 384}, None, 192),
    ],
)
def test_polygons_and_their_area_are_scaled_with_the_box(changes: Any, segmentation: Any, area: float) -> None:
    document = content(changes)
    divided, number = divide_boxes(*as_written(document), 2)
    (item,) = divided.content["annotations"]
    assert (number, item["bbox"], item["area"], item.get("segmentation")) == (1, [4, 8, 12, 16], area, segmentation)
    assert ("segmentation" in item) is (segmentation is not None)
    assert count_masks(divided) == (segmentation is not None)
    assert count_masks(CocoDocument(Path("a.json"), document)) == bool(changes.get("segmentation"))


def test_rows_keep_their_place_and_each_change_is_counted_once() -> None:
    document = content({}, {}, {}, images=2)
    document["annotations"].append(5)
    counts = FixCounts()
    editable = EditableDocument(CocoDocument(Path("a.json"), document), Findings(), counts)
    editable.remove("annotations", [1, 2], "box")
    editable.remove("annotations", {1}, "box")
    editable.edit("annotations", [2, 1, 0], "box", "set", setter(extra=1))
    editable.remove("images", [], "image")
    assert dict(counts) == {("box", "removed"): 2, ("box", "set"): 1}
    assert counts.examples == {("box", "removed"): "annotation 2 (1.png)", ("box", "set"): "annotation 1 (1.png)"}
    kept = {**document["annotations"][0], "extra": 1}
    assert editable.items("annotations") == [(0, kept)]
    assert editable.finish().content == {**document, "annotations": [kept]}
    assert "extra" not in document["annotations"][0]


def test_an_id_is_lost_if_no_item_has_it_any_more() -> None:
    document = content(images=4)
    for row, value in enumerate((1, 2, 2, "x")):
        document["images"][row]["id"] = value
    document["images"] += [{"id": [3]}, 5]
    editable = EditableDocument(CocoDocument(Path("a.json"), document), Findings(), FixCounts())
    editable.remove("images", [0, 1, 3, 4, 5], "image")
    assert editable.lost_ids("images") == {1, "x"}


def test_nan_becomes_null_but_in_a_mask() -> None:
    document = content({"extra": [1, NAN]}, {"score": {"a": INF}}, {"score": 0.5})
    document |= {"info": {"version": NAN}, "year": 2026, "more": [[INF], 1], "segmentation": [NAN]}
    document["images"][0]["note"] = {"segmentation": 1, "x": [-INF]}
    literals = ("NaN",)
    diagnosis = diagnose([CocoDocument(Path("a.json"), document, nan_literals=literals)], 1)
    fixed, counts = repair(diagnosis, 1, False)
    null = "NaN or Infinity written as null"
    assert dict(counts) == {
        ("image", null): 1,
        ("annotation", null): 2,
        ("value of the file", null): 1,
        ("item of more", null): 1,
        ("item of segmentation", null): 1,
    }
    assert counts.examples == {
        ("image", null): "images[0].note.x[0]",
        ("annotation", null): "annotations[0].extra[1]",
        ("value of the file", null): "info.version",
        ("item of more", null): "more[0][0]",
        ("item of segmentation", null): "segmentation[0]",
    }
    written = fixed.documents[0].content
    assert [item.get("extra", item.get("score")) for item in written["annotations"]] == [[1, None], {"a": None}, 0.5]
    assert (written["info"], written["more"]) == ({"version": None}, [[None], 1])
    assert written["images"][0]["note"] == {"segmentation": 1, "x": [None]}


REFERENCES = [  # references to images 1 to 4, and the id that each means
    *((2, 2), ("2", 2), (2.0, 2), ("1", 1)),
    *(("1.png", 1), ("up/b.png", 2), ("b.png", 2), ("b", 2), ("c.png", 3)),
    *((reference, None) for reference in ("c", "up", 2.5, True, None, "")),  # c.png and c.jpg are different images
]


def test_what_a_reference_to_an_image_means() -> None:
    names = {"1.png": 1, "up/b.png": 2, "c.png": 3, "c.jpg": 4}
    document = content(*({"image_id": reference} for reference, _ in REFERENCES), images=4)
    for item, name in zip(document["images"], names, strict=True):
        item["file_name"] = name
    fixed, counts = mended(document)
    kept = [(one["id"], one["image_id"]) for one in fixed["annotations"]]
    means = enumerate((image for _, image in REFERENCES), start=1)
    assert kept == [(number, image) for number, image in means if image is not None]
    title = Rule.UNKNOWN_IMAGE.title
    assert dict(counts) == {
        (title, "image_id converted to the type of the id"): 3,
        (title, "image_id is a name; its id written"): 5,
        (title, "removed"): 6,
    }


def test_a_reference_to_a_category_may_be_a_name_that_is_a_number() -> None:
    fixed, counts = mended(content({"category_id": 7}, {"category_id": "cell"}, {"category_id": 2.0}))
    assert [one["category_id"] for one in fixed["annotations"]] == [2, 1, 2]
    title = Rule.UNKNOWN_CATEGORY.title
    assert counts[title, "category_id is a name; its id written"] == 2
    assert counts[title, "category_id converted to the type of the id"] == 1
    assert counts.total() == 3


@pytest.mark.parametrize("odd", ["x", 1.5, 1, 0, None])
def test_annotations_are_numbered_anew_if_an_id_breaks_a_rule(odd: Any) -> None:
    fixed, counts = mended(content({"id": 1}, {"id": odd}, {"id": 9}))
    assert [one["id"] for one in fixed["annotations"]] == [1, 2, 3]
    assert dict(counts) == {("annotation", "renumbered from 1"): 3}


def test_categories_of_one_id_are_merged_if_their_names_agree_and_removed_if_not() -> None:
    document = content({}, {"category_id": 2}, {"category_id": 3})
    document["categories"] += [{"id": 2, "name": "7", "extra": 1}, {"id": 3, "name": "x"}, {"id": 3, "name": "y"}]
    fixed, counts = mended(document)
    assert fixed["categories"] == document["categories"][:2]
    assert [one["id"] for one in fixed["annotations"]] == [1, 2]
    title = Rule.SAME_CATEGORY_ID.title
    assert dict(counts) == {
        (title, "merged, name is the same"): 1,
        (title, "removed with all of that id, name differs"): 2,
        ("annotation of a removed category", "removed"): 1,
    }


def test_mixed_ids_are_numbered_and_followed() -> None:
    document = content({"category_id": "x"}, {"category_id": 2})
    document["categories"] = [{"id": 5, "name": "a"}, {"id": "x", "name": "b"}, {"id": 2, "name": "c"}]
    fixed, counts = mended(document)
    assert [one["id"] for one in fixed["categories"]] == [1, 2, 3]
    assert [one["category_id"] for one in fixed["annotations"]] == [2, 3]
    assert dict(counts) == {(Rule.MIXED_IDS.title, "categories renumbered from 1"): 1}


def test_items_of_one_id_are_merged_before_mixed_ids_are_numbered_for_a_conversion() -> None:
    """Each of two copies would get a number of its own."""
    document = content({}, {"image_id": "x", "category_id": "y"}, images=3)
    document["images"][1] = document["images"][0]
    document["images"][2]["id"] = "x"
    document["categories"] = [document["categories"][0]] * 2 + [{"id": "y", "name": "owl"}]
    halved = partial(divide_boxes, factor=2), "box", "divided by 2"
    fixed, counts = mended(document, conversion=lambda _: halved)
    assert [(one["id"], one["file_name"]) for one in fixed["images"]] == [(1, "1.png"), (2, "3.png")]
    assert [(one["id"], one["name"]) for one in fixed["categories"]] == [(1, "cell"), (2, "owl")]
    assert [(one["image_id"], one["category_id"]) for one in fixed["annotations"]] == [(1, 1), (2, 2)]
    assert [one["bbox"] for one in fixed["annotations"]] == [[4, 8, 12, 16]] * 2
    assert counts["box", "divided by 2"] == 2


def test_ids_of_categories_that_are_no_integers() -> None:
    document = content({"category_id": 2}, {"category_id": 1})
    document["categories"] = [{"id": 2.0, "name": "a"}, {"id": 1.5, "name": "b"}, {"id": 1, "name": "c"}, "d"]
    fixed, counts = mended(document)
    assert fixed["categories"] == [{"id": 2, "name": "a"}, {"id": 1, "name": "c"}]
    assert dict(counts) == {
        (Rule.BAD_ID.title, "written as an integer"): 1,
        (Rule.BAD_ID.title, "removed"): 1,
        (Rule.BAD_ITEM.title, "removed"): 1,
        (Rule.UNKNOWN_CATEGORY.title, "category_id converted to the type of the id"): 1,  # 2.0 was no id
    }


BOXES = {  # a box that breaks a rule: what it becomes, None if it is removed
    (10, 10, -10, -10): [0, 0, 10, 10],
    (30, 10, -10, 5): [20, 10, 10, 5],
    (30, 30, 10, -5): [30, 25, 10, 5],
    (9, 10, -10, 5): None,
    (10, 4, 5, -5): None,
    (8, 16, 0, 5): None,
    (8, 16, 5, 0): None,
    (8, 16, 1e8, 5): None,
    (-5, -6, 20, 20): [0, 0, 15, 14],
    (90, 60, 10, 12): [90, 60, 6, 4],
    (96, 10, 5, 5): None,
}


def test_what_becomes_of_boxes_that_break_a_rule() -> None:
    sound = [{"bbox": [8, 10 + row, 24, 32]} for row in range(20)]  # most boxes are sound, so no reading explains these
    broken = [{"bbox": list(box), "area": abs(box[2] * box[3])} for box in BOXES]
    fixed, counts = mended(content(*sound, *broken))
    expected = [box for box in BOXES.values() if box]
    assert [one["bbox"] for one in fixed["annotations"][20:]] == expected
    assert [one["area"] for one in fixed["annotations"][20:]] == [box[2] * box[3] for box in expected]
    assert dict(counts) == {
        (Rule.NEGATIVE_BOX.title, "taken from the other corner"): 3,
        (Rule.NEGATIVE_BOX.title, "removed"): 2,
        (Rule.EMPTY_BOX.title, "removed"): 2,
        (Rule.FAR_BOX.title, "removed"): 1,
        (Rule.PARTLY_OUTSIDE.title, "clipped"): 2,
        (Rule.OUTSIDE_BOX.title, "removed"): 1,
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [("1", 1), ("true", 1), (" True ", 1), ("0", 0), ("yes", 0), (2, 0), (-1, 0), ([1], 0), (None, 0)],
)
def test_what_a_crowd_flag_means(value: Any, expected: int) -> None:
    fixed, counts = mended(content({"iscrowd": value}, {}))
    assert [one["iscrowd"] for one in fixed["annotations"]] == [expected, 0]
    rule = Rule.NO_CROWD if value is None else Rule.BAD_CROWD
    assert dict(counts) == {(rule.title, f"iscrowd set to {expected}"): 1}


def test_an_area_is_set_where_it_is_wrong_and_no_mask_has_another() -> None:
    mask = {"segmentation": [[8, 16, 32, 16, 32, 48]]}
    fixed, counts = mended(content({"area": 9}, {"area": 384, **mask}, {"area": -1, **mask}, {"area": None}))
    assert [one["area"] for one in fixed["annotations"]] == [768, 384, 768, 768]
    action = "area set to width x height"
    assert dict(counts) == {(rule.title, action): 1 for rule in (Rule.AREA_DIFFERS, Rule.BAD_AREA, Rule.NO_AREA)}


def test_boxes_around_polygons_and_without_either() -> None:
    mask = {"segmentation": [[8, 16, 32, 16], [10, 50, 12, 40]]}
    document = content({"bbox": None, **mask}, {"bbox": [], **mask}, {"bbox": [1], **mask}, {"bbox": None})
    fixed, counts = mended(document, drop_boxes=True)
    assert [(one["id"], one["bbox"]) for one in fixed["annotations"]] == [(1, [8, 16, 24, 34]), (2, [8, 16, 24, 34])]
    assert dict(counts) == {
        (Rule.BAD_BOX.title, "set to the box around the polygon"): 2,
        (Rule.BAD_BOX.title, "removed"): 1,
        (Rule.ODD_BOX.title, "removed"): 1,
    }


@pytest.mark.parametrize(
    ("size", "box", "becomes"),
    [
        ((97, 64), [8, 16, 24, 32], (97, 64)),  # 1.04% more in one direction: another size
        ((960, 646), [8, 16, 24, 32], None),  # enlarged, 0.93% more in one direction: boxes are drawn on the declared
        ((192, 128), [8, 16, 24, 32], None),
        ((192, 128), [8, 16, 100, 32], (192, 128)),  # a box leaves the declared size
        ((48, 32), [8, 16, 100, 32], (48, 32)),  # no more boxes leave the file's size than the declared one
        ((64, 96), [8, 16, 24, 32], (64, 96)),
        ((64, 96), [10, 16, 54.5, 32], (64, 96)),  # half a pixel is rounding
        ((64, 96), [70, 16, 24, 32], None),  # the box leaves the size of the file
        ((192, 128), None, (192, 128)),  # nothing is drawn
    ],
)
def test_whether_the_size_of_the_file_is_taken(
    size: tuple[int, int], box: list[float] | None, becomes: tuple[int, int] | None, tmp_path: Path
) -> None:
    Image.new("RGB", size).save(tmp_path / "1.png")
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "2.png")
    sound = [{"image_id": 2, "bbox": [8, 10 + row, 24, 32]} for row in range(5)]
    document = content(*sound, *([{"bbox": box, "area": box[2] * box[3]}] if box else []), images=2)
    if becomes is None:
        with pytest.raises(InputError, match=r"a\.json cannot be fixed: 1 image .* \(image 1 \(1\.png\): "):
            mended(document, tmp_path)
        return
    fixed, counts = mended(document, tmp_path)
    assert [(one["width"], one["height"]) for one in fixed["images"]] == [becomes, (WIDTH, HEIGHT)]
    assert counts[Rule.SIZE_DIFFERS.title, "size taken from the file"] == 1


def test_a_refusal_names_the_number_and_the_first(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be fixed: 2 images without a file .* \(first: image 1 \(1\.png\): "):
        mended(content({}, images=2), tmp_path)
    with pytest.raises(InputError, match=r"no image would be left, after the removal of 2 images without a file"):
        mended(content({}, images=2), tmp_path, drop_missing=True)


def test_a_refusal_names_what_no_mend_removes_first(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(20))
    document = content({"bbox": "x"})
    with pytest.raises(InputError, match=r"cannot be fixed: 1 image whose file cannot be read \(image 1 \(1\.png\): "):
        mended(document, tmp_path)
    with pytest.raises(InputError, match=r"cannot be fixed: file without images \(images: \[\]\); "):
        mended(content(images=0))
    document["images"][0]["file_name"] = "../x.png"
    with pytest.raises(InputError, match=r"1 image whose file_name is missing or leaves the images folder"):
        mended(document)


def test_a_file_that_another_image_names_is_not_the_one_that_is_missing(tmp_path: Path) -> None:
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "1.png")
    document = content({}, images=2)
    document["images"][1]["file_name"] = "1.PNG"
    with pytest.raises(InputError, match=r"1 image without a file in the images folder \(image 2 \(1\.PNG\): "):
        mended(document, tmp_path)


def test_only_the_first_of_two_documents_is_mended_and_only_by_its_own_rows() -> None:
    train, val = (
        CocoDocument(Path(f"{name}.json"), content({"bbox": bbox}))
        for name, bbox in (("a", [8, 16, 24, 32]), ("b", "x"))
    )
    fixed, counts = repair(diagnose([train, val], 1), 1, False)
    assert (len(fixed.documents), dict(counts)) == (1, {})
    assert fixed.documents[0].content == train.content


def test_no_two_categories_get_one_name() -> None:
    document = content({})
    document["categories"] = [
        {"id": number, "name": name} for number, name in enumerate((5, INF, "2", None, None), start=1)
    ]
    fixed, counts = mended(document)
    assert [one["name"] for one in fixed["categories"]] == ["5", "2 (id 2)", "2", "4", "5 (id 5)"]
    title = Rule.BAD_CATEGORY_NAME.title
    assert dict(counts) == {(title, "number written as text"): 1, (title, "named after the id"): 3}


def test_lists_that_are_missing_are_written_empty() -> None:
    document = content()
    del document["annotations"]
    fixed, counts = mended(document)
    assert fixed == {**document, "annotations": []}
    assert dict(counts) == {(Rule.NO_LIST.title, "written as []"): 1}
    assert list(counts.examples.values()) == ["annotations: None"]


def test_names_at_the_end_of_urls_are_taken_where_no_name_is_given() -> None:
    document = content({}, {"image_id": 2}, images=2)
    for item, name in zip(document["images"], (None, 5), strict=True):
        item |= {"file_name": name, "coco_url": "http://images.cocodataset.org/val2017/a.jpg"}
    fixed, counts = mended(document, drop_missing=True)
    assert [one["file_name"] for one in fixed["images"]] == ["val2017/a.jpg"]
    assert [one["image_id"] for one in fixed["annotations"]] == [1]
    assert counts[Rule.BAD_FILE_NAME.title, "taken from coco_url"] == 1
    assert counts[Rule.BAD_FILE_NAME.title, "removed"] == 1


def test_sizes_that_nobody_states_come_from_the_files(tmp_path: Path) -> None:
    document = content({}, {"image_id": 2}, images=2)
    for number, item in enumerate(document["images"], start=1):
        Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / f"{number}.png")
        item["width"] = None if number == 1 else -1
    document["images"][0]["height"] = None
    fixed, counts = mended(document, tmp_path)
    assert [(one["width"], one["height"]) for one in fixed["images"]] == [(WIDTH, HEIGHT)] * 2
    action = "size taken from the file"
    assert dict(counts) == {(rule.title, action): 1 for rule in (Rule.NO_SIZE, Rule.BAD_SIZE)}
    assert np.isfinite(diagnose([CocoDocument(Path("a.json"), fixed)]).tables[0].sizes).all()


def test_areas_stay_where_one_reading_explains_the_boxes() -> None:
    """The areas of corners written as boxes are right, and the boxes are not."""
    boxes = [[60 + row, 30, 80 + row, 50] for row in range(10)]  # x1, y1, x2, y2
    document = content(*({"bbox": box, "area": 20 * 20} for box in boxes))
    fixed, counts = mended(document)
    assert [one["area"] for one in fixed["annotations"]] == [20 * 20] * 10
    assert not counts
    diagnosis = diagnose([CocoDocument(Path("a.json"), document)], 1)
    assert "leaves such areas" in advice_for(Rule.AREA_DIFFERS, diagnosis.findings)


def test_centers_become_corners() -> None:
    boxes = [[80 + row, 50, 20, 20] for row in range(5)]  # center x, center y, width, height
    document = content(*({"bbox": box, "area": 400} for box in boxes))
    assert mended(document)[0]["annotations"] == document["annotations"]  # not cut
    one, table = as_written(document)
    fixed, number = centers_to_xywh(one, table)
    assert ([item["bbox"] for item in fixed.items("annotations")], number) == (
        [[70 + row, 40, 20, 20] for row in range(5)],
        5,
    )
