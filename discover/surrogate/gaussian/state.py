"""The factors of a fitted covariance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from discover.surrogate.covariance import fitting
from discover.surrogate.covariance.fitted import Covariance
from discover.surrogate.covariance.fitting import Hyperparameters
from discover.surrogate.covariance.forms import Form, Radial

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class State:
    """Factors of the fitted covariance: lower factor [n, n], weights [n], constant mean; standardised."""

    factor: Tensor
    weights: Tensor
    mean: float
    jitter: float

    @classmethod
    def of(cls, X: Tensor, y: Tensor, known: Tensor, found: Hyperparameters, form: Form | None = None) -> State:
        """Over observations X [n, d], y [n], known [n] noise variances; form: as for `covariance_of`."""
        K = covariance_of(found, X.shape[1], form).across(X, X)
        factor, jitter = fitting.cholesky(K + torch.diag(fitting.noise_diagonal(known, found.noise)))
        mean = fitting.generalised_mean(factor, y)
        weights = torch.cholesky_solve((y - mean)[:, None], factor)[:, 0]
        if not bool(torch.isfinite(weights).all()):
            raise fitting.NotDefinite("the weights of the observations are not finite")
        return cls(factor, weights, float(mean), jitter)


def covariance_of(found: Hyperparameters, d: int, form: Form | None = None) -> Covariance:
    """The prior covariance at some hyperparameters; without a form that of one kernel over all of d features."""
    if form is None:
        form = Radial.whole("rbf" if found.kernel == "rbf" else "matern", d, each=len(found.lengths) > 1)
    return Covariance(form, found.lengths, found.shares)
