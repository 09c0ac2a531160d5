"""Scores of candidates from a belief: the mixture that stands for each target, on the scale on which it is believed in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from discover.acquisition.goal import Goal, Parts
from discover.acquisition.pool import Scores, score
from discover.acquisition.scales import on_scales
from discover.surrogate.belief import Belief
from discover.surrogate.posterior import TargetPosterior
from discover.surrogate.transformed import latent_of, scale_of

if TYPE_CHECKING:
    from torch import Tensor

CHUNK = 256
"""Candidates that are conditioned together."""
JITTER = 1e-8
"""Share of their variance that is added to points that count as observed, for two of them may be nearly the same."""


def scores(
    held: Belief,
    goal: Goal,
    best: float | None,
    seed: int,
    means: Mapping[str, Tensor],
    told: Callable[[TargetPosterior], Parts],
) -> Scores:
    """Scores of m candidates, on the scales on which targets are believed in where there are such.

    told: from a posterior to what it says of the m. means: [k] by target, of the observed.
    """
    carried = on_scales(goal, best, {name: scale_of(posterior) for name, posterior in held.posteriors.items()})
    if carried is None:
        return score(goal, {name: told(posterior) for name, posterior in held.posteriors.items()}, best, seed, means)
    latent = {name: told(latent_of(posterior)) for name, posterior in held.posteriors.items()}
    found = score(carried.goal, latent, carried.best, seed)
    return replace(found, values=found.values + carried.offset)


def parts(posterior: TargetPosterior, X: Tensor) -> Parts:
    """The belief at scaled features X [m, k], as a mixture."""
    return [(weight, *part.mean_deviation(X)) for weight, part in _components(posterior)]


def parts_after(posterior: TargetPosterior, X: Tensor, further: Tensor) -> Parts:
    """The same once further points [j, k] were observed, and were what each component expected of them."""
    if not len(further):
        return parts(posterior, X)
    return [(weight, *_narrowed(part, X, further)) for weight, part in _components(posterior)]


def _components(posterior: TargetPosterior) -> list[tuple[float, TargetPosterior]]:
    return list(zip(posterior.weights, posterior.components, strict=True))


def _narrowed(part: TargetPosterior, X: Tensor, further: Tensor) -> tuple[Tensor, Tensor]:
    """Mean [m] and deviation [m] of one component."""
    means, deviations, k = [], [], len(further)
    for start in range(0, len(X), CHUNK):
        mean, covariance = part.joint(torch.cat([further, X[start : start + CHUNK]]))
        inner, own = covariance[:k, :k], covariance.diagonal()[k:]
        noise = part.noise_variance + JITTER * float(inner.diagonal().mean())
        across = covariance[:k, k:]
        gained = torch.linalg.solve(inner + noise * torch.eye(k, dtype=inner.dtype), across)
        variance = own - (across * gained).sum(dim=0)
        means.append(mean[k:])
        deviations.append(torch.maximum(variance, 1e-9 * own.clamp_min(1e-300)).sqrt())
    return torch.cat(means), torch.cat(deviations)
