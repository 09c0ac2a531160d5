"""Hyperparameters for many observations: most probable where some of them are told by their nearest neighbours.

The search starts from the exact model on few observations. These lie too far apart to tell how rough the target is: on
30,000 band gaps by composition what follows lowered the error of a held-out value by 12 %, and raised its log density by 0.6.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from discover.surrogate.covariance import fitting
from discover.surrogate.covariance.fitting import Hyperparameters
from discover.surrogate.covariance.forms import Radial
from discover.surrogate.covariance.kernels import correlation
from discover.surrogate.gaussian.keeping import Kept
from discover.surrogate.gaussian.local import LocalPosterior
from discover.surrogate.gaussian.neighbours import chunks, nearest
from discover.surrogate.gaussian.posterior import GaussianPosterior
from discover.surrogate.gaussian.settings import Settings
from discover.surrogate.gaussian.standard import Standard
from discover.surrogate.gaussian.threads import one_thread
from discover.values import FloatArray

if TYPE_CHECKING:
    from torch import Tensor

TOLD = 1500
"""Observations whose probability given their neighbours is made large."""
BY = 32
"""Neighbours that each of them is told by."""
ROUNDS = 2
"""How often the neighbours are looked up again, for they depend on the length-scales."""
EVALUATIONS = 25
"""Of each round."""


def fit(
    model: Settings, X: Tensor, y: Tensor, standard: Standard, known: Tensor, memory: Mapping[str, Any] | None
) -> GaussianPosterior:
    """The belief after X [n, d], y [n] in the target's unit; their mean alone where every step of the ladder failed.

    known: [n], noise variances relative to the target's, NaN where unknown.
    """
    form, name, notes = _form(model, X.shape[1])
    left = fitting.remembered(memory, name, len(form.dimensions))
    whole = replace(model, form=form, name=name)
    if left is not None and (kept := Kept.of(memory, model.keep, len(y))) is not None:
        again = Standard(kept.shift, kept.scale)
        known = known * (standard.scale / again.scale) ** 2
        notes.append(f"hyperparameters kept from {kept.observations} of {len(y)} observations")
        return _posterior(whole, X, y, again, known, left, kept.mean, kept.observations, notes)
    target = standard.apply(y)
    first = partial(_first, whole, form, X, target, known, left)
    with one_thread():
        (found, constant), more = fitting.climb(
            [
                ("the search among neighbours", lambda: _polished(form, X, target, known, first())),
                ("the exact model of few observations", lambda: (first(), 0.0)),
                ("the mean of the observations", lambda: (None, 0.0)),
            ]
        )
    if not standard.known:
        more.append("the values do not tell their spread; their size was taken for it")
    if found is None:
        return GaussianPosterior(X, y, standard, known, None, None, model.chunk, tuple(more))
    return _posterior(whole, X, y, standard, known, found, constant, len(y) if model.keep > 0 else 0, [*notes, *more])


def _posterior(
    model: Settings,
    X: Tensor,
    y: Tensor,
    standard: Standard,
    known: Tensor,
    found: Hyperparameters,
    constant: float,
    fitted: int,
    notes: list[str],
) -> LocalPosterior:
    told = (f"predicted from nearest neighbours: there are {len(y):,} observations", *notes)
    form = None if model.name == model.kernel else model.form
    return LocalPosterior(X, y, standard, known, found, None, model.chunk, told, form, fitted, constant=constant)


def _form(model: Settings, d: int) -> tuple[Radial, str, list[str]]:
    """One stationary kernel and its name, and what is said where another form was asked for."""
    if isinstance(model.form, Radial):
        return model.form, model.name, []
    form = Radial.whole(model.kernel, d, each=model.lengths == "each")
    if model.form is None:
        return form, model.kernel, []
    return form, model.kernel, [f"{form.title} in place of {model.form.title}: neighbours need one stationary kernel"]


def _first(
    model: Settings, form: Radial, X: Tensor, y: Tensor, known: Tensor, left: Hyperparameters | None
) -> Hyperparameters:
    """What an earlier fit left, or the exact model's on observations evenly taken."""
    if left is not None:
        return left
    some = torch.from_numpy(fitting.evenly(len(y), model.rows))
    search = partial(fitting.optimise, form, X[some], y[some], known[some], evaluations=model.evaluations)
    starts = fitting.prior_starts(model.name, form)[: max(1, model.starts)]
    return max((search(start=start) for start in starts), key=lambda found: found.objective)


def _polished(
    form: Radial, X: Tensor, y: Tensor, known: Tensor, found: Hyperparameters
) -> tuple[Hyperparameters, float]:
    """Hyperparameters after the search, and the constant mean that goes with them."""
    told = torch.from_numpy(fitting.evenly(len(y), TOLD))
    for _ in range(ROUNDS):
        among = Among.of(form, X, y, known, told, found)
        found = among.search(found)
    return found, Among.of(form, X, y, known, told, found).constant(found)


