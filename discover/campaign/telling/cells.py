"""The cells of one row of results: each is read as what its column holds, and what cannot be read is a problem with its place."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np
import pandas as pd

from discover.errors import InvalidInput, Problem, nearest
from discover.store.canonical import canonical, plain

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|nan|infinity)", re.ASCII | re.IGNORECASE)
SIDE = re.compile(r"\s*(?:(?P<below><=?|≤)|(?P<above>>=?|≥))\s*(?P<number>.*)", re.DOTALL)
"""A limit as people write it: <5, ≥ 95."""

EMPTY = "leave the cell empty if it is not measured yet"
Hint = Callable[[str, str], str]
"""From a cell that is no number and its column to the way out."""

Bound = Literal["below", "above"]
BOUNDS: Mapping[str, Bound] = {"below": "below", "above": "above"}
Measured = tuple[float, float | None, Bound | None]
"""A value, its standard deviation, and 'below' or 'above' where it is a limit."""


@dataclass(frozen=True)
class Cells:
    """The cells of one row by column. label: the row's name for people. problems: where what is wrong is added."""

    label: object
    record: Mapping[str, Any]
    problems: list[Problem]

    def text(self, column: str) -> str:
        """A text, '' for an empty cell."""
        cell = self.record.get(column)
        if is_empty(cell):
            return ""
        if isinstance(cell, (float, np.floating)) and float(cell).is_integer():
            return str(int(cell))  # a column of whole-number ids with a gap is read as floats
        return str(cell).strip()

    def one_of(self, column: str, words: Sequence[str]) -> str | None:
        """One of some words, or None."""
        told = self.text(column) or None
        if told is not None and told not in words:
            hint = nearest(told.lower(), words)
            hint = hint if hint.startswith("did") else f"{hint}; what happened goes under note"
            self._wrong(column, f"unknown {column}", hint)
            return None
        return told

    def number(self, column: str, least: float = -math.inf) -> float | None:
        """A finite number, or None."""
        return self._number(column, self.record.get(column), least)

    def whole(self, column: str, most: int) -> int:
        """A whole number from 0 to most; 0 for an empty cell."""
        told = self.number(column, least=0.0) or 0.0
        if told != int(told):
            self._wrong(column, "must be a whole number")
        elif told > most:
            self._wrong(column, f"must be at most {most:,}", "did another column's number slip here?")
        return int(told)

    def measured(self, target: str) -> Measured | None:
        """What was measured of a target, by its own column and those of its deviation and bound; None where nothing was."""
        cell, side = _limit(self.record.get(target))
        value, std = self._number(target, cell, hint=_result_hint), self.number(f"{target}_std", least=0.0)
        told = self.text(f"{target}_bound") or side
        if side not in (None, told):
            self._wrong(target, f"is a limit on the other side than its bound, {told!r}")
        if told is not None and told not in BOUNDS:
            self._wrong(f"{target}_bound", "a bound is 'below' or 'above'", "'below': the truth is at most the value")
        if value is not None:
            return value, std, BOUNDS.get(told or "")
        if (std is not None or told) and is_empty(self.record.get(target)):
            self._wrong(target, "has a standard deviation or a bound but no value")
        return None

    def time(self, column: str) -> str | None:
        """A time in ISO 8601, or None."""
        cell = self.record.get(column)
        if is_empty(cell):
            return None
        if isinstance(cell, datetime):
            return cell.isoformat()
        try:
            return datetime.fromisoformat(str(cell)).isoformat()
        except ValueError:
            self._wrong(column, "not a time", "write it like 2026-01-31T14:30:00+01:00")
            return None

    def mapping(self, column: str) -> dict[str, Any]:
        """A mapping of plain JSON, {} for an empty cell."""
        cell = self.record.get(column)
        if is_empty(cell):
            return {}
        try:
            read = json.loads(cell) if isinstance(cell, str) else cell
            found = plain(read) if isinstance(read, Mapping) else None
            canonical(found)
        except (ValueError, TypeError, RecursionError, InvalidInput):  # half a character, infinity, a bottomless list
            found = None
        if found is None:
            self._wrong(column, "not a mapping that can be kept", 'write it like {"reactor": "A"}')
            return {}
        told: dict[str, Any] = found
        return told

    def plain(self, column: str) -> Any:
        """Anything as plain JSON, as a text where it is none."""
        cell = self.record.get(column)
        if is_empty(cell):
            return None
        try:
            return plain(cell)
        except TypeError:
            return str(cell)

    def _number(
        self, column: str, cell: Any, least: float = -math.inf, hint: Hint = lambda cell, column: _number_hint(cell)
    ) -> float | None:
        if is_empty(cell):
            return None
        if isinstance(cell, (bool, np.bool_)) or not isinstance(cell, (int, float, str, np.integer, np.floating)):
            self._wrong(column, "not a number", "write the number, or leave the cell empty")
            return None
        try:
            if isinstance(cell, str) and not NUMBER.fullmatch(cell.strip()):
                raise ValueError
            value = float(cell)
        except (ValueError, OverflowError):
            self._wrong(column, "not a number", hint(str(cell), column))
            return None
        if not math.isfinite(value):
            self._wrong(column, "not a finite number")
            return None
        if value < least:
            self._wrong(column, f"must be at least {least:g}")
            return None
        return value

    def _wrong(self, column: str, message: str, way_out: str = "") -> None:
        self.problems.append(Problem(message, self.label, column, self.record.get(column), way_out))


def is_empty(cell: Any) -> bool:
    """Whether a cell says nothing."""
    return (
        cell is None
        or (isinstance(cell, str) and not cell.strip())
        or (pd.api.types.is_scalar(cell) and bool(pd.isna(cell)))
    )


def _limit(cell: Any) -> tuple[Any, str | None]:
    """A cell without the sign of a limit, and the limit's side: '<5' is 5, below."""
    found = SIDE.fullmatch(cell) if isinstance(cell, str) else None
    if found is None or not NUMBER.fullmatch(found["number"].strip()):
        return cell, None
    return found["number"], "below" if found["below"] else "above"


def _result_hint(cell: str, column: str) -> str:
    """The way out for a target's cell that is no number: what people write instead has columns of its own."""
    if cell.strip()[:1] in "<>≤≥":
        return f"give the limit as the number, and 'below' or 'above' in {column}_bound"
    if "±" in cell or "+/-" in cell or "+-" in cell:
        return f"write the number alone, and its standard deviation in {column}_std"
    if (found := _number_hint(cell)) != EMPTY:
        return found
    return f"{EMPTY}; what is too little to see is a limit, such as <1; what did not work has the status 'failed'"


def _number_hint(cell: str) -> str:
    if "%" in cell:
        return "write the number alone, in the unit of the column"
    if "," in cell:
        return "write a decimal point"
    if cell.strip()[:1].isdigit() or cell.strip()[:1] in "~≈":
        return "write the number alone"
    return EMPTY
