"""Batches by other acquisition functions than expected improvement, for one target.

Of a large pool the leading candidates of those that can be bounded are found through bounds (`discover.acquisition.bounded`):
the improvement over the last of the best, the probability of an improvement or of a hit, and the uncertainty, whatever they are
weighed by; the upper confidence limit and the doubt on which side of a threshold something lies, which have no natural zero,
where they are not weighed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from discover.acquisition.beside import Beside, Gain, together
from discover.acquisition.bounded import Bounded, Chance, Confidence, Improvement, Straddle, Uncertainty
from discover.acquisition.feasibility import weighed
from discover.acquisition.goal import Goal
from discover.acquisition.marginal import SIGNED, Marginal, greedy, kind_of, maxima, per_cost
from discover.acquisition.weights import Weights
from discover.candidates.space.ground import SpaceLimits
from discover.errors import Unsupported
from discover.policy.bayesian.ahead_choice import AHEAD, ahead
from discover.policy.bayesian.drawn_choice import drawn
from discover.policy.bayesian.one_target import BY_MEANS, OneTarget
from discover.policy.bayesian.pool_search import bounded, predicted, searched
from discover.policy.limited import allowed_of, prices_of
from discover.policy.ranking import Chosen, Ranking
from discover.protocols import View
from discover.surrogate.belief import Belief
from discover.surrogate.gaussian.threads import one_thread

if TYPE_CHECKING:
    from torch import Tensor

    from discover.policy.bayesian.options import Options

BESIDE = "one after the other, each by what it adds to the best of the earlier ones"
LARGEST_SIZE = 1e70
"""Deviation of a target up to which its fourth power, and of which the inverse's, is well within double precision."""


def other_choice(
    policy: Options, view: View, held: Belief, goal: Goal, best: float, n: int, generator: np.random.Generator
) -> tuple[Ranking, Chosen]:
    """The leading candidates by the policy's acquisition function, and at most n of them that are chosen together."""
    case = OneTarget.of(policy, view, held, goal, best * goal.spans[0])
    n = min(n, len(case.free))
    if case.blind:
        ranking = case.ranking(np.zeros(len(case.free)), np.arange(len(case.free)), "nothing: no model", BY_MEANS)
        return ranking, [(place, None) for place in view.limits.walk(ranking.rows, n)]
    if policy.acquisition == "thompson":
        return drawn(case, n, generator)
    _check_size(case)
    if policy.acquisition in AHEAD:
        return ahead(case, n, generator)
    score = _score(case)
    found = _swept(case, score, n)
    ranking, floor = (found, 0.0) if found is not None else _scored(case, score, n)
    gain = score.gain if best_counts(view) else None
    with one_thread():
        if gain is not None:
            return replace(ranking, batch=BESIDE), beside(case, ranking, gain, n, int(generator.integers(2**31)))
        return ranking, _together(case, ranking, score, floor, n)


def best_counts(view: View) -> bool:
    """Whether of a batch only the best counts: in a space, where another point like one that is chosen can always be had and tells
    nothing more. The candidates of a pool are what there is, and each of them counts."""
    return isinstance(view.limits, SpaceLimits)


def beside(case: OneTarget, ranking: Ranking, gain: Gain, n: int, seed: int) -> Chosen:
    """At most n of the short list, each for what it adds to the earlier ones and to what is under trial."""
    short, pending = ranking.rows, case.under_trial
    mean, covariance = case.posterior.joint(case.scaled(np.concatenate([short, pending])))
    most = len(pending) + min(n, len(short))
    known = Beside(gain, case.sign * mean, covariance, most=most, draws=case.policy.draws, seed=seed)
    for place in range(len(short), len(mean)):
        known.add(place)
    prices = prices_of(case.view, short, wanted=case.policy.per_cost)
    weights = (
        torch.from_numpy(case.log_chance_at(short)) if case.weighed else torch.zeros(len(short), dtype=torch.float64)
    )

    def valued(gains: Tensor, picked: Sequence[int]) -> Tensor:
        return gains + weights - (0.0 if prices is None else prices(picked).log())

    return [*together(known, valued, len(short), n, allowed_of(case.view.limits, short))]


def _check_size(case: OneTarget) -> None:
    """Unsupported for values so large or small that products of their variances are no numbers that a computer holds."""
    size = case.posterior.standard.scale
    if not 1.0 / LARGEST_SIZE <= size <= LARGEST_SIZE:
        raise Unsupported(
            f"acquisition {case.policy.acquisition!r} cannot be worked out where values differ by about {size:.0e}: tell "
            f"{case.name!r} in another unit or as a logarithm, or take expected-improvement, which asks for neither"
        )


