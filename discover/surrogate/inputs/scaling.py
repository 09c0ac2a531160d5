"""Features on one scale: each has length 1 over the whole pool, not over the rows that happen to be measured.

Standardised by deviations instead, a feature of which most rows have nearly the same value sets a few far apart from all
others; a kernel then learns nothing about them, and in open pools of materials they are often the best. On the development
pools of benchmarks/efficiency ranges came out ahead of deviations, and of ranks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from discover import sizes
from discover.errors import InvalidInput, Problem
from discover.surrogate.inputs.extent import Extent, extent
from discover.values import BoolArray, FeatureTable, FloatArray

CONSTANT = 1e-12
"""A feature whose spread is less than this share of its size tells candidates apart by rounding errors alone."""

SPAN = math.sqrt(12.0)
"""Spreads that a feature spans: so scaled it has length 1, which is what the priors on length-scales expect."""


@dataclass(frozen=True)
class Scaling:
    """How raw features become those of a surrogate: centre [k] and spread [k] of the k features in `kept` [d].

    centre: the mean. spread: the range over √12, which is the deviation of a uniform feature. least: [k], the least values;
    None where a table names its scale, and has no ends of its own.
    """

    kept: BoolArray
    centre: FloatArray
    spread: FloatArray
    least: FloatArray | None = None

    @classmethod
    def over(cls, values: FloatArray, names: Sequence[str] = ()) -> Scaling:
        """From the features of the whole pool, [N, d]. Features that are the same everywhere are left out.

        InvalidInput where a feature is not finite, or so wide that its width is not.
        """
        if not len(values):
            raise InvalidInput("features", [Problem("the pool is empty", way_out="loosen the query or the filters")])
        if sizes.large(*values.shape):
            return cls._of_extent(extent(values), names)
        if not np.isfinite(values).all():
            row, column = (int(i) for i in np.argwhere(~np.isfinite(values))[0])
            problem = Problem("a feature must be finite", row=row, column=str(column), value=float(values[row, column]))
            raise InvalidInput("features", [problem])
        size = np.abs(values).max(axis=0)
        unit = np.where(size > 0, size, 1.0)
        relative = values / unit  # so that squares of very large or very small numbers stay finite
        centre, spread = relative.mean(axis=0), np.ptp(relative, axis=0) / SPAN
        kept = spread > CONSTANT
        _check_widths(spread * SPAN, unit, names)
        return cls(kept, (centre * unit)[kept], (spread * unit)[kept], values.min(axis=0)[kept])

    @classmethod
    def of(cls, table: FeatureTable) -> Scaling:
        """By the scale that a table names, or else over its rows."""
        if table.scale is None:
            return cls.over(table.values, table.names)
        centre, spread = table.scale
        kept = spread > CONSTANT * np.maximum(np.abs(centre), CONSTANT)
        return cls(kept, centre[kept], spread[kept])

    @classmethod
    def _of_extent(cls, told: Extent, names: Sequence[str] = ()) -> Scaling:
        """The same from what one look at a table that is too large for a copy of itself, or lies on disk, has told."""
        unit = np.maximum(np.abs(told.low), np.abs(told.high))
        unit = np.where(unit > 0, unit, 1.0)
        spread = (told.high / unit - told.low / unit) / SPAN
        kept = spread > CONSTANT
        _check_widths(spread * SPAN, unit, names)
        return cls(kept, told.mean[kept], (spread * unit)[kept], told.low[kept])

    @property
    def width(self) -> int:
        """Number of features that are left, at least 1: where all are constant, one column of zeros stands for them."""
        return max(1, int(self.kept.sum()))

    def apply(self, values: FloatArray) -> FloatArray:
        """Raw features [m, d] to scaled ones [m, k]: over the pool mean 0, range 1."""
        values = np.atleast_2d(np.asarray(values, dtype=np.float64))
        if values.shape[1] != len(self.kept):
            message = f"{values.shape[1]} features where the pool has {len(self.kept)}"
            raise InvalidInput("features", [Problem(message)])
        if not self.kept.any():
            return np.zeros((len(values), 1))
        return (values[:, self.kept] - self.centre) / (SPAN * self.spread)


def _check_widths(relative: FloatArray, unit: FloatArray, names: Sequence[str]) -> None:
    """InvalidInput for features whose widths [d], told in units [d], are no finite numbers, or may round to none."""
    hint = "tell it in a larger unit, or as a logarithm"
    wide = np.flatnonzero(0.5 * relative * unit > 0.49 * np.finfo(np.float64).max)
    problems = [
        Problem("the width of this feature is no number that a computer holds", column=_named(names, k), way_out=hint)
        for k in wide.tolist()
    ]
    if problems:
        raise InvalidInput("features", problems)


def _named(names: Sequence[str], k: int) -> str:
    return names[k] if k < len(names) else str(k)
