"""What the box library takes and refuses, and that it imports and compiles anywhere."""

from __future__ import annotations

import doctest
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import anchorloc
import anchorloc.boxes as library
from anchorloc.anchors import AnchorGenerator
from anchorloc.assign import ATSSAssigner, MaxIoUAssigner
from anchorloc.boxes import (
    batched_nms,
    best_overlap,
    box_area,
    box_convert,
    box_ioa,
    box_iou,
    box_iou_crowd,
    clip_boxes_to_image,
    complete_box_iou,
    decode_boxes,
    denormalize_boxes,
    distance_box_iou,
    encode_boxes,
    flip_boxes,
    generalized_box_iou,
    nms,
    normalize_boxes,
    paired_box_iou,
    remove_small_boxes,
    scale_boxes,
    soft_nms,
)
from anchorloc.boxes.table_kernels import all_boxes

Array = NDArray[Any]
OTHERS = np.array([[0, 0, 10, 10], [5, 5, 20, 20], [50, 60, 70, 80.0]])

# Every function of boxes, as a function of one argument of boxes, with the name of that argument.
OF_BOXES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "box_convert": ("boxes", lambda some: box_convert(some, "xyxy", "cxcywh")),
    "box_area": ("boxes", box_area),
    "clip_boxes_to_image": ("boxes", lambda some: clip_boxes_to_image(some, (32, 64))),
    "remove_small_boxes": ("boxes", lambda some: remove_small_boxes(some, 7)),
    "normalize_boxes": ("boxes", lambda some: normalize_boxes(some, (32, 64))),
    "denormalize_boxes": ("boxes", lambda some: denormalize_boxes(some, (32, 64))),
    "scale_boxes": ("boxes", lambda some: scale_boxes(some, 2)),
    "flip_boxes": ("boxes", lambda some: flip_boxes(some, (32, 64))),
    "box_iou": ("boxes1", lambda some: box_iou(some, OTHERS)),
    "box_iou, second": ("boxes2", lambda some: box_iou(OTHERS, some)),
    "generalized_box_iou": ("boxes1", lambda some: generalized_box_iou(some, OTHERS)),
    "distance_box_iou": ("boxes2", lambda some: distance_box_iou(OTHERS, some)),
    "complete_box_iou": ("boxes1", lambda some: complete_box_iou(some, OTHERS)),
    "box_ioa": ("boxes1", lambda some: box_ioa(some, OTHERS)),
    "box_iou_crowd": ("detections", lambda some: box_iou_crowd(some, OTHERS, [True, False, False])),
    "box_iou_crowd, second": ("truths", lambda some: box_iou_crowd(OTHERS, some, np.zeros(len(some)))),
    "paired_box_iou": ("boxes1", lambda some: paired_box_iou(some, OTHERS[: len(some)])),
    "best_overlap": ("boxes1", lambda some: best_overlap(some, OTHERS)),
    "best_overlap, second": ("boxes2", lambda some: best_overlap(OTHERS, some)),
    "nms": ("boxes", lambda some: nms(some, np.zeros(len(some)), 0.5)),
    "batched_nms": ("boxes", lambda some: batched_nms(some, np.zeros(len(some)), np.zeros(len(some), int), 0.5)),
    "soft_nms": ("boxes", lambda some: soft_nms(some, np.zeros(len(some), np.float32))),
    "encode_boxes": ("boxes", lambda some: encode_boxes(some, OTHERS[: len(some)])),
    "decode_boxes": ("anchors", lambda some: decode_boxes(np.zeros((len(some), 4), np.float32), some)),
}
each = pytest.mark.parametrize(("name", "call"), OF_BOXES.values(), ids=OF_BOXES)


def arrays_of(result: Any) -> list[Array]:
    return list(result) if isinstance(result, tuple) else [result]


def assert_equal(found: Any, expected: Any) -> None:
    for one, other in zip(arrays_of(found), arrays_of(expected), strict=True):
        np.testing.assert_array_equal(one, other)


