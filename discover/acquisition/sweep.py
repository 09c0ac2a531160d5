"""The best of a large pool by expected improvement, without the exact variance of every candidate.

With hyperparameters and noise held fixed, the posterior variance given a subset of the observations is an upper bound of the
variance given all of them: conditioning on more never widens a Gaussian. Log expected improvement over an incumbent that is
common to all candidates grows with the variance at a fixed mean. So every candidate is scored with its exact mean, which
costs n products, and with the bound, which costs m² instead of n²; then the candidates are solved fully in the order of
these upper scores, until the next upper score is below the k-th best full one. No candidate that is left out can be among
the best k: this is exhaustive search, not an approximation of it.

The sweep runs in single precision; its rounding errors are measured against double precision on candidates where they are
worst, and several times the largest one is allowed for. Where that would let too many candidates pass, it runs in double.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from discover.acquisition.improvement import log_expected_improvement
from discover.protocols import FloatArray, IntArray
from discover.surrogate.kernels import correlate_
from discover.surrogate.subset import pivots

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from discover.surrogate.covariance import Covariance
    from discover.surrogate.gaussian_process import GaussianPosterior

SUBSET = 128
"""Observations that the variance bound is made from."""
CHUNK = 2048
"""Candidates that are looked at together; their covariances with 1,000 observations fill 8 MB in single precision."""
PROBES = 1024
"""Candidates of each sort on which rounding errors are measured."""
SAFETY = 8.0
"""The allowance for rounding, in largest errors seen."""
CROWDED = 0.1
"""The share of the pool that may pass the sweep in single precision before it is done in double."""


@dataclass(frozen=True)
class Best:
    """The best k rows of a pool, best first, ties by row. mean, deviation: [k], in the target's unit. score: [k].

    solved: candidates whose exact variance was worked out. precision: of the sweep that decided.
    """

    rows: IntArray
    mean: FloatArray
    deviation: FloatArray
    score: FloatArray
    solved: int
    precision: str


def best_by_improvement(
    posterior: GaussianPosterior,
    features: Callable[[IntArray | slice], Tensor],
    count: int,
    k: int,
    incumbent: float,
    *,
    sign: float = 1.0,
    subset: int = SUBSET,
    chunk: int = CHUNK,
) -> Best:
    """The k of `count` candidates with the greatest log expected improvement over `incumbent`.

    features: positions to scaled features [m, d]. incumbent: in the target's unit, of sign·target, where sign is -1 for a
    target that is to be small. Deterministic for a number of threads; memory for some vectors of `count` and a few chunks.
    """
    k = min(k, count)
    search = _Search(posterior, features, count, incumbent, sign, subset, chunk)
    found = None
    for dtype in (torch.float32, torch.float64):
        upper = search.upper(dtype)
        limit = count if dtype is torch.float64 else max(int(CROWDED * count), 4 * k)
        found = search.solve(upper, k, limit)
        if found is not None:
            break
    assert found is not None
    rows, solved = found
    mean, deviation, score = search.exact(rows)
    order = np.lexsort((rows, -score))
    name = {torch.float32: "single", torch.float64: "double"}[dtype]
    return Best(rows[order], mean[order], deviation[order], score[order], solved, name)


class _Search:
    """One sweep over one pool under one belief."""

    def __init__(
        self,
        posterior: GaussianPosterior,
        features: Callable[[IntArray | slice], Tensor],
        count: int,
        incumbent: float,
        sign: float,
        subset: int,
        chunk: int,
    ):
        assert posterior.state is not None
        self.posterior, self.features, self.count = posterior, features, count
        self.incumbent, self.sign, self.chunk = incumbent, sign, chunk
        self.stationary = posterior.covariance.stationary
        lengths = self.stationary[1] if self.stationary else (1.0,) * posterior.X.shape[1]
        self.lengths = torch.tensor(lengths, dtype=torch.float64)
        data = posterior.X / self.lengths
        self.centre = data.mean(dim=0) if self.stationary else torch.zeros_like(self.lengths)
        self.data = data - self.centre
        order = pivots(posterior, min(subset, len(data)))
        self.data = torch.cat([self.data[order.chosen], self.data[order.rest]])
        self.weights = torch.cat([posterior.state.weights[order.chosen], posterior.state.weights[order.rest]])
        self.inverse = order.inverse
        self.mean0 = posterior.state.mean

    def upper(self, dtype: torch.dtype) -> FloatArray:
        """Upper bounds [count] of the scores, from a sweep in a precision."""
        mean, variance = self._sweep(dtype)
        if dtype is torch.float64:
            return self._score(mean, variance.clamp_min(0.0) + 1e-12)
        off, wide = self._allowances(mean, variance)
        raised = mean.double() + self.sign * off
        return self._score(raised, variance.double().clamp_min(0.0) + wide)

    def _score(self, mean: Tensor, variance: Tensor) -> FloatArray:
        unit = self.posterior.standard
        mean, deviation = unit.shift + unit.scale * mean.double(), unit.scale * variance.double().sqrt()
        return log_expected_improvement(self.sign * mean, deviation, self.incumbent).numpy()

    def _sweep(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Standardised means [count], exact but for rounding, and bounds of the variances [count]."""
        mean, variance = torch.empty(self.count, dtype=dtype), torch.empty(self.count, dtype=dtype)
        parts = _Parts.of(self, dtype)
        for start in range(0, self.count, self.chunk):
            stop = min(start + self.chunk, self.count)
            mean[start:stop], variance[start:stop] = parts.bound(self.features(slice(start, stop)))
        return mean, variance

    def _allowances(self, mean: Tensor, variance: Tensor) -> tuple[float, float]:
        """How far single-precision means and bounds may be off: measured where the bound is small, where the score is high,
        and on rows evenly taken."""
        score = torch.from_numpy(self._score(mean, variance.clamp_min(1e-9)))
        some = min(PROBES, self.count)
        even = torch.linspace(0, self.count - 1, some, dtype=torch.float64).round().long()
        probes = torch.unique(torch.cat([even, (-variance).topk(some).indices, score.topk(some).indices]))
        exact_mean, exact_bound = _Parts.of(self, torch.float64).bound(self.features(probes.numpy()))
        off = (exact_mean - mean[probes].double()).abs().max()
        wide = (exact_bound - variance[probes].double()).clamp_min(0.0).max()
        return SAFETY * float(off) + 1e-9, SAFETY * float(wide) + 1e-9

    def solve(self, upper: FloatArray, k: int, limit: int) -> tuple[IntArray, int] | None:
        """Rows of the best k by exact score, and how many were solved; None where more than `limit` would be."""
        order = np.lexsort((np.arange(self.count), -upper))
        rows, scores = np.empty(0, dtype=np.int64), np.empty(0)
        done, block = 0, max(2 * k, 512)
        while done < self.count:
            worst = np.partition(scores, len(scores) - k)[len(scores) - k] if len(scores) >= k else -np.inf
            if upper[order[done]] < worst:
                break
            if done >= limit:
                return None
            taken = order[done : done + block]
            rows, scores = np.concatenate([rows, taken]), np.concatenate([scores, self.exact(taken)[2]])
            keep = np.lexsort((rows, -scores))[:k]
            rows, scores = rows[keep], scores[keep]
            done += len(taken)
            block = min(2 * block, 4 * self.chunk)
        return np.sort(rows), done

    def exact(self, rows: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Mean, deviation and score [m] of some rows, by the whole posterior in double precision."""
        mean, deviation = self.posterior.mean_deviation(self.features(rows))
        return (
            mean.numpy(),
            deviation.numpy(),
            log_expected_improvement(self.sign * mean, deviation, self.incumbent).numpy(),
        )


@dataclass(frozen=True)
class _Parts:
    """What a sweep multiplies with, in one precision; the m observations of the bound stand first among the n.

    kernel: of a stationary covariance, else None, and data are not centred. data: [n, d]. norms: squared, [n]. weights: [n]. inverse: [m, m], of the subset's lower factor.
    """

    kernel: str | None
    covariance: Covariance
    scale: Tensor
    centre: Tensor
    data: Tensor
    norms: Tensor
    weights: Tensor
    inverse: Tensor
    mean: float

    @classmethod
    def of(cls, search: _Search, dtype: torch.dtype) -> _Parts:
        data = search.data.to(dtype)
        return cls(
            search.stationary[0] if search.stationary else None, search.posterior.covariance, (1.0 / search.lengths).to(dtype), search.centre.to(dtype), data, data.square().sum(dim=1),
            search.weights.to(dtype), search.inverse.to(dtype), search.mean0,
        )  # fmt: skip

    def bound(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Standardised mean [m] and variance given the subset alone [m], of scaled features [m, d]."""
        X = X.to(self.data.dtype).mul(self.scale).sub_(self.centre)
        if self.kernel is None:
            across, prior = self.covariance.across(X, self.data), self.covariance.diagonal(X)
        else:
            squared = torch.addmm(X.square().sum(dim=1, keepdim=True) + self.norms, X, self.data.T, alpha=-2.0)
            across, prior = correlate_(self.kernel, squared), X.new_ones(())
        solved = across[:, : len(self.inverse)] @ self.inverse.T
        return self.mean + across @ self.weights, prior - solved.square_().sum(dim=1)
