"""On which scale a target is best predicted: transforms compared by leave-one-out density in the target's own unit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from discover.surrogate.covariance.fitting import evenly
from discover.surrogate.diagnostics import leave_one_out
from discover.surrogate.gaussian.process import GaussianProcess, fit_arrays
from discover.surrogate.targets import transforms
from discover.surrogate.targets.transforms import Logarithm, NormalScores, Transform, YeoJohnson
from discover.values import FloatArray

if TYPE_CHECKING:
    from discover.surrogate.gaussian.posterior import GaussianPosterior

REFERENCE = GaussianProcess(lengths="one", evaluations=30, starts=1)
"""The model under which data are judged before the one that is believed in is fitted: two hyperparameters, cheap."""
ROWS = 120
"""Observations, evenly taken, that the judgement is made on."""
ALTERNATIONS = 2
GAIN = 2.0
"""Nats, beside one standard error of the paired difference, by which a scale must beat the one in use."""
PRICE = 1.0
"""Nats that a fitted power pays (Akaike); normal scores are judged without the value itself and pay none."""


@dataclass(frozen=True)
class Shape:
    """transform: the scale chosen. record: the comparison, plain JSON. gains: nats over the plain scale, by title."""

    transform: Transform
    record: dict[str, Any]


def choose_shape(
    X: FloatArray,
    y: FloatArray,
    noise: FloatArray,
    limits: FloatArray,
    kept: Mapping[str, Any] | None = None,
) -> Shape:
    """The scale for measured values [n] at scaled features [n, d], with noise variances [n] (NaN where unknown).

    limits [c]: of censored observations, which the scale must admit. kept: settings of the scale chosen last time, which
    is left only for one that is clearly better.
    """
    plain = transforms.affine(y)
    if len(np.unique(y)) < transforms.FEWEST:
        return Shape(plain, {})
    some = evenly(len(y), ROWS)
    tried = _tried(X[some], y[some], noise[some], transforms.logarithm(y, limits), transforms.normal_scores(y))
    kinds = [t.settings()["kind"] for t, _ in tried]
    standing = kinds.index(kept["kind"]) if kept and kept.get("kind") in kinds else 0
    best = max(range(len(tried)), key=lambda k: float(tried[k][1].sum()))
    difference = tried[best][1] - tried[standing][1]
    error = float(difference.std(ddof=1)) * math.sqrt(len(some))
    chosen = tried[best if difference.sum() > GAIN + error else standing][0]
    if isinstance(chosen, YeoJohnson):
        chosen = chosen.reaching(y)
    record = {"scale": chosen.title, "log_density": {t.title: float(d.mean()) for t, d in tried}}
    return Shape(chosen, record)


def kept_shape(kept: Mapping[str, Any], y: FloatArray, limits: FloatArray) -> Transform | None:
    """The scale chosen before, for measured values [n] and limits [c] of today; None where it does not admit them."""
    transform = transforms.restored(dict(kept))
    if isinstance(transform, YeoJohnson):
        return transform.reaching(y)
    if isinstance(transform, Logarithm):
        lowest = min(y.min(), limits.min(initial=math.inf))
        return replace(transform, top=max(transform.top, float(y.max()))) if lowest > 0 else None
    return transform


def log_densities(transform: Transform, X: FloatArray, y: FloatArray, noise: FloatArray) -> FloatArray:
    """Log density [n] of each value, in the target's unit, predicted from the others by a fit on that scale."""
    return _densities(transform, fit_on(transform, X, y, noise, REFERENCE), y)


def _tried(
    X: FloatArray, y: FloatArray, noise: FloatArray, *others: Transform | None
) -> list[tuple[Transform, FloatArray]]:
    """Scales, the plain one first, with the log densities [n] of values [n] under each."""
    plain = transforms.affine(y)
    posterior = fit_on(plain, X, y, noise, REFERENCE)
    found: list[tuple[Transform, FloatArray]] = [(plain, _densities(plain, posterior, y))]
    for other in others:
        if other is not None:
            found.append((other, log_densities(other, X, y, noise)))
    for _ in range(ALTERNATIONS):  # the power under one covariance, the covariance under that power
        power = transforms.yeo_johnson(y, _whitener(posterior))
        posterior = fit_on(power, X, y, noise, REFERENCE)
    return [*found, (power, _densities(power, posterior, y))]


def _whitener(posterior: GaussianPosterior) -> FloatArray | None:
    if posterior.state is None:
        return None
    factor = posterior.state.factor
    found: FloatArray = torch.linalg.solve_triangular(factor, torch.eye(len(factor)).double(), upper=False).numpy()
    return found


def _densities(transform: Transform, posterior: GaussianPosterior, y: FloatArray) -> FloatArray:
    """Log density [n] of each value under a posterior of transformed values, less the scale's price."""
    told = leave_one_out(posterior, np.arange(len(y), dtype=np.int64))
    if isinstance(transform, NormalScores):
        slope = transforms.log_slope_without(y)
    else:
        slope = transform.log_slope(torch.from_numpy(y)).numpy()
    far = (told.values - told.means) / told.stds
    density = -0.5 * far**2 - np.log(told.stds) - 0.5 * math.log(2 * math.pi)
    price = PRICE if isinstance(transform, YeoJohnson) else 0.0
    found: FloatArray = density + slope - price / len(y)
    return found


def fit_on(
    transform: Transform, X: FloatArray, y: FloatArray, noise: FloatArray, model: GaussianProcess
) -> GaussianPosterior:
    """A fit of values [n] on a scale; noise variances [n] are carried over by the slope at each value."""
    values = torch.from_numpy(np.ascontiguousarray(y))
    slope = transform.log_slope(values).exp().numpy()
    return fit_arrays(model, X, transform.apply(values).numpy(), np.sqrt(noise) * slope, None)
