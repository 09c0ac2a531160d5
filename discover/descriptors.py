"""Which descriptors of a few things say something of their own: one rule for RDKit's descriptors and for tables of users."""

from __future__ import annotations

import numpy as np

from discover.values import FloatArray, IntArray

CORRELATED = 0.95
"""Two descriptors that are correlated more closely than this, over the things that they describe, say the same."""
FLAT = 1e-9
"""A descriptor that varies by no more than this, in parts of its largest value, is the same for all: it is rounding."""


def decorrelated(values: FloatArray, *, least: float = 0.0) -> tuple[IntArray, FloatArray]:
    """The columns of a table [k, d] that are kept, ascending [e], and these columns standardised over its rows, [k, e].

    From left to right, a column is kept if it varies and is correlated with no kept one more closely than CORRELATED. Rows
    that would no longer be told apart, and were before, get back the first columns that do so.

    least: what counts as a column's largest value where that is smaller: 1 for numbers that are worked out and may be rounding
    about 0, and nothing for those that are told, for lengths of bonds may stand in metres.
    """
    spread = values.std(axis=0)
    varies = np.flatnonzero(spread > FLAT * np.maximum(least, np.abs(values).max(axis=0, initial=0.0)))
    standard = (values[:, varies] - values[:, varies].mean(axis=0)) / spread[varies]
    alike = np.abs(standard.T @ standard) / max(1, len(values))
    kept: list[int] = []
    for place in range(len(varies)):
        if not (alike[place, kept] > CORRELATED).any():
            kept.append(place)
    kept = _telling_apart(values[:, varies], kept)
    return varies[kept].astype(np.int64), standard[:, kept]


def _telling_apart(values: FloatArray, kept: list[int]) -> list[int]:
    """The places of columns that are kept, and of those without which rows that differ would look alike; ascending."""
    kinds, told = _kinds(values), _kinds(values[:, kept])
    for place in range(values.shape[1]):
        if told == kinds:
            break
        if (more := _kinds(values[:, [*kept, place]])) > told:
            kept, told = [*kept, place], more
    return sorted(kept)


def _kinds(values: FloatArray) -> int:
    """How many different rows there are."""
    return len(np.unique(values, axis=0)) if values.shape[1] else min(1, len(values))
