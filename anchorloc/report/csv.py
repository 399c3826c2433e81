"""Write CSV tables without cells that a spreadsheet would run as formulas."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from anchorloc.files import write_text
from anchorloc.text import csv_cell


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table; None is an empty cell, a float has six significant digits.

    Raises:
        InputError: the file system refuses.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([csv_cell(word) for word in header])
    writer.writerows([csv_cell(value) for value in row] for row in rows)
    write_text(path, file.getvalue())
