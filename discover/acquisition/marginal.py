"""Scores of candidates from the belief about each alone, besides expected improvement: to find the best, to learn, to find all."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import torch

from discover.acquisition.batch import Allowed
from discover.acquisition.beside import Gain, Hit, Rise
from discover.acquisition.improvement import log_expected_improvement, log_probability_between
from discover.acquisition.lookahead import SMALLEST, observe

if TYPE_CHECKING:
    from torch import Tensor

Kind = Literal[
    "upper-confidence",
    "probability-of-improvement",
    "max-value-entropy",
    "top",
    "uncertainty",
    "straddle",
    "hits",
]
Paid = Callable[["Tensor", Sequence[int]], "Tensor"]
"""Scores [m] and the places of those that were picked, to scores per what each would cost besides them."""
LOGARITHMIC = ("probability-of-improvement", "top", "hits")
"""Scores that are logarithms: a cost is taken off them as a logarithm."""
SIGNED = ("upper-confidence", "straddle")
"""Scores that have no natural zero: they cannot be divided by a cost."""
MAXIMA = 32
"""Values of the pool's maximum that max-value entropy is averaged over."""


def kind_of(name: str) -> Kind:
    """The score of that name. ValueError where a candidate's own moments do not tell the score."""
    kinds: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}
    if name in kinds:
        return kinds[name]
    raise ValueError(f"{name!r} is no score of a candidate's own moments")


@dataclass(frozen=True)
class Marginal:
    """A score and what it needs, in the target's unit and turned so that large is good.

    beta: how many variances upper confidence adds, as in mean + √beta·deviation. incumbent: the best posterior mean of
    those observed, for `top` the k-th best. threshold: of a level set, or from which on a candidate is a hit; upper: up to
    which, for hits in a band. maxima: [s] plausible values of the pool's maximum.
    """

    kind: Kind
    incumbent: float
    beta: float = 4.0
    threshold: float = math.nan
    upper: float = math.inf
    maxima: Tensor | None = None

    def __call__(self, mean: Tensor, deviation: Tensor) -> Tensor:
        """mean, deviation [m] > 0 to scores [m], larger is better."""
        return _SCORES[self.kind](self, mean, deviation)

    @property
    def gain(self) -> Gain | None:
        """The same where of a batch only the best counts; None of a score that is no logarithm of a gain."""
        if self.kind == "top":
            return Rise(torch.tensor([self.incumbent], dtype=torch.float64))
        if self.kind == "probability-of-improvement":
            return Hit(self.incumbent, math.inf)
        return Hit(self.threshold, self.upper) if self.kind == "hits" else None

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


def _top(s: Marginal, mean: Tensor, deviation: Tensor) -> Tensor:
    """Logarithm of the expected improvement over the k-th best: of the rise of the sum of the k best."""
    return log_expected_improvement(mean, deviation, s.incumbent)


def _straddle(s: Marginal, mean: Tensor, deviation: Tensor) -> Tensor:
    """Where it is least clear on which side of the threshold, or of the nearer end of a band, a candidate lies.

    Bryan et al., NeurIPS 2005.
    """
    return 1.96 * deviation - torch.minimum((mean - s.threshold).abs(), (mean - s.upper).abs())


def _hits(s: Marginal, mean: Tensor, deviation: Tensor) -> Tensor:
    """Logarithm of the probability of reaching the threshold: the greedy search for all hits (Garnett et al., ICML 2012)."""
    if math.isfinite(s.upper):
        return log_probability_between(mean, deviation, s.threshold, s.upper)
    return torch.special.log_ndtr((mean - s.threshold) / deviation)


_SCORES: dict[str, Callable[[Marginal, Tensor, Tensor], Tensor]] = {
    "upper-confidence": _upper_confidence,
    "probability-of-improvement": _probability,
    "max-value-entropy": _entropy,
    "top": _top,
    "uncertainty": _uncertainty,
    "straddle": _straddle,
    "hits": _hits,
}
_WORDS = {
    "upper-confidence": "upper confidence limit",
    "probability-of-improvement": "log probability of improvement",
    "max-value-entropy": "information about the maximum",
    "top": "log expected improvement over the last of the best",
    "uncertainty": "uncertainty",
    "straddle": "doubt on which side of the threshold",
    "hits": "log probability of a hit",
}


def maxima(mean: Tensor, deviation: Tensor, chance: Tensor | None = None, count: int = MAXIMA) -> Tensor:
    """Plausible values [count] of the largest of independent normal outcomes, mean and deviation [m].

    Quantiles of a Gumbel distribution through the quartiles of the product of their distribution functions (Wang and
    Jegelka, ICML 2017, section 3.1). chance: [m], the probability that an outcome counts at all; without it each does.
    """
    low = float((mean - 5.0 * deviation).max() if chance is None else (mean - 5.0 * deviation).min())
    high = float((mean + 8.0 * deviation).max())
    quartiles = [_quantile(mean, deviation, chance, p, low, high) for p in (0.25, 0.5, 0.75)]
    scale = (quartiles[2] - quartiles[0]) / (math.log(-math.log(0.25)) - math.log(-math.log(0.75)))
    place = quartiles[1] + scale * math.log(-math.log(0.5))
    levels = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    return place - max(scale, 1e-12) * torch.log(-torch.log(levels))


def _quantile(mean: Tensor, deviation: Tensor, chance: Tensor | None, p: float, low: float, high: float) -> float:
    """Where the probability that all outcomes that count lie below is p, by bisection."""
    for _ in range(60):
        middle = 0.5 * (low + high)
        z = (middle - mean) / deviation
        below = torch.special.log_ndtr(z) if chance is None else torch.log1p(-chance * torch.special.ndtr(-z))
        if float(below.sum()) < math.log(p):
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def per_cost(kind: str, scores: Tensor, costs: Tensor | None) -> Tensor:
    """Scores [m] per cost [m] > 0: divided by it, or as logarithms lowered by its logarithm (Snoek et al., NeurIPS 2012)."""
    if costs is None:
        return scores
    return scores - costs.log() if kind in LOGARITHMIC else scores / costs


def greedy(
    score: Callable[[Tensor, Tensor], Tensor],
    mean: Tensor,
    covariance: Tensor,
    noise: float,
    n: int,
    under_trial: int = 0,
    *,
    allowed: Allowed | None = None,
    paid: Paid | None = None,
) -> list[tuple[int, float]]:
    """At most n different candidates of m, one after the other, as if each had been observed at its mean: (place, score).

    mean [m + p], covariance [m + p, m + p], of which the last p = under_trial are under trial already and count as
    observed. noise: variance of an observation. allowed: which may join those chosen. paid: scores per what each costs. The means stay, the deviations shrink
    where the earlier ones will tell: Desautels et al., J. Mach. Learn. Res. 15, 3873 (2014).
    """
    left = covariance.clone()
    m = len(mean) - under_trial
    for place in range(m, len(mean)):
        observe(left, place, noise)
    free = torch.ones(m, dtype=torch.bool)
    found: list[tuple[int, float]] = []
    for _ in range(min(n, m)):
        picked = [place for place, _ in found]
        may = free if allowed is None else free & allowed(picked)
        if not bool(may.any()):
            break
        deviation = left.diagonal()[:m].clamp_min(SMALLEST).sqrt()
        values = score(mean[:m], deviation)
        values = torch.where(may, values if paid is None else paid(values, picked), -math.inf)
        place = int(values.argmax())
        found.append((place, float(values[place])))
        free[place] = False
        observe(left, place, noise)
    return found
