"""A CSV file to its cells, each row with its line in the file. A row that does not fit the header is refused, never shifted.

Cells stand between commas, or between semicolons as European spreadsheets write them: the header shows which.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from discover.candidates.sheets.decimals import with_points
from discover.errors import InvalidInput, Problem

SHOWN = 20
"""Rows of one file that are listed as wrong before the rest is only counted."""
_LONGEST = 2**31 - 1
_SAID = re.compile(r"sep=([,;\t])\r?\n", re.IGNORECASE)
"""The separator in a line of its own before the header, as Excel writes and reads it."""


@dataclass(frozen=True)
class Sheet:
    """header: names of the columns, as they stand. rows: their cells as text, "" where empty. lines: where each begins, from 1.

    separator: what stands between the cells. path: of the file, for messages.
    """

    header: list[str]
    rows: list[list[str]]
    lines: list[int]
    separator: str = ","
    path: str = ""

    def with_points(self, names: Collection[str] = (), numbers: Collection[str] = ()) -> Sheet:
        """The same cells; where semicolons separate them, numbers with a decimal point, whichever mark they have in the file.

        names: columns of names, whose cells stay as they are. numbers: columns of numbers, in which a cell may be none; other
        columns hold numbers if all of their cells do. InvalidInput tells cells that may mean two numbers, and both decimal
        marks in one file (`discover.candidates.sheets.decimals`).
        """
        if self.separator == ",":
            return self
        rows, problems = with_points(self.header, self.rows, self.lines, names, numbers)
        if problems:
            raise InvalidInput(self.path, _shown(problems, "cells that may mean something else"))
        return replace(self, rows=rows)

    def text(self) -> str:
        """The same cells as plain CSV: no blank lines, every row as long as the header."""
        out = io.StringIO(newline="")
        csv.writer(out, lineterminator="\r\n").writerows([self.header, *self.rows])
        return out.getvalue()

    def frame(self) -> pd.DataFrame:
        """The cells as a frame of text, None where empty; its index holds the lines."""
        cells = [[cell or None for cell in row] for row in self.rows]
        return pd.DataFrame(cells, columns=self.header, index=self.index, dtype=object)

    @property
    def index(self) -> pd.Index:
        """The lines as labels of rows."""
        return pd.Index(self.lines, dtype=object)


def read_sheet(path: Path) -> Sheet:
    """A CSV file: UTF-8, commas or semicolons, names of columns in its first line, or after Excel's `sep=;`.

    InvalidInput: it cannot be read, is in another encoding or has tabs between its cells, or rows have more or fewer cells
    than the header. Empty cells beyond the header are no harm, nor are unnamed columns at the end without a cell in them.
    """
    try:
        text = _decoded(path.read_bytes(), str(path))
    except OSError as error:
        raise InvalidInput(str(path), [Problem(f"cannot be read as CSV: {error}")]) from error
    return _sheet(text, str(path))


def _decoded(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        told = f"line {line} holds a byte that is not UTF-8 (0x{data[error.start]:02x})"
        hint = "save the file as UTF-8; a spreadsheet calls it 'CSV UTF-8'"
        raise InvalidInput(name, [Problem(told, way_out=hint)]) from error


def _sheet(text: str, name: str) -> Sheet:
    said = _SAID.match(text)
    separator = said[1] if said else _separator(text)
    if separator == "\t":
        hint = "save the file with commas or semicolons"
        raise InvalidInput(name, [Problem("the separator seems to be a tab", way_out=hint)])
    records = _records(text, name, separator)
    if said:
        next(records)
    _, header = next(records, (1, []))
    if not any(cell.strip() for cell in header):
        raise InvalidInput(name, [Problem("there is no header: the first line must name the columns")])
    rows = list(records)
    width = _width(header, [cells for _, cells in rows])
    problems = [_misfit(line, cells, width, separator) for line, cells in rows if not _fits(cells, width)]
    if problems:
        raise InvalidInput(name, _shown(problems, "rows of another length"))
    names = [cell if cell.strip() else f"Unnamed: {place}" for place, cell in enumerate(header[:width])]
    return Sheet(names, [cells[:width] for _, cells in rows], [line for line, _ in rows], separator, name)


def _shown(problems: list[Problem], what: str) -> list[Problem]:
    """The first problems, and how many more there are."""
    more = len(problems) - SHOWN
    return problems[:SHOWN] + ([Problem(f"{what}: {more} more")] if more > 0 else [])


def _separator(text: str) -> str:
    """What the first line has between its cells: a comma, if there is one."""
    first = next((line for line in io.StringIO(text, newline=None) if line.strip()), "")
    bare = re.sub(r'"[^"]*"', "", first.strip())
    return next((mark for mark in (",", ";", "\t") if mark in bare), ",")


def _records(text: str, name: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Every record with the line that it begins in; blank lines are passed over."""
    before = csv.field_size_limit(_LONGEST)  # structures are long; the limit is one for the whole process
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        line = 1
        for cells in reader:
            if cells and not (len(cells) == 1 and not cells[0].strip()):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        told = f"the row that begins in line {line} cannot be read: {error}"
        raise InvalidInput(
            name, [Problem(told, way_out='a quotation mark inside quotes is written twice: ""')]
        ) from error
    finally:
        csv.field_size_limit(before)


def _width(header: list[str], rows: list[list[str]]) -> int:
    """How many columns there are: unnamed ones at the end count only if a row has something in them."""
    named = len(header)
    while not header[named - 1].strip():
        named -= 1
    used = any(any(cell.strip() for cell in row[named : len(header)]) for row in rows)
    return len(header) if used else named


def _fits(cells: list[str], width: int) -> bool:
    return len(cells) >= width and not any(cell.strip() for cell in cells[width:])


def _misfit(line: int, cells: list[str], width: int, separator: str) -> Problem:
    mark = "comma" if separator == "," else "semicolon"
    hint = f"an empty cell needs its {mark} too"
    if len(cells) > width and separator == ";":
        hint = "put a cell that holds a semicolon in quotes"
    elif len(cells) > width:
        hint = 'put a cell that holds a comma in quotes ("1,2-dichloroethane"), and write decimals with a point'
    return Problem(
        f"{len(cells)} cell{'' if len(cells) == 1 else 's'}, but the header names {width} columns",
        row=line,
        way_out=hint,
    )
