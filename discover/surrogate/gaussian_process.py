"""An exact Gaussian process that always answers.

Where a step of the fit fails the next simpler one is taken, down to the mean of the observations with an honest wide
band, and every step is written into what was learned.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from discover.errors import InvalidInput, Problem
from discover.protocols import FloatArray
from discover.surrogate import fitting
from discover.surrogate.asked import simplest
from discover.surrogate.covariance import Covariance
from discover.surrogate.fitting import Hyperparameters
from discover.surrogate.forms import Form, Radial
from discover.surrogate.keeping import NAME, Kept, state_about
from discover.surrogate.kernels import Kernel
from discover.surrogate.standard import Standard
from discover.surrogate.threads import one_thread

if TYPE_CHECKING:
    from torch import Tensor

SMALLEST_VARIANCE = 1e-12
"""Posterior variances, relative to the target's, are held above this."""


@dataclass(frozen=True)
class GaussianProcess:
    """How to fit: the kernel; one length-scale for all features or one for each; at most so many evaluations
    from each of so many starts (see `fitting.prior_starts`). Hyperparameters come from at most `rows` observations, evenly
    taken; the belief is exact on all, up to `exact` observations: beyond that see `local`.

    Where few features matter, or many tell the same, a length-scale for each finds that out; the priors keep those that
    tell nothing long.

    form: another shape of the covariance than such a kernel over all features, and its `name`.

    chunk: rows that a posterior looks at together. keep: the hyperparameters of an earlier fit stay until the observations
    have grown by this share; see `keeping`.
    """

    kernel: Kernel = "matern"
    lengths: Literal["one", "each"] = "each"
    evaluations: int = 100
    starts: int = 2
    rows: int = 300
    chunk: int = 2048
    form: Form | None = None
    name: str = ""
    exact: int = 4000
    keep: float = 0.0

    @property
    def title(self) -> str:
        """The model in words."""
        if self.form is not None:
            return self.form.title
        return f"{self.kernel} kernel with one length-scale{' a feature' if self.lengths == 'each' else ''}"

    def fit(
        self, X: Tensor, y: Tensor, noise: Tensor | None = None, *, memory: Mapping[str, Any] | None = None
    ) -> GaussianPosterior:
        """X [n, d] scaled features, y [n] in the target's unit, noise [n] variances (NaN where unknown), n >= 1.

        memory: what an earlier fit left; it is tried as one more start, so it never makes the fit worse.
        InvalidInput for shapes that do not belong together and values that are not finite.
        """
        X, y, noise = _checked(X, y, noise)
        standard = Standard.of(y)
        target, known = standard.apply(y), noise / standard.scale / standard.scale
        if len(y) > self.exact:
            from discover.surrogate import local_fit

            return local_fit.fit(self, X, y, standard, known, memory)
        if (kept := self._kept(X, y, noise, memory)) is not None:
            return kept
        plain = replace(self, form=simplest(self.form), name="", lengths="one")
        ladder = [self, plain, replace(plain, kernel="matern")]
        attempts: list[tuple[str, Callable[[], _Fit]]] = [
            (step.title, partial(step._found, X, target, known, memory)) for step in dict.fromkeys(ladder)
        ]
        attempts.append(("the mean of the observations", lambda: (None, None)))
        with one_thread():
            (found, state), notes = fitting.climb(attempts)
        if state is not None and state.jitter:
            notes.append(f"jitter of {state.jitter:g} on the diagonal")
        if len(y) > self.rows:
            notes.append(f"hyperparameters from {self.rows} of {len(y)} observations")
        if not standard.known:
            notes.append("the values do not tell their spread; their size was taken for it")
        form = self.form if found is not None and found.kernel == self.name else simplest(self.form)
        fitted = len(y) if self.keep > 0 else 0
        return GaussianPosterior(X, y, standard, known, found, state, self.chunk, tuple(notes), form, fitted)

    def keeps(self, memory: Mapping[str, Any] | None, n: int) -> bool:
        """Whether the hyperparameters of an earlier fit stay with n observations."""
        return self.keep > 0 and Kept.of(memory, self.keep, n) is not None

    def _kept(self, X: Tensor, y: Tensor, noise: Tensor, memory: Mapping[str, Any] | None) -> GaussianPosterior | None:
        """The belief under the prior of an earlier fit, where that may be kept."""
        form = self.form or Radial.whole(self.kernel, X.shape[1], each=self.lengths == "each")
        found = fitting.remembered(memory, self.name or self.kernel, len(form.dimensions), form.shares)
        kept = Kept.of(memory, self.keep, len(y)) if self.keep > 0 and found is not None else None
        if kept is None or found is None:
            return None
        standard = Standard(kept.shift, kept.scale)
        known = noise / standard.scale / standard.scale
        with one_thread():
            state = state_about(kept.mean, X, standard.apply(y), known, found, self.form)
        if state is None:
            return None
        notes = (f"hyperparameters kept from {kept.observations} of {len(y)} observations",)
        return GaussianPosterior(X, y, standard, known, found, state, self.chunk, notes, self.form, kept.observations)

    def _found(self, X: Tensor, y: Tensor, known: Tensor, memory: Mapping[str, Any] | None) -> _Fit:
        """The best fit over all starts, and its factors."""
        form, name = (
            self.form or Radial.whole(self.kernel, X.shape[1], each=self.lengths == "each"),
            self.name or self.kernel,
        )
        starts = fitting.prior_starts(name, form)[: self.starts]
        if (left := fitting.remembered(memory, name, len(form.dimensions), form.shares)) is not None:
            starts.append(left)
        some = torch.from_numpy(fitting.evenly(len(y), self.rows))
        search = partial(fitting.optimise, form, X[some], y[some], known[some], evaluations=self.evaluations)
        best = max((search(start=start) for start in starts), key=lambda found: found.objective)
        return best, State.of(X, y, known, best, self.form)


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
        form = Radial.whole(found.kernel, d, each=len(found.lengths) > 1)  # type: ignore[arg-type]
    return Covariance(form, found.lengths, found.shares)


