"""What several targets at once come to: which candidates no other beats, and how much of the space they dominate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

MARGIN = 0.1
"""By which share of the front's range an inferred reference lies below the front (Ishibuchi et al., Evol. Comput. 2018)."""


def beaten_by(utilities: FloatArray) -> IntArray:
    """How many rows of [n, k] are as good as each in every column and better in one: [n]. Larger is better; no NaN."""
    found = np.zeros(len(utilities), dtype=np.int64)
    for place, row in enumerate(utilities):
        found[place] = int(((utilities >= row).all(axis=1) & (utilities > row).any(axis=1)).sum())
    return found


def on_front(utilities: FloatArray) -> BoolArray:
    """Whether no row of [n, k] beats each: [n]. Equal rows are on the front together."""
    return beaten_by(utilities) == 0


def hypervolume(utilities: FloatArray, reference: FloatArray) -> float:
    """Volume that rows of [n, k] dominate above `reference` [k]; exact.

    Points that are not better than the reference in every column add nothing. By slices along the last column: n log n
    for two, n² log n for three (Zitzler and Thiele, IEEE Trans. Evol. Comput. 1999).
    """
    points = np.asarray(utilities, dtype=np.float64) - reference
    return _volume(points[(points > 0).all(axis=1)])


def _volume(points: FloatArray) -> float:
    """Volume above the origin of points [n, k], all of them positive."""
    if not len(points):
        return 0.0
    if points.shape[1] == 1:
        return float(points.max())
    points = points[np.argsort(-points[:, -1], kind="stable")]
    heights = points[:, -1]
    steps = heights - np.append(heights[1:], 0.0)
    if points.shape[1] == 2:
        return float(np.maximum.accumulate(points[:, 0]) @ steps)
    total, front = 0.0, points[:0, :-1]
    for row, step in zip(points[:, :-1], steps, strict=True):
        if not (front >= row).all(axis=1).any():
            front = np.vstack([front[~(front <= row).all(axis=1)], row])
        if step > 0:
            total += step * _volume(front)
    return total


def inferred_reference(utilities: FloatArray) -> FloatArray:
    """A point [k] a little worse than the front of rows [n, k] in every column.

    The worst of the front, less a tenth of the front's range; where the front has no range, of the range of all rows; where
    those have none either, of 1 or of the value's own size.
    """
    front = utilities[on_front(utilities)]
    worst = front.min(axis=0)
    span = front.max(axis=0) - worst
    span = np.where(span > 0, span, utilities.max(axis=0) - utilities.min(axis=0))
    span = np.where(span > 0, span, np.maximum(np.abs(worst), 1.0))
    return np.asarray(worst - MARGIN * span, dtype=np.float64)
