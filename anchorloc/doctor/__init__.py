"""The data-set doctor: all that breaks or bends training or scoring, mended and split where asked."""

from anchorloc.doctor.diagnosis import Diagnosis, diagnose
from anchorloc.doctor.document import Document, read_document, write_json_rows
from anchorloc.doctor.file_checks import check_items
from anchorloc.doctor.findings import Case, Findings
from anchorloc.doctor.grouping import groups_of
from anchorloc.doctor.record import findings_csv, findings_record
from anchorloc.doctor.repair import repair, swap_xyxy
from anchorloc.doctor.rules import KINDS, Kind, Severity
from anchorloc.doctor.split import check_new_folder, count_classes, divide, named_parts, write_parts
from anchorloc.doctor.terminal import print_changes, print_diagnosis, print_parts

__all__ = [
    "KINDS",
    "Case",
    "Diagnosis",
    "Document",
    "Findings",
    "Kind",
    "Severity",
    "check_items",
    "check_new_folder",
    "count_classes",
    "diagnose",
    "divide",
    "findings_csv",
    "findings_record",
    "groups_of",
    "named_parts",
    "print_changes",
    "print_diagnosis",
    "print_parts",
    "read_document",
    "repair",
    "swap_xyxy",
    "write_json_rows",
    "write_parts",
]
