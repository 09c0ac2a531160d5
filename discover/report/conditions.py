"""What a reader calls a candidate by where it has no formula: the conditions that it stands for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Any

import pandas as pd

from discover.candidates.space.points import Points
from discover.report.formulas import has_formulas

MOST = 8
"""Columns that one line takes; a candidate of more numbers than that is known by its id."""


def conditions_of(campaign: Any, ids: Iterable[Any]) -> dict[str, str]:
    """{id: 'base KOH · temperature 80'} of some candidates; empty where they have formulas, or are a list's with many columns.

    Points of a space are told whatever there is to them, for their ids are hashes; what is not in a mixture is left out.
    """
    pool, wanted = campaign.pool, list(dict.fromkeys(map(str, ids)))
    columns = _columns(pool)
    if has_formulas(campaign) or not columns or (len(columns) > MOST and not isinstance(pool, Points)):
        return {}
    frame = pool.frame(pool.rows(wanted), columns=columns)
    units = {p.name: getattr(p, "unit", "") for p in pool.space.parameters} if isinstance(pool, Points) else {}
    parts = (
        {c for p in pool.space.parameters if p.kind == "mixture" for c in p.columns}
        if isinstance(pool, Points)
        else set()
    )
    lines = [_line(record, units, parts) for record in frame[columns].to_dict("records")]
    return dict(zip(wanted, lines, strict=True))


def _columns(pool: Any) -> list[str]:
    """Of a space its parameters, of a list the columns of numbers and names that features are made from."""
    return list(pool.columns) if isinstance(pool, Points) else [*pool.spec.columns, *pool.spec.categorical]


def _line(record: Mapping[Any, Any], units: Mapping[str, str], parts: Set[str]) -> str:
    """parts: columns in which 0 is 'not there'. Spaces within a condition do not break, so that a name and its value stay on one line."""
    told = [
        f"{name} {_text(value)} {units.get(name) or ''}".strip()
        for name, value in record.items()
        if not _missing(value) and not (name in parts and value == 0)
    ]
    return " · ".join(part.replace(" ", "\N{NO-BREAK SPACE}") for part in told)


def _missing(value: Any) -> bool:
    return value is None or value == "" or bool(pd.api.types.is_scalar(value) and pd.isna(value))


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
