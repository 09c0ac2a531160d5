"""Scores of candidates from the belief about each alone, besides expected improvement: to find the best, to learn, to find all."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

if TYPE_CHECKING:
    from torch import Tensor

Kind = Literal["upper-confidence", "probability-of-improvement", "max-value-entropy", "uncertainty", "straddle", "hits"]
THRESHOLDED = ("straddle", "hits")
"""Scores that need a threshold of the target."""
MAXIMA = 32
"""Values of the pool's maximum that max-value entropy is averaged over."""


@dataclass(frozen=True)
class Marginal:
    """A score and what it needs, in the target's unit and turned so that large is good.

    beta: how many variances upper confidence adds, as in mean + √beta·deviation. incumbent: the best posterior mean of
    those observed. threshold: of a level set, or of hits. maxima: [s] plausible values of the pool's maximum.
    """

    kind: Kind
    incumbent: float
    beta: float = 4.0
    threshold: float = math.nan
    maxima: Tensor | None = None

    def __call__(self, mean: Tensor, deviation: Tensor) -> Tensor:
        """mean, deviation [m] > 0 to scores [m], larger is better."""
        return _SCORES[self.kind](self, mean, deviation)

    @property
    def words(self) -> str:
        """What the score is, for the reason of a proposal."""
        return _WORDS[self.kind]


def _upper_confidence(s: Marginal, mean: Tensor, deviation: Tensor) -> Tensor:
    """Srinivas et al., ICML 2010."""
    return mean + math.sqrt(s.beta) * deviation


def _probability(s: Marginal, mean: Tensor, deviation: Tensor) -> Tensor:
    """Logarithm of the probability of being better than the incumbent (Kushner 1964)."""
    return torch.special.log_ndtr((mean - s.incumbent) / deviation)


def _entropy(s: Marginal, mean: Tensor, deviation: Tensor) -> Tensor:
    """What an observation tells about the value of the maximum, in nats (Wang and Jegelka, ICML 2017, equation 6)."""
    assert s.maxima is not None
    total = torch.zeros_like(mean)
    for value in s.maxima.tolist():
        gamma = ((value - mean) / deviation).clamp(-30.0, 1e6)
        log_below = torch.special.log_ndtr(gamma)
        density = torch.exp(-0.5 * gamma.square() - 0.5 * math.log(2 * math.pi) - log_below)
        total += 0.5 * gamma * density - log_below
    return total / len(s.maxima)


def _uncertainty(s: Marginal, mean: Tensor, deviation: Tensor) -> Tensor:
    """Where least is known."""
    return deviation


def _straddle(s: Marginal, mean: Tensor, deviation: Tensor) -> Tensor:
    """Where it is least clear on which side of the threshold a candidate lies (Bryan et al., NeurIPS 2005)."""
    return 1.96 * deviation - (mean - s.threshold).abs()


def _hits(s: Marginal, mean: Tensor, deviation: Tensor) -> Tensor:
    """Logarithm of the probability of reaching the threshold: the greedy search for all hits (Garnett et al., ICML 2012)."""
    return torch.special.log_ndtr((mean - s.threshold) / deviation)


_SCORES: dict[str, Callable[[Marginal, Tensor, Tensor], Tensor]] = {
    "upper-confidence": _upper_confidence,
    "probability-of-improvement": _probability,
    "max-value-entropy": _entropy,
    "uncertainty": _uncertainty,
    "straddle": _straddle,
    "hits": _hits,
}
_WORDS = {
    "upper-confidence": "upper confidence limit",
    "probability-of-improvement": "log probability of improvement",
    "max-value-entropy": "information about the maximum",
    "uncertainty": "uncertainty",
    "straddle": "doubt on which side of the threshold",
    "hits": "log probability of reaching the threshold",
}


def maxima(mean: Tensor, deviation: Tensor, count: int = MAXIMA) -> Tensor:
    """Plausible values [count] of the largest of independent normal outcomes, mean and deviation [m].

    Quantiles of a Gumbel distribution through the quartiles of the product of their distribution functions (Wang and
    Jegelka, ICML 2017, section 3.1).
    """
    low = float((mean - 5.0 * deviation).max())
    high = float((mean + 8.0 * deviation).max())
    quartiles = [_quantile(mean, deviation, p, low, high) for p in (0.25, 0.5, 0.75)]
    scale = (quartiles[2] - quartiles[0]) / (math.log(-math.log(0.25)) - math.log(-math.log(0.75)))
    place = quartiles[1] + scale * math.log(-math.log(0.5))
    levels = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    return place - max(scale, 1e-12) * torch.log(-torch.log(levels))


def _quantile(mean: Tensor, deviation: Tensor, p: float, low: float, high: float) -> float:
    """Where the probability that all outcomes lie below is p, by bisection."""
    for _ in range(60):
        middle = 0.5 * (low + high)
        if float(torch.special.log_ndtr((middle - mean) / deviation).sum()) < math.log(p):
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def greedy(
    score: Callable[[Tensor, Tensor], Tensor],
    mean: Tensor,
    covariance: Tensor,
    noise: float,
    n: int,
    under_trial: int = 0,
) -> list[tuple[int, float]]:
    """At most n different candidates of m, one after the other, as if each had been observed at its mean: (place, score).

    mean [m + p], covariance [m + p, m + p], of which the last p = under_trial are under trial already and count as
    observed. noise: variance of an observation. The means stay, the deviations shrink where the earlier ones will tell:
    Desautels et al., J. Mach. Learn. Res. 15, 3873 (2014).
    """
    left = covariance.clone()
    m = len(mean) - under_trial
    for place in range(m, len(mean)):
        _observe(left, place, noise)
    free = torch.ones(m, dtype=torch.bool)
    found: list[tuple[int, float]] = []
    for _ in range(min(n, m)):
        deviation = left.diagonal()[:m].clamp_min(1e-18).sqrt()
        values = torch.where(free, score(mean[:m], deviation), -math.inf)
        place = int(values.argmax())
        found.append((place, float(values[place])))
        free[place] = False
        _observe(left, place, noise)
    return found


def _observe(covariance: Tensor, place: int, noise: float) -> None:
    """The covariance after an observation at a place, in its stead."""
    column = covariance[:, place].clone()
    covariance -= torch.outer(column, column) / (column[place] + noise).clamp_min(1e-18)
