"""Hyperparameters of a Gaussian process: most probable a posteriori, found by bounded L-BFGS.

The priors grow with the dimension (Hvarfner, Hellsten and Nardi, ICML 2024) and are those of BoTorch's default model,
and so is the objective; it is written out here because one evaluation then costs a fraction of a millisecond, no global
random state is touched, and every failure of linear algebra is ours to handle. The tests hold it to GPyTorch's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from discover.protocols import FloatArray
from discover.surrogate.kernels import Kernel, correlation, squared_distances

if TYPE_CHECKING:
    from torch import Tensor

NOISE_PRIOR = (-4.0, 1.0)
"""Mean and deviation of the logarithm of the noise variance, in units of the target's variance."""
NOISE_BOUNDS = (1e-4, 10.0)
SMALLEST_NOISE = 1e-6
"""Noise that the user states is held above this (relative variance), so that replicates do not make the matrix singular."""
LENGTH_BOUNDS = (2.5e-2, 1e4)
JITTERS = (0.0, 1e-8, 1e-6, 1e-4, 1e-2)


class NotDefinite(ArithmeticError):
    """A covariance that has no Cholesky factor even with jitter. Stays inside this room."""


@dataclass(frozen=True)
class Hyperparameters:
    """lengths: [1] or [d], in scaled features. noise: variance of values whose deviation is not known,
    relative to the variance of the target. objective: log posterior density reached."""

    kernel: Kernel
    lengths: tuple[float, ...]
    noise: float
    objective: float = math.nan

    def memory(self) -> dict[str, Any]:
        """Plain JSON from which the next fit may start; exact."""
        return {"kernel": self.kernel, "lengths": list(self.lengths), "noise": self.noise}


def length_prior(d: int) -> tuple[float, float]:
    """Mean and deviation of the logarithm of a length-scale in d dimensions (Hvarfner et al. 2024)."""
    return math.sqrt(2.0) + 0.5 * math.log(d), math.sqrt(3.0)


def cholesky(K: Tensor) -> tuple[Tensor, float]:
    """Lower factor of K [n, n] and the jitter that it took. NotDefinite when no jitter helps."""
    identity = torch.eye(len(K), dtype=K.dtype)
    for jitter in JITTERS:
        factor, info = torch.linalg.cholesky_ex(K + jitter * identity if jitter else K)
        if not int(info) and bool(torch.isfinite(factor).all()):
            return factor, jitter
    raise NotDefinite("the covariance of the observations is not positive definite")


def generalised_mean(factor: Tensor, y: Tensor) -> Tensor:
    """The constant mean that makes y [n] most likely under the covariance with that factor; scalar."""
    ones = torch.cholesky_solve(torch.ones_like(y)[:, None], factor)[:, 0]
    return (ones @ y) / ones.sum()


def log_posterior(
    kernel: Kernel, squared: Tensor, lengths: Tensor, noise: Tensor, diagonal: Tensor, y: Tensor, d: int
) -> Tensor:
    """Log marginal likelihood of y [n] plus log priors; the constant mean is at its best value.

    squared: [n, n], distances in units of the length-scales. lengths: [1] or [d]. noise: scalar. diagonal: [n], noise
    variance of each value.
    """
    factor, _ = cholesky(correlation(kernel, squared) + torch.diag(diagonal))
    residual = y - generalised_mean(factor, y)
    whitened = torch.linalg.solve_triangular(factor, residual[:, None], upper=False)[:, 0]
    likelihood = -0.5 * whitened.square().sum() - factor.diagonal().log().sum() - 0.5 * len(y) * math.log(2 * math.pi)
    return likelihood + _log_normal(lengths, *length_prior(d)).sum() + _log_normal(noise, *NOISE_PRIOR)


def _log_normal(x: Tensor, mean: float, deviation: float) -> Tensor:
    """Log density of the log-normal distribution at x."""
    log = x.log()
    return -log - 0.5 * ((log - mean) / deviation) ** 2 - math.log(deviation * math.sqrt(2 * math.pi))


