"""Batches by scores that look at what an observation would change elsewhere, each chosen as if the earlier had been observed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch

from discover.acquisition.batch import Allowed, Prices

if TYPE_CHECKING:
    from torch import Tensor

    from discover.protocols import Posterior

SMALLEST = 1e-18
"""Below which a variance counts as none."""
EFFORT = 2048
"""Candidates that are scored anew in all of a batch, beyond the first scores of each: a batch of n looks at EFFORT / n."""
FRONT = 8
"""How many are looked at at least."""


@dataclass
class Known:
    """The joint belief about m candidates, which stand first, and a reference; it changes as candidates are observed.

    mean: [m + r]. covariance: [m + r, m + r]. noise: variance of an observation. m: candidates. steps: how many of them were
    observed. open: [m + r], rows that were not.
    """

    mean: Tensor
    covariance: Tensor
    noise: float
    m: int
    steps: int = 0

    def __post_init__(self) -> None:
        self.covariance = self.covariance.clone()
        self.open = torch.ones(len(self.mean), dtype=torch.bool)

    @classmethod
    def of(
        cls, posterior: Posterior, candidates: Tensor, reference: Tensor, under_trial: Tensor, noise: float
    ) -> Known:
        """From scaled features of candidates [m, d], of a reference [r, d] and of what is under trial [p, d].

        What is under trial counts as observed at its mean. A belief that is no Gaussian counts as the one of its moments.
        """
        mean, covariance = posterior.joint(torch.cat([candidates, reference, under_trial]))
        found = cls(mean, covariance, noise, len(candidates))
        for place in range(len(candidates) + len(reference), len(mean)):
            observe(found.covariance, place, noise)
        kept = len(candidates) + len(reference)
        return cls(mean[:kept], found.covariance[:kept, :kept], noise, len(candidates))

    def turned(self, sign: float) -> Known:
        """The same of sign·target."""
        return Known(sign * self.mean, self.covariance, self.noise, self.m)

    def told(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Of observations at some candidates [k]: by how much all means [k, m + r] move for each deviation of them, and
        their deviations [k]."""
        deviation = (self.covariance[places, places] + self.noise).clamp_min(SMALLEST).sqrt()
        return self.covariance[places] / deviation[:, None], deviation

    def observe(self, place: int) -> None:
        """Go on as if a candidate had been observed at its mean."""
        observe(self.covariance, place, self.noise)
        self.open[place] = False
        self.steps += 1


class Score(Protocol):
    """What an observation would bring; larger is better. words: what that is, for the reason of a proposal."""

    @property
    def words(self) -> str: ...

    def __call__(self, known: Known, places: Tensor) -> Tensor:
        """Scores [k] of the candidates at some places [k]."""
        ...


def observe(covariance: Tensor, place: int, noise: float) -> None:
    """The covariance after an observation at a place, in its stead."""
    column = covariance[:, place].clone()
    covariance -= torch.outer(column, column) / (column[place] + noise).clamp_min(SMALLEST)


def greedily(
    known: Known,
    score: Score,
    n: int,
    *,
    allowed: Allowed | None = None,
    prices: Prices | None = None,
    first: Tensor | None = None,
) -> list[tuple[int, float]]:
    """At most n different candidates of m, one after the other: (place, score when it was chosen). Changes `known`.

    first: [m] scores, if they were worked out before. prices: by which scores are divided. After each choice only the
    leading candidates by their last scores are scored anew, for what one observation tells another seldom tells better.
    """
    per = torch.ones(known.m, dtype=torch.float64)
    values = score(known, torch.arange(known.m)) if first is None else first.clone()
    front = max(FRONT, EFFORT // max(n, 1))
    found: list[tuple[int, float]] = []
    for _ in range(min(n, known.m)):
        may = known.open[: known.m]
        if allowed is not None:
            may = may & allowed([place for place, _ in found])
        if not bool(may.any()):
            break
        per = per if prices is None else prices([place for place, _ in found])
        standing = torch.where(may, values / per, -math.inf)
        if found:
            leading = standing.topk(min(front, int(may.sum()))).indices.sort().values
            values[leading] = score(known, leading)
            fresh = torch.full_like(standing, -math.inf)
            fresh[leading] = values[leading] / per[leading]
            standing = fresh
        place = int(standing.argmax())
        found.append((place, float(standing[place])))
        known.observe(place)
    return found


def in_portions(score: Callable[[Tensor], Tensor], places: Tensor, portion: int) -> Tensor:
    """Scores [k] of places [k], some at a time, so that what they need fits into memory."""
    return torch.cat([score(some) for some in places.split(portion)]) if len(places) else torch.empty(0)
