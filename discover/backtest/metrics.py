"""How good a campaign was, in numbers that compare across tables.

Everything here takes utilities (larger is better, NaN where an experiment gave no value), so that maximised, minimised
and matched targets read alike.

- **Normalised best so far**: 0 is the worst value of the whole pool, and also the state before the first value; 1 is the
  best of the pool. Its **area** is its mean over the experiments made: 1 for a campaign that began with the best.
- **Top%(i)**: of the best 5 % of the pool, the share found after i experiments; exactly i/N under random choice
  (Liang et al., npj Comput. Mater. 7, 188 (2021)).
- **Enhancement EF(i)** = Top%(i) / (i/N), and **acceleration AF(t)** = experiments that random choice needs to reach the
  level t over those the policy needs, each by first crossing (Rohr et al., Chem. Sci. 11, 2696 (2020); Liang et al. 2021).
  Another quantity is called EF in Adesiji et al. 2025; it is not used here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from discover.values import BoolArray, FloatArray


@dataclass(frozen=True)
class Scale:
    """Worst and best utility of a whole pool: the 0 and 1 of the normalised curve."""

    worst: float
    best: float

    @classmethod
    def of(cls, utilities: ArrayLike) -> Scale:
        """From the utilities [N] of the whole pool; NaN where there is no value."""
        known = np.asarray(utilities, dtype=np.float64)
        return cls(float(np.nanmin(known)), float(np.nanmax(known)))

    def normalised(self, values: ArrayLike) -> FloatArray:
        """Utilities to [0, 1]. In a pool of one single value every value is the best, so it is 1."""
        values = np.asarray(values, dtype=np.float64)
        if self.best == self.worst:
            return np.where(np.isnan(values), np.nan, 1.0)
        return (values - self.worst) / (self.best - self.worst)


@dataclass(frozen=True)
class Interval:
    """A mean over seeds with a bootstrap interval of the stated level."""

    mean: float
    low: float
    high: float
    level: float = 0.95
    n: int = 0

    @property
    def sign(self) -> int:
        """+1 if the whole interval lies above zero, -1 if below, 0 if it contains zero."""
        return int(self.low > 0) - int(self.high < 0)

    def __str__(self) -> str:
        return f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def best_so_far(utilities: ArrayLike, floor: float) -> FloatArray:
    """Running maximum [k] of utilities [k] in the order of the experiments; NaN gives none, and `floor` stands before any."""
    found = np.asarray(utilities, dtype=np.float64)
    return np.maximum.accumulate(np.maximum(np.where(np.isnan(found), -np.inf, found), floor))


def area(normalised_curve: ArrayLike) -> float:
    """Area under the normalised best-so-far curve per experiment: its mean height, in [0, 1]."""
    return float(np.mean(np.asarray(normalised_curve, dtype=np.float64)))


def top_set(utilities: ArrayLike, percent: float = 5.0) -> BoolArray:
    """[N], the best `percent` of a pool of N (rounded up, at least one; what ties with the last belongs to it)."""
    known = np.asarray(utilities, dtype=np.float64)
    size = max(1, math.ceil(len(known) * percent / 100.0 - 1e-9))
    ranked = np.sort(known[~np.isnan(known)])
    threshold = ranked[max(0, len(ranked) - size)]
    return np.nan_to_num(known, nan=-np.inf) >= threshold


def top_found(tried: ArrayLike, top: BoolArray) -> FloatArray:
    """Top%(i) as a share in [0, 1] after each experiment: `tried` [k] are rows of the pool in their order."""
    hits = np.asarray(top)[np.asarray(tried, dtype=np.int64)]
    return np.cumsum(hits) / np.count_nonzero(top)


def enhancement(found: ArrayLike, pool_size: int) -> FloatArray:
    """EF(i) [k] of a Top% curve [k] over random choice's i/N."""
    found = np.asarray(found, dtype=np.float64)
    return found / (np.arange(1, len(found) + 1) / pool_size)


def first_crossing(curve: ArrayLike, level: float) -> float:
    """Number of experiments after which `curve` [k] first reaches `level`; infinity if it never does."""
    reached = np.flatnonzero(np.asarray(curve, dtype=np.float64) >= level - 1e-12)
    return float(reached[0] + 1) if len(reached) else math.inf


def acceleration(policy_curve: ArrayLike, random_curve: ArrayLike, level: float) -> float:
    """AF(t): experiments random choice needs for `level` over those the policy needs.

    `random_curve` should reach over the whole pool. NaN where the policy's curve never gets there: the factor is then not known.
    """
    needed = first_crossing(policy_curve, level)
    return math.nan if math.isinf(needed) else first_crossing(random_curve, level) / needed


def bootstrap(values: ArrayLike, *, level: float = 0.95, resamples: int = 10_000, seed: int = 0) -> Interval:
    """Mean of values [n] with its percentile bootstrap interval (Efron 1979); the same seed gives the same interval.

    One value has no spread to speak of: its interval is infinite, so that nothing can be concluded from it.
    """
    values = np.asarray(values, dtype=np.float64)
    n = len(values)
    if n < 2:
        return Interval(float(values.mean()) if n else math.nan, -math.inf, math.inf, level, n)
    generator = np.random.default_rng(seed)
    means = values[generator.integers(0, n, size=(resamples, n))].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(values.mean()), float(low), float(high), level, n)
