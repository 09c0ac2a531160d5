"""Candidates spread over the pool, so that a first model sees some of everything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from discover.kinds import typed
from discover.limits import Limits
from discover.policy.choice import beginners, checked_count, shortage, touched_rows
from discover.protocols import View
from discover.surrogate.inputs.scaling import Scaling
from discover.values import Batch, FloatArray, IntArray, Proposal

SAMPLE = 2000
"""Rows that stand for the pool in the sums of `medoids`; drawn where the pool is larger."""

PART = 65_536
"""Rows that are scaled together."""

BLOCK = 256
"""Points whose distances are held in memory together."""


@dataclass(frozen=True)
@typed
class SpaceFilling:
    """Spread over the features, each scaled to the same range over the pool.

    method `farthest`: each next candidate is the one farthest from all that were touched so far (Gonzalez 1985).
    `medoids`: each next candidate is the one that brings the pool nearest, on average, to what was touched (greedy
    k-medoids; Nemhauser et al. 1978). Both go on from rows that are measured, pending or excluded; where there are
    none, the first row is random. Distances are Euclidean. Best values often lie at the edge of a pool, where `farthest`
    looks first; `medoids` suits a pool whose edge is of no interest.
    """

    method: Literal["farthest", "medoids"] = "farthest"

    def propose(self, view: View, n: int, generator: np.random.Generator) -> Batch:
        """At most n different free candidates, deterministic in (view, n, generator)."""
        n = checked_count(n)
        free, touched = beginners(view, n), touched_rows(view)
        scaled = _Scaled(view.features.values, Scaling.of(view.features) if len(view.ids) else None)
        choose = _farthest if self.method == "farthest" else _medoids
        chosen = choose(scaled, free, touched, min(n, len(free)), generator, view.limits)
        proposals = tuple(
            Proposal(
                str(view.ids[row]),
                "space-filling",
                reason,
                probability=chance,
                details={"method": self.method, **details},
            )
            for row, reason, chance, details in chosen
        )
        learned = {"policy": "space-filling", "method": self.method}
        return Batch(proposals, learned, shortage(view, n, proposals))


Chosen = tuple[int, str, "float | None", dict[str, float]]
"""Row, reason, probability where the choice was random, numbers."""


@dataclass(frozen=True)
class _Scaled:
    """Scaled features of a pool, row by row as they are asked for: of a large pool there is no copy."""

    values: FloatArray
    scaling: Scaling | None

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: IntArray) -> FloatArray:
        """[m, d] of rows [m]."""
        return np.zeros((0, 1)) if self.scaling is None else self.scaling.apply(self.values[rows])

    def over(self, rows: IntArray, told: Callable[[FloatArray], FloatArray]) -> FloatArray:
        """What is told of each of some rows [m], in parts."""
        parts = [told(self[rows[start : start + PART]]) for start in range(0, len(rows), PART)]
        return np.concatenate(parts) if parts else np.empty(0)


def _farthest(
    X: _Scaled, free: IntArray, touched: IntArray, n: int, generator: np.random.Generator, limits: Limits
) -> list[Chosen]:
    """Farthest-point traversal over free rows."""
    chosen: list[Chosen] = []
    if not n:
        return chosen
    if len(touched):
        points = X[touched]
        nearest = X.over(free, lambda rows: _nearest(rows, points))
    else:
        first = int(generator.integers(len(free)))
        chosen.append((int(free[first]), "space-filling: the first candidate is drawn at random", 1 / len(free), {}))
        nearest = _from(X, free, int(free[first]))
        nearest[first] = -1.0
    while len(chosen) < n:
        open_places = limits.allowed(free, [row for row, *_ in chosen]) & (nearest >= 0)
        if not open_places.any():
            break
        place = int(np.where(open_places, nearest, -1.0).argmax())
        gap = float(nearest[place])
        reason = f"space-filling: farthest in features from everything tried so far (distance {gap:.3g})"
        chosen.append((int(free[place]), reason, None, {"distance": gap}))
        nearest = np.minimum(nearest, _from(X, free, int(free[place])))
        nearest[place] = -1.0
    return chosen


def _from(X: _Scaled, free: IntArray, row: int) -> FloatArray:
    """Distances [m] of the free rows from one row."""
    point = X[np.array([row])][0]
    return X.over(free, lambda rows: _distances(rows, point))


def _medoids(
    X: _Scaled, free: IntArray, touched: IntArray, n: int, generator: np.random.Generator, limits: Limits
) -> list[Chosen]:
    """Greedy k-medoids over free rows; where nothing was touched the first row is random."""
    chosen: list[Chosen] = []
    if not n:
        return chosen
    all_rows = np.arange(len(X))
    crowd = X[all_rows if len(X) <= SAMPLE else np.sort(generator.choice(len(X), SAMPLE, replace=False))]
    near = _nearest(crowd, X[touched])
    offered = free if len(free) <= max(SAMPLE, n) else _some(free, max(SAMPLE, n), n, generator, limits)
    open_places = np.ones(len(offered), dtype=bool)
    apart = _all_distances(X[offered], crowd)
    while len(chosen) < n:
        may = open_places & limits.allowed(offered, [row for row, *_ in chosen])
        if not may.any():
            break
        if not np.isfinite(near).any():
            place, chance = int(generator.integers(len(offered))), 1 / len(free)
            reason, details = "space-filling: the first candidate is drawn at random", {}
        else:
            left = np.minimum(apart, near).mean(axis=1)
            place, chance = int(np.where(may, left, np.inf).argmin()), None
            details = {"distance_before": float(near.mean()), "distance_after": float(left[place])}
            reason = (
                "space-filling: brings the pool nearest to what was tried "
                f"(mean distance {details['distance_before']:.3g} to {details['distance_after']:.3g})"
            )
        chosen.append((int(offered[place]), reason, chance, details))
        open_places[place] = False
        near = np.minimum(near, apart[place])
    return chosen


def _some(free: IntArray, size: int, n: int, generator: np.random.Generator, limits: Limits) -> IntArray:
    """A random part of the free rows, ascending; where values may occur only so often, one that has enough of them."""
    if not limits.at_most:
        return np.sort(generator.choice(free, size, replace=False))
    order = generator.permutation(free)
    return np.sort(order[limits.spread(order, size, n)])


def _nearest(X: FloatArray, points: FloatArray) -> FloatArray:
    """Distance [m] of rows [m, d] from the nearest of the points [k, d]; infinite where there are none."""
    near = np.full(len(X), np.inf)
    for i in range(0, len(points), BLOCK):
        near = np.minimum(near, _all_distances(X, points[i : i + BLOCK]).min(axis=1))
    return near


def _distances(X: FloatArray, point: FloatArray) -> FloatArray:
    """Distances [m] of rows [m, d] from one point [d]."""
    return np.sqrt(np.square(X - point).sum(axis=1))


def _all_distances(A: FloatArray, B: FloatArray) -> FloatArray:
    """Distances [m, n] between rows of A [m, d] and of B [n, d]."""
    squared = np.square(A).sum(axis=1)[:, None] + np.square(B).sum(axis=1) - 2.0 * A @ B.T
    return np.sqrt(np.maximum(squared, 0.0))
