"""Cells of a row of results that say what its candidate is: a sheet that was sorted in part or mixed up shows in them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from numbers import Real
from typing import Any

import numpy as np

from discover.campaign.telling.cells import is_empty
from discover.candidates.decimals import kind_of
from discover.candidates.space.parameter import Unreadable
from discover.candidates.space.points import Points, Pool

ROUNDED = 1e-5
"""What a spreadsheet may have left out of a number that it shows, as a share."""


def condition_columns(pool: Pool) -> tuple[str, ...]:
    """The columns that tell candidates apart: a space's parameters, or what a list's features are made from as it stands."""
    return pool.columns if isinstance(pool, Points) else (*pool.spec.columns, *pool.spec.categorical)


def conditions_of(pool: Pool, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The cells of some candidates by id; those that the pool does not have are left out."""
    names = [name for name in dict.fromkeys(ids) if name in pool]
    if not names:
        return {}
    frame = pool.frame(pool.rows(names), columns=condition_columns(pool))
    records = frame.to_dict("records")
    return {name: {str(k): v for k, v in record.items()} for name, record in zip(names, records, strict=True)}


def contradictions(pool: Pool, told: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """The columns in which the cells told certainly say something else than those known, with what is known."""
    return {
        column: known[column]
        for column, cell in told.items()
        if column in known and not agrees(cell, known[column]) and not _means(pool, column, cell, known[column])
    }


def _means(pool: Pool, column: str, cell: Any, known: Any) -> bool:
    """Whether a parameter reads a cell as the value known: a substance by its SMILES."""
    for one in pool.space.parameters if isinstance(pool, Points) else ():
        if one.columns == (column,):
            try:
                return bool(one.read({column: cell})[column] == known)
            except Unreadable:
                return False
    return False


def agrees(cell: Any, known: Any) -> bool:
    """Whether a cell may be what a spreadsheet makes of a value; what is neither name nor number is not judged."""
    if is_empty(cell) or is_empty(known):
        return True
    if isinstance(known, str):
        return not isinstance(cell, (str, Real, np.bool_)) or _text(cell) == _text(known) or _close(cell, known)
    if isinstance(known, (bool, np.bool_)):
        return str(cell).strip().casefold() not in (("false", "0", "no") if known else ("true", "1", "yes"))
    return _number(cell) is None or _number(known) is None or _close(cell, known)


def _text(value: Any) -> str:
    return " ".join(str(value).split()).casefold()


def _close(one: Any, other: Any) -> bool:
    a, b = _number(one), _number(other)
    return a is not None and b is not None and math.isclose(a, b, rel_tol=ROUNDED, abs_tol=1e-12)


def _number(cell: Any) -> float | None:
    if isinstance(cell, str) and kind_of(cell)[0] in ("comma", "either"):
        cell = cell.replace(",", ".")
    try:
        value = float(cell)
    except (TypeError, ValueError, OverflowError):
        return None
    return value if math.isfinite(value) else None
