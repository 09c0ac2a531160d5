"""Conditions on a point of a search space: what a constraint's text is turned into, and how it is decided.

Three answers: it holds, it does not, or it says nothing because a parameter that it speaks of has no value in that point
(Kleene's logic). A point is refused only where a constraint does not hold. Many points are decided at once in floats; where
rounding could turn the answer it is decided again in exact fractions.
"""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

from discover.candidates.space.parameters.levels import exact
from discover.candidates.space.parameters.parameter import Slot
from discover.values import BoolArray, FloatArray

Sign = Literal["<=", "<", "==", "!="]
_SIGNS: dict[Sign, Callable[[Fraction, Fraction], bool]] = {
    "<=": operator.le,
    "<": operator.lt,
    "==": operator.eq,
    "!=": operator.ne,
}
DOUBT = 1e-12
"""Share of the terms' size within which a sum of floats is decided in fractions."""

Answer = tuple[BoolArray, BoolArray]
"""Where a condition holds [m], and where it does not [m]; neither where it says nothing."""
Range = Sequence["tuple[Fraction, Fraction] | None"]
"""By slot, the least and greatest number that it may still have; None where it has none."""


class Condition(ABC):
    """A node: decided for numbers [m, slots] with `decide`, and for ranges of them with `bounded`."""

    @abstractmethod
    def decide(self, numbers: FloatArray) -> Answer:
        """For points."""

    @abstractmethod
    def bounded(self, ranges: Range) -> bool | None:
        """True or False where it is so for everything within the ranges; None where it is open or says nothing."""

    @property
    @abstractmethod
    def slots(self) -> frozenset[int]:
        """The slots that it speaks of."""


@dataclass(frozen=True)
class Linear(Condition):
    """Σ weight · number (sign) limit. loose: by how much "<=" and "==" may be missed where a number has no step."""

    terms: tuple[tuple[int, Fraction], ...]
    sign: Sign
    limit: Fraction
    loose: Fraction = Fraction(0)

    @property
    def slots(self) -> frozenset[int]:
        """The slots of its terms."""
        return frozenset(slot for slot, _ in self.terms)

    def decide(self, numbers: FloatArray) -> Answer:
        """In floats, and in fractions where the difference is within rounding or within `loose`."""
        places = [slot for slot, _ in self.terms]
        weights = np.array([float(weight) for _, weight in self.terms])
        parts = numbers[:, places] * weights
        known = ~np.isnan(parts).any(axis=1)
        difference = parts.sum(axis=1) - float(self.limit)
        holds = known & _float_sign(self.sign, difference)
        size = np.abs(np.where(known[:, None], parts, 0.0)).sum(axis=1) + abs(float(self.limit))
        doubtful = known & (np.abs(difference) <= DOUBT * size + 2.0 * float(self.loose))
        if doubtful.any():  # on a grid the same few numbers stand in many points
            some, owner = np.unique(numbers[doubtful][:, places], axis=0, return_inverse=True)
            told = [self.exactly([exact(number) for number in row]) for row in some.tolist()]
            holds[doubtful] = np.array(told)[owner.reshape(-1)]
        return holds, known & ~holds

    def exactly(self, values: Sequence[Fraction]) -> bool:
        """For the exact numbers of its terms."""
        total = sum((weight * value for (_, weight), value in zip(self.terms, values, strict=True)), Fraction(0))
        if self.loose and self.sign == "==":
            return abs(total - self.limit) <= self.loose
        if self.loose and self.sign == "<=":
            return total <= self.limit + self.loose
        return _SIGNS[self.sign](total, self.limit)

    def bounded(self, ranges: Range) -> bool | None:
        ends = self.ends(ranges)
        if ends is None:
            return None
        low, high = ends
        if self.sign == "<=":
            return True if high <= self.limit else False if low > self.limit + self.loose else None
        if self.sign == "<":
            return True if high < self.limit else False if low >= self.limit else None
        apart = low > self.limit + self.loose or high < self.limit - self.loose
        same = low == high == self.limit
        equal = False if apart else True if same else None
        return equal if self.sign == "==" or equal is None else not equal

    def ends(self, ranges: Range) -> tuple[Fraction, Fraction] | None:
        """The least and greatest sum; None where a term has no number."""
        low = high = Fraction(0)
        for slot, weight in self.terms:
            known = ranges[slot]
            if known is None:
                return None
            first, last = (weight * end for end in known)
            low, high = low + min(first, last), high + max(first, last)
        return low, high


