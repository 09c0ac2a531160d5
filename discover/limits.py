"""What the candidates of one batch may have in common, and what they cost together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from discover.changes import Changes
from discover.filling import Each, Kinds, Rule, Sum, largest
from discover.values import BoolArray, FloatArray, IntArray

ROUNDING = 1e-9
"""By which share a sum of costs may pass the funds: ten times 0.1 is 1."""


@dataclass(frozen=True)
class Limits:
    """Rules that hold within one batch, over rows of a pool of N candidates.

    at_most: by column, how often one of its values may occur in a batch. same: columns in which a whole batch agrees.
    codes: [N] by column, equal where values are equal. costs: [N] > 0, what each candidate is known to cost. funds: what
    the batch may cost. chosen: rows that are in the batch already. among: the only rows that may join it; None for any.
    changes: what changing over from one experiment to the next costs besides; only with costs. sharing: among how many
    experiments a change-over is thought to be shared where candidates are compared.
    """

    at_most: Mapping[str, int] = field(default_factory=dict)
    same: tuple[str, ...] = ()
    codes: Mapping[str, IntArray] = field(default_factory=dict)
    costs: FloatArray | None = None
    funds: float = math.inf
    chosen: tuple[int, ...] = ()
    among: tuple[int, ...] | None = None
    changes: Changes | None = None
    sharing: int = 1

    def prices(self, rows: IntArray | None = None, chosen: Sequence[int] = ()) -> FloatArray | None:
        """What each of some rows [m] costs, or all [N], where candidates are compared; None where nothing is known of it.

        chosen: rows that have joined the batch, besides those that are in it: what is set up for them is set up.
        """
        if self.costs is None or self.changes is None:
            return self.costs if rows is None or self.costs is None else self.costs[rows]
        rows = np.arange(len(self.costs)) if rows is None else rows
        return self.costs[rows] + self.changes.added(rows, (*self.chosen, *chosen)) / self.sharing

    def cost(self, rows: Sequence[int]) -> float:
        """What some rows cost as one batch, change-overs included; 0 where nothing is known of it."""
        changing = 0.0 if self.changes is None else self.changes.total(rows)
        return changing + (0.0 if self.costs is None else float(self.costs[list(rows)].sum()))

    @property
    def binding(self) -> bool:
        """Whether one choice may stand in the way of another."""
        return bool(self.at_most or self.same or self._limited_funds or self.among is not None)

    @property
    def shared(self) -> bool:
        """Whether the batch shares more than its funds, which are spent on the best first."""
        return bool(self.at_most or self.same)

    @property
    def _limited_funds(self) -> bool:
        return self.costs is not None and math.isfinite(self.funds)

    def allowed(self, rows: IntArray, chosen: Sequence[int] = ()) -> BoolArray:
        """Which of some rows [m] may join the batch, besides `chosen` rows that have joined it; [m].

        Whether a row is free, and in the batch only once, is not asked here.
        """
        fine = np.ones(len(rows), dtype=bool)
        if not self.binding:
            return fine
        if self.among is not None:
            fine &= np.isin(rows, self.among)
        taken = np.array([*self.chosen, *chosen], dtype=np.int64)
        for column, most in self.at_most.items():
            values, counts = np.unique(self.codes[column][taken], return_counts=True)
            full = values[counts >= most]
            if len(full):
                fine &= ~np.isin(self.codes[column][rows], full)
        if len(taken):
            for column in self.same:
                fine &= self.codes[column][rows] == self.codes[column][taken[0]]
        if self.costs is not None and self._limited_funds:
            left = self.funds * (1.0 + ROUNDING) - self.cost(taken.tolist())
            fine &= self.costs[rows] <= left
            if self.changes is not None and fine.any():
                fine[fine] = self._reached(rows[fine], left, taken.tolist())
        return fine

    def _reached(self, rows: IntArray, left: float, taken: Sequence[int]) -> BoolArray:
        """To which of some rows [m] it may be changed over for what is left; put last first, for most can be paid for there."""
        assert self.costs is not None
        assert self.changes is not None
        fine = self.costs[rows] + self.changes.appended(rows, taken) <= left
        others = rows[~fine]
        if len(others):
            fine[~fine] = self.costs[others] + self.changes.added(others, taken) <= left
        return fine

    def joined(self, rows: Sequence[int] | IntArray) -> Limits:
        """The limits once further rows are in the batch."""
        return replace(self, chosen=(*self.chosen, *(int(row) for row in rows)))

    def walk(self, rows: IntArray, n: int) -> list[int]:
        """Places of at most n of some rows, which stand in order of preference: each the first that may still join."""
        if not self.binding:
            return list(range(min(n, len(rows))))
        left, places = np.ones(len(rows), dtype=bool), list[int]()
        while len(places) < n:
            fine = left & self.allowed(rows, rows[places].tolist())
            if not fine.any():
                break
            places.append(int(fine.argmax()))
            left[places[-1]] = False
        return places

    def fullest(self, rows: IntArray, n: int, preference: FloatArray) -> IntArray:
        """At most n of some rows [m] that may join the batch together: as many as can be, and of these the most preferred.

        preference: [m], between 0 and 1. Empty where no batch was found.
        """
        rows, preference = rows[fine := self.allowed(rows)], preference[fine]
        return rows[largest(n, self.rules(rows), preference)]

    def rules(self, rows: IntArray) -> list[Rule]:
        """What further rows of a batch must keep together, of some rows [m] that may each join it; change-overs aside."""
        taken = np.array(self.chosen, dtype=np.int64)
        found: list[Rule] = []
        for column, most in self.at_most.items():
            values, codes = np.unique(self.codes[column][rows], return_inverse=True)
            had = np.array([np.count_nonzero(self.codes[column][taken] == value) for value in values])
            found.append(Each(codes.reshape(-1).astype(np.int64), most - had.astype(np.float64)))
        if self.same and not len(taken):
            values = np.stack([self.codes[column][rows] for column in self.same])
            found.append(Kinds(np.unique(values, axis=1, return_inverse=True)[1].reshape(-1).astype(np.int64), 1))
        if self.costs is not None and self._limited_funds:
            left = self.funds * (1.0 + ROUNDING) - self.cost(taken.tolist())
            found.append(Sum(self.costs[rows], left))
        return found

    def spread(self, rows: IntArray, k: int, n: int) -> IntArray:
        """Places of at most k of some rows, which stand in order of preference, among which n can be found.

        Rows whose values stand before them more often than a batch of n has use for come last.
        """
        if not self.at_most or len(rows) <= k:
            return np.arange(min(k, len(rows)), dtype=np.int64)
        useful = np.ones(len(rows), dtype=bool)
        for column, most in self.at_most.items():
            useful &= _occurrence(self.codes[column][rows]) < max(8 * most, math.ceil(2 * k * most / n))
        order = np.concatenate([np.flatnonzero(useful), np.flatnonzero(~useful)])
        return np.sort(order[:k])

    def groups(self, rows: IntArray, n: int) -> IntArray:
        """Which batch each row [m] belongs to where all of a batch agree: [m]; -1 where a larger batch is to be had.

        A row is in -1 where its like are too few to fill n, or fewer than others are.
        """
        if not self.same or not len(rows):
            return np.zeros(len(rows), dtype=np.int64)
        values = np.stack([self.codes[column][rows] for column in self.same])
        found = np.unique(values, axis=1, return_inverse=True)[1].reshape(-1).astype(np.int64)
        room = np.array([self._room(rows[found == group], n) for group in range(int(found.max()) + 1)])
        return np.where((room == room.max())[found], found, -1)

    def _room(self, rows: IntArray, n: int) -> int:
        """How many of some rows a batch of n may hold, at most."""
        room = min(n, len(rows))
        for column, most in self.at_most.items():
            counts = np.unique(self.codes[column][rows], return_counts=True)[1]
            room = min(room, int(np.minimum(counts, most).sum()))
        if self.costs is not None and self._limited_funds:
            spent = np.cumsum(np.sort(self.costs[rows]))
            room = min(room, int(np.searchsorted(spent, self.funds * (1.0 + ROUNDING), side="right")))
        return room

    @property
    def words(self) -> str:
        """The limits, for a sentence that says why a batch is small."""
        parts = [f"at most {most} of the same {column}" for column, most in self.at_most.items()]
        parts += [f"the same {column} in all of a batch" for column in self.same]
        if self.costs is not None and self._limited_funds:
            changing = " (change-overs included)" if self.changes is not None else ""
            parts.append(f"{max(self.funds, 0.0):g} left of the budget in cost{changing}")
        return ", ".join(parts)


def _occurrence(codes: IntArray) -> IntArray:
    """How many equal codes stand before each: [m]."""
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    first = np.r_[0, np.flatnonzero(np.diff(ordered)) + 1]
    counted = np.arange(len(codes)) - np.repeat(first, np.diff(np.r_[first, len(codes)]))
    found = np.empty(len(codes), dtype=np.int64)
    found[order] = counted
    return found
