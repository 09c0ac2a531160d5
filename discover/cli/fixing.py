"""What is fixed at `ask`, from the command line: `--fix base=KOH`."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from discover.candidates.space.points import Pool


def read_fixed(given: list[str]) -> dict[str, str]:
    """column=value to values as text."""
    found: dict[str, str] = {}
    for text in given:
        column, sign, value = text.partition("=")
        if not sign or not column.strip() or not value.strip():
            raise typer.BadParameter(f"{text!r} is not column=value, such as base=KOH", param_hint="--fix")
        found[column.strip()] = value.strip()
    return found


def as_candidates_have(fixed: dict[str, str], pool: Pool) -> dict[str, Any]:
    """Fixed values as the candidates have them: numbers and flags where their columns hold such. A space reads text itself."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    from discover.candidates.space.points import Points

    if isinstance(pool, Points):
        return dict(fixed)
    known = pool.frame(columns=[column for column in fixed if column in pool.columns])
    found: dict[str, Any] = dict(fixed)
    for column, text in fixed.items():
        if column not in known.columns:
            continue
        if is_bool_dtype(known[column]):
            found[column] = {"true": True, "false": False}.get(text.lower(), text)
        elif is_numeric_dtype(known[column]):
            with suppress(ValueError):
                found[column] = float(text)
    return found