def _scored(case: OneTarget, score: Marginal, n: int) -> tuple[Ranking, float]:
    """The leading candidates by the score of every one, and the least score of all."""
    plain = score(case.mean, case.deviation)
    floor = float(plain.min())
    prices = prices_of(case.view, case.free, wanted=case.policy.per_cost)
    likely = weighed(score.kind, plain, case.chance, floor)
    scores = per_cost(score.kind, likely, None if prices is None else prices([])).numpy()
    order = np.argsort(-scores, kind="stable")
    order = order[case.view.limits.spread(case.free[order], case.room(n), n)]
    return case.ranking(scores, order, _words(case, score), BY_MEANS), floor


def _words(case: OneTarget, score: Marginal) -> str:
    weighing = f", weighed by the probability {case.chance_words}" if case.weighed else ""
    costly = case.policy.per_cost and case.view.limits.costs is not None
    return f"{score.words}{weighing}{' per cost' if costly else ''}"


def _swept(case: OneTarget, score: Marginal, n: int) -> Ranking | None:
    """The leading candidates, found through bounds; None where these do not hold or do not pay."""
    costs = case.view.limits.prices() if case.policy.per_cost else None
    bound = _bound(case, score)
    if bound is None or (score.kind in SIGNED and (case.weighed or costs is not None)):
        return None
    weights = Weights(case.log_chance_at if case.weighed else None, costs)
    k = case.room(n)
    found = bounded(case.policy, case.view, case.posterior, case.held, bound, case.free, k, weights)
    if found is None:
        return None
    leading = {case.name: (found.mean, found.deviation)}
    for name in case.view.objective.outcomes:
        leading[name] = predicted(case.held, case.view, found.rows, name)
    values = np.exp(found.score) if isinstance(bound, Uncertainty) else found.score
    words, total = _words(case, score), len(case.free)
    return Ranking(found.rows, values, leading, total, words, False, searched(case.free), BY_MEANS)


def _bound(case: OneTarget, score: Marginal) -> Bounded | None:
    """The same score, as one that can be bounded; of the uncertainty its logarithm."""
    unit = case.posterior.standard.scale
    if score.kind == "upper-confidence":
        return Confidence(score.beta, case.sign, unit)
    if score.kind == "uncertainty":
        return Uncertainty()
    if score.kind == "top":
        return Improvement(score.incumbent, case.sign, pooled=True)
    if score.kind == "straddle":
        levels = tuple(level for level in (score.threshold, score.upper) if math.isfinite(level))
        return Straddle(levels, case.sign, unit)
    if score.kind == "probability-of-improvement":
        return _chance(case, score.incumbent, math.inf)
    return _chance(case, score.threshold, score.upper) if score.kind == "hits" else None


def _chance(case: OneTarget, low: float, high: float) -> Chance:
    """That the target, turned, lies from low to high."""
    return Chance(low, high) if case.sign > 0 else Chance(-high, -low)


def _score(case: OneTarget) -> Marginal:
    """The score that the policy names, in the turned unit."""
    policy, kind = case.policy, case.policy.acquisition
    low, high = case.hits
    tops = maxima(case.mean, case.deviation, case.chance).clamp_min(case.best) if kind == "max-value-entropy" else None
    best = case.top(policy.top) if kind == "top" else case.best
    return Marginal(kind_of(kind), best, policy.beta, low, high, tops)


def _together(case: OneTarget, ranking: Ranking, score: Marginal, floor: float, n: int) -> Chosen:
    """At most n of the short list, each as if the earlier ones and what is under trial had been observed."""
    short, pending = ranking.rows, case.under_trial
    mean, covariance = case.posterior.joint(case.scaled(np.concatenate([short, pending])))
    prices = prices_of(case.view, short, wanted=case.policy.per_cost)
    chance = case.chance_at(short) if case.weighed else None

    def valued(means: Tensor, deviations: Tensor) -> Tensor:
        return weighed(score.kind, score(means, deviations), chance, floor)

    def paid(scores: Tensor, picked: Sequence[int]) -> Tensor:
        return per_cost(score.kind, scores, None if prices is None else prices(picked))

    return [
        *greedy(
            valued,
            case.sign * mean,
            covariance,
            case.posterior.noise_variance,
            n,
            under_trial=len(pending),
            allowed=allowed_of(case.view.limits, short),
            paid=paid,
        )
    ]
