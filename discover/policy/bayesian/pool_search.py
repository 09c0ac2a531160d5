"""The leading rows of a pool of any size: by bounds where these hold, or else by the exact score of every row, in parts."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

import numpy as np

from discover.acquisition.bounded import Bounded, Improvement
from discover.acquisition.goal import Goal, Marginals, Parts
from discover.acquisition.pool import Scores
from discover.acquisition.scales import on_scales
from discover.acquisition.sweep import Best, PoolRows, best_rows, exact_parts
from discover.acquisition.tiles import SUBSET, TILE
from discover.acquisition.weights import Weights
from discover.policy.ranking import Ranking
from discover.protocols import View
from discover.surrogate.belief import Belief
from discover.surrogate.posterior import TargetPosterior
from discover.surrogate.targets.transformed import latent_of, scale_of
from discover.values import FloatArray, IntArray

if TYPE_CHECKING:
    from discover.policy.bayesian.options import Options

LARGE = 5_000_000
"""Candidates times observations from which on exact variances are worked out only where they can matter."""
PART = 65_536
"""Rows that are looked at together where every one is scored exactly."""


def swept(
    policy: Options,
    view: View,
    held: Belief,
    goal: Goal,
    best: float | None,
    free: IntArray,
    k: int,
    log_chance: Callable[[IntArray], FloatArray] | None = None,
    costs: FloatArray | None = None,
) -> Ranking | None:
    """The k leading free rows by log expected improvement, found through bounds; None where these do not hold or do not pay.

    They hold for one target that is to be large or small, once something measured keeps the constraints, and exact Gaussian
    processes. log_chance: of success, of some rows. costs: [N].
    """
    target = goal.single
    if target is None or best is None or target.direction == "match":
        return None
    carried = on_scales(goal, best, {name: scale_of(posterior) for name, posterior in held.posteriors.items()})
    incumbent, offset = (best * goal.spans[0], 0.0) if carried is None else (carried.best, carried.offset)
    assert incumbent is not None
    kept = _log_kept(view, held, goal if carried is None else carried.goal, latent=carried is not None)
    weights = Weights(_product(kept, log_chance), costs)
    score = Improvement(incumbent, 1.0 if target.direction == "maximize" else -1.0)
    found = bounded(policy, view, latent_of(held.posteriors[target.name]), held, score, free, k, weights)
    if found is None:
        return None
    leading = {target.name: (found.mean, found.deviation)}
    for name in held.posteriors:
        if name != target.name or carried is not None:
            leading[name] = predicted(held, view, found.rows, name)
    values = found.score + offset
    return Ranking(found.rows, values, leading, len(free), "log expected improvement", True, searched(free))


def bounded(
    policy: Options,
    view: View,
    posterior: TargetPosterior,
    held: Belief,
    score: Bounded,
    free: IntArray,
    k: int,
    weights: Weights,
) -> Best | None:
    """The k free rows with the greatest scores under the belief about one target; None where bounds of it do not hold or
    do not pay, and where one value may not fill a short list."""
    if view.limits.at_most or exact_parts(posterior) is None or len(free) * len(posterior.y) < LARGE:
        return None
    blocked = np.ones(len(view.blocked), dtype=bool)
    blocked[free] = False
    pool = PoolRows(view.features.values, held.scaling, blocked, view.features.hash)
    return best_rows(posterior, pool, k, score, weights=weights, carry=view.cache if policy.refit > 0 else None)


def searched(free: IntArray) -> dict[str, Any]:
    """How a pool was searched through bounds, for the record."""
    return {"of": len(free), "bounds": True, "subset": SUBSET, "tile": TILE}


def scored(rows: IntArray, score: Callable[[IntArray], Scores]) -> tuple[FloatArray, str, bool]:
    """The scores [m] of all of some rows, what they are, and whether a batch has more to gain jointly; in parts."""
    found = [score(rows[start : start + PART]) for start in range(0, len(rows), PART)]
    return np.concatenate([part.values.numpy() for part in found]), found[0].kind, found[0].joint


def predicted(held: Belief, view: View, rows: IntArray, name: str) -> tuple[FloatArray, FloatArray]:
    """Mean [m] and deviation [m] of one target at some rows, in its unit; in parts, and only of that target."""
    mean, deviation = np.empty(len(rows)), np.empty(len(rows))
    for start in range(0, len(rows), PART):
        part = slice(start, start + PART)
        X = held.scaled(view.features.values[rows[part]])
        mean[part], deviation[part] = (a.numpy() for a in held.posteriors[name].mean_deviation(X))
    return mean, deviation


def marginals(held: Belief, X: FloatArray, *, latent: bool = False, names: Collection[str] = ()) -> dict[str, Parts]:
    """The belief about what is measured (some `names`, or all of it) at raw features X [m, d], as mixtures; latent: on the
    scales of the beliefs."""
    scaled = held.scaled(X)
    beliefs = {name: latent_of(p) if latent else p for name, p in held.posteriors.items() if not names or name in names}
    return {
        name: [
            (weight, *part.mean_deviation(scaled))
            for weight, part in zip(posterior.weights, posterior.components, strict=True)
        ]
        for name, posterior in beliefs.items()
    }


def _log_kept(view: View, held: Belief, goal: Goal, *, latent: bool) -> Callable[[IntArray], FloatArray] | None:
    """The logarithm of the probability that some rows keep the constraints; None without constraints."""
    names = {constraint.target for constraint in goal.objective.constraints}
    if not names:
        return None

    def at(rows: IntArray) -> FloatArray:
        told: Marginals = marginals(held, view.features.values[rows], latent=latent, names=names)
        found: FloatArray = goal.log_feasibility(told).numpy()
        return found

    return at


def _product(
    one: Callable[[IntArray], FloatArray] | None, other: Callable[[IntArray], FloatArray] | None
) -> Callable[[IntArray], FloatArray] | None:
    """Logarithms of a product of probabilities."""
    if one is None or other is None:
        return other if one is None else one
    return lambda rows: one(rows) + other(rows)
