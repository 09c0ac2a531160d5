"""What a batch is chosen for, and scores of candidates by it: from what is believed of each, on the scale of the belief."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from discover.acquisition.beside import Ahead, Approach, Gain, Hit
from discover.acquisition.goal import Goal, Parts, moments
from discover.acquisition.pool import Scores, incumbent, score
from discover.acquisition.scales import on_scales
from discover.policy.bayesian.acquisitions import IMPROVING
from discover.policy.bayesian.incumbents import measured_best
from discover.protocols import View
from discover.surrogate.belief import Belief
from discover.surrogate.posterior import TargetPosterior
from discover.surrogate.targets.transformed import latent_of, scale_of
from discover.values import FloatArray

if TYPE_CHECKING:
    from torch import Tensor

    from discover.policy.bayesian.options import Options

CHUNK = 256
"""Candidates that are conditioned together."""
JITTER = 1e-4
"""Share of their variance that is added to points that count as known, for two of them may be nearly the same."""


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

    def after(self, held: Belief, features: FloatArray) -> Aim:
        """Once points [j, d] were as good as is expected of them: nothing is gained by another like them."""
        if not len(features) or self.best is None:
            return self
        expected = {name: torch.from_numpy(mean) for name, (mean, _) in held.predict(features).items()}
        if self.goal.reference:
            return replace(self, means={name: torch.cat([mean, expected[name]]) for name, mean in self.means.items()})
        if self.goal.single is not None and self.goal.single.direction == "match":
            return self  # nothing is nearer than what is expected: see `matching`
        best = incumbent(self.goal, expected)
        return self if best is None else replace(self, best=max(best, self.best))

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


def matching(aim: Aim) -> Gain | None:
    """What one candidate of a batch may bring where a value or a band is to be matched; None elsewhere."""
    target = aim.goal.single
    if target is None or target.direction != "match" or aim.best is None:
        return None
    (low, high), span = target.ends, aim.goal.spans[0]
    distance = -aim.best * span
    if distance <= 0.0 and high > low:
        return Hit(low, high)
    return Approach(low, high, torch.tensor([max(distance, 1e-9 * span)], dtype=torch.float64))


class Adding:
    """Logarithms of what points add to a batch by a gain, of sign·target. What was drawn of a batch is kept until there is another."""

    def __init__(self, posterior: TargetPosterior, gain: Gain, *, sign: float, draws: int, seed: int):
        self.posterior, self.gain, self.sign, self.draws, self.seed = posterior, gain, sign, draws, seed
        self._last: tuple[bytes, Ahead] | None = None

    def __call__(self, X: Tensor, further: Tensor) -> Tensor:
        """Of X [m, d] to a batch [j, d] of at least one; [m]. Both are scaled features."""
        ahead, found, k = self._ahead(further), [], len(further)
        for start in range(0, len(X), CHUNK):
            mean, covariance = self.posterior.joint(torch.cat([further, X[start : start + CHUNK]]))
            found.append(ahead.log_gains(self.sign * mean[k:], covariance.diagonal()[k:], covariance[:k, k:]))
        return torch.cat(found)

    def _ahead(self, further: Tensor) -> Ahead:
        key = further.numpy().tobytes()
        if self._last is None or self._last[0] != key:
            mean, covariance = self.posterior.joint(further)
            self._last = key, Ahead(self.gain, self.sign * mean, covariance, draws=self.draws, seed=self.seed)
        return self._last[1]


def parts_at(posterior: TargetPosterior, X: Tensor) -> Parts:
    """The belief at scaled features X [m, k], as a mixture."""
    return [(weight, *part.mean_deviation(X)) for weight, part in _components(posterior)]


def parts_after(posterior: TargetPosterior, X: Tensor, further: Tensor) -> Parts:
    """The same once the noiseless target was known at further points [j, k], and was what the mixture expects there.

    Noiseless as in the joint draws that a batch is chosen by: with the noise of an observation, a copy of a point still tells much.
    """
    if not len(further):
        return parts_at(posterior, X)
    expected, _ = moments(parts_at(posterior, further))
    return [(weight, *_narrowed(part, X, further, expected)) for weight, part in _components(posterior)]


def _components(posterior: TargetPosterior) -> list[tuple[float, TargetPosterior]]:
    return list(zip(posterior.weights, posterior.components, strict=True))


def _narrowed(part: TargetPosterior, X: Tensor, further: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Mean [m] and deviation [m] of one component, once the target is known [j] at further points."""
    means, deviations, k = [], [], len(further)
    for start in range(0, len(X), CHUNK):
        mean, covariance = part.joint(torch.cat([further, X[start : start + CHUNK]]))
        inner, own = covariance[:k, :k], covariance.diagonal()[k:]
        jitter = JITTER * float(inner.diagonal().mean())
        across = covariance[:k, k:]
        gained = torch.linalg.solve(inner + jitter * torch.eye(k, dtype=inner.dtype), across)
        means.append(mean[k:] + gained.T @ (known - mean[:k]))
        variance = own - (across * gained).sum(dim=0)
        deviations.append(torch.maximum(variance, 1e-9 * own.clamp_min(1e-300)).sqrt())
    return torch.cat(means), torch.cat(deviations)