def noise_diagonal(known: Tensor, noise: Tensor | float) -> Tensor:
    """Noise variances [n]: what the user stated, and the fitted one where that is not finite."""
    fitted = torch.as_tensor(noise, dtype=known.dtype).expand_as(known)
    return torch.where(known.isfinite(), known.clamp_min(SMALLEST_NOISE), fitted)


def optimise(
    kernel: Kernel, X: Tensor, y: Tensor, known: Tensor, *, each: bool, start: Hyperparameters, evaluations: int
) -> Hyperparameters:
    """The most probable hyperparameters reached from a start within so many evaluations.

    X: [n, d] scaled. y: [n] standardised. known: [n] relative noise variances, NaN where unknown.
    each: one length-scale per feature instead of one for all. NotDefinite or ValueError when nothing finite was reached.
    """
    from scipy.optimize import minimize

    n, d = X.shape
    unscaled = None if each else squared_distances(X, X)

    def negative(parameters: FloatArray) -> tuple[float, FloatArray]:
        theta = torch.tensor(parameters, dtype=torch.float64, requires_grad=True)
        lengths, noise = theta[:-1].exp(), theta[-1].exp()
        squared = squared_distances(X / lengths, X / lengths) if unscaled is None else unscaled / lengths.square()
        value = -log_posterior(kernel, squared, lengths, noise, noise_diagonal(known, noise), y, d) / n
        (slope,) = torch.autograd.grad(value, theta)
        return float(value.detach()), slope.numpy()

    count = d if each else 1
    lengths = start.lengths if len(start.lengths) == count else start.lengths[:1] * count
    first = np.log([*lengths, start.noise])
    bounds = [tuple(np.log(LENGTH_BOUNDS))] * count + [tuple(np.log(NOISE_BOUNDS))]
    first = np.clip(first, [low for low, _ in bounds], [high for _, high in bounds])
    found = minimize(
        negative,
        first,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxfun": evaluations, "maxiter": evaluations},
    )
    if not (np.isfinite(found.x).all() and math.isfinite(found.fun)):
        raise ValueError("the optimiser reached no finite value")
    best = [float(v) for v in np.exp(found.x)]
    return Hyperparameters(kernel, tuple(best[:-1]), best[-1], -float(found.fun) * n)


def prior_starts(kernel: Kernel, d: int) -> list[Hyperparameters]:
    """Where a fit starts that knows nothing, one length-scale for all: the prior's mode, and its median.

    From the mode alone, where distant rows know nothing of each other, many a fit never moves.
    """
    mean, deviation = length_prior(d)
    noise_mean, noise_deviation = NOISE_PRIOR
    low, middle = math.exp(noise_mean - noise_deviation**2), math.exp(noise_mean)
    return [
        Hyperparameters(kernel, (math.exp(mean - deviation**2),), low),
        Hyperparameters(kernel, (math.exp(mean),), middle),
    ]


def remembered(memory: Mapping[str, Any] | None, kernel: Kernel, d: int, *, each: bool) -> Hyperparameters | None:
    """The start that an earlier fit left, if it fits this one."""
    if not memory or memory.get("kernel") != kernel:
        return None
    lengths = tuple(float(v) for v in memory.get("lengths", ()))
    noise = float(memory.get("noise", math.nan))
    usable = len(lengths) == (d if each else 1) and all(v > 0 and math.isfinite(v) for v in (*lengths, noise))
    return Hyperparameters(kernel, lengths, noise) if usable else None


def climb(attempts: Sequence[tuple[str, Callable[[], Any]]]) -> tuple[Any, list[str]]:
    """The first attempt that succeeds, and what went wrong before it, in words. The last attempt must not fail."""
    notes: list[str] = []
    for name, attempt in attempts[:-1]:
        try:
            return attempt(), notes
        except (NotDefinite, ValueError, torch.linalg.LinAlgError) as problem:
            notes.append(f"{name} failed: {problem}")
    name, attempt = attempts[-1]
    notes.append(f"fell back to {name}")
    return attempt(), notes
