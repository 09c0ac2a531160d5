"""Descriptors of categories, from a CSV."""

from __future__ import annotations

import math
from pathlib import Path

from discover.candidates.sheets.sheet import read_sheet
from discover.errors import InvalidDefinition, InvalidInput, Problem


def read_descriptors(path: Path) -> dict[str, dict[str, float]]:
    """A CSV of descriptors: its first column names the category, the others hold numbers. InvalidDefinition."""
    if not path.is_file():
        raise InvalidDefinition("descriptors", [Problem("no such file", value=str(path))])
    try:
        sheet = read_sheet(path)
        sheet = sheet.with_points(names=sheet.header[:1], numbers=sheet.header[1:])
    except InvalidInput as error:
        raise InvalidDefinition(path.name, error.problems) from error
    found: dict[str, dict[str, float]] = {}
    problems = []
    for line, (category, *cells) in zip(sheet.lines, sheet.rows, strict=True):
        if category in found:
            problems.append(Problem("this category is described twice", row=line, value=category))
        found[category] = {}
        for column, cell in zip(sheet.header[1:], cells, strict=True):
            number = _number(cell)
            if number is None:
                problems.append(Problem("not a finite number", row=line, column=column, value=cell))
            else:
                found[category][column] = number
    if problems:
        raise InvalidDefinition(path.name, problems)
    return found


def _number(cell: str) -> float | None:
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
