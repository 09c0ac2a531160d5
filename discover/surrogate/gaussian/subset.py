"""A part of the observations that says most about the rest: pivoted Cholesky, greedy in the largest remaining variance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from discover.surrogate.covariance import fitting

if TYPE_CHECKING:
    from torch import Tensor

    from discover.surrogate.covariance.fitted import Covariance
    from discover.surrogate.gaussian.posterior import GaussianPosterior


@dataclass(frozen=True)
class Pivots:
    """chosen: [m] positions among the observations, in the order in which they were chosen; rest: the others, ascending.

    inverse: [m, m], the inverse of the lower factor of the chosen observations' covariance, noise and jitter included.
    """

    chosen: Tensor
    rest: Tensor
    inverse: Tensor


def pivots(posterior: GaussianPosterior, m: int) -> Pivots:
    """The m observations that a pivoted Cholesky factorisation of their covariance takes first.

    Harbrecht, Peters and Schneider, Appl. Numer. Math. 62, 428 (2012).
    """
    assert posterior.found is not None
    assert posterior.state is not None
    data = posterior.X
    noise = fitting.noise_diagonal(posterior.noise, posterior.found.noise) + posterior.state.jitter
    chosen = _greedy(posterior.covariance, data, m)
    near = data[chosen]
    K = posterior.covariance.across(near, near) + torch.diag(noise[chosen])
    factor, _ = fitting.cholesky(K)
    inverse = torch.linalg.solve_triangular(factor, torch.eye(m, dtype=torch.float64), upper=False)
    rest = torch.from_numpy(np.setdiff1d(np.arange(len(data)), chosen.numpy()))
    return Pivots(chosen, rest, inverse)


def _greedy(covariance: Covariance, data: Tensor, m: int) -> Tensor:
    """The order in which the largest remaining prior variance is taken, m of n."""
    n = len(data)
    left = covariance.diagonal(data)
    rows = torch.zeros(m, n, dtype=torch.float64)
    chosen = []
    for step in range(m):
        place = int(left.argmax())
        chosen.append(place)
        column = covariance.across(data, data[place : place + 1])[:, 0]
        if step:
            column = column - rows[:step].T @ rows[:step, place]
        rows[step] = column / left[place].clamp_min(1e-12).sqrt()
        left = (left - rows[step].square()).clamp_min(0.0)
        left[chosen] = -1.0
    return torch.tensor(chosen, dtype=torch.int64)
