"""The part of a search space that a batch is chosen from: what is fixed, and the settings around and within it."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from discover.candidates.space.constraints.batch_rules import Different, Total
from discover.candidates.space.constraints.conditions import Linear
from discover.candidates.space.parameters.levels import Even
from discover.candidates.space.parameters.mixture import Mixture
from discover.candidates.space.solving import Solver
from discover.errors import InvalidInput, Problem, nearest
from discover.values import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from discover.candidates.space.declared import Declared

LISTED = 20_000
"""Points up to which all of a region are listed rather than searched."""
PRODUCTS = 200_000
"""Combinations that are gone through to find out whether there are so few."""
BLOCK = 4_096
"""Points that are drawn together."""
BLOCKS = 25
"""Blocks after which chance is given up, where it found nothing."""
RARE = 1e-3
"""The share of draws that must keep the constraints for chance to be relied upon."""
EFFORT = 5_000
"""Settings that are tried for a first point of a space, and a twentieth of it for each further one."""
SOLVED = 40
"""Points that are searched for; the others come from beside random walks from these,"""
BESIDE = 8
"""so many from beside each step."""
PAIRS = 40
"""Moves of two parameters at once, besides those of one."""
REACHES = (0.5, 0.2, 0.08, 0.03, 0.01, 0.003, 0.0)
"""How far moves along an equality go, in widths; 0 is one step."""


@dataclass(frozen=True)
class Region:
    """A space with some of its parameters fixed. low, high: the codes [slots] that are left. fixed: by column."""

    space: Declared
    low: IntArray
    high: IntArray
    fixed: Mapping[str, Any]

    @classmethod
    def of(cls, space: Declared, fixed: Mapping[str, Any] | None = None) -> Region:
        """The space, or the part of it where some columns have given values. InvalidInput for values that cannot be set."""
        low = np.zeros(len(space.slots), dtype=np.int64)
        high = np.array([slot.top for slot in space.slots], dtype=np.int64)
        if not fixed:
            return cls(space, low, high, {})
        kept, problems = _fixed(space, dict(fixed), low, high)
        if problems:
            raise InvalidInput("fixed values", problems)
        region = cls(space, low, high, kept)
        idle = [Problem(*why) for why in region.idle(kept)]
        if idle:
            raise InvalidInput("fixed values", idle)
        if not len(region.draw(1, np.random.default_rng(0))):
            hint = f"fixed: {', '.join(f'{k} = {v}' for k, v in kept.items())}"
            raise InvalidInput("fixed values", [Problem("no point of the space has these values", way_out=hint)])
        return region

    def idle(self, columns: Iterable[str]) -> Iterator[tuple[str, None, str, None, str]]:
        """Those columns that have no value in some points of the region: what is wrong, and the way out."""
        space = self.space
        ranges: list[tuple[Fraction, Fraction] | None] = [None] * len(space.slots)
        for place in space.order:
            condition, parameter = space.activity.get(place), space.parameters[place]
            known = True if condition is None else condition.bounded(ranges)
            if known is True:
                for slot in space.places[place]:
                    levels = space.slots[slot].levels
                    ranges[slot] = (levels.exact(int(self.low[slot])), levels.exact(int(self.high[slot])))
                continue
            for column in set(parameter.columns) & set(columns):
                if known is False:
                    yield "has no value beside the others that are fixed", None, column, None, "leave it out"
                else:
                    yield "has a value only under a condition", None, column, None, "fix what that depends on as well"

    def agreeing(self, batch: IntArray, columns: Iterable[str] = ()) -> Region:
        """The part whose points may join a batch [k, slots], about: where it has all the values that it may have, between them.

        columns: of which a batch has one value each, besides what the rules of the space say.
        """
        space, low, high = self.space, self.low.copy(), self.high.copy()
        full = [rule.slots for rule in space.rules.rules if isinstance(rule, Different) and rule.full(batch)]
        full += [_slots_of(space, column) for column in columns if len(batch)]
        for slot in (slot for slots in full for slot in slots):
            had = batch[:, slot]
            if had.min() >= 0:  # a point without a value may be joined by others without one
                low[slot], high[slot] = max(low[slot], had.min()), min(high[slot], had.max())
        return self if (low == self.low).all() and (high == self.high).all() else replace(self, low=low, high=high)

    def sparing(self, n: int) -> Region:
        """The part whose points use so little of what a batch may use in total that n of them may be in one, about."""
        high = self.high.copy()
        for rule in (rule for rule in self.space.rules.rules if isinstance(rule, Total)):
            uses = {slot: partial(self._used, slot, weight) for slot, weight in rule.sum.weights.items()}
            least = {slot: min(used(self.low[slot]), used(self.high[slot])) for slot, used in uses.items()}
            spare = rule.limit / n - rule.sum.constant - sum(least.values())
            for slot in (slot for slot, weight in rule.sum.weights.items() if weight > 0):
                codes = range(int(self.low[slot]), int(high[slot]) + 1)
                high[slot] = codes[max(bisect_right(codes, least[slot] + spare, key=uses[slot]) - 1, 0)]
        return replace(self, high=high)

    def _used(self, slot: int, weight: Fraction, code: int | np.int64) -> Fraction:
        """What a setting adds to a total."""
        return weight * self.space.slots[slot].levels.exact(int(code))

    @cached_property
    def free(self) -> tuple[int, ...]:
        """Places of the parameters that are not fixed."""
        places = self.space.places
        return tuple(p for p in range(len(places)) if self._varies(places[p]))

    def inside(self, codes: IntArray) -> BoolArray:
        """Which points [m, slots] lie in the region and keep every constraint."""
        fine = ((codes == -1) | ((codes >= self.low) & (codes <= self.high))).all(axis=1)
        fine[fine] = self.space.feasible(codes[fine])
        return fine

    @cached_property
    def listing(self) -> IntArray | None:
        """All points [m, slots], where they are few; None where they are not."""
        owners = list(zip(self.space.parameters, self.space.places, strict=True))
        if any(one.endless and self._varies(slots) for one, slots in owners):
            return None
        singles = [int(self.high[slots[0]] - self.low[slots[0]]) + 1 for _, slots in owners if len(slots) == 1]
        most = math.prod(singles)  # before mixtures and orders are gone through, which takes long
        if most > PRODUCTS or any(len(slots) > 1 and one.count > PRODUCTS for one, slots in owners):
            return None
        parts = []
        for parameter, slots in owners:
            low, high = self.low[list(slots)], self.high[list(slots)]
            whole = len(slots) > 1
            part = parameter.listing() if whole else np.arange(low[0], high[0] + 1, dtype=np.int64)[:, None]
            parts.append(part[((part >= low) & (part <= high)).all(axis=1)])
            most *= len(parts[-1]) if whole else 1
            if most > PRODUCTS:
                return None
        return self._listed(parts, most)

    def _varies(self, slots: tuple[int, ...]) -> bool:
        return any(self.low[slot] < self.high[slot] for slot in slots)

    def _listed(self, parts: list[IntArray], total: int) -> IntArray | None:
        every = np.empty((0, len(self.low)), dtype=np.int64)
        for start in range(0, total, BLOCK * 4):
            rest, columns = np.arange(start, min(start + BLOCK * 4, total)), []
            for part in reversed(parts):
                columns.append(part[rest % len(part)])
                rest = rest // len(part)
            codes = self.space.settled(np.concatenate(columns[::-1], axis=1))
            every = np.concatenate([every, codes[self.space.feasible(codes)]])
            if self.space.activity:  # what has no value was gone through several times
                every = np.unique(every, axis=0)
            if len(every) > LISTED:
                return None
        return np.unique(every, axis=0)

    def draw(self, n: int, generator: np.random.Generator) -> IntArray:
        """At most n different points, drawn: evenly where chance finds enough of them, otherwise by a search at random."""
        if self.listing is not None:
            size = min(n, len(self.listing))
            return self.listing[generator.permutation(len(self.listing))[:size]]
        found, tried = np.empty((0, len(self.low)), dtype=np.int64), 0
        for _ in range(BLOCKS):
            fresh = self.raw(BLOCK if len(found) < n // 2 else max(256, n), generator)
            tried += max(1, len(fresh))
            found = _distinct(np.concatenate([found, fresh[self.space.feasible(fresh)]]))
            if len(found) >= n:
                return found[:n]
            if len(found) < RARE * tried and tried >= 2 * BLOCK:
                break
        return self._searched(n, found, generator)

    @cached_property
    def estimate(self) -> int | None:
        """About how many points there are, from the share of draws that keep the constraints; None where that cannot be told."""
        space = self.space
        if space.activity or any(space.parameters[place].endless for place in self.free):
            return None
        total = 1
        for place, parameter in enumerate(space.parameters):
            slots = list(space.places[place])
            low, high = self.low[slots], self.high[slots]
            if (low < high).any():
                total *= int(high[0] - low[0]) + 1 if len(slots) == 1 else parameter.count
            if len(slots) > 1 and not ((low == 0).all() and (high == [space.slots[s].top for s in slots]).all()):
                return None
        if any(getattr(parameter, "log", False) for parameter in space.parameters):
            return None
        fresh = self.raw(4 * BLOCK, np.random.default_rng(0))
        share = float(space.feasible(fresh).mean()) if len(fresh) else 0.0
        return int(total * share) if share >= RARE else None

    def raw(self, n: int, generator: np.random.Generator) -> IntArray:
        """n points drawn parameter by parameter; constraints between parameters are not looked at."""
        columns = []
        for place, parameter in enumerate(self.space.parameters):
            slots = list(self.space.places[place])
            part = parameter.draw(self.low[slots], self.high[slots], n, generator)
            if len(part) < n:
                return np.empty((0, len(self.low)), dtype=np.int64)
            columns.append(part)
        return self.space.settled(np.concatenate(columns, axis=1))

    def _searched(self, n: int, found: IntArray, generator: np.random.Generator) -> IntArray:
        misses = 0
        while len(found) < n and misses < 20:
            codes = self.solve(generator, EFFORT if not len(found) else EFFORT // 20)[0]
            if codes is None:
                if not len(found):
                    break
                misses += 1
                continue
            before = len(found)
            found = _distinct(np.concatenate([found, self._walked(codes, -(-n // SOLVED), generator)]))
            misses = misses + 1 if len(found) == before else 0
        return found[:n]

    def _walked(self, codes: IntArray, n: int, generator: np.random.Generator) -> IntArray:
        """A point, and about n from beside a random walk that begins there."""
        found = codes[None]
        for _ in range(-(-(n - 1) // BESIDE)):
            near = self.neighbours(codes, generator)
            if not len(near):
                break
            near = near[generator.permutation(len(near))[:BESIDE]]
            found, codes = np.concatenate([found, near]), near[0]
        return found

    def solve(self, generator: np.random.Generator, effort: int = EFFORT) -> tuple[IntArray | None, bool]:
        """One point [slots], or None; and whether nothing was left out, so that None is a proof that there is none."""
        solver = Solver(self.space, generator, effort)
        return solver.solve(self.low, self.high), solver.complete

    def neighbours(self, codes: IntArray, generator: np.random.Generator) -> IntArray:
        """Points [q, slots] of the region that differ from one [slots] in one parameter, in some pairs, or along an equality."""
        singles = [self._moved(codes, place, generator) for place in self.free]
        singles = [part for part in singles if len(part)]
        parts = [*singles, *self._along(codes)]
        if len(singles) > 1:
            parts.append(self._paired(codes, singles, generator))
        if not parts:
            return np.empty((0, len(codes)), dtype=np.int64)
        found = self.space.settled(np.concatenate(parts), self.raw_values(generator))
        found = np.unique(found[(found != codes).any(axis=1)], axis=0)
        return found[self.inside(found)]

    def raw_values(self, generator: np.random.Generator) -> IntArray:
        """Codes [slots] for parameters that a move gives a value to."""
        if not self.space.activity:
            return np.zeros(len(self.low), dtype=np.int64)
        columns = []
        for place, parameter in enumerate(self.space.parameters):
            slots = list(self.space.places[place])
            part = parameter.draw(self.low[slots], self.high[slots], 1, generator)
            columns.append(part[0] if len(part) else self.low[slots])
        return np.concatenate(columns)

    def _moved(self, codes: IntArray, place: int, generator: np.random.Generator) -> IntArray:
        slots = list(self.space.places[place])
        if codes[slots[0]] < 0:
            return np.empty((0, len(codes)), dtype=np.int64)
        moves = self.space.parameters[place].moves(codes[slots], self.low[slots], self.high[slots], generator)
        found = np.repeat(codes[None], len(moves), axis=0)
        found[:, slots] = moves
        return found

    def _paired(self, codes: IntArray, singles: list[IntArray], generator: np.random.Generator) -> IntArray:
        """Two moves of different parameters at once."""
        found = []
        for _ in range(PAIRS):
            one, other = generator.choice(len(singles), size=2, replace=False)
            first = singles[one][int(generator.integers(len(singles[one])))]
            second = singles[other][int(generator.integers(len(singles[other])))]
            found.append(np.where(second != codes, second, first))
        return np.stack(found)

    def _along(self, codes: IntArray) -> list[IntArray]:
        """Moves of two numbers that keep an equality which both are in."""
        found = []
        for condition in self.space.conditions:
            if isinstance(condition, Linear) and condition.sign == "==":
                terms = condition.terms
                found += [self._traded(codes, a, b) for i, a in enumerate(terms) for b in terms[i + 1 :]]
        return [part for part in found if len(part)]

    def _traded(self, codes: IntArray, one: tuple[int, Fraction], other: tuple[int, Fraction]) -> IntArray:
        (i, w), (j, v) = one, other
        first, second = self.space.slots[i].levels, self.space.slots[j].levels
        if not isinstance(first, Even) or not isinstance(second, Even) or codes[i] < 0 or codes[j] < 0:
            return np.empty((0, len(codes)), dtype=np.int64)
        ratio = -(w * first.step) / (v * second.step)
        width = int(self.high[i] - self.low[i])
        times = {max(1, round(width * reach / ratio.denominator)) for reach in REACHES}
        rows = []
        for count in sorted({*times, *(-t for t in times)}):
            fresh = codes.copy()
            fresh[i] += count * ratio.denominator
            fresh[j] += count * ratio.numerator
            rows.append(fresh)
        return self._whole(np.stack(rows), keep=(i, j))

    def _whole(self, codes: IntArray, keep: tuple[int, int]) -> IntArray:
        """Points [q, slots] whose mixtures sum to one again: what is too much or missing goes to one other component."""
        for place, parameter in enumerate(self.space.parameters):
            slots = [slot for slot in self.space.places[place] if slot not in keep]
            if not isinstance(parameter, Mixture) or len(slots) == len(self.space.places[place]):
                continue
            over = codes[:, list(self.space.places[place])].sum(axis=1) - parameter.parts
            found = [codes[over == 0]]
            for slot in slots:
                fresh = codes[over != 0].copy()
                fresh[:, slot] -= over[over != 0]
                found.append(fresh)
            codes = np.concatenate(found)
        return codes

    def encode(self, codes: IntArray) -> FloatArray:
        """The features [m, d] of points [m, slots]."""
        return self.space.encode(self.space.numbers(codes))


def _slots_of(space: Declared, column: str) -> tuple[int, ...]:
    """The slots that make a column's value."""
    for slots, parameter in zip(space.places, space.parameters, strict=True):
        if column in parameter.columns:
            return slots if len(parameter.columns) == 1 else (slots[parameter.columns.index(column)],)
    return ()


