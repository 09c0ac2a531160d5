"""Formulas of candidates, and what they caution of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def has_formulas(campaign: Any) -> bool:
    """Whether the pool has a column of formulas."""
    return _column(campaign.pool) is not None


def formulas_of(campaign: Any, ids: Iterable[Any]) -> dict[str, str] | None:
    """{id: formula} of some candidates, or None where the pool has no column of formulas."""
    pool, wanted = campaign.pool, list(dict.fromkeys(map(str, ids)))
    column = _column(pool)
    if column is None:
        return None
    frame = pool.frame(pool.rows(wanted), columns=[column])
    return dict(zip(wanted, frame[column].astype(str), strict=True))


def _column(pool: Any) -> str | None:
    return pool.spec.made_from.get("composition") or ("formula" if "formula" in pool.columns else None)


def flags(formula: str) -> list[str]:
    """Cautions for one formula; none for text that is no formula."""
    from discover.errors import DiscoverError
    from discover.experiment.caution import flags as cautions

    try:
        return list(cautions(formula))
    except (DiscoverError, ValueError):
        return []


def reduced_formula(formula: str) -> str | None:
    """The formula in lowest terms, or None for text that is no formula."""
    from pymatgen.core import Composition

    try:
        return str(Composition(formula).reduced_formula)
    except ValueError:
        return None
