"""The files of a lab report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from anchorloc.files import write_json, write_text
from anchorloc.lab.inspection import Inspection
from anchorloc.lab.report.page import render_lab_page
from anchorloc.lab.report.pictures import lost_pictures
from anchorloc.lab.report.record import lab_record, write_tables


def write_lab_report(folder: Path, inspections: Sequence[Inspection], title: str, facts: Mapping[str, object]) -> Path:
    """Write report.json, the CSV tables and report.html into an existing folder, and return the path of the last.

    Raises:
        InputError: the file system refuses.
    """
    page = folder / "report.html"
    write_json(folder / "report.json", lab_record(inspections, facts))
    write_tables(folder, inspections)
    drawn = [picture for one in inspections for picture in lost_pictures(one)]
    write_text(page, render_lab_page(inspections, title, drawn, facts))
    return page
