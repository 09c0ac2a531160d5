"""What binds a whole batch: one temperature a plate, so many ligands at most, what is in stock, so many wells.

    one temperature                         all of a batch have the same
    at most 4 ligand                        so many different values of a parameter (a mixture or an order counts as one value)
    at most 6 where ligand == 'PCy3'        so many candidates that keep a condition
    total 0.2 * loading <= 1.5              a sum over the batch; also: total loading where ligand == 'PCy3' <= 1.5
    at most 24 wells                        the size of a batch

All of them are 'at most', so a part of a batch that keeps them keeps them, too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from discover import filling
from discover.candidates.space.constraints.conditions import Any_, Condition, Linear, Not
from discover.candidates.space.constraints.text import LONGEST, Misread, Reader, Sum
from discover.candidates.space.parameters.levels import exact
from discover.errors import nearest
from discover.values import BoolArray, FloatArray, IntArray

_ONE = re.compile(r"^\s*(?:one|the same)\s+(?P<name>.+?)\s*$")
_WELLS = re.compile(r"^\s*(?:at most\s+)?(?P<n>\d+)\s+wells?\s*$")
_WHERE = re.compile(r"^\s*at most\s+(?P<n>\d+)\s+where\s+(?P<condition>.+)$", re.DOTALL)
_DIFFERENT = re.compile(r"^\s*at most\s+(?P<n>\d+)\s+(?:different\s+)?(?P<name>.+?)\s*$")
_TOTAL = re.compile(r"^\s*total\s+(?P<sum>.+?)(?:\s+where\s+(?P<condition>.+?))?\s*<=\s*(?P<limit>\S+)\s*$", re.DOTALL)
HINT = "write 'one temperature', 'at most 4 ligand', \"at most 6 where ligand == 'PCy3'\", 'total loading <= 2' or '24 wells'"


@dataclass(frozen=True)
class Different:
    """At most so many different values of some slots together."""

    text: str
    slots: tuple[int, ...]
    most: int

    @property
    def alone(self) -> Condition | None:
        """What a candidate must keep to be in a batch at all; None where any may be the first."""
        return None

    def full(self, chosen: IntArray) -> bool:
        """Whether the chosen codes [k, slots] have all the values that they may have."""
        return len(np.unique(chosen[:, self.slots], axis=0)) >= self.most

    def fits(self, chosen: IntArray, offered: IntArray, numbers: FloatArray, known: FloatArray) -> BoolArray:
        """Which of the offered codes [m, slots] may join the chosen ones [k, slots]; the same as numbers."""
        if not self.full(chosen):
            return np.ones(len(offered), dtype=bool)
        return self._had(chosen, offered)

    def joining(self, chosen: IntArray, offered: IntArray, numbers: FloatArray, known: FloatArray) -> filling.Rule:
        """What those of the offered ones that join must keep together."""
        codes = np.unique(offered[:, self.slots], axis=0, return_inverse=True)[1].reshape(-1)
        had = len(np.unique(chosen[:, self.slots], axis=0))
        return filling.Kinds(np.where(self._had(chosen, offered), -1, codes).astype(np.int64), self.most - had)

    def _had(self, chosen: IntArray, offered: IntArray) -> BoolArray:
        """Which of the offered ones have values that some chosen one has."""
        had = np.unique(chosen[:, self.slots], axis=0)
        return np.asarray((offered[:, None, self.slots] == had[None]).all(axis=2).any(axis=1))


@dataclass(frozen=True)
class Number:
    """At most so many candidates that keep a condition; of all, where there is none."""

    text: str
    most: int
    condition: Condition | None = None

    @property
    def alone(self) -> Condition | None:
        """What a candidate must keep to be in a batch at all; None where any may be the first."""
        return Not(self.condition) if self.condition is not None and self.most < 1 else None

    def fits(self, chosen: IntArray, offered: IntArray, numbers: FloatArray, known: FloatArray) -> BoolArray:
        """Which of the offered ones may join."""
        if self.condition is None:
            return np.full(len(offered), len(chosen) < self.most)
        if int(self.condition.decide(known)[0].sum()) < self.most:
            return np.ones(len(offered), dtype=bool)
        return ~self.condition.decide(numbers)[0]

    def joining(self, chosen: IntArray, offered: IntArray, numbers: FloatArray, known: FloatArray) -> filling.Rule:
        """What those of the offered ones that join must keep together."""
        if self.condition is None:
            return filling.Sum(np.ones(len(offered)), self.most - len(chosen))
        left = self.most - int(self.condition.decide(known)[0].sum())
        return filling.Sum(self.condition.decide(numbers)[0].astype(np.float64), left)


@dataclass(frozen=True)
class Total:
    """The sum of something over a batch is at most a limit; a parameter without a value adds nothing."""

    text: str
    sum: Sum
    limit: Fraction
    condition: Condition | None = None

    @property
    def alone(self) -> Condition | None:
        """What a candidate must keep to be in a batch at all; it says nothing of one that lacks a value."""
        kept = Linear(tuple(self.sum.weights.items()), "<=", self.limit - self.sum.constant)
        return kept if self.condition is None else Any_((Not(self.condition), kept))

    def fits(self, chosen: IntArray, offered: IntArray, numbers: FloatArray, known: FloatArray) -> BoolArray:
        """Which of the offered ones may join."""
        left, adds = self._left(known), self._floats(numbers)
        fine = adds <= float(left)
        size = 1e-12 * (np.abs(adds) + abs(float(self.limit)))
        for row in np.flatnonzero(np.abs(adds - float(left)) <= size).tolist():
            fine[row] = self._exact(numbers[row]) <= left
        return fine | ~self._counts(numbers)

    def joining(self, chosen: IntArray, offered: IntArray, numbers: FloatArray, known: FloatArray) -> filling.Rule:
        """What those of the offered ones that join must keep together."""
        return filling.Sum(np.where(self._counts(numbers), self._floats(numbers), 0.0), float(self._left(known)))

    def _left(self, known: FloatArray) -> Fraction:
        return self.limit - sum((self._exact(row) for row in known[self._counts(known)]), Fraction(0))

    def _counts(self, numbers: FloatArray) -> BoolArray:
        return np.ones(len(numbers), dtype=bool) if self.condition is None else self.condition.decide(numbers)[0]

    def _floats(self, numbers: FloatArray) -> FloatArray:
        found = np.full(len(numbers), float(self.sum.constant))
        for slot, weight in self.sum.weights.items():
            found = found + float(weight) * np.nan_to_num(numbers[:, slot])
        return found

    def _exact(self, row: FloatArray) -> Fraction:
        parts = (w * exact(float(row[s])) for s, w in self.sum.weights.items() if not np.isnan(row[s]))
        return sum(parts, self.sum.constant)


Rule = Different | Number | Total


@dataclass(frozen=True)
class BatchRules:
    """The rules of a batch together."""

    rules: tuple[Rule, ...] = ()

    def fits(self, chosen: IntArray, offered: IntArray, known: FloatArray, numbers: FloatArray) -> BoolArray:
        """Which of the offered codes [m, slots] may each join the chosen ones [k, slots]. known, numbers: the same as numbers."""
        fine = np.ones(len(offered), dtype=bool)
        for rule in self.rules:
            fine &= rule.fits(chosen, offered, numbers, known)
        return fine

    def joining(
        self, chosen: IntArray, offered: IntArray, known: FloatArray, numbers: FloatArray
    ) -> list[filling.Rule]:
        """What those of the offered codes [m, slots] that join the chosen ones must keep together."""
        return [rule.joining(chosen, offered, numbers, known) for rule in self.rules]

    @property
    def words(self) -> str:
        """The rules, for a sentence."""
        return "; ".join(rule.text for rule in self.rules)

    def __bool__(self) -> bool:
        return bool(self.rules)


def read_rule(text: str, reader: Reader) -> Rule:
    """A rule from its text. Misread says what is wrong with it."""
    if not isinstance(text, str) or not text.strip():
        raise Misread("must be a text", HINT)
    if len(text) > LONGEST:
        raise Misread(f"is longer than {LONGEST:,} characters")
    if match := _WELLS.match(text):
        return Number(text, _positive(match["n"]))
    if match := _WHERE.match(text):
        return Number(text, int(match["n"]), reader.condition(match["condition"]))
    if match := _TOTAL.match(text):
        return _total(text, match, reader)
    if match := _ONE.match(text):
        return Different(text, _slots(match["name"], reader), 1)
    if match := _DIFFERENT.match(text):
        return Different(text, _slots(match["name"], reader), _positive(match["n"]))
    raise Misread("cannot be read as a rule of a batch", HINT)


def _total(text: str, match: re.Match[str], reader: Reader) -> Total:
    try:
        limit = exact(match["limit"])
    except ValueError:
        raise Misread(f"{match['limit']!r} is no number that can be computed with", HINT) from None
    found = reader.total(match["sum"])
    lowest = found.constant
    for slot, weight in found.weights.items():
        levels = reader.slots[slot].levels
        lowest += min(weight * levels.exact(0), weight * levels.exact(levels.count - 1))
    if lowest < 0:
        raise Misread("the sum may be below zero for a candidate", "a total must only grow with the batch")
    return Total(text, found, limit, reader.condition(match["condition"]) if match["condition"] else None)


def _positive(text: str) -> int:
    if int(text) < 1:
        raise Misread("must allow at least 1")
    return int(text)


def _slots(name: str, reader: Reader) -> tuple[int, ...]:
    name = name.strip().strip("`")
    if name in reader.parts:
        return tuple(reader.parts[name])
    places = {slot.name: place for place, slot in enumerate(reader.slots)}
    if name in places:
        return (places[name],)
    known = {*reader.parts, *places}
    raise Misread(f"there is no parameter {name!r}", nearest(name, known)[:300])
