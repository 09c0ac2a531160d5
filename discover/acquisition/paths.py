"""Whole functions drawn from a belief, evaluated over a pool in a stream: Thompson sampling for pools of any size.

A draw from the prior by random Fourier features, corrected by Matheron's rule so that it passes through the observations:
Wilson et al., ICML 2020. Spectral densities: Rahimi and Recht, NeurIPS 2007; of the Matérn kernel a multivariate t.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from discover.errors import Unsupported
from discover.surrogate.covariance import fitting
from discover.values import FloatArray, IntArray

if TYPE_CHECKING:
    from torch import Tensor

    from discover.surrogate.gaussian.posterior import GaussianPosterior

FEATURES = 1024
"""Random features of a draw; their error falls with the root of their number."""
CHUNK = 2048


@dataclass(frozen=True)
class Paths:
    """Functions drawn from a posterior. Call with scaled features [m, d]: values [draws, m] in the target's unit."""

    posterior: GaussianPosterior
    frequencies: Tensor
    phases: Tensor
    prior: Tensor
    update: Tensor

    @classmethod
    def drawn(cls, posterior: GaussianPosterior, draws: int, generator: np.random.Generator) -> Paths:
        """Some draws, decided by the generator."""
        assert posterior.found is not None
        assert posterior.state is not None
        stationary = posterior.covariance.straight.stationary
        if stationary is None:
            raise Unsupported("functions are drawn from stationary covariances only, by their spectral densities")
        kernel, lengths = stationary
        normal = generator.standard_normal((FEATURES, posterior.X.shape[1]))
        if kernel == "matern":
            normal *= np.sqrt(5.0 / generator.chisquare(5.0, size=(FEATURES, 1)))
        frequencies = torch.from_numpy(normal / np.asarray(lengths))
        phases = torch.from_numpy(generator.uniform(0.0, 2.0 * math.pi, FEATURES))
        prior = torch.from_numpy(generator.standard_normal((FEATURES, draws)))
        noise = fitting.noise_diagonal(posterior.noise, posterior.found.noise) + posterior.state.jitter
        errors = torch.from_numpy(generator.standard_normal((len(noise), draws))) * noise.sqrt()[:, None]
        at_data = _features(posterior.covariance.bent(posterior.X), frequencies, phases) @ prior
        target = posterior.standard.apply(posterior.y) - posterior.state.mean
        update = torch.cholesky_solve(target[:, None] - at_data - errors, posterior.state.factor)
        return cls(posterior, frequencies, phases, prior, update)

    def __call__(self, X: Tensor) -> Tensor:
        """X [m, d] to values [draws, m]."""
        posterior = self.posterior
        assert posterior.state is not None
        across = posterior.covariance.across(X, posterior.X)
        seen = posterior.covariance.bent(X)
        values = _features(seen, self.frequencies, self.phases) @ self.prior + across @ self.update
        standard = posterior.standard
        return (standard.shift + standard.scale * (posterior.state.mean + values)).T

    def leaders(
        self,
        features: Callable[[IntArray | slice], Tensor],
        count: int,
        sign: float,
        keep: int,
        *,
        chunk: int = CHUNK,
    ) -> tuple[IntArray, FloatArray]:
        """For each draw the best `keep` of `count` candidates [draws, keep], best first, and their values in the draw."""
        draws = self.prior.shape[1]
        places, values = torch.empty(draws, 0, dtype=torch.int64), torch.empty(draws, 0, dtype=torch.float64)
        for start in range(0, count, chunk):
            some = sign * self(features(slice(start, min(start + chunk, count))))
            values = torch.cat([values, some], dim=1)
            places = torch.cat([places, torch.arange(start, start + some.shape[1]).expand(draws, -1)], dim=1)
            values, order = values.topk(min(keep, values.shape[1]), dim=1)
            places = places.gather(1, order)
        return places.numpy(), (sign * values).numpy()

    def best(
        self, features: Callable[[IntArray | slice], Tensor], count: int, sign: float, *, chunk: int = CHUNK
    ) -> list[tuple[int, float]]:
        """For each draw the best of `count` candidates that no earlier draw has taken, and its value in the draw."""
        draws = self.prior.shape[1]
        found: dict[int, float] = {}
        for places, values in zip(*self.leaders(features, count, sign, draws, chunk=chunk), strict=True):
            fresh = (i for i, place in enumerate(places.tolist()) if place not in found)
            if (i := next(fresh, None)) is not None:
                found[int(places[i])] = float(values[i])
        return list(found.items())


def _features(X: Tensor, frequencies: Tensor, phases: Tensor) -> Tensor:
    """Random Fourier features [m, FEATURES] whose products are, on average, the prior correlation."""
    return math.sqrt(2.0 / len(phases)) * torch.cos(X @ frequencies.T + phases)
