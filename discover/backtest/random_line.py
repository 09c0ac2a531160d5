"""What pure chance finds: the exact law of the best so far under random choice from a known table.

Draw k of N candidates without replacement, each set equally likely. Sort the M finite utilities, u_1 <= ... <= u_M; the
other F = N - M candidates are failures, tried at the same price and without a value. The best of the k draws is at most
u_j exactly when all k come from the F + j candidates that are failures or not above u_j, so

    P(best of k <= u_j) = C(F + j, k) / C(N, k),

the hypergeometric chance of no hit, which is a running product over k and needs no factorial. No simulation enters, hence
no noise: the line is the same for every seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from discover.errors import InvalidInput, Problem
from discover.values import FloatArray, IntArray


@dataclass(frozen=True)
class RandomLine:
    """Best so far under random choice, after each of `experiments` [K] = 1 ... K.

    mean, low, high: [K] in the utilities' unit; low and high are exact quantiles that hold `level` of all random
    campaigns between them. none: [K], the chance that no draw had a value yet; there the best so far counts as `floor`.
    """

    experiments: IntArray
    mean: FloatArray
    low: FloatArray
    high: FloatArray
    none: FloatArray
    floor: float
    level: float

    def __len__(self) -> int:
        return len(self.experiments)


def random_line(
    utilities: ArrayLike, experiments: int, *, level: float = 0.9, floor: float | None = None
) -> RandomLine:
    """Expectation and quantile band of the best so far for k = 1 ... `experiments` random draws without replacement.

    utilities: [N], larger is better, NaN for a candidate whose experiment gives no value. `level`: share of random
    campaigns inside the band. `floor`: what counts as best while nothing was found; by default the smallest utility.
    Draws beyond N change nothing: all has been seen. InvalidInput if there is no value at all.
    """
    known = np.asarray(utilities, dtype=np.float64).ravel()
    _check(known, experiments, level)
    values, counts = np.unique(known[~np.isnan(known)], return_counts=True)
    lowest = float(values[0]) if floor is None else float(floor)
    total, failures = len(known), len(known) - int(counts.sum())

    ways = np.concatenate([[failures], failures + np.cumsum(counts)]).astype(np.float64)
    support = np.concatenate([[lowest], np.maximum(values, lowest)])
    cdf = np.ones(len(ways))
    mean, low, high, none = (np.empty(experiments) for _ in range(4))
    tail = (1.0 - level) / 2.0
    for k in range(experiments):
        if k < total:
            cdf = cdf * (np.maximum(ways - k, 0.0) / (total - k))
        mean[k] = np.diff(cdf, prepend=0.0) @ support
        none[k] = cdf[0]
        # A quantile is the smallest value whose distribution function reaches the level; the slack absorbs rounding.
        low[k] = support[np.searchsorted(cdf, tail - 1e-12)]
        high[k] = support[np.searchsorted(cdf, 1.0 - tail - 1e-12)]
    return RandomLine(np.arange(1, experiments + 1), mean, low, high, none, lowest, level)


def _check(known: FloatArray, experiments: int, level: float) -> None:
    problems = []
    if not np.isfinite(known).any():
        hint = "the random line needs at least one answer with a value"
        problems.append(Problem("no candidate has a value", column="utilities", way_out=hint))
    if np.isinf(known).any():
        problems.append(
            Problem("a utility must be finite, or NaN for none", row=int(np.flatnonzero(np.isinf(known))[0]))
        )
    if experiments < 1:
        problems.append(Problem("needs at least one experiment", column="experiments", value=experiments))
    if not 0.0 < level < 1.0:
        problems.append(Problem("must lie between 0 and 1", column="level", value=level, way_out="for example 0.9"))
    if problems:
        raise InvalidInput("random line", problems)
