"""Numbers as European spreadsheets write them: semicolons between the cells, and commas in the place of decimal points.

A file has one decimal mark. Which one it is must be seen in it: '12,5' shows a comma, '12.5' a point (so writes a spreadsheet
in Switzerland), and '1,234' shows nothing, for it may be a thousand. Where the file shows both marks, or a cell may mean two
numbers, every such cell is told, and nothing is read.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from discover.errors import Problem

Kind = Literal["empty", "whole", "point", "comma", "either", "grouped", "odd", "other"]
MARKS: dict[str, Literal["point", "comma"]] = {",": "comma", ".": "point"}
EMPTY = frozenset({"", "na", "n/a", "#n/a", "nan", "none", "null", "<na>"})
"""Cells that stand for a missing number."""
_SIGN = r"(?:<=|>=|[<>≤≥])?\s*[+-]?"
_EXPONENT = r"(?:[eE][+-]?[0-9]+)?"
_WHOLE = re.compile(rf"{_SIGN}(?:[0-9]+{_EXPONENT}|inf|infinity)", re.IGNORECASE)
_MARKED = re.compile(rf"{_SIGN}(?:0|[1-9][0-9]*)?([.,])[0-9]+{_EXPONENT}")
_EITHER = re.compile(rf"{_SIGN}[1-9][0-9]{{0,2}}([.,])[0-9]{{3}}")
_GROUPED = re.compile(rf"{_SIGN}[1-9][0-9]{{0,2}}(?:[.,'’\s][0-9]{{3}})+(?:[.,][0-9]+)?")
_ODD = re.compile(rf"{_SIGN}(?:0[0-9]+[.,][0-9]*|[0-9]+[.,]){_EXPONENT}")


@dataclass(frozen=True)
class Cell:
    """A cell of a column of numbers. row: its place among the rows; line: in the file. mark: '.' or ',' where it has one."""

    row: int
    line: int
    place: int
    column: str
    text: str
    kind: Kind
    mark: str


def kind_of(text: str) -> tuple[Kind, str]:
    """What a cell looks like, and the one mark in it, if it has one."""
    text = text.strip()
    if text.casefold() in EMPTY:
        return "empty", ""
    if _WHOLE.fullmatch(text):
        return "whole", ""
    if found := _EITHER.fullmatch(text):
        return "either", found[1]
    if found := _MARKED.fullmatch(text):
        return MARKS[found[1]], found[1]
    if _GROUPED.fullmatch(text):
        return "grouped", ""
    return ("odd" if _ODD.fullmatch(text) else "other"), ""


def with_points(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    lines: Sequence[int],
    names: Collection[str],
    numbers: Collection[str],
) -> tuple[list[list[str]], list[Problem]]:
    """The rows with a decimal point in every number, and the cells that may mean two things.

    A column holds numbers if all of its cells look like some, or if it is among `numbers`: there cells that are none are left
    to whoever reads them. names: columns of names and remarks, which stay as they are.
    """
    cells: list[Cell] = []
    for place, column in enumerate(header):
        if column not in names:
            cells += _column(place, column, rows, lines, column in numbers)
    shown = {mark: [cell for cell in cells if cell.kind == kind] for mark, kind in MARKS.items()}
    problems = [*_unclear(cells), *_against(cells, shown)]
    found = [list(row) for row in rows]
    if shown[","] and not problems:
        for cell in cells:
            found[cell.row][cell.place] = cell.text.replace(",", ".")
    return found, problems


def _column(place: int, column: str, rows: Sequence[Sequence[str]], lines: Sequence[int], numbers: bool) -> list[Cell]:
    """The cells of a column that look like numbers; none where the column does not hold numbers."""
    kinds = [kind_of(row[place]) for row in rows]
    if not numbers and any(kind == "other" for kind, _ in kinds):
        return []
    told = zip(rows, lines, kinds, strict=True)
    return [
        Cell(row, line, place, column, cells[place], kind, mark)
        for row, (cells, line, (kind, mark)) in enumerate(told)
        if kind not in ("empty", "other")
    ]


def _unclear(cells: Sequence[Cell]) -> Iterator[Problem]:
    """Cells with separators of thousands, and those that may be a date."""
    for cell in cells:
        if cell.kind == "grouped":
            hint = "write the digits without separators of thousands"
            yield Problem("may be a number with separators of thousands", cell.line, cell.column, cell.text, hint)
        elif cell.kind == "odd":
            hint = "write a number without a zero before it, and with digits behind its decimal mark"
            yield Problem("may be a date or a number", cell.line, cell.column, cell.text, hint)


def _against(cells: Sequence[Cell], shown: dict[str, list[Cell]]) -> Iterator[Problem]:
    """Cells that do not go with the decimal mark that the file shows; where it shows both, those with the rarer one."""
    mark = max(shown, key=lambda one: len(shown[one])) if any(shown.values()) else ""
    beside = f" beside {_where(shown[mark][0])}" if mark else ""
    for cell in cells:
        if cell.kind == "either" and cell.mark != mark:
            thousand, one = re.sub("[.,]", "", cell.text), re.sub("[.,]", ".", cell.text)
            hint = f"write {thousand} or {one if mark == '.' else one.replace('.', ',')}0"
            yield Problem(f"may mean {one} or {thousand}{beside}", cell.line, cell.column, cell.text, hint)
        elif cell.kind in MARKS.values() and cell.mark != mark:
            hint = "write the same decimal mark in the whole file"
            yield Problem(f"has a decimal {cell.kind}{beside}", cell.line, cell.column, cell.text, hint)


def _where(cell: Cell) -> str:
    return f"{cell.text!r} in row {cell.line}, column {cell.column!r}"