def _float_sign(sign: Sign, difference: FloatArray) -> BoolArray:
    with np.errstate(invalid="ignore"):
        found = {
            "<=": difference <= 0,
            "<": difference < 0,
            "==": difference == 0,
            "!=": difference != 0,
        }[sign]
    return np.asarray(found)


@dataclass(frozen=True)
class Among(Condition):
    """A label is one of some. codes: their places."""

    slot: int
    codes: frozenset[int]

    @property
    def slots(self) -> frozenset[int]:
        """The label's slot."""
        return frozenset([self.slot])

    def decide(self, numbers: FloatArray) -> Answer:
        """By place."""
        column = numbers[:, self.slot]
        known = ~np.isnan(column)
        holds = known & np.isin(column, list(self.codes))
        return holds, known & ~holds

    def bounded(self, ranges: Range) -> bool | None:
        known = ranges[self.slot]
        if known is None:
            return None
        first, last = int(known[0]), int(known[1])
        inside = sum(1 for code in self.codes if first <= code <= last)
        return False if inside == 0 else True if inside == last - first + 1 else None


@dataclass(frozen=True)
class Count(Condition):
    """From `least` to `most` of some slots are not zero; one without a value counts as zero."""

    of: tuple[int, ...]
    least: int
    most: int

    @property
    def slots(self) -> frozenset[int]:
        """The slots that are counted."""
        return frozenset(self.of)

    def decide(self, numbers: FloatArray) -> Answer:
        """By counting."""
        columns = numbers[:, list(self.of)]
        used = ((columns != 0) & ~np.isnan(columns)).sum(axis=1)
        holds = (used >= self.least) & (used <= self.most)
        return holds, ~holds

    def bounded(self, ranges: Range) -> bool | None:
        known = [ranges[slot] for slot in self.of]
        surely = sum(1 for one in known if one is not None and (one[0] > 0 or one[1] < 0))
        maybe = sum(1 for one in known if one is not None and one != (0, 0))
        if surely > self.most or maybe < self.least:
            return False
        return True if maybe <= self.most and surely >= self.least else None


@dataclass(frozen=True)
class Constant(Condition):
    """Always or never."""

    holds: bool

    @property
    def slots(self) -> frozenset[int]:
        """None."""
        return frozenset()

    def decide(self, numbers: FloatArray) -> Answer:
        """The same for all."""
        every = np.full(len(numbers), self.holds)
        return every, ~every

    def bounded(self, ranges: Range) -> bool | None:
        return self.holds


@dataclass(frozen=True)
class Not(Condition):
    """The opposite."""

    part: Condition

    @property
    def slots(self) -> frozenset[int]:
        """Those of the part."""
        return self.part.slots

    def decide(self, numbers: FloatArray) -> Answer:
        """With the answers exchanged."""
        holds, fails = self.part.decide(numbers)
        return fails, holds

    def bounded(self, ranges: Range) -> bool | None:
        found = self.part.bounded(ranges)
        return None if found is None else not found


@dataclass(frozen=True)
class Any_(Condition):
    """At least one of some parts."""

    parts: tuple[Condition, ...]

    @property
    def slots(self) -> frozenset[int]:
        """Those of the parts."""
        return frozenset().union(*(part.slots for part in self.parts))

    def decide(self, numbers: FloatArray) -> Answer:
        """Holds where one holds, fails where all fail."""
        answers = [part.decide(numbers) for part in self.parts]
        return np.any([holds for holds, _ in answers], axis=0), np.all([fails for _, fails in answers], axis=0)

    def bounded(self, ranges: Range) -> bool | None:
        found = [part.bounded(ranges) for part in self.parts]
        return True if any(one is True for one in found) else False if all(one is False for one in found) else None


def all_of(parts: Sequence[Condition]) -> Condition:
    """All of some parts."""
    return parts[0] if len(parts) == 1 else Not(Any_(tuple(Not(part) for part in parts)))


def unless(condition: Condition, then: Condition) -> Condition:
    """`then`, where the condition holds."""
    return Any_((Not(condition), then))


def looseness(terms: Sequence[tuple[int, Fraction]], slots: Sequence[Slot]) -> Fraction:
    """By how much a sum may miss its limit where some of its numbers have no step."""
    return sum((abs(weight) * slots[slot].tolerance for slot, weight in terms), Fraction(0))
