"""Scores that can be bounded: what a candidate can score at most, where its mean and its deviation are known only in part.

Most of these grow with the deviation at a fixed mean, and change with the mean no faster than a bound on the mean lets them;
a probability does so where the mean lies outside, and is at most one elsewhere: that is proved at each. Other scores that fall
with the deviation somewhere (distances to a target or a band, whatever is not a function of one candidate's mean and
deviation) have no place here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch

from discover.acquisition.improvement import log_expected_improvement, log_probability_between
from discover.surrogate.gaussian.weighted import moments

if TYPE_CHECKING:
    from torch import Tensor


class Bounded(Protocol):
    """A score of candidates about which the belief is a mixture of normals; larger is better.

    means, deviations > 0: [K, m] in the target's unit, of K components. weights: [K], summing to one.
    """

    @property
    def unit(self) -> float:
        """What a difference in the score is measured against: 1 for logarithms."""
        ...

    def __call__(self, means: Tensor, deviations: Tensor, weights: Tensor) -> Tensor:
        """[m]."""
        ...

    def upper(self, means: Tensor, slacks: Tensor, deviations: Tensor, weights: Tensor) -> Tensor:
        """At least the score under all means no farther than slacks [K, m] >= 0 from these, and all deviations up to these: [m]."""
        ...


@dataclass(frozen=True)
class Improvement:
    """Log expected improvement of sign·target over an incumbent that is common to all candidates.

    E max(m + sZ - b, 0) is convex and increasing in m; in s its derivative is the normal density at (m - b)/s, positive. So it
    is largest at the largest mean and the largest deviation, and the logarithm with it. Of a mixture it is the sum over the
    components by their weights; or, with `pooled`, that of one normal with the mean and the deviation of the mixture.
    """

    incumbent: float
    sign: float = 1.0
    unit: float = 1.0
    pooled: bool = False

    def __call__(self, means: Tensor, deviations: Tensor, weights: Tensor) -> Tensor:
        """[m]."""
        if self.pooled:
            return self._of(*moments(means, deviations, weights))
        values = self._of(means, deviations)
        return values[0] if len(values) == 1 else torch.logsumexp(values + weights.log()[:, None], dim=0)

    def upper(self, means: Tensor, slacks: Tensor, deviations: Tensor, weights: Tensor) -> Tensor:
        """[m]."""
        if self.pooled:
            mean, slack, deviation = moments_bounded(means, slacks, deviations, weights)
            return self._of(mean + self.sign * slack, deviation)
        return self(means + self.sign * slacks, deviations, weights)

    def _of(self, mean: Tensor, deviation: Tensor) -> Tensor:
        return log_expected_improvement(self.sign * mean, deviation, self.incumbent)


@dataclass(frozen=True)
class Confidence:
    """sign·mean + √beta·deviation: increasing in both."""

    beta: float
    sign: float = 1.0
    unit: float = 1.0

    def __call__(self, means: Tensor, deviations: Tensor, weights: Tensor) -> Tensor:
        """[m]."""
        mean, deviation = moments(means, deviations, weights)
        return self.sign * mean + math.sqrt(self.beta) * deviation

    def upper(self, means: Tensor, slacks: Tensor, deviations: Tensor, weights: Tensor) -> Tensor:
        """[m]."""
        mean, slack, deviation = moments_bounded(means, slacks, deviations, weights)
        return self.sign * mean + slack + math.sqrt(self.beta) * deviation


@dataclass(frozen=True)
class Uncertainty:
    """The logarithm of the deviation, which rises with it. Of one component the mean has no say."""

    unit: float = 1.0

    def __call__(self, means: Tensor, deviations: Tensor, weights: Tensor) -> Tensor:
        """[m]."""
        return moments(means, deviations, weights)[1].log()

    def upper(self, means: Tensor, slacks: Tensor, deviations: Tensor, weights: Tensor) -> Tensor:
        """[m]."""
        return moments_bounded(means, slacks, deviations, weights)[2].log()


@dataclass(frozen=True)
class Straddle:
    """1.96 deviations less the distance of sign·mean from the nearer of some thresholds.

    It rises with the deviation; a distance from a set changes by no more than the mean does.
    """

    thresholds: tuple[float, ...]
    sign: float = 1.0
    unit: float = 1.0

    def __call__(self, means: Tensor, deviations: Tensor, weights: Tensor) -> Tensor:
        """[m]."""
        mean, deviation = moments(means, deviations, weights)
        return 1.96 * deviation - self._distance(mean)

    def upper(self, means: Tensor, slacks: Tensor, deviations: Tensor, weights: Tensor) -> Tensor:
        """[m]."""
        mean, slack, deviation = moments_bounded(means, slacks, deviations, weights)
        return 1.96 * deviation - (self._distance(mean) - slack).clamp_min(0.0)

    def _distance(self, mean: Tensor) -> Tensor:
        return torch.stack([(self.sign * mean - level).abs() for level in self.thresholds]).amin(dim=0)


@dataclass(frozen=True)
class Chance:
    """The logarithm of the probability that the target lies from `low` to `high`; either may be infinite.

    Of a normal whose mean lies outside, at a distance a from the nearer end, it is Φ(-a/s) - Φ(-(a + high - low)/s), which is at
    most Φ(-a/s): that rises with s, and falls with a, which is no less than what a slack leaves of it. Elsewhere it is at most
    one. Of a mixture it is that of one normal with its mean and its deviation.
    """

    low: float = -math.inf
    high: float = math.inf
    unit: float = 1.0

    def __call__(self, means: Tensor, deviations: Tensor, weights: Tensor) -> Tensor:
        """[m]."""
        return log_probability_between(*moments(means, deviations, weights), self.low, self.high)

    def upper(self, means: Tensor, slacks: Tensor, deviations: Tensor, weights: Tensor) -> Tensor:
        """[m]."""
        mean, slack, deviation = moments_bounded(means, slacks, deviations, weights)
        away = torch.maximum(self.low - mean, mean - self.high) - slack
        return torch.where(away > 0, torch.special.log_ndtr(-away / deviation), torch.zeros_like(mean))


def moments_bounded(
    means: Tensor, slacks: Tensor, deviations: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean [m] of a mixture, how far it may be off [m], and a bound of its deviation [m].

    means, slacks, deviations: [K, m], of components whose means are off by no more than their slacks and whose deviations
    are bounded. weights: [K], summing to one. The mixture's variance is Σ w s² + Σ w (μ - Σ w μ)². The first sum grows with
    each s. The root of the second is a seminorm of μ, so shifts δ of the means raise it by no more than the root of
    Σ w (δ - Σ w δ)² <= Σ w δ².
    """
    if len(means) == 1:
        return means[0], slacks[0], deviations[0]
    share = weights[:, None]
    mean, slack = (share * means).sum(dim=0), (share * slacks).sum(dim=0)
    between = (share * (means - mean).square()).sum(dim=0).sqrt() + (share * slacks.square()).sum(dim=0).sqrt()
    return mean, slack, ((share * deviations.square()).sum(dim=0) + between.square()).sqrt()
