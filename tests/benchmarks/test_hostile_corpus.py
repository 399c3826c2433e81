"""Bad and odd files through the command lines; `python -m benchmarks.hostile_corpus` runs all of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from anchorloc.config import read_config
from anchorloc.errors import InputError
from benchmarks.hostile_corpus import corpus, run


def test_the_corpus_is_as_large_as_promised() -> None:
    items = corpus()
    assert len({item.name for item in items}) == len(items) >= 140
    assert sum(item.good for item in items) >= 50


@pytest.mark.parametrize("command", ["evaluate", "train"])
def test_bad_files_are_refused_in_one_sentence_and_odd_ones_taken(command: str) -> None:
    counts = run([item for item in corpus() if item.command == command][3::10])
    assert counts.keys() == {"refused", "accepted"}, counts


def test_a_wrong_expectation_would_be_seen() -> None:
    by_name = {item.name: item for item in corpus()}
    good, bad = by_name["results: in order"], by_name["results: score NaN"]
    assert run([replace(good, good=False), replace(bad, good=True)]) == {"bad accepted": 1, "good refused": 1}


@pytest.mark.parametrize("value", [".inf", "-.inf", ".nan"])
@pytest.mark.parametrize("key", ["train.optimizer.learning_rate", "train.clip_norm", "anchors.scales"])
def test_settings_are_finite(key: str, value: str) -> None:
    with pytest.raises(InputError, match="need finite numbers, got"):
        read_config(None, [f"{key}={value}" if key != "anchors.scales" else f"{key}=[4, {value}]"])
