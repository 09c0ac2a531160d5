"""The bytes of a sheet to a grid of cells. Nothing in it is evaluated, and nothing is shifted."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from discover.experiment.laboratory.numbers import Odd, Percent
from discover.experiment.laboratory.text import csv_plain, excel_plain

SUFFIXES = (".csv", ".tsv", ".xlsx", ".xlsm")
REFUSED = {
    ".xls": "the old Excel format", ".xlsb": "Excel's binary format", ".ods": "an OpenDocument sheet",
    ".numbers": "a sheet of Numbers", ".gsheet": "a link to a Google sheet",
}  # fmt: skip
LARGEST = 50_000_000
LARGEST_UNPACKED = 300_000_000
MOST_ROWS = 100_000
_LONGEST_CELL = 2**31 - 1


class NotWhole(Exception):
    """The file seems to be cut off: it may still be written."""


class Refused(Exception):
    """The file cannot be used as a whole; the second text is the way out."""

    def __init__(self, reason: str, way_out: str = ""):
        self.way_out = way_out
        super().__init__(reason)


@dataclass(frozen=True)
class Grid:
    """Cells of one table as they stand, row by row with its number in the file, from 1; None where empty.

    even: every row must have as many cells as the header, for otherwise its cells may stand in wrong columns. broken: why
    what follows the rows cannot be read.
    """

    name: str
    rows: Sequence[tuple[int, list[Any]]]
    remark: str = ""
    even: bool = False
    broken: str = ""


def read_grids(data: bytes, suffix: str) -> list[Grid]:
    """The tables of a file: one a worksheet; of a CSV one for each mark that may stand between its cells. NotWhole, Refused."""
    suffix = suffix.lower()
    if suffix in REFUSED:
        raise Refused(f"is {REFUSED[suffix]}, which is not read", "save it as .xlsx or .csv")
    if len(data) > LARGEST:
        raise Refused(f"has more than {LARGEST:,} bytes")
    if not data.strip():
        raise NotWhole("the file is empty")
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise Refused("is an old .xls file or has a password", "save it as .xlsx without a password")
    if suffix in (".xlsx", ".xlsm") or data.startswith(b"PK\x03\x04"):
        return _workbook(data)
    text, remark = _decoded(data)
    first = text.split("\n", 1)[0].strip("\r\n \ufeff")
    said = first[4] if first.lower().startswith("sep=") and len(first) == 5 else "\t" if suffix == ".tsv" else ""
    separators = [said] if said else [mark for mark in (";", "\t", ",") if mark in text] or [","]
    return [_records(text, separator, remark, int(first.lower().startswith("sep="))) for separator in separators]


def _decoded(data: bytes) -> tuple[str, str]:
    """The text of a CSV, and which encoding was assumed where it does not say."""
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            try:
                return data.decode(encoding), ""
            except UnicodeDecodeError as error:
                raise NotWhole(f"the text breaks off: {error.reason}") from error
    zeros = data[:2000].count(0)
    if zeros > len(data[:2000]) // 4:
        little = data[1:2000:2].count(0) >= data[0:2000:2].count(0)
        try:
            return data.decode("utf-16-le" if little else "utf-16-be"), "read as UTF-16"
        except UnicodeDecodeError as error:
            raise NotWhole(f"the text breaks off: {error.reason}") from error
    if zeros:
        raise Refused("is no text", "save it as 'CSV UTF-8' or .xlsx")
    try:
        return data.decode("utf-8"), ""
    except UnicodeDecodeError:
        pass
    try:
        return data.decode("cp1252"), "read as Windows-1252, for it is not UTF-8"
    except UnicodeDecodeError as error:
        raise Refused("is in an encoding that is not known", "save it as 'CSV UTF-8'") from error


def _records(text: str, separator: str, remark: str, skip: int) -> Grid:
    """The records of a CSV up to where it cannot be read. skip: lines at the beginning that are none."""
    before = csv.field_size_limit(_LONGEST_CELL)  # one for the whole process
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: list[tuple[int, list[Any]]] = []
    line, broken = 1, ""
    try:
        for cells in reader:
            if line > skip and any(cell.strip() for cell in cells):
                rows.append((line, [csv_plain(cell) if cell.strip() else None for cell in cells]))
            line = reader.line_num + 1
            if len(rows) > MOST_ROWS:
                raise Refused(f"has more than {MOST_ROWS:,} rows")
    except csv.Error as error:
        broken = f"has a row that begins in line {line} and cannot be read: {error}"
    finally:
        csv.field_size_limit(before)
    return Grid(f"columns between {separator!r}", rows, remark, even=True, broken=broken)


def _workbook(data: bytes) -> list[Grid]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            size = sum(item.file_size for item in archive.infolist())
    except Exception as error:  # of a damaged file zipfile may also say that it is of a version that is none
        raise NotWhole("the workbook breaks off") from error
    if size > LARGEST_UNPACKED:
        raise Refused(f"unpacks to more than {LARGEST_UNPACKED:,} bytes")
    if "content.xml" in names:
        raise Refused("is an OpenDocument sheet", "save it as .xlsx or .csv")
    try:
        return _grids(data)
    except Refused:
        raise
    except Exception as error:  # openpyxl lets out whatever a damaged file makes it stumble over
        raise NotWhole(f"the workbook cannot be read ({type(error).__name__}: {str(error)[:100]})") from error


def _grids(data: bytes) -> list[Grid]:
    from openpyxl import load_workbook

    values = load_workbook(io.BytesIO(data), data_only=True, keep_links=False)
    formulas = load_workbook(io.BytesIO(data), data_only=False, keep_links=False)
    grids = []
    for sheet in values.worksheets:
        if sheet.max_row > MOST_ROWS:
            raise Refused(f"the sheet {sheet.title!r} has more than {MOST_ROWS:,} rows", "delete the empty ones")
        merged = _merged(sheet)
        rows: list[tuple[int, list[Any]]] = []
        for cells, originals in zip(sheet.iter_rows(), formulas[sheet.title].iter_rows()):
            row = [merged.get((c.row, c.column)) or _cell(c, o) for c, o in zip(cells, originals)]
            if any(cell is not None for cell in row):
                rows.append((cells[0].row, row))
        grids.append(Grid(sheet.title, rows))
    return grids


def _merged(sheet: Any) -> dict[tuple[int, int], Odd]:
    """Cells that are one with a cell in another row: their value belongs to no row alone."""
    found: dict[tuple[int, int], Odd] = {}
    for area in sheet.merged_cells.ranges:
        value = sheet.cell(area.min_row, area.min_col).value
        if area.max_row > area.min_row and value is not None:
            odd = Odd("the cell is merged over several rows", excel_plain(value) if isinstance(value, str) else value)
            found |= {
                (row, column): odd
                for row in range(area.min_row, area.max_row + 1)
                for column in range(area.min_col, area.max_col + 1)
            }
    return found


def _cell(cell: Any, original: Any) -> Any:
    """A cell's value; numbers that are shown as percentages, errors and formulas without a result are marked."""
    value = cell.value
    if original.data_type == "f" and value is None:
        return Odd("the result of a formula was not saved")
    if cell.data_type == "e":
        return Odd(f"the spreadsheet shows {value}", value)
    if isinstance(value, str):
        text = excel_plain(value)
        return text if text.strip() else None
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, (int, float)) and "%" in _outside_quotes(str(cell.number_format)):
        return Percent(value)
    if isinstance(value, (int, float, datetime, date, time)):
        return value
    return Odd(f"the cell holds a {type(value).__name__}", str(value))


def _outside_quotes(pattern: str) -> str:
    return "".join(pattern.split('"')[::2]).replace("\\%", "")
