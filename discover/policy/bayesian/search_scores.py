"""What a search in a space makes large: a policy's acquisition function where there is no pool, and part of a batch is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from discover.acquisition.goal import Goal, Marginals, moments
from discover.acquisition.marginal import LOGARITHMIC, SIGNED, Marginal, kind_of
from discover.acquisition.space_search import Score
from discover.candidates.space.points import Points
from discover.policy.bayesian.acquisitions import IMPROVING
from discover.policy.bayesian.failing import weighed
from discover.policy.bayesian.one_target import OneTarget
from discover.policy.bayesian.scoring import Aim, log_gains_after, matching, parts_after
from discover.protocols import View
from discover.surrogate.belief import Belief
from discover.values import FloatArray, IntArray

if TYPE_CHECKING:
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

    def told(features: FloatArray, ahead: FloatArray) -> FloatArray:
        X, further = held.scaled(features), held.scaled(ahead)
        if gain is not None and len(ahead):
            told = {name: parts_after(one, X, further) for name, one in held.posteriors.items()}
            posterior = held.posteriors[aim.goal.objective.names[0]]
            adds = log_gains_after(posterior, gain, X, further, sign=1.0, draws=min(DRAWS, policy.draws), seed=seed)
            return weighed(held, features, adds + aim.goal.log_feasibility(told)).numpy()
        found = aim.after(held, ahead).scores(held, seed, partial(parts_after, X=X, further=further))
        return weighed(held, features, found.values).numpy()

    return told


@dataclass(frozen=True)
class _Other:
    """A score of one target that is no improvement, with logarithms in place of what cannot be negative."""

    held: Belief
    goal: Goal
    case: OneTarget
    marginal: Marginal
    seed: int

    @classmethod
    def of(cls, policy: Options, view: View, held: Belief, goal: Goal, best: float, seed: int) -> _Other:
        """The policy's own, or what stands in for it."""
        case = OneTarget.of(policy, view, held, goal, best * goal.spans[0])
        kind = INSTEAD.get(policy.acquisition, policy.acquisition)
        low, high = case.hits
        least = case.top(policy.top) if kind == "top" else case.best
        return cls(held, goal, case, Marginal(kind_of(kind), least, policy.beta, low, high), seed)

    def __call__(self, features: FloatArray, ahead: FloatArray) -> FloatArray:
        """Features [m, d], and [j, d] of points that count as observed, to scores [m]."""
        X, further = self.held.scaled(features), self.held.scaled(ahead)
        told: Marginals = {name: parts_after(held, X, further) for name, held in self.held.posteriors.items()}
        gain, sign, posterior = self.marginal.gain, self.case.sign, self.case.posterior
        if gain is not None and len(ahead):
            draws = min(DRAWS, self.case.policy.draws)
            found = log_gains_after(posterior, gain, X, further, sign=sign, draws=draws, seed=self.seed)
        else:
            mean, deviation = moments(told[self.case.name])
            found = self.marginal(sign * mean, deviation)
        kind, unit = self.marginal.kind, 1.0
        if kind in SIGNED:
            unit = self.goal.spans[0]
        elif kind not in LOGARITHMIC:
            found = found.clamp_min(1e-300).log()
        return weighed(self.held, features, found + unit * self.goal.log_feasibility(told), unit).numpy()


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
