"""The best of a large pool, without the exact variance of every candidate.

With hyperparameters and noise held fixed, the posterior variance given a subset of the observations is an upper bound of the
variance given all of them: conditioning on more never widens a Gaussian. A `Bounded` score grows with the variance at a
fixed mean. So every candidate is scored with its exact mean, which costs n products, and with the bound, which costs m²
instead of n²; then the candidates are solved fully in the order of these upper scores, until the next upper score is below
the k-th best full one. No candidate that is left out can be among the best k: this is exhaustive search, not an
approximation of it. A mixture is bounded by its components: see `discover.acquisition.bounded`; costs and probabilities by what
they are at most: see `discover.acquisition.weights`. What the last iteration left may save even the means: see
`discover.acquisition.carried`.

The sweep runs in single precision; its rounding errors are measured against double precision on candidates where they are
worst, and several times the largest one is allowed for. Where that would let too many candidates pass, it runs in double.
Exact scores that differ by less than `TIE` count as equal, and the smaller row goes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from discover import threads
from discover.acquisition import refined
from discover.acquisition.carried import UNKNOWN, Carried
from discover.acquisition.refined import Shift, cost, shifts
from discover.acquisition.shards import sweep
from discover.acquisition.tiles import SUBSET, AnyArray, Tiler
from discover.acquisition.weights import NOTHING, Weights
from discover.surrogate.covariance.fitting import evenly
from discover.surrogate.gaussian.posterior import GaussianPosterior
from discover.surrogate.gaussian.threads import one_thread
from discover.surrogate.gaussian.weighted import Weighted, moments
from discover.surrogate.inputs.scaling import Scaling
from discover.values import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from torch import Tensor

    from discover.acquisition.bounded import Bounded
    from discover.surrogate.posterior import TargetPosterior

PROBES = 1024
"""Candidates of each sort on which rounding errors are measured."""
SAFETY = 8.0
"""The allowance for rounding, in largest errors seen."""
CROWDED = 0.1
"""The share of the pool that may pass the sweep in single precision before it is done in double."""
WIDE = 0.5
"""The share of the pool that may pass the bounds of the last iteration before all of it is swept anew."""
PROMISING = 1024
"""Rows that are solved first where something was carried: the better their k-th best, the more is left out."""
WORTH = 50_000
"""Rows of one epoch from which on a closer look is taken at what moved their means,"""
SAMPLE = 512
"""judged by some of them,"""
WORTHWHILE = 0.85
"""where it leaves less to be done than this share of it."""
PART = 65_536
"""Rows that are scored together."""
BLOCK = 8192
"""Rows that are solved together."""
TIE = 1e-7
"""Differences of exact scores, in units of the score, that are rounding."""


@dataclass(frozen=True)
class PoolRows:
    """Rows to search: raw features [N, d], maybe mapped from a file, how they are scaled, and which must not be taken [N].

    hash: of the features; what is carried from one iteration to the next belongs to it.
    """

    values: FloatArray
    scaling: Scaling
    blocked: BoolArray
    hash: str = ""

    def scaled(self, rows: IntArray) -> Tensor:
        """Scaled features [m, k] of some rows."""
        return torch.from_numpy(np.ascontiguousarray(self.scaling.apply(self.values[rows])))


@dataclass(frozen=True)
class Best:
    """The best k rows of a pool, best first, ties by row. mean, deviation: [k], in the target's unit. score: [k].

    swept: rows whose means and bounds were worked out. solved: those whose exact variance was, too. precision: of the sweep
    that decided.
    """

    rows: IntArray
    mean: FloatArray
    deviation: FloatArray
    score: FloatArray
    swept: int
    solved: int
    precision: str


def exact_parts(posterior: TargetPosterior) -> tuple[GaussianPosterior, ...] | None:
    """The components that a subset of the observations bounds: exact Gaussian processes; None where one is something else."""
    if not isinstance(posterior, GaussianPosterior | Weighted):
        return None
    parts = posterior.components
    return parts if all(type(p) is GaussianPosterior and p.state is not None for p in parts) else None


def best_rows(
    posterior: TargetPosterior,
    pool: PoolRows,
    k: int,
    score: Bounded,
    *,
    weights: Weights = NOTHING,
    subset: int = SUBSET,
    carry: Path | None = None,
) -> Best:
    """The k free rows with the greatest scores; the same as by exact scores of all of them, ties closer than TIE aside.

    posterior: one with `exact_parts`. weights: what scores that are logarithms are weighed by. carry: a folder where means
    and bounds are kept for the next iteration, and looked for; what lies there changes what this costs, not what it finds.
    Memory for some numbers of 4 and 8 bytes a row.
    """
    parts = exact_parts(posterior)
    assert parts is not None
    search = _Search(posterior, parts, pool, score, min(k, int((~pool.blocked).sum())), subset, weights)
    return search.run(carry)


def scores_above(
    posterior: TargetPosterior,
    pool: PoolRows,
    score: Bounded,
    level: float,
    *,
    weights: Weights = NOTHING,
    subset: int = SUBSET,
) -> FloatArray:
    """The exact scores of all free rows that score at least `level`, and of some others, in the order of the rows: [m].

    posterior: one with `exact_parts`. weights: as in `best_rows`. What no bound can rule out is worked out in full, the rest never.
    """
    parts = exact_parts(posterior)
    assert parts is not None
    return _Search(posterior, parts, pool, score, 0, subset, weights).above(level)


@dataclass
class _Search:
    """One search of one pool under one belief."""

    posterior: TargetPosterior
    parts: Sequence[GaussianPosterior]
    pool: PoolRows
    score: Bounded
    k: int
    subset: int
    weights: Weights = NOTHING
    done: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    scores: FloatArray = field(default_factory=lambda: np.empty(0))
    swept: int = 0
    solved: int = 0

    @cached_property
    def tilers(self) -> list[Tiler]:
        """Of each component, in double precision."""
        with one_thread():
            return [Tiler.of(part, self.pool.scaling, subset=self.subset) for part in self.parts]

    def run(self, carry: Path | None) -> Best:
        """Through what was carried, or through the whole pool in single precision, or in double."""
        free = np.flatnonzero(~self.pool.blocked)
        carried = Carried.read(carry, self.parts, self.pool.hash, len(self.pool.blocked)) if carry is not None else None
        rows = free
        if carried is not None:
            rows = self._refined(carried, self._pruned(carried, free))
        if len(rows) > WIDE * len(free):
            rows, carried = free, None
        mean, variance, off, wide = self._looked_at(rows, whole=rows is free)
        if carry is not None:
            left = Carried.after(carried, self.parts, self.pool.hash, len(self.pool.blocked))
            left.put(rows, mean, variance, off, wide).write(carry)
        limit = max(int(CROWDED * len(free)), 4 * self.k, 4 * BLOCK)
        if self._solve(rows, self._upper(rows, mean, off[:, None], variance, wide[:, None]), limit):
            return self._best("single")
        mean, variance = self._swept(self.tilers, rows)
        nothing = np.full((len(self.parts), 1), 1e-12)
        self._solve(rows, self._upper(rows, mean, nothing, variance, nothing), len(rows))
        return self._best("double")

    def above(self, level: float) -> FloatArray:
        """Exact scores of the free rows whose upper scores are not below a level."""
        free = np.flatnonzero(~self.pool.blocked)
        mean, variance, off, wide = self._looked_at(free, whole=True)
        rows = free[
            self._upper(free, mean, off[:, None], variance, wide[:, None]) >= level - 2.0 * TIE * self.score.unit
        ]
        parts = [self._exact(rows[start : start + PART])[2] for start in range(0, len(rows), PART)]
        return np.concatenate(parts) if parts else np.empty(0)

    def _looked_at(self, rows: IntArray, *, whole: bool) -> tuple[AnyArray, AnyArray, FloatArray, FloatArray]:
        """Means and bounds [K, m] of rows in single precision, and how far they may be off [K]."""
        mean, variance = self._swept([tiler.single() for tiler in self.tilers], rows, whole=whole)
        return mean, variance, *self._allowances(rows, mean, variance)

    def _pruned(self, carried: Carried, free: IntArray) -> IntArray:
        """Of the free rows those whose upper scores are not below the k-th best of the most promising ones, ascending.

        Promising are those that would score best had nothing moved: upper scores lead to where least is known.
        """
        mean, off, variance, wide = carried.stored(free)
        likely = self._upper(free, mean, 0.0 * off, variance, wide)
        likely[carried.epoch[free] == UNKNOWN] = -np.inf
        self._take(free[_largest(likely, max(4 * self.k, PROMISING))])
        return free[self._upper(free, *carried.at(free)) >= self._worst]

    def _refined(self, carried: Carried, rows: IntArray) -> IntArray:
        """Of the rows left by what was carried those that pass a closer look, too; ascending."""
        epochs = carried.epoch[rows]
        kept = [rows[epochs == epoch] for epoch in np.unique(epochs)]
        for place, mine in enumerate(kept):
            epoch = int(carried.epoch[mine[0]])
            if len(mine) < WORTH or epoch == UNKNOWN:
                continue
            moved = shifts(self.parts, carried.since, epoch)
            size = None if moved is None else self._best_size(carried, moved, mine)
            if moved is not None and size is not None:
                upper = self._closer(carried, moved, size, mine)
                kept[place] = mine if upper is None else mine[upper >= self._worst]
        return np.sort(np.concatenate(kept)) if kept else rows

    def _best_size(self, carried: Carried, moved: list[Shift], rows: IntArray) -> int | None:
        """How many observations a closer look is best taken at, judged by some of the rows; None where it does not pay."""
        some = rows[evenly(len(rows), SAMPLE)]
        n, d = self.parts[0].X.shape
        found: tuple[float, int | None] = (WORTHWHILE, None)
        for size in (s for s in refined.SIZES if s < n):
            upper = self._closer(carried, moved, size, some)
            left = 1.0 if upper is None else float((upper >= self._worst).mean())
            if left < WIDE:  # or else all are swept anew, whatever the look has cost
                found = min(found, (cost(size, n, d) + left, size), key=lambda f: f[0])
        return found[1]

    def _closer(self, carried: Carried, moved: list[Shift], size: int, rows: IntArray) -> FloatArray | None:
        """Upper scores [m] of rows of one epoch from a look at so many observations; None where that cannot be had."""
        tilers = [tiler for one in moved if (tiler := one.tiler(size, self.pool.scaling)) is not None]
        if len(tilers) < len(moved):
            return None
        mean, variance = sweep([tiler.single() for tiler in tilers], self.pool.values, rows)
        off, wide = self._allowances(rows, mean, variance, tilers)
        before, rounding, bound, extra = carried.stored(rows)
        c = np.array([[one.c[size - 1]] for one in moved])
        known = np.maximum(variance, 0.0) + wide[:, None]
        return self._upper(
            rows,
            before.astype(np.float64) + mean,
            rounding + off[:, None] + c * np.sqrt(known),
            np.minimum(bound + extra, known),
            0.0 * known,
        )

    def _swept(self, tilers: Sequence[Tiler], rows: IntArray, *, whole: bool = False) -> tuple[AnyArray, AnyArray]:
        """Standardised means [K, m], exact but for rounding, and bounds of the variances [K, m].

        whole: all rows of the pool are worked out, in their order, which is quicker than a choice of most of them.
        """
        self.swept += len(rows)
        if not whole:
            return sweep(tilers, self.pool.values, rows)
        mean, variance = sweep(tilers, self.pool.values)
        return (mean, variance) if len(rows) == mean.shape[1] else (mean[:, rows], variance[:, rows])

    def _upper(self, rows: IntArray, mean: AnyArray, off: AnyArray, variance: AnyArray, wide: AnyArray) -> FloatArray:
        """Upper bounds [m] of the scores of rows: standardised means [K, m] within `off`, variances [K, m] at most so much and
        `wide`."""
        count, shares = mean.shape[1], self._shares
        found = np.empty(count)

        def put(start: int) -> None:
            part = slice(start, min(start + PART, count))
            told = (a[:, part] if a.shape[1] == count else a for a in (mean, off, variance, wide))
            found[part] = self.score.upper(*self._in_unit(*told), shares).numpy() + self.weights.above(rows[part])

        many = threads.count()
        with one_thread(), ThreadPoolExecutor(many) as pool:  # each part on one: they are many small steps
            list(pool.map(put, range(0, count, PART)))
        return found

    def _in_unit(
        self, mean: AnyArray, off: AnyArray, variance: AnyArray, wide: AnyArray
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Means, how far they may be off, and bounds of the deviations, all [K, m] and in the target's unit."""
        shift, scale = (
            np.array([[getattr(part.standard, name)] for part in self.parts]) for name in ("shift", "scale")
        )
        means = shift + scale * mean.astype(np.float64)
        slacks = np.broadcast_to(scale * off.astype(np.float64), means.shape).copy()
        deviations = scale * np.sqrt(np.maximum(variance.astype(np.float64), 0.0) + wide)
        return torch.from_numpy(means), torch.from_numpy(slacks), torch.from_numpy(deviations)

    @cached_property
    def _shares(self) -> Tensor:
        return torch.tensor(self.posterior.weights, dtype=torch.float64)

    def _allowances(
        self, rows: IntArray, mean: AnyArray, variance: AnyArray, tilers: Sequence[Tiler] = ()
    ) -> tuple[FloatArray, FloatArray]:
        """How far single-precision means and bounds may be off [K]: measured where the bound is small, where the mean is high or
        low against it, and on rows evenly taken."""
        some = min(PROBES, len(rows))
        sort = [evenly(len(rows), some)]
        for own_mean, own_variance in zip(mean, variance, strict=True):
            spread = 2.0 * np.sqrt(np.maximum(own_variance, 0.0))
            sort += [
                _largest(-own_variance, some),
                _largest(own_mean + spread, some),
                _largest(spread - own_mean, some),
            ]
        probes = np.unique(np.concatenate(sort))
        exact_mean, exact_variance = sweep(tilers or self.tilers, self.pool.values, rows[probes])
        off = np.abs(exact_mean - mean[:, probes]).max(axis=1)
        wide = np.maximum(exact_variance - variance[:, probes], 0.0).max(axis=1)
        return SAFETY * off + 1e-9, SAFETY * wide + 1e-9

    def _solve(self, rows: IntArray, upper: FloatArray, limit: int) -> bool:
        """Solve rows in the order of their upper scores while they may be among the best; False where more than `limit` may."""
        first = _largest(upper, max(2 * self.k, 512))
        self._take(rows[first])
        open_ = upper >= self._worst
        open_[first] = False
        left = np.flatnonzero(open_)
        left = left[np.lexsort((left, -upper[left]))]
        taken = len(first)
        for start in range(0, len(left), BLOCK):
            block = left[start : start + BLOCK]
            block = block[upper[block] >= self._worst]
            if not len(block):
                break
            if taken + len(block) > limit:
                return False
            self._take(rows[block])
            taken += len(block)
        return True

    def _take(self, rows: IntArray) -> None:
        """Solve some rows, and keep the best k of all that were solved."""
        rows = np.sort(rows[~np.isin(rows, self.done)])
        self.solved += len(rows)
        _, _, scores = self._exact(rows)
        self.done, self.scores = np.concatenate([self.done, rows]), np.concatenate([self.scores, scores])
        keep = self._order(self.done, self.scores)[: self.k]
        self.done, self.scores = self.done[keep], self.scores[keep]

    @property
    def _worst(self) -> float:
        """The k-th best exact score so far, less what counts as equal; anything may be better before there are k."""
        if len(self.scores) < self.k:
            return -np.inf
        return float(self.scores.min()) - 2.0 * TIE * self.score.unit

    def _order(self, rows: IntArray, scores: FloatArray) -> IntArray:
        """Best first; the smaller row first where scores are the same but for rounding."""
        rounded = np.round(scores / (TIE * self.score.unit))
        return np.lexsort((rows, -rounded))

    def _best(self, precision: str) -> Best:
        """Once more in the order of rows, so that the numbers do not depend on how they were found."""
        rows = np.sort(self.done)
        mean, deviation, scores = self._exact(rows)
        order = self._order(rows, scores)
        return Best(rows[order], mean[order], deviation[order], scores[order], self.swept, self.solved, precision)

    def _exact(self, rows: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Mean, deviation and score [m] of some rows, by the whole posterior in double precision."""
        X = self.pool.scaled(rows)
        told = [part.mean_deviation(X) for part in self.parts]
        means, deviations = (torch.stack([pair[i] for pair in told]) for i in range(2))
        scores = self.score(means, deviations, self._shares).numpy() + self.weights.at(rows)
        mean, deviation = moments(means, deviations, self._shares) if len(told) > 1 else told[0]
        return mean.numpy(), deviation.numpy(), scores


def _largest(values: AnyArray, count: int) -> IntArray:
    """Positions of the largest values, in no order."""
    if count >= len(values):
        return np.arange(len(values))
    return np.argpartition(-values, count - 1)[:count]
