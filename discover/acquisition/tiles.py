"""What a sweep works out of a few hundred raw rows at a time: exact means, and upper bounds of variances.

A tile is small enough that its covariances with some thousand observations stay in a processor's own memory, and each is
worked out on one thread: so its numbers do not depend on how many tiles there are, or on who works them out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from discover.surrogate.gaussian.subset import pivots
from discover.surrogate.inputs.scaling import SPAN, Scaling
from discover.values import FloatArray, IntArray

if TYPE_CHECKING:
    from torch import Tensor

    from discover.surrogate.covariance.fitted import Covariance
    from discover.surrogate.covariance.warping import Warp
    from discover.surrogate.gaussian.posterior import GaussianPosterior

TILE = 256
"""Raw rows that are looked at together: their covariances with 1,000 observations fill 1 MB in single precision."""
SUBSET = 128
"""Observations that variance bounds are made from."""

UNITS = {"matern": 5.0, "rbf": 0.5}
"""What squared distances are multiplied by in a kernel of their roots, (1 + r + r²/3) exp(-r), and in exp(-r²)."""

AnyArray = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Tiler:
    """What raw rows are multiplied with, in one precision; the m observations of the bound stand first among the n.

    kernel: of a stationary covariance. columns [k], shift [k], scale [k]: raw features that have a say, and how they become
    centred ones in units of the length-scales. data: [k + 2, n], what makes squared distances of them (`_augmented`). Other
    covariances (`covariance`) are told scaled features, bent by `warp` where there is one, and `data` is [n, k]. weights: [n].
    inverse: [m, m], transposed, of the lower factor of the subset's covariance. mean: the constant one.
    """

    kernel: str | None
    columns: IntArray | None
    shift: FloatArray
    scale: FloatArray
    data: AnyArray
    weights: AnyArray
    inverse: AnyArray
    mean: float
    covariance: Covariance | None = None
    warp: Warp | None = None

    @classmethod
    def of(cls, posterior: GaussianPosterior, scaling: Scaling, *, subset: int = SUBSET) -> Tiler:
        """In double precision; `single` gives the other."""
        assert posterior.state is not None
        order = pivots(posterior, min(subset, len(posterior.y)))
        taken = torch.cat([order.chosen, order.rest])
        weights = posterior.state.weights[taken].numpy()
        return cls.made(posterior, scaling, taken, weights, order.inverse, posterior.state.mean)

    @classmethod
    def made(
        cls,
        posterior: GaussianPosterior,
        scaling: Scaling,
        taken: Tensor,
        weights: FloatArray,
        lower: Tensor,
        mean: float,
    ) -> Tiler:
        """From observations [n] that are taken, their weights, and the inverse lower factor [m, m] of the first m of them."""
        told, warp = posterior.X[taken], posterior.covariance.warp
        X = (told if warp is None else warp(told)).numpy()
        inverse = np.ascontiguousarray(lower.numpy().T)
        raw = np.flatnonzero(scaling.kept)
        centre, spread = scaling.centre, SPAN * scaling.spread
        stationary = posterior.covariance.stationary
        if stationary is None:
            return cls(
                None, _columns(raw, scaling), centre, 1.0 / spread, X, weights, inverse, mean,
                posterior.covariance.straight, warp,
            )  # fmt: skip
        lengths = np.asarray(stationary[1])
        near = np.flatnonzero(np.isfinite(lengths)) if len(raw) else np.empty(0, dtype=np.int64)
        data = X[:, near] / lengths[near]
        middle = data.mean(axis=0)
        data -= middle
        unit = spread[near] * lengths[near]
        return cls(
            stationary[0], _columns(raw[near], scaling), centre[near] + unit * middle, 1.0 / unit,
            _augmented(data, UNITS[stationary[0]]), weights, inverse, mean,
        )  # fmt: skip

    def single(self) -> Tiler:
        """The same in single precision; raw rows are still shifted and bent in double, for a bend may be steep."""
        names = ("data", "weights", "inverse")
        parts: dict[str, Any] = {name: getattr(self, name).astype(np.float32) for name in names}
        return replace(self, **parts)

    def bound(self, values: FloatArray) -> tuple[AnyArray, AnyArray]:
        """Raw rows [t, d] to standardised means [t] and variances [t] given the subset alone."""
        dtype = self.data.dtype
        rows = values if self.columns is None else values[:, self.columns]
        X = np.multiply(rows - self.shift, self.scale, dtype=np.float64)
        if self.warp is not None:
            X = self.warp(torch.from_numpy(X)).numpy()
        X = X.astype(dtype, copy=False)
        prior: Any = 1.0
        if self.covariance is None:
            across = self._correlations(X)
        else:
            if not X.shape[1]:
                X = np.zeros((len(X), 1), dtype=dtype)
            told = torch.from_numpy(np.ascontiguousarray(X))
            across = self.covariance.across(told, torch.from_numpy(self.data)).numpy()
            prior = self.covariance.diagonal(told).numpy()
        solved = across[:, : len(self.inverse)] @ self.inverse
        return across @ self.weights + dtype.type(self.mean), prior - np.einsum("ij,ij->i", solved, solved)

    def _correlations(self, X: AnyArray) -> AnyArray:
        """Prior correlations [t, n], worked out in place of squared distances, in as few passes as there may be."""
        count, width = X.shape
        rows = np.empty((count, width + 2), dtype=X.dtype)
        rows[:, :width], rows[:, width] = X, 1.0
        np.einsum("ij,ij->i", X, X, out=rows[:, width + 1])
        squared = rows @ self.data
        np.abs(squared, out=squared)  # those that rounding has brought below zero
        if self.kernel == "rbf":
            np.negative(squared, out=squared)
            return np.exp(squared, out=squared)
        number = squared.dtype.type
        root = np.sqrt(squared)
        squared *= number(1.0 / 3.0)
        squared += root
        squared += number(1.0)
        np.negative(root, out=root)
        squared *= np.exp(root, out=root)
        return squared


def _augmented(data: FloatArray, unit: float) -> FloatArray:
    """[k + 2, n]: what rows (x, 1, |x|²) are multiplied with to become squared distances from data [n, k], times a unit."""
    norms = np.square(data).sum(axis=1)
    return np.ascontiguousarray(unit * np.vstack([-2.0 * data.T, norms, np.ones(len(data))]))


def _columns(taken: IntArray, scaling: Scaling) -> IntArray | None:
    """None where all raw columns are taken: a slice is cheaper than a choice."""
    return None if len(taken) == len(scaling.kept) else taken
