"""Mending: what is written has no error, training reads it, and nothing is touched that was in order."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from data_sets import document, write_document
from hypothesis import given
from hypothesis import strategies as st
from test_data_coco import BAD, JSON_VALUES, PLACES
from test_doctor_findings import mutated

from anchorloc.data import read_annotations
from anchorloc.errors import InputError
from anchorloc.health import Severity, diagnose, read_document, repair, write_json_rows


def mend(path: Path, content: Any) -> tuple[dict[str, Any], dict[tuple[str, str], int]]:
    diagnosis, changes = repair(diagnose([read_document(write_document(path, content), whole=True)]), 8, False)
    write_json_rows(path.with_suffix(".fixed"), diagnosis.documents[0].content)
    return json.loads(path.with_suffix(".fixed").read_text(encoding="utf-8")), dict(changes)


@given(changes=st.lists(st.tuples(st.sampled_from(PLACES), JSON_VALUES), min_size=1, max_size=4))
def test_what_is_mended_is_read_by_training(
    changes: list[tuple[tuple[Any, ...], Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "mend.json"
    content = mutated(changes)
    try:
        mend(path, content)
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017
        return
    fixed = path.with_suffix(".fixed")
    assert not diagnose([read_document(fixed)]).findings.of(Severity.ERROR)
    read_annotations(fixed)