def _distinct(codes: IntArray) -> IntArray:
    """Each row once, in the order in which they came."""
    _, first = np.unique(codes, axis=0, return_index=True)
    return codes[np.sort(first)]


def _fixed(
    space: Declared, fixed: dict[str, Any], low: IntArray, high: IntArray
) -> tuple[dict[str, Any], list[Problem]]:
    """Narrow bounds to fixed values; what was fixed, by column, and what is wrong with it."""
    problems: list[Problem] = []
    kept: dict[str, Any] = {}
    for name, value in list(fixed.items()):
        if isinstance(value, Mapping):  # a whole mixture: {"solvent": {"water": 0.5, …}}
            fixed.pop(name)
            fixed |= {f"{name}.{part}": share for part, share in value.items()}
    for column, value in fixed.items():
        owner = next((p for p in space.parameters if column in p.columns), None)
        if owner is None:
            way_out = nearest(str(column), space.columns)
            problems.append(Problem("no such parameter", column=str(column), value=value, way_out=way_out))
            continue
        try:
            codes, value = space.fixing(owner, column, value)
        except ValueError as error:
            way_out = getattr(error, "way_out", "")
            problems.append(Problem(str(error), column=str(column), value=value, way_out=way_out))
            continue
        kept[column] = value
        for slot, code in codes.items():
            low[slot] = high[slot] = code
    return kept, problems