def test_every_public_function_is_in_the_list() -> None:
    functions = {name for name in library.__all__ if callable(getattr(library, name)) and name[0].islower()}
    assert {name.split(",")[0] for name in OF_BOXES} == functions


@each
@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ([5, 0, 4, 1], r" is \(5.0, 0.0, 4.0, 1.0\): a box needs x1 <= x2 and y1 <= y2"),
        ([0, 5, 1, 4], r" is \(0.0, 5.0, 1.0, 4.0\): a box needs x1 <= x2 and y1 <= y2"),
        ([0, np.nan, 1, 1], r" is \(0.0, nan, 1.0, 1.0\): every number must be finite"),
        ([0, 0, np.inf, 1], r" is \(0.0, 0.0, inf, 1.0\): every number must be finite"),
        ([0, -np.inf, 1, 1], r" is \(0.0, -inf, 1.0, 1.0\): every number must be finite"),
        ([-np.inf, 0, 1, 1], r" is \(-inf, 0.0, 1.0, 1.0\): every number must be finite"),
        ([0, 0, 1, np.inf], r" is \(0.0, 0.0, 1.0, inf\): every number must be finite"),
    ],
)
def test_a_bad_box_is_named_with_its_row_and_numbers(name: str, call: Any, row: list[float], rule: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name}\[2\]{rule}$"):
        call([[0, 0, 1, 1], [1, 1, 2, 2], row])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("place", range(4))
def test_every_number_is_looked_at(dtype: type, value: float, place: int) -> None:
    some: Array = OTHERS.astype(dtype)
    assert all_boxes(some)
    some[1, place] = value
    assert not all_boxes(some)


def test_a_point_is_a_box_and_a_negative_side_is_not() -> None:
    assert all_boxes(np.array([[1, 2, 1, 2.0]]))
    assert not all_boxes(np.array([[1, 2, 0, 2.0]]))
    assert not all_boxes(np.array([[1, 2, 1, 1.0]]))


