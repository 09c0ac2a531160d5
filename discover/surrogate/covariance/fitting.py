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

from discover.values import FloatArray, IntArray

if TYPE_CHECKING:
    from torch import Tensor

    from discover.surrogate.covariance.forms import Form, Prepared

NOISE_PRIOR = (-4.0, 1.0)
"""Mean and deviation of the logarithm of the noise variance, in units of the target's variance."""
NOISE_BOUNDS = (1e-4, 10.0)
SMALLEST_NOISE = 1e-6
"""Noise that the user states is held above this (relative variance), so that replicates do not make the matrix singular."""
LENGTH_BOUNDS = (2.5e-2, 1e4)
EXPONENT = 0
"""What a form gives in the place of a dimension for an exponent of a warp, which is fitted like a length-scale."""
EXPONENT_PRIOR = (0.0, math.sqrt(0.75))
"""Mean and deviation of the logarithm of an exponent: those of BoTorch's tutorial on warping. Its density is that of the
logarithm, so that without evidence features stay straight."""
EXPONENT_BOUNDS = (0.05, 20.0)
LOGIT_PRIOR = (0.0, 1.0)
"""Mean and deviation of the logits of shares."""
LOGIT_BOUND = 6.0
ENOUGH = 1e-7
"""A search ends where a step gains less than this share of the log posterior density per observation."""
JITTERS = (0.0, 1e-8, 1e-6, 1e-4, 1e-2)


class NotDefinite(ArithmeticError):
    """A covariance that has no Cholesky factor even with jitter. Stays inside this room."""


@dataclass(frozen=True)
class Hyperparameters:
    """kernel: name of the form. lengths: its length-scales in scaled features ([1] or [d] for a form that is one kernel),
    and exponents where it has such.
    noise: variance of values whose deviation is not known, relative to the variance of the target. shares: of the terms
    of sums, summing to one in each. objective: log posterior density reached."""

    kernel: str
    lengths: tuple[float, ...]
    noise: float
    objective: float = math.nan
    shares: tuple[float, ...] = ()

    def memory(self) -> dict[str, Any]:
        """Plain JSON from which the next fit may start; exact."""
        body: dict[str, Any] = {"kernel": self.kernel, "lengths": list(self.lengths), "noise": self.noise}
        return {**body, "shares": list(self.shares)} if self.shares else body


def length_prior(d: int) -> tuple[float, float]:
    """Mean and deviation of the logarithm of a length-scale in d dimensions (Hvarfner et al. 2024)."""
    return math.sqrt(2.0) + 0.5 * math.log(d), math.sqrt(3.0)


def prior_of(dimension: int) -> tuple[float, float]:
    """Mean and deviation of the logarithm of one of a form's numbers, by what the form says of its dimension."""
    return EXPONENT_PRIOR if dimension == EXPONENT else length_prior(dimension)


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


def log_posterior(prepared: Prepared, form: Form, theta: Tensor, known: Tensor, y: Tensor) -> tuple[float, Tensor]:
    """Log marginal likelihood of y [n] plus log priors, and its gradient [p + q + 1]; the constant mean is at its best value.

    theta: p log lengths, q logits of shares, log noise. known: [n], noise variances, NaN where the fitted one holds.
    """
    p = len(form.dimensions)
    lengths, noise = theta[:p].exp(), theta[-1].exp()
    K = prepared.value(lengths, shares_of(form, theta[p:-1]))
    factor, _ = cholesky(K + torch.diag(noise_diagonal(known, noise)))
    precision = torch.cholesky_inverse(factor)
    onto_mean = precision.sum(dim=1)
    residual = y - (onto_mean @ y) / onto_mean.sum()
    weights = precision @ residual
    value = -0.5 * residual @ weights - factor.diagonal().log().sum() - 0.5 * len(y) * math.log(2 * math.pi)
    worth = 0.5 * (torch.outer(weights, weights) - precision)
    by_length, by_logit = prepared.slope(worth)
    by_noise = worth.diagonal()[~known.isfinite()].sum() * noise
    prior, prior_slope = log_prior(form, theta)
    return float(value + prior), torch.cat([by_length, by_logit, by_noise[None]]) + prior_slope


def log_prior(form: Form, theta: Tensor) -> tuple[Tensor, Tensor]:
    """Log density of the hyperparameters and its gradient: log-normal lengths and noise, normal logits and log exponents."""
    told = [prior_of(d) for d in form.dimensions] + [LOGIT_PRIOR] * form.shares + [NOISE_PRIOR]
    means, deviations = torch.tensor(told, dtype=theta.dtype).T
    natural = torch.ones_like(theta)  # densities of lengths and noise are of the numbers, not of their logarithms
    natural[[k for k, d in enumerate(form.dimensions) if d == EXPONENT]] = 0.0
    natural[len(form.dimensions) : -1] = 0.0
    far = (theta - means) / deviations
    value = -0.5 * far.square() - deviations.log() - 0.5 * math.log(2 * math.pi) - natural * theta
    return value.sum(), -far / deviations - natural


