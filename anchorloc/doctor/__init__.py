"""The data-set doctor: find what breaks or distorts training or scoring in annotations, fix it, split the data."""

from anchorloc.doctor.diagnosis import Diagnosis, diagnose
from anchorloc.doctor.document import CocoDocument, json_rows, read_document, read_documents, write_json_rows
from anchorloc.doctor.findings import Case, Findings
from anchorloc.doctor.findings_files import findings_csv, findings_json
from anchorloc.doctor.repair import repair
from anchorloc.doctor.rules import Rule, Severity
from anchorloc.doctor.split import SplitFile, split_document, write_splits
from anchorloc.doctor.terminal import print_diagnosis, print_fixes, print_left, print_rules, print_splits

__all__ = [
    "Case",
    "CocoDocument",
    "Diagnosis",
    "Findings",
    "Rule",
    "Severity",
    "SplitFile",
    "diagnose",
    "findings_csv",
    "findings_json",
    "json_rows",
    "print_diagnosis",
    "print_fixes",
    "print_left",
    "print_rules",
    "print_splits",
    "read_document",
    "read_documents",
    "repair",
    "split_document",
    "write_json_rows",
    "write_splits",
]
