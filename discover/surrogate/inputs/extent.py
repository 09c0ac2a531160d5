"""What the scale of a large table is made from, in one look at it: least, greatest and mean of every column."""

from __future__ import annotations

import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from discover import threads
from discover.errors import InvalidInput, Problem
from discover.values import FloatArray

ROWS = 512
"""Rows that are looked at together: some hundred features of them stay in a processor's own memory."""
SHARE = 128 * ROWS
"""Rows that one thread looks at before it takes the next ones; means are summed in this order, whatever the threads."""

_known: list[tuple[weakref.ref[FloatArray], Extent]] = []
"""Of tables that nobody can write to, the last one: a pool is the same for all of a campaign."""


@dataclass(frozen=True)
class Extent:
    """low, high, mean: [d]."""

    low: FloatArray
    high: FloatArray
    mean: FloatArray


def extent(values: FloatArray) -> Extent:
    """Of a table [N, d], N >= 1, in memory or mapped from a file. InvalidInput names the first number that is not finite."""
    for table, found in _known:
        if table() is values:
            return found
    found = _extent(values)
    if not values.flags.writeable:
        _known[:] = [(weakref.ref(values), found)]
    return found


def _extent(values: FloatArray) -> Extent:
    starts = range(0, len(values), SHARE)
    with ThreadPoolExecutor(max(1, min(threads.count(), len(starts)))) as pool:
        parts = list(pool.map(partial(_part, values), starts))
    low = np.min([part.low for part in parts], axis=0)
    high = np.max([part.high for part in parts], axis=0)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise InvalidInput("features", [_first_bad(values)])
    return Extent(low, high, np.sum([part.mean for part in parts], axis=0))


def _part(values: FloatArray, start: int) -> Extent:
    """Of some rows; mean is their part of it, which cannot overflow."""
    stop, count = min(start + SHARE, len(values)), len(values)
    low, high, mean = np.full(values.shape[1], np.inf), np.full(values.shape[1], -np.inf), np.zeros(values.shape[1])
    for first in range(start, stop, ROWS):
        rows = values[first : min(first + ROWS, stop)]
        low, high = np.minimum(low, rows.min(axis=0)), np.maximum(high, rows.max(axis=0))
        small = max(np.abs(low).max(), np.abs(high).max()) < 1e300
        mean += np.einsum("ij->j", rows) / count if small else (rows / count).sum(axis=0)
    return Extent(low, high, mean)


def _first_bad(values: FloatArray) -> Problem:
    for start in range(0, len(values), ROWS):
        bad = np.argwhere(~np.isfinite(values[start : start + ROWS]))
        if len(bad):
            row, column = start + int(bad[0, 0]), int(bad[0, 1])
            return Problem("a feature must be finite", row=row, column=str(column), value=float(values[row, column]))
    raise AssertionError("every number is finite")