class Among:
    """Some observations, each told by its neighbours. Their log densities add up to an estimate of the log likelihood,
    each of them a proper conditional density (composite likelihood; Vecchia 1988)."""

    def __init__(self, form: Radial, X: Tensor, y: Tensor, known: Tensor, told: Tensor, places: Tensor):
        self.form = form
        columns = form.taken(X)
        self.rows, self.values, self.known = columns[told], y[told], known[told]
        self.near, self.near_values, self.near_known = columns[places], y[places], known[places]

    @classmethod
    def of(cls, form: Radial, X: Tensor, y: Tensor, known: Tensor, told: Tensor, found: Hyperparameters) -> Among:
        """Neighbours of the observations `told`, never themselves, under some hyperparameters."""
        scaled = form.taken(X) * form.scaling(torch.tensor(found.lengths, dtype=X.dtype))
        places = nearest(scaled[told], scaled, min(BY, len(y) - 1), told, torch.arange(len(y)))
        return cls(form, X, y, known, told, places)

    def search(self, start: Hyperparameters) -> Hyperparameters:
        """The most probable hyperparameters reached from a start. ValueError when nothing finite was reached."""
        from scipy.optimize import minimize

        p, n = len(start.lengths), len(self.values)

        def negative(parameters: FloatArray) -> tuple[float, FloatArray]:
            value, slope = self.log_posterior(torch.from_numpy(parameters))
            return -value / n, -slope.numpy() / n

        bounds = [tuple(np.log(fitting.LENGTH_BOUNDS))] * p + [tuple(np.log(fitting.NOISE_BOUNDS))]
        first = np.clip(np.log([*start.lengths, start.noise]), *np.transpose(bounds))
        options = {"maxfun": EVALUATIONS, "maxiter": EVALUATIONS, "ftol": fitting.ENOUGH}
        found = minimize(negative, first, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        if not (np.isfinite(found.x).all() and math.isfinite(found.fun)):
            raise ValueError("the optimiser reached no finite value")
        best = np.exp(found.x)
        return replace(start, lengths=tuple(best[:p].tolist()), noise=float(best[-1]), objective=-float(found.fun) * n)

    def log_posterior(self, theta: Tensor) -> tuple[float, Tensor]:
        """Log density of the values given their neighbours plus log priors, and its gradient; theta: log lengths, log noise."""
        value, slope = fitting.log_prior(self.form, theta)
        for part in chunks(len(self.values), self.near.shape[1], self.near.shape[2]):
            leaf = theta.clone().requires_grad_()
            _, values, variance = self._told(part, leaf[:-1].exp(), leaf[-1].exp())
            density = -0.5 * (values.square() / variance + variance.log() + math.log(2 * math.pi)).sum()
            (some,) = torch.autograd.grad(density, leaf)
            value, slope = value + density.detach(), slope + some
        return float(value), slope

    def constant(self, found: Hyperparameters) -> float:
        """The constant mean that makes the values most likely given their neighbours."""
        lengths, noise = (torch.tensor(numbers, dtype=torch.float64) for numbers in (found.lengths, found.noise))
        above, below = 0.0, 0.0
        for part in chunks(len(self.values), self.near.shape[1], self.near.shape[2]):
            ones, values, variance = self._told(part, lengths, noise)
            above += float((ones * values / variance).sum())
            below += float((ones * ones / variance).sum())
        return above / below if below > 0 and math.isfinite(above / below) else 0.0

    def _told(self, part: slice, lengths: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What is left of one and of the values [c] after their neighbours have told of them, and the variance [c]."""
        factor = self.form.scaling(lengths)
        apart = (self.near[part] - self.rows[part][:, None]) * factor
        lengths_squared = apart.square().sum(dim=2)
        products = apart @ apart.transpose(1, 2)
        squared = (lengths_squared[:, :, None] + lengths_squared[:, None] - 2.0 * products).clamp_min(0.0)
        eye = torch.eye(squared.shape[1], dtype=squared.dtype)
        K = correlation(self.form.kernel, squared * (1.0 - eye))
        K = K + torch.diag_embed(fitting.noise_diagonal(self.near_known[part], noise))
        across = correlation(self.form.kernel, lengths_squared)
        factors, info = torch.linalg.cholesky_ex(K)
        if int(info.max()):
            raise fitting.NotDefinite("the covariance of neighbouring observations is not positive definite")
        weights = torch.cholesky_solve(across[:, :, None], factors)[:, :, 0]
        own = fitting.noise_diagonal(self.known[part], noise)
        variance = (1.0 - (weights * across).sum(dim=1)).clamp_min(fitting.SMALLEST_NOISE) + own
        return 1.0 - weights.sum(dim=1), self.values[part] - (weights * self.near_values[part]).sum(dim=1), variance
