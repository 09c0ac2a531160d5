"""A closer look at what moved between iterations, at some of the observations instead of all.

With weights β of all observations after, less those before, the mean has moved by g(x) = Σ β_j k(x, z_j). Let S be some of the
observations, N their noise, R the others, and k_S the posterior covariance given S. Since
k(x, R) = k_S(x, R) + k(x, S) (K_SS + N)⁻¹ K_SR,

    g(x) = k(x, S) [β_S + (K_SS + N)⁻¹ K_SR β_R] + k_S(x, R) β_R,

and by the inequality of Cauchy and Schwarz the last term is at most σ_S(x) c with c² = β_Rᵀ k_S(R, R) β_R; any part T of S has
σ_T >= σ_S. S is chosen greedily, each time the observation whose knowledge takes most from c. The first term costs |S| products.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from discover.acquisition.tiles import SUBSET, Tiler
from discover.surrogate.covariance import fitting
from discover.values import FloatArray, IntArray

if TYPE_CHECKING:
    from discover.surrogate.gaussian.posterior import GaussianPosterior
    from discover.surrogate.inputs.scaling import Scaling

SIZES = (64, 128, 256, 384, 512)
"""Sizes of S that are tried."""
SLIP = 1e-9
"""The share of what c begins with that is allowed for its rounding."""


@dataclass(frozen=True)
class Shift:
    """How the mean of one component moved since an epoch. K [n, n] prior covariance of the observations, noise [n], and change
    [n] of the weights β. order: [s], S in the order of its choice. c: [s], after each choice."""

    part: GaussianPosterior
    K: FloatArray
    noise: FloatArray
    change: FloatArray
    order: IntArray
    c: FloatArray

    @classmethod
    def of(cls, part: GaussianPosterior, since: IntArray, epoch: int) -> Shift | None:
        """Since the data of an epoch, which are the observations with `since` [n] up to it; None where these have no factor."""
        assert part.found is not None
        assert part.state is not None
        K = part.covariance.across(part.X, part.X).numpy()
        noise = (fitting.noise_diagonal(part.noise, part.found.noise) + part.state.jitter).numpy()
        old = np.flatnonzero(since <= epoch)
        factor, info = torch.linalg.cholesky_ex(torch.from_numpy(K[np.ix_(old, old)] + np.diag(noise[old])))
        if int(info):
            return None
        residual = part.standard.apply(part.y) - part.state.mean
        change = part.state.weights.numpy().copy()
        change[old] -= torch.cholesky_solve(residual[old][:, None], factor)[:, 0].numpy()
        order, c = _greedy(K, noise, change, min(max(SIZES), len(K)))
        return cls(part, K, noise, change, order, c)

    def tiler(self, size: int, scaling: Scaling) -> Tiler | None:
        """A tiler whose means are the first term of the module and whose variances bound those of S; None without a factor."""
        S = self.order[:size]
        R = np.setdiff1d(np.arange(len(self.K)), S)
        known = torch.from_numpy(self.K[np.ix_(S, S)] + np.diag(self.noise[S]))
        factor, info = torch.linalg.cholesky_ex(known)
        if int(info):
            return None
        rest = torch.from_numpy(self.K[np.ix_(S, R)] @ self.change[R])
        weights = self.change[S] + torch.cholesky_solve(rest[:, None], factor)[:, 0].numpy()
        few = min(size, SUBSET)
        inverse = torch.linalg.solve_triangular(factor[:few, :few], torch.eye(few, dtype=torch.float64), upper=False)
        return Tiler.made(self.part, scaling, torch.from_numpy(S), weights, inverse, 0.0)


def shifts(parts: Sequence[GaussianPosterior], since: IntArray, epoch: int) -> list[Shift] | None:
    """Of every component; None where one has no factor."""
    found = [Shift.of(part, since, epoch) for part in parts]
    return None if any(one is None for one in found) else [one for one in found if one is not None]


def cost(size: int, n: int, d: int) -> float:
    """What a row costs with S of a size, as a share of what it costs with all n observations, of d features."""
    few = min(size, SUBSET)
    return (size * (d + 100.0) + few * few) / (n * (d + 100.0) + SUBSET * SUBSET)


def _greedy(K: FloatArray, noise: FloatArray, change: FloatArray, most: int) -> tuple[IntArray, FloatArray]:
    """The order of choice [most], and c after each choice: pivots of a Cholesky factor, taken by what they explain of g."""
    n = len(K)
    left, spread = change.copy(), K.diagonal().copy()
    moved = K @ left
    whole = float(left @ moved)
    rows = np.zeros((most, n))
    order, squares = np.empty(most, dtype=np.int64), np.empty(most)
    free = np.ones(n, dtype=bool)
    for step in range(most):
        gain = np.where(free, moved * moved / (spread + noise), -1.0)
        place = int(gain.argmax())
        column = K[:, place] - rows[:step].T @ rows[:step, place]
        moved -= left[place] * column
        left[place] = 0.0
        rows[step] = column / np.sqrt(spread[place] + noise[place])
        moved -= rows[step] * (rows[step] @ left)
        spread = np.maximum(spread - rows[step] ** 2, 0.0)
        free[place] = False
        order[step], squares[step] = place, left @ moved
    return order, np.sqrt(np.maximum(squares, 0.0) + SLIP * abs(whole))
