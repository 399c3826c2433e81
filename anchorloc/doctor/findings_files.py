"""Write all findings as JSON and as CSV."""

from __future__ import annotations

import csv
import io
from typing import Any

from anchorloc.doctor.diagnosis import Diagnosis
from anchorloc.doctor.explanations import advice_for
from anchorloc.doctor.findings import Case
from anchorloc.text import csv_cell

COLUMNS = ("kind", "severity", "file", "list", "row", "id", "file_name", "value")


def findings_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return the findings as a JSON object, rule by rule with every case."""
    files = [
        {
            "path": str(document.path),
            "images": len(table.image_rows),
            "boxes": len(table.rows),
            "classes": len(table.categories),
        }
        for document, table in zip(diagnosis.documents, diagnosis.tables, strict=True)
    ]
    findings = [
        {
            "kind": rule.key,
            "severity": rule.severity.name.lower(),
            "title": rule.title,
            "advice": advice_for(rule, diagnosis.findings),
            "count": len(cases),
            "cases": [_case(case) for case in cases],
        }
        for rule, cases in diagnosis.findings.ordered()
    ]
    return {"clean": diagnosis.findings.clean, "files": files, "findings": findings}


def findings_csv(diagnosis: Diagnosis) -> str:
    """Return the findings as CSV, one line per case; a quote keeps a spreadsheet from running a cell."""
    file = io.StringIO()
    writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for rule, cases in diagnosis.findings.ordered():
        for case in cases:
            row = {"kind": rule.key, "severity": rule.severity.name.lower(), **_case(case)}
            writer.writerow({key: csv_cell(value) for key, value in row.items()})
    return file.getvalue()


def _case(case: Case) -> dict[str, Any]:
    items = case.document.items(case.list_name) if case.list_name else []
    item = items[case.row] if 0 <= case.row < len(items) else None
    item_id = item.get("id") if isinstance(item, dict) else None
    return {
        "file": str(case.document.path),
        "list": case.list_name,
        "row": case.row if case.row >= 0 else None,
        "id": item_id if type(item_id) in (int, str) else None,
        "file_name": case.document.file_name(case.list_name, case.row),
        "value": case.value,
    }
