"""The leading rows of a pool of any size: by bounds where these hold, or else by the exact score of every row, in parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from discover.acquisition.bounded import Improvement
from discover.acquisition.goal import Goal
from discover.acquisition.pool import Scores
from discover.acquisition.scales import on_scales
from discover.acquisition.sweep import PoolRows, best_rows, exact_parts
from discover.acquisition.tiles import SUBSET, TILE
from discover.policy.ranking import Ranking
from discover.protocols import FloatArray, IntArray, View
from discover.surrogate.belief import Belief
from discover.surrogate.transformed import latent_of, scale_of

if TYPE_CHECKING:
    from discover.policy.bayesian import Bayesian

LARGE = 5_000_000
"""Candidates times observations from which on exact variances are worked out only where they can matter."""
PART = 65_536
"""Rows that are looked at together where every one is scored exactly."""


def swept(
    policy: Bayesian, view: View, held: Belief, goal: Goal, best: float | None, free: IntArray, k: int
) -> Ranking | None:
    """The k leading free rows by log expected improvement, found through bounds; None where these do not hold or do not pay.

    They hold for one target that is to be large or small, no constraints, costs or learned feasibility, and exact Gaussian
    processes.
    """
    target = goal.single
    if (
        target is None
        or best is None
        or target.direction == "match"
        or goal.objective.constraints
        or view.limits.at_most
    ):
        return None
    whole = held.posteriors[target.name]
    posterior, carried = latent_of(whole), on_scales(goal, best, {target.name: scale_of(whole)})
    incumbent, offset = (best * goal.spans[0], 0.0) if carried is None else (carried.best, carried.offset)
    assert incumbent is not None
    if exact_parts(posterior) is None or len(free) * len(posterior.y) < LARGE:
        return None
    score = Improvement(incumbent, 1.0 if target.direction == "maximize" else -1.0)
    pool = PoolRows(view.features.values, held.scaling, view.blocked, view.features.hash)
    found = best_rows(posterior, pool, k, score, carry=view.cache if policy.refit > 0 else None)
    mean, deviation = predicted(held, view, found.rows, target.name) if carried else (found.mean, found.deviation)
    leading = {target.name: (mean, deviation)}
    how = {"of": len(free), "bounds": True, "subset": SUBSET, "tile": TILE}
    return Ranking(found.rows, found.score + offset, leading, len(free), "log expected improvement", True, how)


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
