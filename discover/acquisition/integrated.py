"""To learn a whole pool: the candidate whose observation takes most of the variance of a reference sample away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from discover.acquisition.lookahead import SMALLEST, Known

if TYPE_CHECKING:
    from torch import Tensor

    from discover.protocols import Posterior

CHUNK = 512
"""Candidates whose covariances with the reference are worked out together, at least."""


@dataclass(frozen=True)
class IntegratedVariance:
    """By how much the mean variance of the reference falls, in the target's unit squared.

    Active learning (Cohn, Ghahramani and Jordan, J. Artif. Intell. Res. 4, 129, 1996); in a batch each candidate comes
    after the earlier ones, whose values the variance of a Gaussian belief does not depend on: this is greedy descent of
    the negative integrated posterior variance of the whole batch.
    """

    words = "fall of the mean variance over the reference"

    def __call__(self, known: Known, places: Tensor) -> Tensor:
        """Scores [k] of places [k]; the reference stands behind the candidates."""
        m = known.m
        across = known.covariance[places][:, m:]
        variance = known.covariance[places, places]
        return fall(across, variance, known.noise)


def fall(across: Tensor, variance: Tensor, noise: float) -> Tensor:
    """Of covariances [k, r] with the reference, variances [k] and the noise: the fall [k] of the reference's mean variance."""
    return across.square().mean(dim=1) / (variance + noise).clamp_min(SMALLEST)


def falls(posterior: Posterior, candidates: Tensor, reference: Tensor, noise: float) -> Tensor:
    """The fall [M] of the mean variance over a reference [r, d] by each of many candidates [M, d], in chunks."""
    found = torch.empty(len(candidates), dtype=torch.float64)
    chunk = max(CHUNK, len(reference))
    for start in range(0, len(candidates), chunk):
        some = candidates[start : start + chunk]
        _, covariance = posterior.joint(torch.cat([some, reference]))
        across, variance = covariance[: len(some), len(some) :], covariance.diagonal()[: len(some)]
        found[start : start + chunk] = fall(across, variance, noise)
    return found