def shares_of(form: Form, logits: Tensor) -> Tensor:
    """Shares [q], summing to one in every sum of the form, from their logits."""
    if not len(logits):
        return logits
    return torch.cat([part.softmax(dim=0) for part in logits.split(form.sums)])


def evenly(n: int, most: int) -> IntArray:
    """Positions of at most so many of n, evenly taken."""
    return np.linspace(0, n - 1, min(n, most)).round().astype(np.int64)


def noise_diagonal(known: Tensor, noise: Tensor | float) -> Tensor:
    """Noise variances [n]: what the user stated, and the fitted one where that is not finite."""
    fitted = torch.as_tensor(noise, dtype=known.dtype).expand_as(known)
    return torch.where(known.isfinite(), known.clamp_min(SMALLEST_NOISE), fitted)


def optimise(
    form: Form, X: Tensor, y: Tensor, known: Tensor, *, start: Hyperparameters, evaluations: int, kernel: str = ""
) -> Hyperparameters:
    """The most probable hyperparameters reached from a start within so many evaluations, or where it gains no more.

    X: [n, d] scaled. y: [n] standardised. known: [n] relative noise variances, NaN where unknown. kernel: what the result
    calls the form, else as the start does. NotDefinite or ValueError when nothing finite was reached.
    """
    from scipy.optimize import minimize

    n, p, q = len(y), len(form.dimensions), form.shares
    prepared = form.prepared(X)

    def negative(parameters: FloatArray) -> tuple[float, FloatArray]:
        value, slope = log_posterior(prepared, form, torch.from_numpy(parameters), known, y)
        return -value / n, -slope.numpy() / n

    lengths = start.lengths if len(start.lengths) == p else (start.lengths[:1] * p if start.lengths else ())
    shares = start.shares if len(start.shares) == q else tuple(1.0 / s for s in form.sums for _ in range(s))
    logits = np.log(np.clip(shares, math.exp(-LOGIT_BOUND), None))
    first = np.concatenate([np.log(lengths), logits, [math.log(start.noise)]])
    ends = [EXPONENT_BOUNDS if d == EXPONENT else LENGTH_BOUNDS for d in form.dimensions]
    bounds = [tuple(np.log(pair)) for pair in ends] + [(-LOGIT_BOUND, LOGIT_BOUND)] * q + [tuple(np.log(NOISE_BOUNDS))]
    first = np.clip(first, [low for low, _ in bounds], [high for _, high in bounds])
    found = minimize(
        negative,
        first,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxfun": evaluations, "maxiter": evaluations, "ftol": ENOUGH},
    )
    if not (np.isfinite(found.x).all() and math.isfinite(found.fun)):
        raise ValueError("the optimiser reached no finite value")
    best = np.exp(found.x)
    reached = tuple(shares_of(form, torch.from_numpy(found.x[p:-1])).tolist())
    return Hyperparameters(
        kernel or start.kernel, tuple(best[:p].tolist()), float(best[-1]), -float(found.fun) * n, reached
    )


def prior_starts(kernel: str, form: Form) -> list[Hyperparameters]:
    """Where a fit starts that knows nothing: the mode of the priors on lengths and noise, and their medians; equal shares, and
    exponents of one.

    From the mode alone, where distant rows know nothing of each other, many a fit never moves.
    """
    noise_mean, noise_deviation = NOISE_PRIOR
    priors = [(0.0, 0.0) if d == EXPONENT else length_prior(d) for d in form.dimensions]
    equal = tuple(1.0 / count for count in form.sums for _ in range(count))
    modes, medians = tuple(math.exp(m - s * s) for m, s in priors), tuple(math.exp(m) for m, _ in priors)
    return [
        Hyperparameters(kernel, modes, math.exp(noise_mean - noise_deviation**2), shares=equal),
        Hyperparameters(kernel, medians, math.exp(noise_mean), shares=equal),
    ]


def remembered(memory: Mapping[str, Any] | None, kernel: str, lengths: int, shares: int = 0) -> Hyperparameters | None:
    """The start that an earlier fit left, if it fits one of so many lengths and shares."""
    if not memory or memory.get("kernel") != kernel:
        return None
    left, parts = (tuple(float(v) for v in memory.get(key, ())) for key in ("lengths", "shares"))
    noise = float(memory.get("noise", math.nan))
    usable = len(left) == lengths and len(parts) == shares and all(v > 0 and math.isfinite(v) for v in (*left, noise))
    return Hyperparameters(kernel, left, noise, shares=parts) if usable else None


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
