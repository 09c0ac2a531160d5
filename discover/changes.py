"""What it costs to go from one experiment to the next, and an order of a batch in which little is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from discover.values import FloatArray, IntArray

Step = tuple[int, float]
"""A row, and what it costs to go there from the one before."""


@dataclass(frozen=True)
class Changes:
    """The price of going from one row of a pool of N to another: over some columns, what each change costs, added up.

    fixed: [c] >= 0, where the values of a column differ. per_unit: [c] >= 0, times the difference of its numbers. codes:
    [N, c], equal where values are equal. numbers: [N, c], NaN where a value is none, from and to which there is no difference.
    standing: codes [c] and numbers [c] of what is set up now; None before the first experiment, which costs no change.
    """

    fixed: FloatArray
    per_unit: FloatArray
    codes: IntArray
    numbers: FloatArray
    standing: tuple[IntArray, FloatArray] | None = None
    _routes: dict[tuple[int, ...], list[int]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def added(self, rows: IntArray, taken: Sequence[int] = ()) -> FloatArray:
        """By how much each of some rows [m] makes a batch of `taken` rows dearer, put in where that costs least: [m]."""
        return self._insertions(rows, self._route(tuple(int(row) for row in taken)))[0]

    def appended(self, rows: IntArray, taken: Sequence[int] = ()) -> FloatArray:
        """By how much each of some rows [m] would make a batch of `taken` rows dearer as its last one: at least as `added`."""
        route = self._route(tuple(int(row) for row in taken))
        last = self._place(route[-1]) if route else self.standing
        return np.zeros(len(rows)) if last is None else self._between(rows, last)

    def total(self, taken: Sequence[int]) -> float:
        """What all changes of a batch cost, from what is set up now, in the order of `steps`."""
        return float(sum(cost for _, cost in self.steps(taken)))

    def steps(self, taken: Sequence[int]) -> list[Step]:
        """Rows of a batch in an order in which little is changed, each put in where it costs least (cheapest insertion:
        Rosenkrantz, Stearns and Lewis, SIAM J. Comput. 6, 563 (1977)), with what it takes to get to each.
        """
        route = self._route(tuple(int(row) for row in taken))
        return list(zip(route, self.along(route), strict=True))

    def along(self, rows: Sequence[int]) -> list[float]:
        """What it takes to get to each of some rows, one after the other, from what is set up now."""
        found, before = [], self.standing
        for row in rows:
            at = self._place(row)
            found.append(0.0 if before is None else float(self._between(np.array([row]), before)[0]))
            before = at
        return found

    def _route(self, taken: tuple[int, ...]) -> list[int]:
        """The order of a batch. That of the batch before its last row is remembered: batches grow by one row at a time."""
        known = len(taken)
        while known and taken[:known] not in self._routes:
            known -= 1
        route = list(self._routes[taken[:known]]) if known else []
        for row in taken[known:]:
            place = int(self._insertions(np.array([row]), route)[1][0])
            route.insert(place, row)
        self._routes.clear()
        self._routes[taken] = list(route)
        return route

    def _insertions(self, rows: IntArray, route: list[int]) -> tuple[FloatArray, IntArray]:
        """What it costs to put each of some rows [m] into a route, and its place there: the last of those that cost least."""
        links = [*self.along(route), 0.0]
        none = np.zeros(len(rows))
        from_before = none if self.standing is None else self._between(rows, self.standing)
        cost, place = np.full(len(rows), np.inf), np.zeros(len(rows), dtype=np.int64)
        for k, link in enumerate(links):
            to_next = self._between(rows, self._place(route[k])) if k < len(route) else none
            here = from_before + to_next - link
            better = here <= cost
            cost, place = np.where(better, here, cost), np.where(better, k, place)
            from_before = to_next
        return np.maximum(cost, 0.0), place

    def _place(self, row: int) -> tuple[IntArray, FloatArray]:
        return self.codes[row], self.numbers[row]

    def _between(self, rows: IntArray, stop: tuple[IntArray, FloatArray]) -> FloatArray:
        """The price of going from a stop to each of some rows [m], or back: [m]."""
        codes, numbers = stop
        changed = (self.codes[rows] != codes) @ self.fixed
        if not self.per_unit.any():
            return changed
        return changed + np.nan_to_num(np.abs(self.numbers[rows] - numbers)) @ self.per_unit
