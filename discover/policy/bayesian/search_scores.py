"""What a search in a space makes large: a policy's acquisition function where there is no pool, and part of a batch is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from discover.acquisition.beside import Gain
from discover.acquisition.goal import Goal, moments
from discover.acquisition.marginal import LOGARITHMIC, SIGNED, Marginal, kind_of
from discover.acquisition.space_search import Score
from discover.candidates.space.points import Points
from discover.policy.bayesian.acquisitions import IMPROVING
from discover.policy.bayesian.failing import weighed
from discover.policy.bayesian.one_target import OneTarget
from discover.policy.bayesian.scoring import Adding, Aim, matching, parts_after
from discover.protocols import View
from discover.surrogate.belief import Belief
from discover.values import FloatArray, IntArray

if TYPE_CHECKING:
    from torch import Tensor

    from discover.policy.bayesian.options import Options

DRAWS = 64
"""Draws of what was thought ahead, at most: enough to see where a batch has more to gain."""
INSTEAD = {
    "integrated-variance": "uncertainty",
    "hits-ahead": "hits",
    "thompson": "upper-confidence",
    "max-value-entropy": "upper-confidence",
    "knowledge-gradient": "upper-confidence",
}
"""What is searched for where only a whole pool can be asked; the policy itself chooses among what was come upon."""


def acquired(policy: Options, view: View, held: Belief, generator: np.random.Generator) -> Score:
    """The policy's acquisition function of features [m, d], once further points [j, d] were what they are expected to be.

    So is what is under trial. Weighed by the probability of success where that is learned. Deterministic in its arguments.
    """
    plain = _plain(policy, view, held, generator)
    trial = view.features.values[np.setdiff1d(view.pending, held.observed)]
    return plain if not len(trial) else lambda features, ahead: plain(features, np.concatenate([trial, ahead]))


def _plain(policy: Options, view: View, held: Belief, generator: np.random.Generator) -> Score:
    """The acquisition function, as if nothing were under trial."""
    aim, seed = Aim.of(policy, view, held, generator), int(generator.integers(2**31))
    if policy.acquisition not in IMPROVING and aim.best is not None:
        return _Other.of(policy, view, held, aim.goal, aim.best, seed)
    gain = matching(aim)
    adding = None if gain is None else _adding(policy, held, aim.goal, gain, 1.0, seed)

    def told(features: FloatArray, ahead: FloatArray) -> FloatArray:
        X, further = held.scaled(features), held.scaled(ahead)
        if adding is not None and len(ahead):
            return weighed(held, features, adding(X, further) + _log_kept(held, aim.goal, X, further)).numpy()
        found = aim.after(held, ahead).scores(held, seed, partial(parts_after, X=X, further=further))
        return weighed(held, features, found.values).numpy()

    return told


def _adding(policy: Options, held: Belief, goal: Goal, gain: Gain, sign: float, seed: int) -> Adding:
    """What points add to a batch, of the only target."""
    posterior = held.posteriors[goal.objective.targets[0].name]
    return Adding(posterior, gain, sign=sign, draws=min(DRAWS, policy.draws), seed=seed)


def _log_kept(held: Belief, goal: Goal, X: Tensor, further: Tensor) -> Tensor:
    """Logarithm of the probability that points [m, d] keep the constraints, once further points are known; [m]."""
    names = list(goal.objective.limits)
    if not names:
        return torch.zeros(len(X), dtype=torch.float64)
    return goal.log_feasibility({name: parts_after(held.posteriors[name], X, further) for name in names})


@dataclass(frozen=True)
class _Other:
    """A score of one target that is no improvement, with logarithms in place of what cannot be negative."""

    held: Belief
    goal: Goal
    case: OneTarget
    marginal: Marginal
    adding: Adding | None

    @classmethod
    def of(cls, policy: Options, view: View, held: Belief, goal: Goal, best: float, seed: int) -> _Other:
        """The policy's own, or what stands in for it."""
        case = OneTarget.of(policy, view, held, goal, best * goal.spans[0])
        kind = INSTEAD.get(policy.acquisition, policy.acquisition)
        low, high = case.hits
        least = case.top(policy.top) if kind == "top" else case.best
        marginal = Marginal(kind_of(kind), least, policy.beta, low, high)
        gain = marginal.gain
        adding = None if gain is None else _adding(policy, held, goal, gain, case.sign, seed)
        return cls(held, goal, case, marginal, adding)

    def __call__(self, features: FloatArray, ahead: FloatArray) -> FloatArray:
        """Features [m, d], and [j, d] of points that count as observed, to scores [m]."""
        X, further = self.held.scaled(features), self.held.scaled(ahead)
        if self.adding is not None and len(ahead):
            found = self.adding(X, further)
        else:
            mean, deviation = moments(parts_after(self.case.posterior, X, further))
            found = self.marginal(self.case.sign * mean, deviation)
        kind, unit = self.marginal.kind, 1.0
        if kind in SIGNED:
            unit = self.goal.spans[0]
        elif kind not in LOGARITHMIC:
            found = found.clamp_min(1e-300).log()
        return weighed(self.held, features, found + unit * _log_kept(self.held, self.goal, X, further), unit).numpy()


def log_costs(policy: Options, view: View, n: int) -> Callable[[IntArray], FloatArray] | None:
    """The logarithm of what points [m, slots] cost, [m], where n of a batch share what is changed for them; None where that
    is not known, or the policy does not ask."""
    ground = view.ground
    assert ground is not None
    if not policy.per_cost or ground.limiting(ground.known).costs is None:
        return None

    def told(codes: IntArray) -> FloatArray:
        candidates = ground.region.space.candidates(codes)
        points = Points(ground.known.space, candidates)
        costs = replace(ground.limiting(points), sharing=n).prices(
            points.rows([candidate.id for candidate in candidates])
        )
        assert costs is not None
        return np.log(costs)

    return told
