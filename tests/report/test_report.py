"""The report: nothing lost, nothing loaded from elsewhere, nothing that a name can break."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from anchorloc.metrics import Evaluation, evaluate
from anchorloc.report import Chart, Judgment, Picture, print_evaluation, write_report
from anchorloc.report.markdown import escape
from anchorloc.structures import Category
from anchorloc.text import counted
from tests.metrics.evaluation_cases import found, target
from tests.report.report_cases import HOSTILE, PIXELS, Page, controls


def case(names: list[str]) -> tuple[Evaluation, list[Picture]]:
    """One image in which each class but the last has a box, found for every other class."""
    boxes = [[4.0 * i, 0.0, 4.0 * i + 3, 9.0] for i in range(len(names) - 1)]
    one = target(boxes, list(range(len(boxes))))
    some = found(1, boxes[::2], [0.9 - i / 100 for i in range(len(boxes[::2]))], list(range(len(boxes)))[::2])
    evaluation = evaluate([one], [some], tuple(Category(i, name) for i, name in enumerate(names)))
    return evaluation, [Picture(name, PIXELS, (40, 60), one, some, evaluation.matched[0]) for name in names]


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    evaluation, pictures = case(HOSTILE)
    chart = Chart(HOSTILE[0], HOSTILE[1], {HOSTILE[2]: [(0, 1), (1, 2)]})
    facts = {name: name for name in HOSTILE}
    write_report(tmp_path, Judgment(HOSTILE[0], evaluation, None, None, pictures, [chart], facts, HOSTILE))
    return tmp_path


def test_names_cannot_break_the_page(hostile: Path) -> None:
    text = (hostile / "report.html").read_bytes().decode("utf-8")
    page = Page(text)
    assert page.title == HOSTILE[0]
    assert not {"script", "img", "b", "iframe", "object"} & set(page.tags)
    assert page.tags.count("h1") == page.tags.count("style") == 1
    assert not [key for key, _ in page.attributes if key.startswith("on")]
    assert "{{ 7 * 7 }}{% raw %}" in page.text
    assert not controls(text)


def test_the_page_loads_nothing(hostile: Path) -> None:
    text = (hostile / "report.html").read_text(encoding="utf-8")
    links = [value or "" for key, value in Page(text).attributes if key in ("href", "src", "srcset", "xlink:href")]
    assert links
    assert all(link.startswith(("data:image/jpeg;base64,", "#")) for link in links)
    assert "@import" not in text
    assert "url(" not in text
    assert "default-src 'none'" in text


def test_names_cannot_break_the_markdown(hostile: Path) -> None:
    text = (hostile / "report.md").read_bytes().decode("utf-8")
    assert not controls(text)
    assert "<" not in text.replace("\\<", "")
    assert not re.search(r"(?<!\\)\]\(", text)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) for row in rows} == {13, 9, 3}
    assert len(rows) == 3 + 2 + len(HOSTILE) + 2 + len(HOSTILE)


def test_names_cannot_break_the_terminal() -> None:
    evaluation, _ = case(HOSTILE)
    file = io.StringIO()
    print_evaluation(evaluation, console=Console(file=file, width=80, force_terminal=False))
    assert not controls(file.getvalue())
    assert max(map(cell_len, file.getvalue().splitlines())) <= 80
    assert "[red]rich[/red]" in file.getvalue()
    assert file.getvalue().count("1.000") == 4 * 7  # long names give way, numbers do not


@given(st.text(max_size=60))
def test_escaped_markdown_is_one_line_without_live_characters(text: str) -> None:
    escaped = escape(text)
    assert not controls(escaped)
    assert "\n" not in escaped
    assert not re.search(r"(?<!\\)[|<>`*_\[\]&~#$]", re.sub(r"\\\\", "", escaped))


def test_the_numbers_are_the_same_everywhere(tmp_path: Path) -> None:
    evaluation, pictures = case(["cell", "dot", "nothing"])
    facts = {"seed": 3, "path": Path("x")}
    judgment = Judgment("a title", evaluation, pictures=pictures, facts=facts, warnings=["odd"])
    write_report(tmp_path, judgment)
    page = tmp_path / "report.html"
    assert page == tmp_path / "report.html"
    record = json.loads((tmp_path / "metrics.json").read_text())
    assert record["summary"] == evaluation.summary.named()
    assert [one["AP"] for one in record["classes"]] == [pytest.approx(1), 0, None]
    assert record["facts"] == {"seed": 3, "path": "x"}
    assert record["warnings"] == ["odd"]
    assert record["counts"]["boxes"] == 2
    assert record["operating_point"]["recall"] == 0.5
    html, markdown = page.read_text(), (tmp_path / "report.md").read_text()
    file = io.StringIO()
    print_evaluation(evaluation, console=Console(file=file, width=80))
    expected = [("n/a" if value is None else f"{value:.3f}") for value in evaluation.summary.named().values()]
    for text in (html, markdown, file.getvalue()):
        words = re.sub(r"<style>.*</style>|base64,[^\"]*", "", text, flags=re.DOTALL)
        assert re.findall(r"\b(?:\d\.\d{3}|n/a)\b", words)[: len(expected)] == expected
        assert not re.search(r"[\s>]-1\b", words)  # pycocotools' mark for "no truth"
        assert "50% of the boxes" in " ".join(words.split())
    assert "odd" in html
    assert "odd" in markdown


def test_many_classes_keep_the_terminal_short() -> None:
    names = [f"class {i}" for i in range(80)]
    boxes = [[float(i), 0.0, i + 1.0, 1.0] for i in range(80)]
    evaluation = evaluate(
        [target(boxes * 2, [*range(80), *range(50, 60), *[0] * 70])],
        [found(1, [], [], [])],
        tuple(Category(i, name) for i, name in enumerate(names)),
    )
    file = io.StringIO()
    print_evaluation(evaluation, console=Console(file=file, width=80))
    shown = re.findall(r"class (\d+) ", file.getvalue())
    assert len(shown) == 25
    assert shown == sorted(shown, key=int)
    assert {"0", *map(str, range(50, 60))} <= set(shown)
    assert "55 classes" in file.getvalue()


def test_no_numbers_at_all_is_a_report_too(tmp_path: Path) -> None:
    evaluation = evaluate([target([], [])], [found(1, [], [], [])], (Category(1, "x"),), [300])
    write_report(tmp_path, Judgment("empty", evaluation))
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "n/a" in text
    assert "AR300" in text
    assert "n/a: the value is undefined" in text


def test_counted() -> None:
    assert [counted(1, "box"), counted(2, "box"), counted(0, "class"), counted(1200, "image")] == [
        "1 box",
        "2 boxes",
        "0 classes",
        "1,200 images",
    ]
