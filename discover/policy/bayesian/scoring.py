"""What a batch is chosen for, and scores of candidates by it: from what is believed of each, on the scale of the belief."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from discover.acquisition.goal import Goal, Parts
from discover.acquisition.pool import Scores, incumbent, score
from discover.acquisition.scales import on_scales
from discover.policy.bayesian.acquisitions import IMPROVING
from discover.policy.bayesian.incumbents import measured_best
from discover.protocols import View
from discover.surrogate.belief import Belief
from discover.surrogate.posterior import TargetPosterior
from discover.surrogate.targets.transformed import latent_of, scale_of

if TYPE_CHECKING:
    from torch import Tensor

    from discover.policy.bayesian.options import Options

CHUNK = 256
"""Candidates that are conditioned together."""
JITTER = 1e-8
"""Share of their variance that is added to points that count as observed, for two of them may be nearly the same."""


@dataclass(frozen=True)
class Aim:
    """What a batch is chosen for. means: [k] by target, what is believed of the observed rows. best: the utility from which
    improvements are counted, or the hypervolume; None where nothing keeps the constraints. measured: best, where that was
    measured and is not merely believed.
    """

    goal: Goal
    means: Mapping[str, Tensor]
    best: float | None
    measured: float | None

    @classmethod
    def of(cls, policy: Options, view: View, held: Belief, generator: np.random.Generator) -> Aim:
        """By a policy's settings."""
        seen = held.predict(view.features.values[held.observed])
        means = {name: torch.from_numpy(mean) for name, (mean, _) in seen.items()}
        scales = {name: posterior.standard.scale for name, posterior in held.posteriors.items()}
        weighted = policy.acquisition == "parego"
        goal = Goal.of(view.objective, means, scales, generator, scalarised=weighted, reference=policy.reference_point)
        counted = policy.incumbent == "measured" and policy.acquisition in IMPROVING
        measured = measured_best(view, goal, held.readings) if counted else None
        return cls(goal, means, incumbent(goal, means) if measured is None else measured, measured)

    def scores(self, held: Belief, seed: int, told: Callable[[TargetPosterior], Parts]) -> Scores:
        """Scores of m candidates, on the scales on which targets are believed in where there are such.

        told: from a posterior to what it says of the m.
        """
        posteriors = held.posteriors
        carried = on_scales(self.goal, self.best, {name: scale_of(one) for name, one in posteriors.items()})
        if carried is None:
            return score(self.goal, {k: told(one) for k, one in posteriors.items()}, self.best, seed, self.means)
        found = score(carried.goal, {k: told(latent_of(one)) for k, one in posteriors.items()}, carried.best, seed)
        return replace(found, values=found.values + carried.offset)


def parts_at(posterior: TargetPosterior, X: Tensor) -> Parts:
    """The belief at scaled features X [m, k], as a mixture."""
    return [(weight, *part.mean_deviation(X)) for weight, part in _components(posterior)]


def parts_after(posterior: TargetPosterior, X: Tensor, further: Tensor) -> Parts:
    """The same once further points [j, k] were observed, and were what each component expected of them."""
    if not len(further):
        return parts_at(posterior, X)
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
