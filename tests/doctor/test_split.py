"""Splitting: whole groups, every image once, classes spread better than by chance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorloc.data import read_annotations
from anchorloc.data.stratified_split import stratified_group_split
from anchorloc.doctor import diagnose, read_document, split_document, write_splits
from anchorloc.doctor.split import image_groups
from anchorloc.errors import InputError
from tests.data.data_sets import write_document
from tests.doctor.doctor_cases import clean


@given(
    counts=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2), st.integers(0, 11)), min_size=12, max_size=60),
    fractions=st.sampled_from([(0.8, 0.2), (0.5, 0.5), (0.6, 0.2, 0.2), (0.25,) * 4]),
    seed=st.integers(0, 5),
)
def test_groups_stay_whole_and_no_subset_is_empty(
    counts: list[tuple[int, int, int]], fractions: tuple[float, ...], seed: int
) -> None:
    columns = np.array([(first, second, 1) for first, second, _ in counts], np.float64)
    groups = [str(group) for _, _, group in counts]
    if len(set(groups)) < len(fractions):
        with pytest.raises(InputError, match="cannot be split into"):
            stratified_group_split(*boxes_of(columns), groups, fractions, seed)
        return
    subsets = stratified_group_split(*boxes_of(columns), groups, fractions, seed)
    assert set(subsets.tolist()) == set(range(len(fractions)))
    for group in set(groups):
        assert len({int(subset) for subset, other in zip(subsets, groups, strict=True) if other == group}) == 1
    np.testing.assert_array_equal(subsets, stratified_group_split(*boxes_of(columns), groups, fractions, seed))


def boxes_of(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the image and the class of each box from counts; the last column stands for the images."""
    images, labels = np.nonzero(columns[:, :-1])
    times = columns[images, labels].astype(int)
    return np.repeat(images, times), np.repeat(labels, times)


def test_a_small_subset_still_gets_a_group() -> None:
    assert sorted(stratified_group_split(*boxes_of(np.ones((2, 1))), ["a", "b"], (0.98, 0.02), 0)) == [0, 1]


def spread(columns: np.ndarray, subsets: np.ndarray, fraction: float) -> float:
    """Return the greatest distance of the fraction of val from `fraction`, over the columns."""
    return float(np.abs(columns[subsets == 1].sum(axis=0) / columns.sum(axis=0) - fraction).max())


@pytest.mark.parametrize("images_a_group", [1, 5])
def test_classes_are_spread_better_than_by_chance(images_a_group: int) -> None:
    random = np.random.default_rng(0)
    columns = np.column_stack([random.poisson((5, 1, 0.1), (400, 3)), np.ones(400)]).astype(np.float64)
    groups = [str(row // images_a_group) for row in range(400)]
    ours = [
        spread(columns, stratified_group_split(*boxes_of(columns), groups, (0.8, 0.2), seed), 0.2) for seed in range(10)
    ]
    names = np.array(groups)
    chance = []
    for _ in range(10):
        chosen = random.choice(np.unique(names), len(np.unique(names)) // 5, replace=False)
        chance.append(spread(columns, np.isin(names, chosen).astype(int), 0.2))
    assert max(ours) < 0.02
    assert np.mean(ours) < np.mean(chance) / 4
    assert len({tuple(stratified_group_split(*boxes_of(columns), groups, (0.8, 0.2), seed)) for seed in range(3)}) == 3


def test_folds_hold_everything_once_and_are_read_by_training(tmp_path: Path) -> None:
    content = clean()
    content["images"] = [
        {**content["images"][0], "id": row, "file_name": f"p{row // 3}_{row}.png"} for row in range(12)
    ]
    content["annotations"] = [
        {**content["annotations"][row % 3], "id": row + 1, "image_id": row % 12} for row in range(36)
    ]
    document = read_document(write_document(tmp_path / "a.json", content), whole=True)
    assert image_groups(document, pattern="^p([0-9]+)_") == [str(row // 3) for row in range(12)]
    files = split_document(diagnose([document]), folds=4, pattern="^p([0-9]+)_")
    assert [file.groups for file in files] == [3, 1] * 4
    write_splits(files, tmp_path / "folds")
    assert sorted(path.name for path in (tmp_path / "folds").iterdir()) == sorted(f"{file.name}.json" for file in files)
    validated = []
    for number in range(4):
        train, val = (
            read_annotations(tmp_path / "folds" / f"fold_{number}_{split}.json") for split in ("train", "val")
        )
        assert (len(train), len(val)) == (9, 3)
        assert len({train.name(row).split("_")[0] for row in range(9)} | {val.name(0).split("_")[0]}) == 4
        assert train.categories == val.categories
        assert len(val.annotated) == 9
        validated += [val.image_id(row) for row in range(3)]
    assert sorted(map(int, validated)) == list(range(12))


def test_what_cannot_be_grouped_is_refused(tmp_path: Path) -> None:
    content = clean()
    content["images"][0]["patient"] = 5
    document = read_document(write_document(tmp_path / "a.json", content))
    with pytest.raises(InputError, match=r"image 2 \(2\.png\) has no key 'patient'; choose one of id, file_name"):
        image_groups(document, key="patient")
    with pytest.raises(InputError, match=r"image 1 \(1\.png\) does not match"):
        image_groups(document, pattern="^(p)")
    with pytest.raises(InputError, match="has 0 groups"):
        image_groups(document, pattern="^p")
    with pytest.raises(InputError, match="is not a regular expression"):
        image_groups(document, pattern="(")
    content["images"][1]["patient"] = "5"
    document = read_document(write_document(tmp_path / "b.json", content))
    assert len(set(image_groups(document, key="patient"))) == 2  # 5 and "5" are different groups
