"""Peers compared over pools and paired seeds: ranks, differences with bands, tests that are corrected for their number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from discover.backtest.metrics import first_crossing
from discover.values import BoolArray, FloatArray, IntArray

RESAMPLES = 2000


@dataclass(frozen=True)
class Estimate:
    """A mean, its standard error, and a 95 % interval by the bootstrap over seeds."""

    mean: float
    error: float
    low: float
    high: float

    @classmethod
    def of(cls, mean: float, resampled: FloatArray) -> Estimate:
        """From the resampled means [B]."""
        low, high = np.quantile(resampled, [0.025, 0.975])
        return cls(mean, float(resampled.std(ddof=1)), float(low), float(high))


def draws(seeds: int, salt: int, resamples: int = RESAMPLES) -> IntArray:
    """[B, seeds] indices of seeds, drawn with replacement; the same for the same salt."""
    return np.random.default_rng([seeds, salt]).integers(0, seeds, size=(resamples, seeds))


def holm(p: Sequence[float], level: float = 0.05) -> BoolArray:
    """Which hypotheses are rejected at a family-wise level (Holm 1979): the smallest at level/m, the next at level/(m-1), …"""
    values = np.asarray(p, dtype=np.float64)
    rejected = np.zeros(len(values), dtype=bool)
    for step, place in enumerate(np.argsort(values, kind="stable")):
        if values[place] > level / (len(values) - step):
            break
        rejected[place] = True
    return rejected


def paired_p(differences: FloatArray) -> float:
    """Two-sided p of Student's paired t over seeds. 1 below two seeds and where all differences are 0; 0 where all are equal."""
    if len(differences) < 2 or not differences.any():
        return 1.0
    if np.ptp(differences) < 1e-15:
        return 0.0
    from scipy.stats import ttest_1samp

    return float(ttest_1samp(differences, 0.0).pvalue)


def ranks(areas: FloatArray) -> FloatArray:
    """Ranks of mean areas [..., peers], 1 the largest; equals share."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(-np.round(areas, 12), axis=-1), dtype=np.float64)


def by_group(values: Mapping[str, FloatArray], groups: Mapping[str, str]) -> FloatArray:
    """Mean over pools in which siblings share one vote. values: an array for each pool, all of one shape."""
    names = sorted({groups[pool] for pool in values})
    means = [np.mean([v for pool, v in values.items() if groups[pool] == name], axis=0) for name in names]
    return np.asarray(np.mean(means, axis=0))


def mean_ranks(areas: Mapping[str, FloatArray], groups: Mapping[str, str]) -> list[Estimate]:
    """An estimate for each peer. areas: of each pool, [seeds, peers], its seeds paired."""
    point = by_group({pool: ranks(a.mean(axis=0)) for pool, a in areas.items()}, groups)
    resampled = by_group(
        {pool: ranks(a[draws(len(a), salt)].mean(axis=1)) for salt, (pool, a) in enumerate(areas.items())}, groups
    )
    return [Estimate.of(float(point[k]), resampled[:, k]) for k in range(len(point))]


def difference(values: Mapping[str, FloatArray], groups: Mapping[str, str]) -> tuple[Estimate, float]:
    """Mean of paired differences over pools, siblings sharing one vote; and its standard error over the groups.

    values: of each pool, [seeds]. The estimate's own error is over seeds, the pools held fixed; the other one asks how far
    the next pool would be from these (infinite with one group).
    """
    point = float(by_group({pool: np.array(v.mean()) for pool, v in values.items()}, groups))
    resampled = by_group({p: v[draws(len(v), salt)].mean(axis=1) for salt, (p, v) in enumerate(values.items())}, groups)
    names = sorted({groups[pool] for pool in values})
    means = np.array([np.mean([v.mean() for pool, v in values.items() if groups[pool] == n]) for n in names])
    across = float(means.std(ddof=1) / np.sqrt(len(means))) if len(means) > 1 else float("inf")
    return Estimate.of(point, resampled), across


def geometric(ratios: Mapping[str, float], groups: Mapping[str, str]) -> float:
    """Geometric mean of a ratio over pools, siblings sharing one vote."""
    return float(np.exp(by_group({pool: np.array(np.log(ratio)) for pool, ratio in ratios.items()}, groups)))


def ratio_of_means(values: Mapping[str, FloatArray], groups: Mapping[str, str], *, tables: bool = False) -> Estimate:
    """Geometric mean over pools, siblings sharing one vote, of the mean of one peer over that of another.

    values: of each pool, [seeds, 2], its seeds paired. The interval is over seeds, the pools held fixed; with tables also over
    the groups, which are drawn with replacement, too: how far it would be from these ones.
    """
    means = {pool: v[draws(len(v), salt)].mean(axis=1) for salt, (pool, v) in enumerate(values.items())}
    names = sorted({groups[pool] for pool in values})
    logs = np.stack(
        [by_group({p: np.log(m[:, 0] / m[:, 1]) for p, m in means.items() if groups[p] == n}, groups) for n in names],
        axis=1,
    )
    chosen = draws(len(names), len(values)) if tables else np.tile(np.arange(len(names)), (len(logs), 1))
    point = geometric({pool: float(v[:, 0].mean() / v[:, 1].mean()) for pool, v in values.items()}, groups)
    return Estimate.of(point, np.exp(np.take_along_axis(logs, chosen, axis=1).mean(axis=1)))


def acceleration(curves: FloatArray, chance: FloatArray) -> float:
    """AF at the level that chance reaches at the horizon. curves, chance: [seeds, horizon]. NaN where it is not reached."""
    line = chance.mean(axis=0)
    needed = first_crossing(curves.mean(axis=0), float(line[-1]))
    return first_crossing(line, float(line[-1])) / needed if np.isfinite(needed) else float("nan")


def mean_with_band(values: FloatArray, salt: int = 0) -> Estimate:
    """Of values [seeds]. One value has no spread to speak of: its interval is infinite."""
    mean = float(values.mean())
    if len(values) < 2:
        return Estimate(mean, float("inf"), float("-inf"), float("inf"))
    return Estimate.of(mean, values[draws(len(values), salt)].mean(axis=1))
