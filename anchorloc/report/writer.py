"""Write the report of a judgment, and print its numbers."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.text import Text

from anchorloc.files import write_json, write_text
from anchorloc.report.analysis.captions import precision_sentence
from anchorloc.report.analysis.tables import write_csv_tables
from anchorloc.report.json_report import evaluation_json
from anchorloc.report.judgment import Judgment
from anchorloc.report.localization import print_localization, write_localization
from anchorloc.report.markdown import render_markdown
from anchorloc.report.page import render_page
from anchorloc.report.terminal import print_evaluation
from anchorloc.report_folder import ReportFolder, ReportPage


def write_and_print_report(folder: Path, judgment: Judgment, console: Console) -> ReportFolder:
    """Write the report into an existing folder, and print its numbers.

    Raises:
        InputError: the file system refuses.
    """
    report = write_report(folder, judgment)
    print_evaluation(judgment.evaluation, judgment.intervals, console)
    if sentence := precision_sentence(judgment.analysis):
        console.print(Text(sentence))
    if judgment.localization is not None:
        print_localization(judgment.localization, console)
    return report


def write_report(folder: Path, judgment: Judgment) -> ReportFolder:
    """Write metrics.json, report.md, report.html and the CSV tables into an existing folder.

    Raises:
        InputError: the file system refuses.
    """
    page, metrics = folder / "report.html", evaluation_json(judgment)
    write_json(folder / "metrics.json", metrics)
    write_text(folder / "report.md", render_markdown(judgment))
    if judgment.analysis is not None:
        write_csv_tables(folder, judgment.analysis, judgment.evaluation, judgment.names)
    if judgment.localization is not None:
        write_localization(folder, judgment.localization)
    write_text(page, render_page(judgment))
    return ReportFolder(
        folder=folder,
        metrics=json.loads(json.dumps(metrics)),  # as in the file: lists in place of tuples
        report=ReportPage(page),
        warnings=tuple(judgment.all_warnings),
        unreadable=tuple(judgment.unreadable),
    )
