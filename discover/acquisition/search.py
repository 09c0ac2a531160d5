"""To find all hits: the number that is expected within the experiments that are left, and not only the next."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from discover.acquisition.lookahead import SMALLEST, Known, in_portions

if TYPE_CHECKING:
    from torch import Tensor

NODES = 8
"""Outcomes that an observation is imagined to have: nodes of the Gauss–Hermite rule."""
PORTION = 64
"""Candidates whose outcomes are imagined together."""


@dataclass(frozen=True)
class Hits:
    """Which outcomes are hits, large being good: those from `low` to `high`."""

    low: float = -math.inf
    high: float = math.inf

    def chance(self, mean: Tensor, deviation: Tensor) -> Tensor:
        """The probability of a hit, of the shape of mean and deviation > 0."""
        above = torch.special.ndtr((mean - self.low) / deviation) if math.isfinite(self.low) else torch.ones_like(mean)
        if not math.isfinite(self.high):
            return above
        return (above - torch.special.ndtr((mean - self.high) / deviation)).clamp_min(0.0)

    def shortfall(self, mean: Tensor, deviation: Tensor) -> Tensor:
        """How far means are from a hit, less two deviations: small where a hit is thinkable."""
        return torch.maximum(self.low - mean, mean - self.high).clamp_min(0.0) - 2.0 * deviation


@dataclass(frozen=True)
class HitsAhead:
    """Hits that are expected from a candidate and, after its outcome, from the best `left` − 1 of what then is likeliest.

    left: experiments that may still be made, this batch among them. As if all further experiments were chosen at once, after
    this one: efficient nonmyopic search, Jiang et al., ICML 2017, with a Gaussian process for the classifier and each
    outcome imagined as a value (`NODES` of them), so that one that misses the threshold narrowly tells more than one far off.
    """

    hits: Hits
    left: int

    words = "hits expected within the experiments that are left"

    def __call__(self, known: Known, places: Tensor) -> Tensor:
        """Scores [k] of places [k]."""
        return in_portions(partial(self._scores, known), places, PORTION)

    def _scores(self, known: Known, places: Tensor) -> Tensor:
        variance = known.covariance.diagonal()
        own = self.hits.chance(known.mean[places], variance[places].clamp_min(SMALLEST).sqrt())
        further = min(self.left - known.steps - 1, int(known.open.sum()) - 1)
        if further <= 0:
            return own
        moves, _ = known.told(places)
        deviation = (variance - moves.square()).clamp_min(SMALLEST).sqrt()
        closed = ~known.open.expand(len(places), -1)
        closed = closed.scatter(1, places[:, None], True)
        total = own.clone()
        for node, weight in zip(*_rule(), strict=True):
            chances = self.hits.chance(known.mean + node * moves, deviation).masked_fill(closed, 0.0)
            total += weight * chances.topk(further, dim=1, sorted=False).values.sum(dim=1)
        return total


def _rule() -> tuple[list[float], list[float]]:
    """Nodes and weights for the mean over a standard normal number."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    return nodes.tolist(), (weights / weights.sum()).tolist()
