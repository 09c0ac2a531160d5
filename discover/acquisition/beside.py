"""What a further candidate brings beside the earlier ones of a batch, of which only the best counts: another like them brings nothing.

A batch is worth the expectation of the largest gain in it (Wilson, Hutter and Deisenroth, NeurIPS 2018): of all or nothing that is
the probability that at least one candidate hits. The earlier candidates are drawn; given a draw, a further one's gain has its
closed form, so that the whole is smooth. Where a gain is all or nothing, only such draws count in which every earlier candidate
misses. They are drawn one candidate after the other from where it misses, with that probability as their weight (the simulator
of Geweke, Hajivassiliou and Keane; Genz, J. Comput. Graph. Stat. 1, 141 (1992)), so that there are as many however unlikely
it is that all miss.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

import torch

from discover.acquisition.batch import Allowed
from discover.acquisition.improvement import log_expected_improvement, log_probability_between, log_trapezium
from discover.acquisition.sampling import normal_draws

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

NOWHERE = 1e-300
"""A distance that cannot become less."""
SMALLEST = 1e-300
"""Below which a variance counts as none."""
FLAT = 1e-10
"""Share of its variance that is left of a candidate of which nothing more is to be told."""


class Gain(Protocol):
    """What a candidate's outcome is worth beside the earlier ones', in each of s draws of these."""

    def log_expected(self, means: Tensor, deviation: Tensor) -> Tensor:
        """Logarithm of the expected further gain [s, m], of outcomes with means [s, m] and deviation [m]; s may be 1."""
        ...

    def added(self, means: Tensor, deviation: Tensor, normal: Tensor) -> tuple[Gain, Tensor, Tensor]:
        """Once a candidate with means [s] and a deviation is in the batch: the gain then, its outcomes [s] drawn from
        standard normal numbers [s], and the logarithms [s] by which the weights of the draws change."""
        ...


class Hit:
    """All or nothing: an outcome from low to high, either of which may be infinite."""

    def __init__(self, low: float, high: float):
        self.low, self.high = low, high

    def log_expected(self, means: Tensor, deviation: Tensor) -> Tensor:
        """Logarithm of the probability of a hit."""
        if math.isinf(self.high):
            return torch.special.log_ndtr((means - self.low) / deviation)
        if math.isinf(self.low):
            return torch.special.log_ndtr((self.high - means) / deviation)
        return log_probability_between(means, deviation, self.low, self.high)

    def added(self, means: Tensor, deviation: Tensor, normal: Tensor) -> tuple[Gain, Tensor, Tensor]:
        """The outcomes miss."""
        below, above = (self.low - means) / deviation, (means - self.high) / deviation
        weights = torch.logaddexp(torch.special.log_ndtr(below), torch.special.log_ndtr(above))
        short, long = torch.special.ndtr(below), torch.special.ndtr(above)
        part = torch.special.ndtr(normal) * (short + long)
        drawn = torch.where(
            part < short, torch.special.ndtri(part), -torch.special.ndtri((short + long - part).clamp_min(0.0))
        )
        nearest = torch.where(below >= above, below, -above)  # where a miss is too unlikely for a number
        drawn = torch.where(drawn.isfinite(), drawn, nearest)
        return self, means + deviation * drawn, weights


class Rise:
    """How far an outcome rises above a level, or above the best of the earlier ones where that is higher. level: [s] or one."""

    def __init__(self, level: Tensor):
        self.level = level

    def log_expected(self, means: Tensor, deviation: Tensor) -> Tensor:
        """Logarithm of the expected improvement."""
        return log_expected_improvement(means - self.level.reshape(-1, 1), deviation, 0.0)

    def added(self, means: Tensor, deviation: Tensor, normal: Tensor) -> tuple[Gain, Tensor, Tensor]:
        """The level rises."""
        drawn = means + deviation * normal
        return Rise(torch.maximum(self.level, drawn)), drawn, torch.zeros_like(drawn)


class Approach:
    """By how much an outcome comes nearer to a value or a band than a distance, or than the nearest of the earlier ones. [s] or one."""

    def __init__(self, low: float, high: float, distance: Tensor):
        self.low, self.high, self.distance = low, high, distance

    def log_expected(self, means: Tensor, deviation: Tensor) -> Tensor:
        """Logarithm of the expected approach, which is at most the distance, where an outcome is within it at all."""
        distance = self.distance.reshape(-1, 1)
        near = log_probability_between(means, deviation, self.low - distance, self.high + distance)
        most = distance.clamp_min(NOWHERE).log() + near
        return torch.minimum(log_trapezium(means, deviation, self.low, self.high, distance), most)

    def added(self, means: Tensor, deviation: Tensor, normal: Tensor) -> tuple[Gain, Tensor, Tensor]:
        """The distance shrinks."""
        drawn = means + deviation * normal
        left = (self.low - drawn).clamp_min(0.0) + (drawn - self.high).clamp_min(0.0)
        return Approach(self.low, self.high, torch.minimum(self.distance, left)), drawn, torch.zeros_like(drawn)


class Beside:
    """Gains of m candidates beside those of them that were added. mean: [m]. covariance: [m, m], of their noiseless outcomes.

    draws: of what was added, from a quasi-random sequence of so many dimensions as are to be added at most.
    """

    def __init__(self, gain: Gain, mean: Tensor, covariance: Tensor, *, most: int, draws: int, seed: int):
        self.gain, self.means, self.left = gain, mean[None], covariance.clone()
        self.whole = covariance.diagonal().clamp_min(SMALLEST)
        self.normal = normal_draws(draws, most, seed) if most else torch.zeros(draws, 0, dtype=torch.float64)
        self.weights = torch.zeros(1, dtype=torch.float64)
        self.columns: list[Tensor] = []
        self.drawn: list[Tensor] = []

    def log_gains(self) -> Tensor:
        """Logarithm of what each candidate adds to the expected gain of the batch; [m]."""
        return _averaged(self.gain, self.means, self._deviation, self.weights)

    def add(self, place: int) -> None:
        """A candidate joins the batch."""
        normal = self.normal[:, len(self.drawn)]
        means, deviation = self.means[:, place].expand(len(normal)), self._deviation[place]
        self.gain, drawn, weights = self.gain.added(means, deviation, normal)
        self.weights = self.weights + weights
        column = self.left[:, place] / deviation
        scaled = (drawn - means) / deviation
        if self.left[place, place] <= FLAT * self.whole[place]:  # its like is in the batch: nothing more is told
            column, scaled = torch.zeros_like(column), torch.zeros_like(scaled)
        self.columns.append(column)
        self.drawn.append(scaled)
        self.means = self.means + torch.outer(scaled, column)
        self.left -= torch.outer(column, column)

    @property
    def _deviation(self) -> Tensor:
        return torch.maximum(self.left.diagonal(), FLAT * self.whole).sqrt()


class Ahead:
    """Gains of any candidates beside k that are in the batch, of which was drawn once. mean: [k]. covariance: [k, k]."""

    def __init__(self, gain: Gain, mean: Tensor, covariance: Tensor, *, draws: int, seed: int):
        beside = Beside(gain, mean, covariance, most=len(mean), draws=draws, seed=seed)
        for place in range(len(mean)):
            beside.add(place)
        self.gain, self.weights = beside.gain, beside.weights
        root = torch.stack(beside.columns, dim=1).tril()
        self.kept = root.diagonal() > 0  # of candidates that are alike the first
        self.root = root[self.kept][:, self.kept]
        self.drawn = torch.stack(beside.drawn, dim=1)[:, self.kept]

    def log_gains(self, mean: Tensor, variance: Tensor, across: Tensor) -> Tensor:
        """Of candidates with mean [m], variance [m] and covariance [k, m] with those in the batch; [m]."""
        parts = torch.linalg.solve_triangular(self.root, across[self.kept], upper=False)
        left = torch.maximum(variance - parts.square().sum(dim=0), FLAT * variance.clamp_min(SMALLEST))
        return _averaged(self.gain, mean + self.drawn @ parts, left.sqrt(), self.weights)


def _averaged(gain: Gain, means: Tensor, deviation: Tensor, weights: Tensor) -> Tensor:
    """Over draws with logarithms of weights [s]."""
    found = gain.log_expected(means, deviation) + weights[:, None]
    return torch.logsumexp(found, dim=0) - math.log(len(found))


def together(
    beside: Beside,
    valued: Callable[[Tensor, Sequence[int]], Tensor],
    m: int,
    n: int,
    allowed: Allowed | None = None,
) -> list[tuple[int, float]]:
    """At most n different of the first m candidates, each for what it adds to the earlier ones: (place, score).

    valued: log gains [m] to scores [m], beside the places that were chosen. allowed: which may join those.
    """
    free = torch.ones(m, dtype=torch.bool)
    found: list[tuple[int, float]] = []
    for _ in range(min(n, m)):
        chosen = [place for place, _ in found]
        may = free if allowed is None else free & allowed(chosen)
        if not bool(may.any()):
            break
        values = torch.where(may, valued(beside.log_gains()[:m], chosen), -math.inf)
        place = int(values.argmax())
        found.append((place, float(values[place])))
        free[place] = False
        beside.add(place)
    return found
