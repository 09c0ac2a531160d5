"""A belief held on another scale than the target's unit, told in the target's unit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from discover.surrogate.gaussian.weighted import moments
from discover.surrogate.targets.transforms import Affine, Transform

if TYPE_CHECKING:
    from torch import Tensor

    from discover.surrogate.diagnostics import LeaveOneOut
    from discover.surrogate.gaussian.posterior import GaussianPosterior
    from discover.surrogate.gaussian.standard import Standard
    from discover.surrogate.gaussian.weighted import Weighted
    from discover.surrogate.posterior import TargetPosterior

NODES = 32
"""Points of the Gauss–Hermite rule for a mean and a deviation in the target's unit."""
CHUNK = 32_768


@dataclass(frozen=True)
class Transformed:
    """The posterior of `transform(target)`, with the methods of a posterior of the target.

    latent: the belief on the new scale. y [n]: the observations in the target's unit. standard: of y.

    Means and deviations are by quadrature, component by component where the belief is a mixture; draws are draws on the
    new scale taken back. Both are right for any map; the covariance of `joint` is not: it has these deviations and the
    correlations of the new scale. Closed forms that need a normal belief (expected improvement over an incumbent,
    probabilities of intervals, bounds) are right on the new scale, with `latent` and the transformed incumbent or limits.
    """

    latent: GaussianPosterior | Weighted
    transform: Transform
    y: Tensor
    standard: Standard

    @property
    def X(self) -> Tensor:
        """[n, d], the scaled features of the observations."""
        return self.latent.X

    @property
    def chunk(self) -> int:
        return self.latent.chunk

    @property
    def notes(self) -> tuple[str, ...]:
        return self.latent.notes

    @property
    def components(self) -> tuple[Transformed, ...]:
        """One for each component of the belief on the new scale."""
        return tuple(Transformed(part, self.transform, self.y, self.standard) for part in self.latent.components)

    @property
    def weights(self) -> tuple[float, ...]:
        return self.latent.weights

    @property
    def noise_variance(self) -> float:
        """In the target's unit, squared: at the middle of the observations, for it changes with the value."""
        middle = self.y.median()
        return float(self.latent.noise_variance * (-2.0 * self.transform.log_slope(middle)).exp())

    def mean_variance(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """X [m, d] to mean [m] and variance [m] of the noiseless target."""
        mean, deviation = self.mean_deviation(X)
        return mean, deviation.square()

    def mean_deviation(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """As `mean_variance`, with standard deviations [m]."""
        told = [unit_moments(self.transform, *part.mean_deviation(X)) for part in self.latent.components]
        if len(told) == 1:
            return told[0]
        means, deviations = (torch.stack(each) for each in zip(*told, strict=True))
        return moments(means, deviations, torch.tensor(self.weights, dtype=torch.float64))

    def joint(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """X [m, d] to mean [m] and covariance [m, m]; see the class for what is approximate in it."""
        _, covariance = self.latent.joint(X)
        spread = covariance.diagonal().sqrt()
        mean, deviation = self.mean_deviation(X)
        return mean, covariance / spread / spread[:, None] * deviation * deviation[:, None]

    def sample(self, X: Tensor, n: int, generator: Any) -> Tensor:
        """n joint draws at X [m, d]: [n, m]. generator: numpy's."""
        return self.transform.invert(self.latent.sample(X, n, generator))

    def draw(self, X: Tensor, normal: Tensor) -> Tensor:
        """Joint draws at X [m, d] made from standard normal numbers [n, m]: [n, m], in the target's unit."""
        return self.transform.invert(self.latent.draw(X, normal))

    def memory(self) -> dict[str, Any]:
        """From what the next fit may start; plain JSON, exact."""
        return self.latent.memory()

    def settings(self) -> dict[str, Any]:
        """Those of the belief on the new scale, and the map; plain JSON."""
        return {**self.latent.settings(), "transform": self.transform.settings()}


def latent_of(posterior: TargetPosterior) -> GaussianPosterior | Weighted:
    """The normal belief, or mixture of such, behind a posterior: itself where it is held in the target's unit."""
    return posterior.latent if isinstance(posterior, Transformed) else posterior  # type: ignore[return-value]


def scale_of(posterior: TargetPosterior) -> Transform:
    """The map from the target's unit to the scale on which `latent_of` believes."""
    return posterior.transform if isinstance(posterior, Transformed) else Affine()


def in_unit(worth: LeaveOneOut, transform: Transform) -> LeaveOneOut:
    """Leave-one-out predictions on a scale, told in the target's unit; what they are worth is the same on both."""
    if isinstance(transform, Affine):
        return worth
    values, means, stds = (torch.from_numpy(a) for a in (worth.values, worth.means, worth.stds))
    mean, deviation = unit_moments(transform, means, stds)
    return replace(worth, values=transform.invert(values).numpy(), means=mean.numpy(), stds=deviation.numpy())


def unit_moments(transform: Transform, mean: Tensor, deviation: Tensor) -> tuple[Tensor, Tensor]:
    """Mean [m] and deviation [m] > 0 in the target's unit of a normal quantity [m] on the new scale."""
    nodes, weights = (torch.from_numpy(a) for a in np.polynomial.hermite_e.hermegauss(NODES))
    weights = weights / weights.sum()
    parts = [
        _moments(transform, mean[i : i + CHUNK], deviation[i : i + CHUNK], nodes, weights)
        for i in range(0, len(mean), CHUNK)
    ]
    if not parts:
        return mean.clone(), deviation.clone()
    return torch.cat([m for m, _ in parts]), torch.cat([d for _, d in parts])


def _moments(
    transform: Transform, mean: Tensor, deviation: Tensor, nodes: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor]:
    values = transform.invert(mean[:, None] + deviation[:, None] * nodes)
    middle = transform.invert(mean)
    size = (values - middle[:, None]).abs().amax(dim=1).clamp_min(torch.finfo(torch.float64).tiny)
    relative = (values - middle[:, None]) / size[:, None]  # so that squares of very large numbers stay finite
    first = relative @ weights
    second = ((relative - first[:, None]).square() @ weights).clamp_min(1e-24)
    return middle + size * first, size * second.sqrt()
