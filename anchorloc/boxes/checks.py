"""Check and convert the arguments of the public functions: anything that `np.asarray` reads as N boxes."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray: TypeAlias = NDArray[np.float32] | NDArray[np.float64]  # boxes, scores and overlaps
IndexArray: TypeAlias = NDArray[np.int64]  # rows of boxes


def as_array(values: ArrayLike, name: str) -> NDArray[Any]:
    """Return `values` as an array.

    Raises:
        ValueError: NumPy cannot read them: rows of unequal length, a tensor that requires grad or is not on the CPU.
    """
    try:
        return np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ValueError(f"{name} cannot be read as an array: {error}") from None


def as_floats(values: ArrayLike, name: str) -> NDArray[Any]:
    """Return `values` as a float32 or float64 array in native byte order, without a copy if it is one already.

    float16 becomes float32 and integers become float64, so that no area wraps around or overflows early.

    Raises:
        ValueError: the values are not real numbers, or of a float type wider than float64.
    """
    array = as_array(values, name)
    if array.dtype.kind in "iu":
        return array.astype(np.float64)
    if array.dtype.kind != "f" or array.dtype.itemsize > 8:
        raise ValueError(f"{name} must hold integers or floats of at most 64 bits, got dtype {array.dtype}")
    return np.asarray(array, np.float64 if array.dtype.itemsize == 8 else np.float32)


def as_rows(values: ArrayLike, name: str) -> NDArray[Any]:
    """Return `values` as an (N, 4) float array; an empty list or a (0,) array counts as (0, 4)."""
    array = as_floats(values, name)
    if array.shape == (0,):
        return array.reshape(0, 4)
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"{name} must have shape (N, 4), got {array.shape}")
    return array


def as_finite_rows(values: ArrayLike, name: str) -> NDArray[Any]:
    """Return `values` as an (N, 4) float array of finite numbers."""
    rows = as_rows(values, name)
    finite = np.isfinite(rows)
    if not finite.all():
        _refuse(rows, finite, name, "every number must be finite")
    return rows


def as_boxes(values: ArrayLike, name: str = "boxes") -> NDArray[Any]:
    """Return `values` as (N, 4) finite boxes (x1, y1, x2, y2) with x1 <= x2 and y1 <= y2."""
    boxes = as_finite_rows(values, name)
    ordered = boxes[:, :2] <= boxes[:, 2:]
    if not ordered.all():
        _refuse(boxes, ordered, name, "a box needs x1 <= x2 and y1 <= y2")
    return boxes


def as_same_type(*arrays: NDArray[Any]) -> list[NDArray[Any]]:
    """Return the arrays in the widest of their float types."""
    dtype = np.result_type(*arrays)
    return [array.astype(dtype, copy=False) for array in arrays]


def as_vector(values: ArrayLike, name: str, length: int) -> NDArray[Any]:
    """Return `values` as an array of shape (length,), of any type."""
    vector = as_array(values, name)
    if vector.shape != (length,):
        raise ValueError(f"{name} must have one value per box, shape ({length},), got {vector.shape}")
    return vector


def as_scores(values: ArrayLike, length: int) -> NDArray[Any]:
    """Return `values` as (length,) float scores without NaN, which cannot be sorted."""
    scores = as_floats(as_vector(values, "scores", length), "scores")
    if np.isnan(scores).any():
        raise ValueError(f"scores[{int(np.isnan(scores).argmax())}] is nan: a score must be a number")
    return scores


def as_size(size: tuple[float, float]) -> tuple[float, float]:
    """Return the (height, width) of an image, in pixels."""
    sides = as_array(size, "size")
    if sides.shape != (2,) or sides.dtype.kind not in "iuf" or not (np.isfinite(sides) & (sides > 0)).all():
        raise ValueError(f"size must be a positive (height, width), got {size!r}")
    return float(sides[0]), float(sides[1])


def check_fraction(value: float, name: str) -> None:
    """Raise ValueError unless `value` is a number in [0, 1]."""
    if not isinstance(value, int | float | np.number) or not 0 <= value <= 1:
        raise ValueError(f"{name} must be a number between 0 and 1, got {value!r}")


def as_flags(values: ArrayLike, name: str, length: int) -> NDArray[np.bool_]:
    """Return `values` as a (length,) bool array; 0 and 1 are accepted too."""
    flags = as_vector(values, name, length)
    wrong = (flags != 0) & (flags != 1)
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(f"{name}[{row}] is {flags[row]!r}: it must be true or false")
    return flags.astype(np.bool_)


def check_same_length(first: NDArray[Any], second: NDArray[Any], names: tuple[str, str]) -> None:
    """Raise ValueError unless the two arrays have the same number of rows."""
    if len(first) != len(second):
        raise ValueError(
            f"{names[0]} and {names[1]} must have the same number of rows, got {len(first)} and {len(second)}"
        )


def _refuse(rows: NDArray[Any], good: NDArray[np.bool_], name: str, rule: str) -> None:
    """Raise ValueError with the first row that has a value which is not good, and its numbers."""
    row = int(np.flatnonzero(~good)[0]) // good.shape[1]
    raise ValueError(f"{name}[{row}] is {tuple(rows[row].tolist())}: {rule}")
