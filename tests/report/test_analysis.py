"""The report of an analysis: the same numbers everywhere, each explained, and no name that breaks it."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from anchorloc.metrics import Evaluation, evaluate
from anchorloc.metrics.analysis import ERROR_TYPES, Analysis, AnalysisOptions, AnchorUsage, analyze
from anchorloc.report import Judgment, best_and_worst, print_evaluation, write_report
from anchorloc.report.analysis import captions
from anchorloc.structures import Category, Detections, Target
from tests.metrics.evaluation_cases import found, from_coco, target, without_ties
from tests.report.report_cases import HOSTILE, Page, Photos, controls


def case(names: list[str]) -> tuple[Evaluation, Analysis]:
    """Real confusion under any names, with everything that an analysis can hold."""
    targets, detections, categories = from_coco(*without_ties(1, images=30))
    categories = tuple(Category(one.id, name) for one, name in zip(categories, names, strict=True))
    count = sum(map(len, detections))
    shapes = (((8.0, 8.0), (8.0, 16.0)), ((32.0, 32.0),))
    usage = AnchorUsage(np.arange(count) % 3 // 2, np.arange(count) % 3 % 2, (8.0, 32.0), shapes, (0.9, 0.1))
    options = AnalysisOptions(0.8, np.full((len(targets), 2), 300), usage, resamples=20)
    return evaluate(targets, detections, categories), analyze(targets, detections, categories, options=options)


@pytest.mark.parametrize("start", range(0, 12, 4))
def test_names_cannot_break_anything(tmp_path: Path, start: int) -> None:
    evaluation, analysis = case(HOSTILE[start : start + 4])
    names = [HOSTILE[i % len(HOSTILE)] for i in range(len(analysis.images))]
    write_report(tmp_path, Judgment("x", evaluation, analysis, names=names))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    parsed = Page(page)
    assert not {"script", "img", "b2", "iframe", "object"} & set(parsed.tags)
    assert parsed.tags.count("h1") == 1
    assert not [key for key, _ in parsed.attributes if key.startswith("on")]
    assert not controls(page)
    assert not [value for key, value in parsed.attributes if key in ("href", "src") and not str(value).startswith("#")]
    assert not controls((tmp_path / "report.md").read_bytes().decode("utf-8"))
    for path in tmp_path.glob("*.csv"):
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
        assert len({len(row) for row in rows}) == 1, path.name
        assert not any(cell.startswith(("=", "@")) for row in rows for cell in row)


def test_a_terminal_shows_the_intervals_of_the_page() -> None:
    evaluation, analysis = case(HOSTILE[:4])
    bootstrap = analysis.bootstrap
    assert bootstrap is not None
    file = io.StringIO()
    print_evaluation(evaluation, bootstrap, Console(file=file, width=80))
    text = file.getvalue()
    assert max(map(cell_len, text.splitlines())) <= 80
    assert "95% intervals over images (20 resamples)" in text
    shown = [tuple(map(float, pair)) for pair in re.findall(r"(\d?\.\d{3})-(\d?\.\d{3})", text)]
    known = [one for one in (*bootstrap.summary.values(), *bootstrap.classes) if one is not None]
    assert len(known) > 12
    assert shown == [(round(one.low, 3), round(one.high, 3)) for one in known]
    file = io.StringIO()
    print_evaluation(evaluation, console=Console(file=file, width=80))
    assert "interval" not in file.getvalue()


def test_every_number_is_explained_and_the_same_everywhere(tmp_path: Path) -> None:
    evaluation, analysis = case(["a", "b", "c", "d"])
    write_report(tmp_path, Judgment("x", evaluation, analysis, names=[""] * len(analysis.images)))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    record = json.loads((tmp_path / "metrics.json").read_text())["analysis"]
    markdown = (tmp_path / "report.md").read_text()
    assert [record["errors"][kind]["count"] for kind in ERROR_TYPES] == list(analysis.errors.totals)
    for columns in (
        captions.ERRORS,
        captions.SLICE_COLUMNS,
        captions.SHAPE_COLUMNS,
        captions.CLASS_COLUMNS,
        captions.BOX_QUALITY,
    ):
        for meaning in columns.values():
            assert meaning.replace("<", "&lt;") in page
    for meaning in (
        *captions.ERRORS.values(),
        *captions.SLICE_COLUMNS.values(),
        *captions.BOX_QUALITY.values(),
        captions.INTERVAL,
    ):
        assert meaning in markdown
    assert analysis.bootstrap is not None
    for interval in analysis.bootstrap.summary.values():
        text = captions.interval_text(interval)
        assert text in page
        assert text in markdown
    with (tmp_path / "slices.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["boxes"] for row in table] == [str(one.boxes) for one in analysis.slices]
    assert len(record["slices"]) == len(table)
    assert not re.search(r"[\s>]-1\.?0*\b", re.sub(r"<style>.*</style>", "", page, flags=re.DOTALL))
    with (tmp_path / "confusion.csv").open(newline="") as file:
        matrix = [[int(cell) for cell in row[1:]] for row in list(csv.reader(file))[1:]]
    assert matrix == analysis.confusion.matrix.tolist()


def test_many_classes_give_a_page_and_a_table_that_open(tmp_path: Path) -> None:
    categories = tuple(Category(number, f"c{number}") for number in range(1100))
    boxes = [[30.0 * place, 0.0, 30.0 * place + 20, 20.0] for place in range(3)]
    targets, some = [target(boxes, [7, 8, 1099])], [found(1, boxes, [0.9, 0.8, 0.7], [7, 9, 1099])]
    evaluation, analysis = evaluate(targets, some, categories), analyze(targets, some, categories)
    write_report(tmp_path, Judgment("x", evaluation, analysis, names=["a.jpg"]))
    with (tmp_path / "confusion.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["true class", "detected class", "count"],
            ["c7", "c7", "1"],
            ["c8", "c9", "1"],
            ["c1099", "c1099", "1"],
        ]
    page, markdown = ((tmp_path / name).read_text(encoding="utf-8") for name in ("report.html", "report.md"))
    for text in (page, markdown):
        assert re.findall(r"(?<![\w-])c\d+\b", text[text.index("Classes") :])[:4] == ["c7", "c8", "c9", "c1099"]
        assert "and 1,096 classes with fewer boxes or none; metrics.json lists all" in text
    assert len(json.loads((tmp_path / "metrics.json").read_text())["classes"]) == 1100


def test_shapes_that_could_go_are_named() -> None:
    targets = [target([[0, 0, 10, 10]])]
    some = [found(1, [[0, 0, 10, 10], [40, 40, 50, 50]], [0.9, 0.1])]
    usage = AnchorUsage(np.array([0, 0]), np.array([0, 1]), (8.0,), (((8.0, 8.0), (8.0, 16.0)),), (1.0,))
    analysis = analyze(targets, some, (Category(1, "x"),), options=AnalysisOptions(anchor_usage=usage))
    assert [one.size for one in captions.prunable(analysis)] == [(8, 16)]
    assert "8.0 x 16.0 px" in (captions.prunable_sentence(analysis) or "")
    assert "1 of the shapes, with 50.0% of the anchors" in (captions.prunable_sentence(analysis) or "")


class Boxes(Photos):
    """Images of one box each."""

    def target(self, index: int) -> Target:
        return target([[0, 0, 10, 10]])


def test_the_gallery_has_the_worst_and_the_best_and_each_once() -> None:
    source = Boxes(30, broken={0})
    hit, miss = [0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0]
    detections: list[Detections] = [
        found(i, [hit] if i >= 15 else [miss] * (i % 3 + 1), [0.9] * (1 if i >= 15 else i % 3 + 1)) for i in range(30)
    ]
    targets = [source.target(i) for i in range(30)]
    evaluation = evaluate(targets, detections, source.categories)
    analysis = analyze(targets, detections, source.categories)
    pictures, problems = best_and_worst(source, detections, evaluation, analysis)  # type: ignore[arg-type]
    groups = [picture.group for picture in pictures]
    assert groups == ["Worst"] * 9 + ["Best"] * 9
    assert [int(picture.name) for picture in pictures[:5]] == [2, 5, 8, 11, 14]  # three wrong detections each
    assert all(int(picture.name) >= 15 for picture in pictures[9:])
    assert len({picture.name for picture in pictures}) == 18
    assert problems == []
