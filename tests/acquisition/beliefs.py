"""Beliefs with given hyperparameters over made-up pools, for the tests of searches: what is tested holds for all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from discover.acquisition.sweep import PoolRows
from discover.surrogate.covariance.fitting import Hyperparameters
from discover.surrogate.gaussian.posterior import GaussianPosterior
from discover.surrogate.gaussian.standard import Standard
from discover.surrogate.gaussian.state import State
from discover.surrogate.inputs.scaling import Scaling


def posterior(
    X: Any,
    y: Any,
    *,
    kernel: Any = "matern",
    length: float = 0.7,
    noise: float = 1e-4,
    like: Any = None,
    stds: Any = None,
) -> GaussianPosterior:
    """A posterior of X [n, d] scaled and y [n]. like: another one, whose scale and constant mean are kept."""
    X, y = torch.as_tensor(X, dtype=torch.float64), torch.as_tensor(y, dtype=torch.float64)
    found = Hyperparameters(kernel, (length,) * X.shape[1], noise)
    standard = Standard.of(y) if like is None else like.standard
    known = torch.full_like(y, torch.nan) if stds is None else torch.as_tensor(stds).square() / standard.scale**2
    state = State.of(X, standard.apply(y), known, found)
    if like is not None:
        weights = torch.cholesky_solve((standard.apply(y) - like.state.mean)[:, None], state.factor)[:, 0]
        state = State(state.factor, weights, like.state.mean, state.jitter)
    return GaussianPosterior(X, y, standard, known, found, state, 512)


def pool_of(sort: str, rng: np.random.Generator, count: int, d: int, data: np.ndarray) -> np.ndarray:
    """Random rows; rows crowded around the data; rows that stand many times; rows on a line; rows far from everything."""
    if sort == "crowded":
        return data[rng.integers(len(data), size=count)] + 1e-4 * rng.normal(size=(count, d))
    if sort == "repeated":
        return np.repeat(rng.random((max(1, count // 50), d)), 50, axis=0)[:count]
    if sort == "line":
        return np.linspace(0, 1, count)[:, None] * np.ones(d)
    if sort == "far":
        return 50 + rng.random((count, d))
    return rng.random((count, d))


def rows_of(values: np.ndarray, blocked: np.ndarray | None = None, hash: str = "made up") -> PoolRows:
    """Rows to search, scaled so that lengths are about those of the raw features."""
    d = values.shape[1]
    scaling = Scaling(np.ones(d, dtype=bool), np.full(d, 0.5), np.full(d, 1 / np.sqrt(12.0)))
    return PoolRows(values, scaling, np.zeros(len(values), dtype=bool) if blocked is None else blocked, hash)


def scaled(pool: PoolRows, raw: np.ndarray) -> np.ndarray:
    """Raw features as the pool's belief knows them."""
    return pool.scaling.apply(raw)
