"""The doctor's findings: what training refuses is an error, what it accepts is none, and each kind is found."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from data_sets import document, write_document
from hypothesis import given
from hypothesis import strategies as st
from test_data_coco import BAD, JSON_VALUES, PLACES

from anchorloc.data import read_annotations
from anchorloc.errors import InputError
from anchorloc.health import Diagnosis, Severity, diagnose, read_document


def examine(path: Path, content: Any, **options: Any) -> Diagnosis:
    return diagnose([read_document(write_document(path, content))], **options)


def keys(diagnosis: Diagnosis, severity: Severity | None = None) -> set[str]:
    return {kind.key for kind, _ in diagnosis.findings.ordered() if severity in (None, kind.severity)}


def refused(path: Path) -> bool:
    try:
        read_annotations(path)
    except InputError:
        return True
    return False


def has_errors(path: Path) -> bool:
    try:
        return bool(diagnose([read_document(path)]).findings.of(Severity.ERROR))
    except InputError:
        return True


@pytest.mark.parametrize("case", BAD)
def test_what_training_refuses_is_an_error_or_unusable(case: str, tmp_path: Path) -> None:
    content = document()
    BAD[case][0](content)
    assert has_errors(write_document(tmp_path / "a.json", content))


@given(
    changes=st.lists(st.tuples(st.sampled_from(PLACES), JSON_VALUES), min_size=1, max_size=3),
    repeated=st.booleans(),
)
def test_an_error_is_what_training_refuses(
    changes: list[tuple[tuple[Any, ...], Any]], repeated: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = mutated(changes)
    if repeated and isinstance(content["annotations"], list):
        content["annotations"] = content["annotations"] * 2
    path = write_document(tmp_path_factory.getbasetemp() / "doctor.json", content)
    assert has_errors(path) == refused(path)


def mutated(changes: list[tuple[tuple[Any, ...], Any]]) -> dict[str, Any]:
    """Return a document with the values at some places replaced; places that are gone are passed over."""
    content = document()
    for place, value in changes:
        parent: Any = content
        try:
            for key in place[:-1]:
                parent = parent[key]
            parent[place[-1]] = copy.deepcopy(value)
        except (KeyError, IndexError, TypeError):
            continue
    return content
