"""A table as a spreadsheet in most of Europe saves it."""

from __future__ import annotations

import csv
import io


def european(text: str, mark: str = ",") -> bytes:
    """A CSV with commas and decimal points, as 'CSV UTF-8' of a spreadsheet whose decimal mark is another one."""
    out = io.StringIO(newline="")
    rows = [[_written(cell, mark) for cell in row] for row in csv.reader(io.StringIO(text, newline=""))]
    csv.writer(out, delimiter=";", lineterminator="\r\n").writerows(rows)
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def _written(cell: str, mark: str) -> str:
    try:
        float(cell.strip().lstrip("<>"))
    except ValueError:
        return cell
    return cell.replace(".", mark)
