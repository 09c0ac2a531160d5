"""Rows that describe points of a search space by its parameters: read, checked, and named after their values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from discover.candidates.space.parameters.parameter import Unreadable, missing
from discover.candidates.space.space import SearchSpace
from discover.errors import InvalidInput, Problem
from discover.values import Candidate, FloatArray


@dataclass(frozen=True)
class Told:
    """The point that a row describes, and what is unusual about it: beside the grid, against a constraint."""

    point: Candidate
    remark: str


def needed(space: SearchSpace) -> tuple[str, ...]:
    """Columns without which a frame does not describe points: all but those of parameters that may have no value."""
    return tuple(c for p, one in enumerate(space.parameters) if p not in space.activity for c in one.columns)


def describes(space: SearchSpace, columns: Sequence[str]) -> bool:
    """Whether a frame with these columns describes points."""
    return set(needed(space)) <= set(columns)


def read_row(space: SearchSpace, label: object, cells: Mapping[str, Any]) -> Told | list[Problem] | None:
    """The point that a row describes, all that is wrong with it, or None where all of its cells are empty."""
    if all(missing(cells.get(column)) for column in space.columns):
        return None
    try:
        values = space.read(cells)
    except Unreadable as first:
        wrong = space.unreadable(cells) or [first]
        return [Problem(str(error), label, error.column, error.value, error.way_out) for error in wrong]
    return Told(space.candidate(values), "; ".join(space.remarks(values)))


def numbers_of_frame(space: SearchSpace, frame: pd.DataFrame) -> FloatArray:
    """Numbers [n, slots] of a frame's rows. InvalidInput collects every row that describes no point."""
    problems: list[Problem] = []
    found = []
    for label, record in zip(frame.index, frame.to_dict("records"), strict=True):
        told = read_row(space, label, {str(column): cell for column, cell in record.items()})
        if isinstance(told, list):
            problems += told
        elif told is None:
            problems.append(Problem("describes no point: all of its parameters are empty", label))
        else:
            found.append(space.numbers_of(told.point.values))
    if problems:
        raise InvalidInput("points", problems)
    return np.array(found, dtype=np.float64).reshape(-1, len(space.slots))


def codes_of_frame(space: SearchSpace, frame: pd.DataFrame) -> list[Candidate]:
    """Points that a person proposes. InvalidInput for every row that cannot be set or is against a constraint."""
    problems: list[Problem] = []
    found = []
    columns = [column for column in needed(space) if column not in frame.columns]
    if columns:
        raise InvalidInput("points", [Problem("no such column", column=column) for column in columns])
    for label, record in zip(frame.index, frame.to_dict("records"), strict=True):
        told = read_row(space, label, {str(column): cell for column, cell in record.items()})
        if isinstance(told, list):
            problems += told
        elif told is None or told.remark:
            hint = "what was done elsewhere can be told all the same" if told is not None else ""
            message = "cannot be proposed: " + (told.remark if told is not None else "all parameters are empty")
            problems.append(Problem(message, label, way_out=hint))
        else:
            found.append(told.point)
    if problems:
        raise InvalidInput("points", problems)
    return found
