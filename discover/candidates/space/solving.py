"""Finding settings that keep every constraint where chance would find none: propagation of bounds and a search that is complete.

Every constraint narrows the codes that are left to each slot; a parameter is set at random within them, and where that leads
nowhere the codes below and above it are tried. What is decided on the way is exact, so where the search ends without a
point there is none (Mackworth, Artificial Intelligence 8, 99, 1977; Schulte and Stuckey, TOPLAS 31, 2, 2008, on bounds).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from discover.candidates.space.constraints.conditions import Among, Any_, Condition, Count, Linear, Not
from discover.candidates.space.parameters.levels import Even
from discover.candidates.space.parameters.mixture import Mixture
from discover.values import IntArray

if TYPE_CHECKING:
    from discover.candidates.space.declared import Declared

ROUNDS = 50
"""Rounds of narrowing, at most: what is left then is found by trying."""
TRIES = 12
"""Random settings of a mixture or an order before all of them are gone through."""
ALIKE = 4
"""Parameters with so many times the fewest settings that are left are chosen from at random."""
LISTED = 3_000
"""Settings of a mixture or an order that are gone through."""
_OPPOSITE = {"<=": ">", "<": ">=", "==": "!=", "!=": "=="}


class Dead(Exception):
    """Nothing within these bounds keeps the constraints."""


@dataclass
class Bounds:
    """The codes that are left: low [slots], high [slots]; and which parameters are set."""

    low: list[int]
    high: list[int]
    done: frozenset[int] = frozenset()

    def copy(self) -> Bounds:
        """The same, to be changed apart."""
        return Bounds(list(self.low), list(self.high), self.done)


@dataclass
class Solver:
    """Searches one space, from bounds. left: how many settings may still be tried. complete: whether none was left out."""

    space: Declared
    generator: np.random.Generator
    left: int
    complete: bool = True
    _implied: list[Condition] = field(default_factory=list)
    _bound: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._implied = [*self.space.conditions, *self.space.implied]
        told = [*self.space.conditions, *self.space.activity.values()]
        self._bound = {self.space.owner[slot] for condition in told for slot in condition.slots}

    def solve(self, low: IntArray, high: IntArray) -> IntArray | None:
        """Codes [slots] of one point; None where none was found: there is none if `complete`."""
        if not all(self._meets(condition) for condition in self.space.conditions):
            return None
        return self._search(Bounds(low.tolist(), high.tolist()))

    def _meets(self, condition: Condition) -> bool:
        """Whether the steps of an equality's numbers can meet its limit at all: they sum to multiples of their divisor."""
        if not isinstance(condition, Linear) or condition.sign != "==" or condition.loose:
            return True
        levels = [self.space.slots[slot].levels for slot, _ in condition.terms]
        idle = any(self.space.owner[slot] in self.space.activity for slot, _ in condition.terms)
        if idle or not all(isinstance(one, Even) for one in levels):
            return True
        steps = [w * one.step for (_, w), one in zip(condition.terms, levels, strict=True) if isinstance(one, Even)]
        rest = condition.limit - sum(w * one.low for (_, w), one in zip(condition.terms, levels, strict=True))
        common = math.lcm(*(step.denominator for step in steps))
        return rest * common % math.gcd(*(int(step * common) for step in steps)) == 0

    def _search(self, bounds: Bounds) -> IntArray | None:
        try:
            self._narrow(bounds)
        except Dead:
            return None
        place = self._next(bounds)
        if place is None:
            return self._leaf(bounds)
        parameter, slots = self.space.parameters[place], self.space.places[place]
        if self._active(place, bounds) is False:
            bounds.done |= {place}
            return self._search(bounds)
        if len(slots) > 1:
            return self._search_together(place, bounds)
        low, high = bounds.low[slots[0]], bounds.high[slots[0]]
        if low == high:
            bounds.done |= {place}
            return self._search(bounds)
        code = int(parameter.draw(np.array([low]), np.array([high]), 1, self.generator)[0, 0])
        return self._search_slot(slots[0], code, bounds)

    def _search_slot(self, slot: int, code: int, bounds: Bounds) -> IntArray | None:
        """With a slot at a code, and then below and above it."""
        parts = [(bounds.low[slot], code - 1), (code + 1, bounds.high[slot])]
        order = self.generator.permutation(2)
        for first, last in [(code, code), *(parts[k] for k in order)]:
            if first > last:
                continue
            if not self._spend():
                return None
            found = self._within(bounds, slot, first, last)
            if found is not None:
                return found
        return None

    def _within(self, bounds: Bounds, slot: int, first: int, last: int) -> IntArray | None:
        inner = bounds.copy()
        inner.low[slot], inner.high[slot] = first, last
        return self._search(inner)

    def _search_together(self, place: int, bounds: Bounds) -> IntArray | None:
        parameter, slots = self.space.parameters[place], self.space.places[place]
        low, high = (np.array([end[slot] for slot in slots]) for end in (bounds.low, bounds.high))
        few = parameter.count <= LISTED
        tries = parameter.draw(low, high, TRIES, self.generator)
        if few:
            every = parameter.listing()
            every = every[((every >= low) & (every <= high)).all(axis=1)]
            tries = np.concatenate([tries, every[self.generator.permutation(len(every))]])
        for codes in tries:
            if not self._spend():
                return None
            inner = bounds.copy()
            inner.done |= {place}
            for slot, code in zip(slots, codes.tolist(), strict=True):
                inner.low[slot] = inner.high[slot] = code
            found = self._search(inner)
            if found is not None:
                return found
        if not few and isinstance(parameter, Mixture):
            return self._search_parts(parameter, place, bounds)
        self.complete &= few
        return None

    def _search_parts(self, mixture: Mixture, place: int, bounds: Bounds) -> IntArray | None:
        """One component of a mixture after the other: an equality then tells what is left to the others."""
        slots = self.space.places[place]
        low, high = (np.array([end[slot] for slot in slots]) for end in (bounds.low, bounds.high))
        drawn = mixture.draw(low, high, 1, self.generator)
        open_ = np.flatnonzero(low < high)
        if not len(drawn) or not len(open_):  # nothing within the bounds, or what was tried already
            return None
        part = int(self.generator.choice(open_))
        return self._search_slot(slots[part], int(drawn[0, part]), bounds)

    def _spend(self) -> bool:
        self.left -= 1
        if self.left < 0:
            self.complete = False
        return self.left >= 0

    def _next(self, bounds: Bounds) -> int | None:
        """A parameter to be set next, at random among those of which it is known whether they have a value."""
        open_ = [place for place in range(len(self.space.parameters)) if place not in bounds.done]
        decided = [place for place in open_ if self._active(place, bounds) is not None]
        if not decided:
            return None
        bound = [place for place in decided if place in self._bound] or decided  # the others never stand in the way
        sizes = [self._size(place, bounds) for place in bound]
        # few choices first: the equalities then tell those with many
        few = [place for place, size in zip(bound, sizes, strict=True) if size <= ALIKE * min(sizes)]
        return int(self.generator.choice(few))

    def _size(self, place: int, bounds: Bounds) -> int:
        """How many settings are left to a parameter, about."""
        slots = self.space.places[place]
        if len(slots) > 1:
            return self.space.parameters[place].count
        return bounds.high[slots[0]] - bounds.low[slots[0]] + 1

    def _active(self, place: int, bounds: Bounds) -> bool | None:
        """Whether a parameter has a value; None while that is open."""
        condition = self.space.activity.get(place)
        if condition is None:
            return True
        found = condition.bounded(self._ranges(bounds))
        if found is None and all(self._settled(slot, bounds) for slot in condition.slots):
            return False  # it speaks of something that has no value
        return found

    def _settled(self, slot: int, bounds: Bounds) -> bool:
        owner = self.space.owner[slot]
        return owner in bounds.done or (owner not in self.space.activity and bounds.low[slot] == bounds.high[slot])

    def _leaf(self, bounds: Bounds) -> IntArray | None:
        codes = np.array(bounds.low, dtype=np.int64)
        for place in range(len(self.space.parameters)):
            if self._active(place, bounds) is not True:
                codes[list(self.space.places[place])] = -1
        return codes if bool(self.space.feasible(codes[None])[0]) else None

    def _ranges(self, bounds: Bounds) -> list[tuple[Fraction, Fraction] | None]:
        found: list[tuple[Fraction, Fraction] | None] = [None] * len(self.space.slots)
        for place in self.space.order:
            condition = self.space.activity.get(place)
            if condition is not None and condition.bounded(found) is not True:
                continue
            for slot in self.space.places[place]:
                levels = self.space.slots[slot].levels
                found[slot] = (levels.exact(bounds.low[slot]), levels.exact(bounds.high[slot]))
        return found

    def _narrow(self, bounds: Bounds) -> None:
        """Take away codes that no constraint leaves open. Dead where none is left."""
        for _ in range(ROUNDS):
            before = (list(bounds.low), list(bounds.high))
            for condition in self._implied:
                self._enforce(condition, True, bounds)
            if before == (bounds.low, bounds.high):
                return

    def _enforce(self, condition: Condition, wanted: bool, bounds: Bounds) -> None:
        found = condition.bounded(self._ranges(bounds))
        if found is not None:
            if found is not wanted:
                raise Dead
            return
        if isinstance(condition, Not):
            self._enforce(condition.part, not wanted, bounds)
        elif isinstance(condition, Any_):
            self._enforce_any(condition, wanted, bounds)
        elif isinstance(condition, Linear):
            self._enforce_linear(condition, wanted, bounds)
        elif isinstance(condition, Among):
            self._enforce_among(condition, wanted, bounds)
        elif isinstance(condition, Count) and wanted:
            self._enforce_count(condition, bounds)

    def _enforce_any(self, condition: Any_, wanted: bool, bounds: Bounds) -> None:
        if not wanted:
            for part in condition.parts:
                self._enforce_open(part, False, bounds)
            return
        ranges = self._ranges(bounds)
        open_ = [part for part in condition.parts if part.bounded(ranges) is not False]
        if len(open_) == 1 and self._speaks(open_[0], ranges):
            self._enforce(open_[0], True, bounds)

    def _enforce_open(self, part: Condition, wanted: bool, bounds: Bounds) -> None:
        """Enforce a part, where all that it speaks of has a value: otherwise it may come to say nothing."""
        if self._speaks(part, self._ranges(bounds)):
            self._enforce(part, wanted, bounds)

    @staticmethod
    def _speaks(part: Condition, ranges: Sequence[object]) -> bool:
        return all(ranges[slot] is not None for slot in part.slots)

    def _enforce_linear(self, condition: Linear, wanted: bool, bounds: Bounds) -> None:
        if any(r is None for r in (self._ranges(bounds)[slot] for slot, _ in condition.terms)):
            return
        sign, limit = condition.sign if wanted else _OPPOSITE[condition.sign], condition.limit
        turned = tuple((slot, -weight) for slot, weight in condition.terms)
        if sign in ("<=", "<", "=="):
            self._below(condition.terms, limit, condition.loose, bounds)
        if sign in (">", ">=", "=="):
            self._below(turned, -limit, condition.loose, bounds)

    def _below(self, terms: Sequence[tuple[int, Fraction]], limit: Fraction, loose: Fraction, bounds: Bounds) -> None:
        """Narrow slots so that Σ weight · number may still be at most a limit; missed by `loose` where it must be."""
        least = []
        for slot, weight in terms:
            levels = self.space.slots[slot].levels
            least.append(weight * levels.exact(bounds.low[slot] if weight > 0 else bounds.high[slot]))
        total = sum(least, Fraction(0))
        for (slot, weight), own in zip(terms, least, strict=True):
            levels = self.space.slots[slot].levels
            for slack in (Fraction(0), loose):
                reach, low, high = (limit + slack - (total - own)) / weight, bounds.low[slot], bounds.high[slot]
                if weight > 0:
                    high = min(high, levels.last_below(reach))
                else:
                    low = max(low, levels.first_above(reach))
                if low <= high:
                    break
            else:
                raise Dead
            bounds.low[slot], bounds.high[slot] = low, high

    def _enforce_among(self, condition: Among, wanted: bool, bounds: Bounds) -> None:
        slot = condition.slot
        if self._ranges(bounds)[slot] is None:
            return
        left = [c for c in range(bounds.low[slot], bounds.high[slot] + 1) if (c in condition.codes) is wanted]
        if not left:
            raise Dead
        bounds.low[slot], bounds.high[slot] = left[0], left[-1]

    def _enforce_count(self, condition: Count, bounds: Bounds) -> None:
        ranges = self._ranges(bounds)
        surely = [s for s in condition.of if (r := ranges[s]) is not None and (r[0] > 0 or r[1] < 0)]
        maybe = [s for s in condition.of if (r := ranges[s]) is not None and r != (0, 0) and s not in surely]
        if len(surely) == condition.most:
            for slot in maybe:
                zero = self.space.slots[slot].levels.code(Fraction(0))
                if zero is None or not bounds.low[slot] <= zero <= bounds.high[slot]:
                    raise Dead
                bounds.low[slot] = bounds.high[slot] = zero
        elif len(surely) + len(maybe) == condition.least:
            for slot in maybe:
                if self.space.slots[slot].levels.exact(bounds.low[slot]) == 0:
                    bounds.low[slot] += 1