@each
@pytest.mark.parametrize("wrong", [[0, 0, 1, 1], [[0, 0, 1]], np.zeros((1, 1, 4)), np.zeros((0, 5))])
def test_a_wrong_shape_is_named(name: str, call: Any, wrong: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{name} must have shape \(N, 4\), got \("):
        call(wrong)


@each
@pytest.mark.parametrize("dtype", [np.bool_, np.complex64, np.longdouble, np.str_, object])
def test_what_is_no_number_is_refused(name: str, call: Any, dtype: type) -> None:
    with pytest.raises(ValueError, match=f"^{name} must hold integers or floats of at most 64 bits, got dtype "):
        call(np.zeros((1, 4), dtype))


@each
@pytest.mark.parametrize("nothing", [[], np.zeros(0), np.zeros((0, 4)), np.zeros((0, 4), np.float32)])
def test_no_boxes_are_no_obstacle(name: str, call: Any, nothing: Any) -> None:
    for found in arrays_of(call(nothing)):
        assert found.size == 0 or (name, len(found)) == ("boxes2", len(OTHERS))


@each
@pytest.mark.parametrize("dtype", [*np.typecodes["AllInteger"], "e"])
def test_integers_and_half_floats_are_lifted(name: str, call: Any, dtype: str) -> None:
    some = np.array([[0, 0, 8, 16], [4, 4, 120, 127], [100, 1, 101, 2]])
    lifted = np.float32 if dtype == "e" else np.float64
    for found, expected in zip(arrays_of(call(some.astype(dtype))), arrays_of(call(some.astype(lifted))), strict=True):
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == expected.dtype


@each
def test_any_layout_gives_the_same_and_the_input_stays(name: str, call: Any) -> None:
    some = OTHERS.astype(np.float32)
    frozen = some.copy()
    frozen.flags.writeable = False
    expected = call(some)
    layouts = [frozen, np.asfortranarray(some), np.repeat(some, 2, axis=1)[:, ::2], some.astype(">f4"), list(some)]
    for layout in [*layouts, torch.from_numpy(some)]:
        assert_equal(call(layout), expected)
    np.testing.assert_array_equal(some, OTHERS)


@each
def test_float32_stays_float32(name: str, call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    some = OTHERS.astype(np.float32)
    monkeypatch.setitem(globals(), "OTHERS", some)
    for found in arrays_of(call(some)):
        assert found.dtype in (np.float32, np.int64)


def test_two_float_types_meet_in_the_wider() -> None:
    narrow, wide = OTHERS.astype(np.float32), OTHERS
    assert box_iou(narrow, wide).dtype == box_iou(wide, narrow).dtype == np.float64
    assert_equal(box_iou(narrow, wide), box_iou(wide, wide))
    assert encode_boxes(narrow, wide).dtype == np.float64


@pytest.mark.parametrize(
    ("dtype", "high", "iou"),
    [
        (np.int32, 50_000, 1.0),
        (np.uint8, 255, 1.0),
        (np.int8, 127, 1.0),
        (np.int64, 2**31, 1.0),
        (np.float16, 60_000, 1),
    ],
)
def test_no_area_wraps_around(dtype: type, high: int, iou: float) -> None:
    """torchvision gives 2.58 for the first, 0 for the third."""
    some: Array = np.array([[0, 0, high, high]], dtype)
    assert box_iou(some, some) == [[iou]]
    assert box_area(some) == [float(some[0, 2]) ** 2]


def test_disjoint_unsigned_boxes_have_iou_0() -> None:
    some = np.array([[0, 0, 10, 10], [200, 200, 250, 250]], np.uint8)
    np.testing.assert_array_equal(box_iou(some, some), np.eye(2))  # torchvision gives -1


def test_rows_and_flags_must_match() -> None:
    with pytest.raises(ValueError, match="boxes1 and boxes2 must have the same number of rows, got 3 and 2"):
        paired_box_iou(OTHERS, OTHERS[:2])
    with pytest.raises(ValueError, match=r"crowd must have one value per box, shape \(3,\), got \(2,\)"):
        box_iou_crowd(OTHERS, OTHERS, [True, False])


def run(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter that finds the package in `folder`."""
    settings = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", **environment}
    settings.pop("NUMBA_CACHE_DIR", None)
    return subprocess.run(
        [sys.executable, "-c", code], env=settings, cwd=folder, capture_output=True, text=True, check=False
    )


def test_a_folder_named_coverage_is_no_package(tmp_path: Path) -> None:
    (tmp_path / "coverage").mkdir()  # numba would ask this folder for the classes of the package coverage
    root = Path(__file__).parents[2]
    code = "import sys, anchorloc.boxes as b; b.box_iou([[0, 0, 1, 1]], []); print('coverage' in sys.modules)"
    done = run(code, root, PYTHONPATH=os.pathsep.join([str(tmp_path), str(root)]))
    assert (done.stdout, done.stderr) == ("False\n", "")


BOX: Any = [[0, 0, 10, 10]]
WRONG: dict[str, Any] = {
    "none": None,
    "matrix": np.zeros((5, 4)),
    "text": "xywh",
    "half": 2.5,
    "one": 5,
    "three": (5, 10, 3),
}


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: box_area([[0, 0, 1, 1], [2, 3]]), "boxes cannot be read as an array"),
        (lambda: box_area(torch.ones(1, 4, requires_grad=True)), "boxes cannot be read as an array: .*requires grad"),
        (lambda: box_iou(BOX, BOX, WRONG["text"]), "out must be an array, or None, got 'xywh'"),
        (lambda: box_iou(BOX, BOX, threads=WRONG["half"]), "threads must be a whole number of at least 1, got 2.5"),
        (lambda: nms(BOX, [1], WRONG["none"]), "iou_threshold must be a number between 0 and 1, got None"),
        (lambda: box_iou_crowd(BOX, BOX, [0.5]), r"crowd\[0\] is .*0.5.*: it must be true or false"),
        (
            lambda: clip_boxes_to_image(BOX, WRONG["three"]),
            r"size must be a positive \(height, width\), got \(5, 10, 3\)",
        ),
        (lambda: clip_boxes_to_image(BOX, WRONG["one"]), r"size must be a positive \(height, width\), got 5"),
        (lambda: scale_boxes(BOX, WRONG["three"]), "scale must be a positive number, or"),
        (lambda: scale_boxes(BOX, np.nan), "scale must be a positive number, or"),
        (
            lambda: AnchorGenerator()(WRONG["one"]),
            r"image_size must be \(height, width\) in whole pixels from 1, got 5",
        ),
        (lambda: AnchorGenerator()(WRONG["three"]), r"got \(5, 10, 3\)"),
        (lambda: ATSSAssigner(WRONG["half"]), "topk must be a whole number of at least 1, got 2.5"),
        (lambda: MaxIoUAssigner()(WRONG["matrix"], BOX), "grid must be an AnchorGrid, .* got ndarray"),
    ],
)
def test_a_wrong_argument_is_a_value_error_that_names_it(call: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()


def test_one_scale_may_come_in_any_form() -> None:
    forms: tuple[Any, ...] = (2, 2.0, np.float32(2), (2, 2), [2, 2])
    for scale in forms:
        np.testing.assert_array_equal(scale_boxes(BOX, scale), [[0, 0, 20, 20]])


def test_numba_comes_with_the_first_call_that_needs_it() -> None:
    code = """
import sys
import anchorloc.boxes as boxes
boxes.box_convert([[0, 0, 1, 1]], "xyxy", "xywh")
boxes.decode_boxes(boxes.encode_boxes([[0, 0, 1, 1]], [[0, 0, 1, 1]]), [[0, 0, 1, 1]])
boxes.flip_boxes(boxes.clip_boxes_to_image([[0, 0, 1, 1]], (5, 5)), (5, 5))
assert "numba" not in sys.modules
boxes.box_iou([[0, 0, 1, 1]], [[0, 0, 1, 1]])
assert "numba" in sys.modules and "torch" not in sys.modules
"""
    result = run(code, Path(anchorloc.__file__).parents[1])
    assert result.returncode == 0, result.stderr


def test_kernels_work_where_no_cache_folder_is_writable(tmp_path: Path) -> None:
    """numba refuses such a module on import (numba#4908); a folder that cannot be made stands for a read-only one."""
    package = tmp_path / "anchorloc"
    shutil.copytree(Path(library.__file__).parent, package / "boxes", ignore=shutil.ignore_patterns("__pycache__"))
    (package / "__init__.py").touch()
    (package / "boxes" / "__pycache__").touch()
    (package / "boxes" / "plain.py").write_text("import numba\nnumba.njit(cache=True)(lambda: 1)\n")
    code = """
import anchorloc.boxes as boxes
import anchorloc.boxes.nms_kernels, anchorloc.boxes.order_kernels
assert boxes.paired_box_iou([[0, 0, 2, 1]], [[0, 0, 1, 1]]) == [0.5]
try:
    import anchorloc.boxes.plain
except RuntimeError as error:
    assert "no locator available" in str(error)
else:
    raise SystemExit("a cache folder was found: this test shows nothing")
"""
    result = run(code, tmp_path, HOME="/dev/null", XDG_CACHE_HOME="/dev/null", LOCALAPPDATA="/dev/null")
    assert result.returncode == 0, result.stderr


def test_kernels_run_in_several_threads_at_once() -> None:
    some = np.random.default_rng(0).uniform(0, 100, (200, 4))
    some[:, 2:] += some[:, :2]
    expected = [box_iou(some, some), nms(some, some[:, 0], 0.5)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: [box_iou(some, some, threads=2), nms(some, some[:, 0], 0.5)], range(50)))
    for pair in found:
        for one, other in zip(pair, expected, strict=True):
            np.testing.assert_array_equal(one, other)


def test_the_examples_of_the_page_are_true() -> None:
    page = Path(__file__).parents[2] / "docs" / "boxes.md"
    failed, tried = doctest.testfile(str(page), module_relative=False)
    assert (failed, tried > 0) == (0, True)