def told_apart(numbers: Sequence[float], form: Form | None) -> tuple[list[float], list[float]]:
    """Length-scales and exponents among the numbers of a form."""
    if form is None:
        return list(numbers), []
    bent = [dimension == fitting.EXPONENT for dimension in form.dimensions]
    told = list(zip(numbers, bent, strict=True))
    return [number for number, one in told if not one], [number for number, one in told if one]


_Fit = tuple[Hyperparameters | None, State | None]


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
        from botorch.models.transforms import Standardize
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
                outcome_transform=Standardize(1),
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


def fit_arrays(
    model: GaussianProcess, X: FloatArray, y: FloatArray, stds: FloatArray, memory: Mapping[str, Any] | None
) -> GaussianPosterior:
    """Fit on numpy arrays: X [n, d], y [n], stds [n] (NaN where unknown)."""
    tensors = [torch.from_numpy(np.ascontiguousarray(a, dtype=np.float64)) for a in (X, y, np.square(stds))]
    return model.fit(tensors[0], tensors[1], tensors[2], memory=memory)


def _checked(X: Tensor, y: Tensor, noise: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Float64 copies whose shapes belong together."""
    X, y = X.detach().to(torch.float64), y.detach().to(torch.float64)
    noise = torch.full_like(y, math.nan) if noise is None else noise.detach().to(torch.float64)
    problems: list[Problem] = list(_shape_problems(X, y, noise))
    if not problems and not bool(torch.isfinite(y).all()):
        problems.append(Problem("values must be finite", row=int((~torch.isfinite(y)).nonzero()[0, 0])))
    if not problems and not bool(torch.isfinite(X).all()):
        problems.append(Problem("features must be finite", row=int((~torch.isfinite(X)).nonzero()[0, 0])))
    if problems:
        raise InvalidInput("observations for a fit", problems)
    return X, y, noise


def _shape_problems(X: Tensor, y: Tensor, noise: Tensor) -> Sequence[Problem]:
    if X.ndim != 2 or y.ndim != 1 or len(X) != len(y) or noise.shape != y.shape:
        return [Problem(f"shapes {tuple(X.shape)}, {tuple(y.shape)} and {tuple(noise.shape)} do not belong together")]
    if not len(y) or not X.shape[1]:
        return [Problem("there is nothing to fit")]
    return []
