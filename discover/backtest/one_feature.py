"""The one-feature baseline: candidates in the order of whatever single feature goes best with what was observed so far.

A model has to beat this before its complexity is worth anything. On many materials tables it is strong: the bulk modulus
nearly sorts by volume per atom.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.stats import rankdata

from discover.errors import Unsupported
from discover.objective import Objective
from discover.protocols import Policy, View
from discover.values import Batch, FloatArray, IntArray, Proposal


@dataclass(frozen=True)
class Order:
    """The feature that was best correlated: its column, name, Spearman's rho with the utility, and on how many rows."""

    column: int
    name: str
    rho: float
    n: int


def spearman(X: FloatArray, y: FloatArray) -> FloatArray:
    """Spearman's rank correlation of every column of X [n, d] with y [n]: [d]; 0 where a column or y is constant."""
    ranks, goal = rankdata(X, axis=0), rankdata(y)
    ranks, goal = ranks - ranks.mean(axis=0), goal - goal.mean()
    size = np.sqrt((ranks**2).sum(axis=0) * (goal**2).sum())
    return np.divide(goal @ ranks, size, out=np.zeros(X.shape[1]), where=size > 1e-12)


def best_order(features: FloatArray, names: tuple[str, ...], rows: IntArray, utilities: FloatArray) -> Order | None:
    """The feature with the largest |rho| on the observed rows; of equals the first. None while nothing correlates.

    features: [N, d] of the pool. rows, utilities: [n], what was observed.
    """
    known = np.isfinite(utilities)
    rows, utilities = rows[known], utilities[known]
    if len(rows) < 3 or not features.shape[1]:
        return None
    rho = spearman(features[rows], utilities)
    # Rounding must not decide between two features that sort alike.
    column = int(np.argmax(np.round(np.abs(rho), 12)))
    return Order(column, names[column], float(rho[column]), len(rows)) if rho[column] else None


@dataclass(frozen=True)
class OneFeature:
    """Policy: after the same space-filling start as `bayesian`, the next in the order of the best single feature.

    start: observations with a value before the order is trusted. The feature is chosen anew for every batch, by |Spearman|
    between each feature and the utility of what was observed; its sign gives the direction. Candidates that tie in it are
    drawn with equal chance, which `probability` records.
    """

    start: int = 10
    starter: Policy | None = field(default=None, repr=False, metadata={"internal": True})

    def check(self, objective: Objective) -> None:
        """Unsupported for several targets: there is no single order then."""
        if len(objective.targets) != 1:
            raise Unsupported("the one-feature baseline orders by one target; give an objective with a single target")

    def propose(self, view: View, n: int, generator: np.random.Generator) -> Batch:
        """At most n unblocked candidates, from the good end of the order."""
        self.check(view.objective)
        target = view.objective.targets[0]
        training = view.training[target.name]
        utilities = np.asarray(target.utility(training.values), dtype=np.float64)
        order = best_order(view.features.values, view.features.names, training.rows, utilities)
        usable = len(np.unique(training.rows))
        # As `bayesian` does: a batch is all start, all order, or both where the last few of the start are missing.
        filling = n if order is None or 2 * usable < self.start else min(n, max(0, self.start - usable))
        start = self._starter().propose(view, filling, generator).proposals if filling else ()
        free = np.flatnonzero(~view.blocked & ~np.isin(view.ids, [p.candidate_id for p in start]))
        wanted = min(n - len(start), len(free))
        ordered = _from_order(view, order, free, wanted, generator) if order is not None and wanted > 0 else ()
        proposals = (*start, *ordered)
        verdict = f"ordered by {order.name} ({order.rho:+.2f})" if ordered and order else "no order yet"
        learned: dict[str, Any] = {"verdict": verdict}
        if order is not None:
            learned |= {"feature": order.name, "spearman": order.rho, "observations": order.n}
        shortage = "" if len(proposals) == n else f"only {len(proposals)} candidates are left"
        return Batch(proposals, learned=learned, shortage=shortage)

    def _starter(self) -> Policy:
        if self.starter is not None:
            return self.starter
        from discover.policy.space_filling import SpaceFilling

        return SpaceFilling()


def _from_order(
    view: View, order: Order, free: IntArray, n: int, generator: np.random.Generator
) -> tuple[Proposal, ...]:
    """The first n (at least 1) free rows from the good end of the order."""
    target = view.objective.targets[0]
    values = view.features.values[free, order.column]
    score = values * np.sign(order.rho)
    first = np.lexsort((generator.permutation(len(free)), -score))[:n]
    chances = _chances(score, score[first], n)
    end = "high" if order.rho > 0 else "low"
    why = f"of all features it goes best with {target.name} so far (Spearman {order.rho:+.2f} on {order.n})"
    return tuple(
        Proposal(
            candidate_id=str(view.ids[free[place]]),
            policy="one-feature",
            reason=f"{end} {order.name} = {values[place]:.4g}: {why}",
            probability=float(chance),
            rank=rank,
            details={"feature": order.name, "spearman": order.rho, "observations": order.n},
        )
        for rank, (place, chance) in enumerate(zip(first, chances, strict=True), start=1)
    )


def _chances(scores: FloatArray, chosen: FloatArray, n: int) -> FloatArray:
    """Chance of each chosen score to be among the first n: 1 above the cut, shared equally by those that tie at it."""
    if len(scores) <= n:
        return np.ones(len(chosen))
    cut = chosen[-1]
    places = n - np.count_nonzero(scores > cut)
    return np.where(chosen > cut, 1.0, places / np.count_nonzero(scores == cut))
