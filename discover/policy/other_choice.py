"""Batches by other acquisition functions than expected improvement, for one target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from discover.acquisition.feasibility import weighed
from discover.acquisition.goal import Goal
from discover.acquisition.marginal import Marginal, greedy, maxima, per_cost
from discover.policy.ahead_choice import AHEAD, ahead
from discover.policy.drawn_choice import drawn
from discover.policy.limited import allowed_of, known_costs
from discover.policy.one_target import BY_MEANS, OneTarget
from discover.policy.ranking import Chosen, Ranking
from discover.protocols import View
from discover.surrogate.belief import Belief
from discover.surrogate.threads import one_thread

if TYPE_CHECKING:
    from torch import Tensor

    from discover.policy.bayesian import Bayesian


def other_choice(
    policy: Bayesian, view: View, held: Belief, goal: Goal, best: float, n: int, generator: np.random.Generator
) -> tuple[Ranking, Chosen]:
    """The leading candidates by the policy's acquisition function, and at most n of them that are chosen together."""
    case = OneTarget.of(policy, view, held, goal, best * goal.spans[0])
    n = min(n, len(case.free))
    if case.blind:
        ranking = case.ranking(np.zeros(len(case.free)), np.arange(len(case.free)), "nothing: no model", BY_MEANS)
        return ranking, [(place, None) for place in view.limits.walk(ranking.rows, n)]
    if policy.acquisition == "thompson":
        return drawn(case, n, generator)
    if policy.acquisition in AHEAD:
        return ahead(case, n, generator)
    score = _score(case)
    costs = known_costs(view, case.free, wanted=policy.per_cost)
    plain = score(case.mean, case.deviation)
    floor = float(plain.min())
    scores = per_cost(score.kind, weighed(score.kind, plain, case.chance, floor), costs).numpy()
    order = np.argsort(-scores, kind="stable")
    order = order[view.limits.spread(case.free[order], case.room(n), n)]
    words = score.words if case.chance is None else f"{score.words}, weighed by the probability {case.chance_words}"
    words = words if costs is None else f"{words} per cost"
    ranking = case.ranking(scores, order, words, BY_MEANS)
    with one_thread():
        return ranking, _together(case, ranking, score, floor, n)


def _score(case: OneTarget) -> Marginal:
    """The score that the policy names, in the turned unit."""
    policy, kind = case.policy, case.policy.acquisition
    low, high = case.hits
    tops = maxima(case.mean, case.deviation) if kind == "max-value-entropy" else None
    best = case.top(policy.top) if kind == "top" else case.best
    return Marginal(kind, best, policy.beta, low, high, tops)  # type: ignore[arg-type]


def _together(case: OneTarget, ranking: Ranking, score: Marginal, floor: float, n: int) -> Chosen:
    """At most n of the short list, each as if the earlier ones and what is under trial had been observed."""
    short, pending = ranking.rows, case.under_trial
    mean, covariance = case.posterior.joint(case.scaled(np.concatenate([short, pending])))
    costs = known_costs(case.view, short, wanted=case.policy.per_cost)
    chance = None if case.chance is None else case.chance_at(short)

    def valued(means: Tensor, deviations: Tensor) -> Tensor:
        return per_cost(score.kind, weighed(score.kind, score(means, deviations), chance, floor), costs)

    return [
        *greedy(
            valued,
            case.sign * mean,
            covariance,
            case.posterior.noise_variance,
            n,
            under_trial=len(pending),
            allowed=allowed_of(case.view.limits, short),
        )
    ]
