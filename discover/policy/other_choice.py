"""Batches by other acquisition functions than expected improvement, for one target that is to be large or small."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from discover.acquisition.goal import Goal
from discover.acquisition.marginal import Marginal, greedy, maxima
from discover.acquisition.paths import Paths
from discover.policy.choice import free_rows
from discover.policy.ranking import Ranking
from discover.protocols import FloatArray, IntArray, View
from discover.surrogate.belief import Belief

if TYPE_CHECKING:
    from discover.policy.bayesian import Bayesian

LEADING = 500
"""Candidates that compete when the chance of a draw's choice is estimated."""
CHANCES = 1024
"""Draws from which it is."""
Chosen = list[tuple[int, float | None]]
"""Places in a ranking, with the score that each had when it was chosen."""


def other_choice(
    policy: Bayesian, view: View, held: Belief, goal: Goal, best: float, n: int, generator: np.random.Generator
) -> tuple[Ranking, Chosen]:
    """The leading candidates by the policy's acquisition function, and at most n of them that are chosen together."""
    target = goal.single
    assert target is not None
    sign = 1.0 if target.direction == "maximize" else -1.0
    free = free_rows(view)
    if held.posteriors[target.name].state is None:
        return _blind(held, target.name, view, free, n)
    if policy.acquisition == "thompson":
        return _drawn(policy, view, held, target.name, sign, free, n, generator)
    mean, deviation = held.predict(view.features.values[free])[target.name]
    turned, width = torch.from_numpy(sign * mean), torch.from_numpy(deviation)
    threshold = np.nan if policy.threshold is None else sign * policy.threshold
    tops = maxima(turned, width) if policy.acquisition == "max-value-entropy" else None
    score = Marginal(policy.acquisition, best * goal.spans[0], policy.beta, threshold, tops)  # type: ignore[arg-type]
    scores = score(turned, width).numpy()
    order = np.argsort(-scores, kind="stable")[: policy.shortlist + n]
    ranking = _ranking(target.name, free, order, scores, mean, deviation, score.words)
    return ranking, _together(policy, view, held, target.name, sign, ranking, score, min(n, len(free)))


def _together(
    policy: Bayesian, view: View, held: Belief, name: str, sign: float, ranking: Ranking, score: Marginal, n: int
) -> Chosen:
    """At most n of the short list, each as if the earlier ones and what is under trial had been observed."""
    posterior = held.posteriors[name]
    short = ranking.rows[: policy.shortlist]
    pending = np.setdiff1d(view.pending, held.observed)
    mean, covariance = posterior.joint(held.scaled(view.features.values[np.concatenate([short, pending])]))
    noise = posterior.noise_variance
    found: Chosen = [*greedy(score, sign * mean, covariance, noise, n, under_trial=len(pending))]
    return found + [(place, None) for place in range(len(short), len(short) + n - len(found))]


def _drawn(
    policy: Bayesian,
    view: View,
    held: Belief,
    name: str,
    sign: float,
    free: IntArray,
    n: int,
    generator: np.random.Generator,
) -> tuple[Ranking, Chosen]:
    """The best candidate in each of n functions drawn from the belief."""
    paths = Paths.drawn(held.posteriors[name], min(n, len(free)), generator)
    found = paths.best(lambda at: held.scaled(view.features.values[free[at]]), len(free), sign, chunk=policy.chunk)
    places = np.array([place for place, _ in found], dtype=np.int64)
    values = np.array([value for _, value in found])
    belief = held.predict(view.features.values[free])[name]
    chance = _chance(held, view, name, sign, free, belief, places, generator)
    how = {"draws": len(found), "of": len(free), "precision": "double", "chance_from_draws": CHANCES}
    ranking = Ranking(
        free[places], values, {name: (belief[0][places], belief[1][places])}, len(free),
        "value in a function drawn from the belief", False, how, "one function drawn for each", chance,
    )  # fmt: skip
    return ranking, [(place, float(values[place])) for place in range(len(found))]


def _chance(
    held: Belief,
    view: View,
    name: str,
    sign: float,
    free: IntArray,
    belief: tuple[FloatArray, FloatArray],
    places: IntArray,
    generator: np.random.Generator,
) -> FloatArray:
    """The chance [k] of each place to be in such a batch: how often it is the best of the leading ones in further draws."""
    leading = np.argsort(-(sign * belief[0] + 2.0 * belief[1]), kind="stable")[:LEADING]
    rivals = np.union1d(leading, places)
    values = held.posteriors[name].sample(held.scaled(view.features.values[free[rivals]]), CHANCES, generator)
    winners = np.bincount((sign * values).argmax(dim=1).numpy(), minlength=len(rivals)) / CHANCES
    alone = winners[np.searchsorted(rivals, places)]
    return 1.0 - (1.0 - np.maximum(alone, 0.5 / CHANCES)) ** len(places)


def _blind(held: Belief, name: str, view: View, free: IntArray, n: int) -> tuple[Ranking, Chosen]:
    """Where there is no model but the mean, nothing tells candidates apart: the first ones."""
    mean, deviation = held.predict(view.features.values[free])[name]
    ranking = _ranking(
        name, free, np.arange(min(n, len(free))), np.zeros(len(free)), mean, deviation, "nothing: no model"
    )
    return ranking, [(place, None) for place in range(min(n, len(free)))]


def _ranking(
    name: str, free: IntArray, order: IntArray, scores: FloatArray, mean: FloatArray, deviation: FloatArray, kind: str
) -> Ranking:
    how = {"solved": len(free), "of": len(free), "precision": "double"}
    batch = "one after the other, as if the earlier ones had been observed at their means"
    leading = {name: (mean[order], deviation[order])}
    return Ranking(free[order], scores[order], leading, len(free), kind, False, how, batch)
