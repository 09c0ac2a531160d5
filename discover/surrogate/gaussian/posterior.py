"""The belief of an exact Gaussian process about one target."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from discover.errors import InvalidInput, Problem
from discover.surrogate.covariance import fitting
from discover.surrogate.covariance.fitted import Covariance
from discover.surrogate.covariance.fitting import Hyperparameters
from discover.surrogate.covariance.forms import Form
from discover.surrogate.gaussian.keeping import NAME, Kept
from discover.surrogate.gaussian.standard import Standard
from discover.surrogate.gaussian.state import State, covariance_of

if TYPE_CHECKING:
    from torch import Tensor

SMALLEST_VARIANCE = 1e-12
"""Posterior variances, relative to the target's, are held above this."""


def told_apart(numbers: Sequence[float], form: Form | None) -> tuple[list[float], list[float]]:
    """Length-scales and exponents among the numbers of a form."""
    if form is None:
        return list(numbers), []
    bent = [dimension == fitting.EXPONENT for dimension in form.dimensions]
    told = list(zip(numbers, bent, strict=True))
    return [number for number, one in told if not one], [number for number, one in told if one]


@dataclass(frozen=True)
class GaussianPosterior:
    """The belief about one target after n observations. Float64; means and variances in the target's unit.

    found is None where nothing but the mean of the observations was left to believe in. form: of the covariance, None for
    one kernel over all features. fitted: observations that hyperparameters which are to be kept come from; 0 for others.
    """

    X: Tensor
    y: Tensor
    standard: Standard
    noise: Tensor
    found: Hyperparameters | None
    state: State | None
    chunk: int
    notes: tuple[str, ...] = ()
    form: Form | None = None
    fitted: int = 0

    @property
    def components(self) -> tuple[GaussianPosterior, ...]:
        """Itself: a belief may be a mixture of such ones."""
        return (self,)

    @property
    def weights(self) -> tuple[float, ...]:
        """One."""
        return (1.0,)

    @property
    def noise_variance(self) -> float:
        """Variance of a further observation about the noiseless target, in its unit squared; where there is no model, all of it."""
        return (self.found.noise if self.found else 1.0) * self.standard.scale * self.standard.scale

    @cached_property
    def covariance(self) -> Covariance:
        """The prior covariance of the standardised target between rows of scaled features. InvalidInput without a model."""
        if self.found is None:
            raise InvalidInput("model", [Problem("there is no Gaussian process, only a mean")])
        return covariance_of(self.found, self.X.shape[1], self.form)

    def state_with(self, found: Hyperparameters) -> State | None:
        """Factors over the same observations under other hyperparameters; None where they do not hold."""
        try:
            return State.of(self.X, self.standard.apply(self.y), self.noise, found, self.form)
        except fitting.NotDefinite:
            return None

    def mean_variance(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """X [m, d] to mean [m] and variance [m] of the noiseless target, in chunks of bounded memory."""
        mean, variance = self._marginals(X)
        return self._unit(mean), self._squared_unit(variance)

    def mean_deviation(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """As `mean_variance`, with standard deviations [m]: finite where a variance would overflow."""
        mean, variance = self._marginals(X)
        return self._unit(mean), self.standard.scale * variance.sqrt()

    def joint(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """X [m, d] to mean [m] and covariance [m, m]; all rows at once."""
        mean, covariance = self._joint(X)
        return self._unit(mean), self._squared_unit(covariance)

    def sample(self, X: Tensor, n: int, generator: Any) -> Tensor:
        """n joint draws at X [m, d]: [n, m]. generator: numpy's."""
        return self.draw(X, torch.from_numpy(generator.standard_normal((n, len(X)))))

    def draw(self, X: Tensor, normal: Tensor) -> Tensor:
        """Joint draws at X [m, d] made from standard normal numbers [n, m]: [n, m], in the target's unit."""
        mean, covariance = self._joint(X)
        return self._unit(mean + normal @ root(covariance).T)

    def memory(self) -> dict[str, Any]:
        """From what the next fit may start; plain JSON, exact."""
        if self.found is None:
            return {}
        if not self.fitted or self.state is None:
            return self.found.memory()
        kept = Kept(self.fitted, self.standard.shift, self.standard.scale, self.state.mean)
        return {**self.found.memory(), NAME: kept.to_dict()}

    def settings(self) -> dict[str, Any]:
        """Kernel and hyperparameters in words and numbers, for the record; plain JSON."""
        body: dict[str, Any] = {
            "observations": len(self.y),
            "mean": self.standard.shift,
            "deviation": self.standard.scale,
        }
        if self.found and self.state:
            lengths, exponents = told_apart(self.found.lengths, self.form)
            body |= {
                "kernel": self.found.kernel,
                "lengths": lengths,
                **({"exponents": exponents} if exponents else {}),
                "noise_std": math.sqrt(self.found.noise) * self.standard.scale,
                "constant_mean": self.standard.shift + self.standard.scale * self.state.mean,
                "objective": self.found.objective if math.isfinite(self.found.objective) else None,
            }
            if self.form is not None:
                body |= {"form": self.form.title, "shares": list(self.found.shares)}
        if self.notes:
            body["notes"] = list(self.notes)
        return body

    def model(self) -> Any:
        """The same belief as a BoTorch SingleTaskGP, for whatever BoTorch offers. Its inputs are scaled features."""
        from botorch.models import SingleTaskGP
        from gpytorch.kernels import MaternKernel, RBFKernel

        if self.found is None or self.state is None:
            raise InvalidInput("model", [Problem("there is no Gaussian process, only a mean")])
        if self.form is not None:
            raise InvalidInput("model", [Problem(f"BoTorch is not told of this covariance: {self.form.title}")])
        lengths = torch.tensor([self.found.lengths], dtype=torch.float64)
        width = lengths.shape[1] if lengths.shape[1] > 1 else None
        kernel = (
            RBFKernel(ard_num_dims=width) if self.found.kernel == "rbf" else MaternKernel(nu=2.5, ard_num_dims=width)
        )
        noise = fitting.noise_diagonal(self.noise, self.found.noise) + self.state.jitter
        scale = self.standard.scale
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on scaling: ours is over the pool
            model = SingleTaskGP(
                self.X,
                self.y[:, None],
                (noise * scale * scale)[:, None],
                covar_module=kernel,
                outcome_transform=self.standard.for_botorch(),
            ).double()
        kernel.lengthscale = lengths
        model.mean_module.constant.data.fill_(self.state.mean)
        return model.eval()

    def _marginals(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Standardised mean [m] and variance [m], chunk by chunk."""
        mean, variance = torch.empty(len(X), dtype=torch.float64), torch.empty(len(X), dtype=torch.float64)
        for i in range(0, len(X), self.chunk):
            part = slice(i, i + self.chunk)
            mean[part], variance[part] = self._marginal(X[part])
        return mean, variance

    def _marginal(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Standardised mean [m] and variance [m] of one chunk."""
        if self.state is None:
            n = len(self.y)
            return torch.zeros(len(X), dtype=torch.float64), torch.full((len(X),), 1.0 + 1.0 / n, dtype=torch.float64)
        across, solved = self._across(X)
        variance = (self.covariance.diagonal(X) - solved.square().sum(dim=0)).clamp_min(SMALLEST_VARIANCE)
        return self.state.mean + across @ self.state.weights, variance

    def _joint(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Standardised mean [m] and covariance [m, m]."""
        if self.state is None or self.found is None:
            mean, variance = self._marginal(X)
            return mean, torch.diag(variance)
        across, solved = self._across(X)
        covariance = self.covariance.across(X, X) - solved.T @ solved
        covariance = 0.5 * (covariance + covariance.T)
        covariance.diagonal().clamp_(min=SMALLEST_VARIANCE)
        return self.state.mean + across @ self.state.weights, covariance

    def _across(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Prior covariance with the observations [m, n], and the same solved against the factor [n, m]."""
        assert self.state is not None
        across = self.covariance.across(X, self.X)
        return across, torch.linalg.solve_triangular(self.state.factor, across.T, upper=False)

    def _unit(self, mean: Tensor) -> Tensor:
        return self.standard.shift + self.standard.scale * mean

    def _squared_unit(self, variance: Tensor) -> Tensor:
        return variance * self.standard.scale * self.standard.scale


def root(covariance: Tensor) -> Tensor:
    """R [m, m] with R Rᵀ = covariance [m, m], which may be singular: Cholesky, or else from the eigenvalues."""
    try:
        return fitting.cholesky(covariance)[0]
    except fitting.NotDefinite:
        values, vectors = torch.linalg.eigh(covariance)
        return vectors * values.clamp_min(0.0).sqrt()
