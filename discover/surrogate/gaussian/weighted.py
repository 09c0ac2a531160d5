"""A belief that is a mixture of beliefs: several models of one target, each with a weight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from discover.surrogate.gaussian.posterior import GaussianPosterior
    from discover.surrogate.gaussian.standard import Standard

GOLDEN = 0.6180339887498949


@dataclass(frozen=True)
class Weighted:
    """The mixture Σ weight · component, of posteriors of one target after the same observations.

    names: of the components. left: what the next fit takes from this one. record: what the comparison found, for the
    settings. Moments are those of the mixture; draws are draws from components in proportion to their weights.
    """

    components: tuple[GaussianPosterior, ...]
    weights: tuple[float, ...]
    names: tuple[str, ...]
    left: Mapping[str, Any] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)

    @property
    def leading(self) -> GaussianPosterior:
        """The component of greatest weight."""
        return self.components[max(range(len(self.weights)), key=lambda k: self.weights[k])]

    @property
    def X(self) -> Tensor:
        """[n, d], the scaled features of the observations."""
        return self.leading.X

    @property
    def y(self) -> Tensor:
        """[n], the observed values in the target's unit."""
        return self.leading.y

    @property
    def standard(self) -> Standard:
        """The scale of the observed values."""
        return self.leading.standard

    @property
    def noise(self) -> Tensor:
        """[n], stated noise variances relative to the target's variance, NaN where unknown."""
        return self.leading.noise

    @property
    def chunk(self) -> int:
        """Rows that are looked at together."""
        return self.leading.chunk

    @property
    def notes(self) -> tuple[str, ...]:
        """Those of all components."""
        return tuple(dict.fromkeys(note for part in self.components for note in part.notes))

    @property
    def noise_variance(self) -> float:
        """Variance of a further observation about the noiseless target, in its unit squared."""
        return sum(w * part.noise_variance for w, part in zip(self.weights, self.components, strict=True))

    def mean_variance(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """X [m, d] to mean [m] and variance [m] of the noiseless target."""
        mean, deviation = self.mean_deviation(X)
        return mean, deviation.square()

    def mean_deviation(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """As `mean_variance`, with standard deviations [m]: finite where a variance would overflow."""
        told = [part.mean_deviation(X) for part in self.components]
        return moments(torch.stack([m for m, _ in told]), torch.stack([s for _, s in told]), self._weights)

    def joint(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """X [m, d] to mean [m] and covariance [m, m]; all rows at once."""
        told = [part.joint(X) for part in self.components]
        means = torch.stack([mean for mean, _ in told])
        mean = self._weights @ means
        off = (means - mean) * self._weights.sqrt()[:, None]
        covariance = sum((w * c for w, (_, c) in zip(self.weights, told, strict=True)), torch.zeros(()))
        return mean, covariance + off.T @ off

    def sample(self, X: Tensor, n: int, generator: Any) -> Tensor:
        """n joint draws at X [m, d]: [n, m]. generator: numpy's."""
        normal = torch.from_numpy(generator.standard_normal((n, len(X))))
        return self.draw(X, normal, float(generator.random()))

    def draw(self, X: Tensor, normal: Tensor, turn: float = 0.0) -> Tensor:
        """Joint draws at X [m, d] made from standard normal numbers [n, m]: [n, m], each from one of the components.

        turn: in [0, 1), see `owners`.
        """
        owner = owners(len(normal), self._weights, turn)
        values = torch.empty_like(normal)
        for k, part in enumerate(self.components):
            if bool((mine := owner == k).any()):
                values[mine] = part.draw(X, normal[mine])
        return values

    def memory(self) -> dict[str, Any]:
        """From what the next fit may start; plain JSON, exact."""
        return dict(self.left)

    def settings(self) -> dict[str, Any]:
        """Weights, and kernel and hyperparameters of every component; plain JSON."""
        parts = {name: part.settings() for name, part in zip(self.names, self.components, strict=True)}
        return {"weights": dict(zip(self.names, self.weights, strict=True)), **self.record, "components": parts}

    @property
    def _weights(self) -> Tensor:
        return torch.tensor(self.weights, dtype=torch.float64)


def moments(means: Tensor, deviations: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Mean [m] and deviation [m] of a mixture: means, deviations [k, m], weights [k] that sum to one."""
    mean = (weights[:, None] * means).sum(dim=0)
    unit = deviations.amax(dim=0).maximum((means - mean).abs().amax(dim=0)).clamp_min(1e-300)  # squares stay finite
    square = (deviations / unit).square() + ((means - mean) / unit).square()
    return mean, unit * (weights[:, None] * square).sum(dim=0).sqrt()


def owners(draws: int, weights: Tensor, turn: float = 0.0) -> Tensor:
    """Which component each of some draws comes from, [draws]: evenly spread, in proportion to the weights [k].

    turn: how far the spread is turned; where it is drawn evenly from [0, 1), so is every single draw.
    """
    place = ((torch.arange(draws, dtype=torch.float64) + 0.5) * GOLDEN + turn) % 1.0
    return torch.searchsorted(weights.cumsum(dim=0), place, right=True).clamp_max(len(weights) - 1)
