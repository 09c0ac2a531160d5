"""Cells of a row of results that say what its candidate is: a sheet that was sorted in part or mixed up shows in them."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np

from discover.campaign.telling.cells import is_empty
from discover.candidates.sheets.decimals import kind_of
from discover.candidates.space.parameters.parameter import Unreadable
from discover.candidates.space.points import Points, Pool
from discover.errors import InvalidInput
from discover.experiment.laboratory.numbers import Percent
from discover.experiment.laboratory.numbers import is_empty as says_nothing

ROUNDED = 1e-5
"""What a spreadsheet may have left out of a number that it shows, as a share."""
_LIKE_A_DATE = re.compile(r"\d{1,4}[-/.]\d{1,4}(?:[-/.]\d{1,4})?|[A-Za-z]{3,9}[-/. ]?\d{1,4}")
_DATE = re.compile(
    r"\d{1,4}[-/. ]+[^\W\d]{3,}\.?(?:[-/. ]+\d{1,4})?|[^\W\d]{3,}[-/. ]+\d{1,4}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}|\d{4}-\d\d-\d\d.*"
)


class MixedUp(InvalidInput):
    """Rows whose cells contradict their candidates: nothing else in such a sheet can be relied on."""


def condition_columns(pool: Pool) -> tuple[str, ...]:
    """The columns that tell candidates apart: a space's parameters, or what a list's features are made from as it stands."""
    return pool.columns if isinstance(pool, Points) else (*pool.spec.columns, *pool.spec.categorical)


def units_of_conditions(pool: Pool) -> dict[str, str]:
    """The same columns with their units, '' where none is known."""
    units = (
        {c: getattr(p, "unit", "") for p in pool.space.parameters for c in p.columns}
        if isinstance(pool, Points)
        else {}
    )
    return {column: units.get(column, "") for column in condition_columns(pool)}


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
        if column in known and _contradicts(pool, column, cell, known[column])
    }


def _contradicts(pool: Pool, column: str, cell: Any, known: Any) -> bool:
    if is_empty(known):  # of a point this is known as well: the parameter has no value
        return (
            isinstance(pool, Points) and not says_nothing(cell) and 0.0 not in [value for value, _ in _readings(cell)]
        )
    return not agrees(cell, known) and not _means(pool, column, cell, known)


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
    if is_empty(known) or says_nothing(cell):
        return True
    if isinstance(known, str):
        return not isinstance(cell, (str, Real, np.bool_)) or _same_name(cell, known) or _same_label(cell, known)
    if isinstance(known, (bool, np.bool_)):
        return str(cell).strip().casefold() not in (("false", "0", "no") if known else ("true", "1", "yes"))
    told, is_known = _readings(cell), _readings(known)
    return not told or not is_known or any(_close(value, is_known[0][0], last) for value, last in told)


def _same_name(cell: Any, known: str) -> bool:
    """Whether two names are one; what a spreadsheet's character set does not have it writes as a question mark."""
    one, other = _text(cell), _text(known)
    if _LIKE_A_DATE.fullmatch(known.strip()) and _DATE.fullmatch(one):
        return True
    return one == other or (
        len(one) == len(other)
        and all(a == b or (a == "?" and not b.isascii()) for a, b in zip(one, other, strict=True))
    )


def _same_label(cell: Any, known: str) -> bool:
    """Whether a number and a name that looks like one are the same: '007' and 7."""
    is_known = _readings(known)
    return bool(is_known) and any(_close(value, is_known[0][0]) for value, _ in _readings(cell))


def _text(value: Any) -> str:
    return " ".join(unicodedata.normalize("NFC", str(value)).split()).casefold()


def _close(one: float, other: float, last: float = 0.0) -> bool:
    """last: one of the last digit that the first number shows; what comes after it was rounded away."""
    return math.isclose(one, other, rel_tol=ROUNDED, abs_tol=max(1e-12, 0.5 * last * (1 + ROUNDED)))


def _readings(cell: Any) -> list[tuple[float, float]]:
    """The numbers that a cell may mean, each with one of its last digit if it is a text with a decimal mark; none of what is
    no number."""
    if isinstance(cell, Percent):
        return [(float(cell), 0.0), (100 * float(cell), 0.0)]
    if not isinstance(cell, str):
        value = _float(cell)
        return [] if value is None else [(value, 0.0)]
    kind, mark = kind_of(cell)
    texts = [cell.replace(",", ".") if kind in ("comma", "either") else cell]
    texts += [cell.replace(mark, "")] if kind == "either" else []
    return [(value, _last_digit(text.strip())) for text in texts if (value := _float(text)) is not None]


def _last_digit(text: str) -> float:
    """One of the last digit that a number's text shows; 0 of a whole number, which nothing was left out of."""
    if not set(".eE") & set(text):
        return 0.0
    exponent = Decimal(text).as_tuple().exponent
    return 10.0**exponent if isinstance(exponent, int) else 0.0


def _float(cell: Any) -> float | None:
    try:
        value = float(cell)
    except (TypeError, ValueError, OverflowError):
        return None
    return value if math.isfinite(value) else None
