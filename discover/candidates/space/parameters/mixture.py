"""Fractions that sum to one, each on the settable grid; drawn evenly from all that there are, so no component is hidden."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from discover.candidates.space.parameters.levels import Even, exact, on_level, places
from discover.candidates.space.parameters.parameter import (
    CONTROL,
    SETTABLE,
    Encoding,
    Parameter,
    Slot,
    Unreadable,
    missing,
    number_cell,
    number_problems,
)
from discover.errors import Problem, nearest
from discover.values import BoolArray, FloatArray, IntArray

PARTS = 1_000
"""Parts of a whole to which proposals of a mixture without a step are rounded, unless its bounds ask for more."""
MOST_PARTS = 10_000
"""Parts of a whole, at most, whatever its bounds or its step ask for."""
MOVES = 120
"""Moves from one mixture, at most; of more, so many are drawn."""
KEPT = 32
"""Tables of counts that are kept, one for each set of bounds."""


@dataclass(frozen=True)
class Mixture(Parameter):
    """Components whose fractions sum to one: columns solvent.water, solvent.ethanol, …

    step: what can be set; without one proposals are rounded to thousandths. bounds: {component: [low, high]}, from 0 to 1
    where none are given. at_most: how many components may be used. least: what a component that is used makes up at least.
    """

    name: str
    components: tuple[str, ...]
    step: float | None = None
    at_most: int | None = None
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    least: float = 0.0
    when: str = ""
    kind: ClassVar[str] = "mixture"

    def _plain(self) -> None:
        if isinstance(self.components, Sequence) and not isinstance(self.components, str):
            object.__setattr__(self, "components", tuple(self.components))
        if isinstance(self.bounds, Mapping):
            pairs = {k: tuple(v) if isinstance(v, list) else v for k, v in self.bounds.items()}
            object.__setattr__(self, "bounds", pairs)

    def _problems(self) -> Sequence[Problem]:
        problems = [*self._component_problems(), *self._bound_problems()]
        if self.at_most is not None and (isinstance(self.at_most, bool) or not isinstance(self.at_most, int)):
            problems.append(Problem("must be a whole number", column="at_most", value=self.at_most))
        elif self.at_most is not None and self.at_most < 1:
            problems.append(Problem("must be at least 1", column="at_most", value=self.at_most))
        found = number_problems({"least": self.least} | ({} if self.step is None else {"step": self.step}))
        if found or problems:
            return [*problems, *found]
        if not 0 <= exact(self.least) <= 1:
            return [Problem("must be a fraction, from 0 to 1", column="least", value=self.least)]
        if self.step is not None:
            step = exact(self.step)
            if not 0 < step <= 1 or (1 / step).denominator != 1:
                hint = "such as 0.05, 0.1 or 0.25"
                return [
                    Problem("fractions on this grid do not sum to one", column="step", value=self.step, way_out=hint)
                ]
            if 1 / step > MOST_PARTS:
                return [Problem(f"must be at least 1/{MOST_PARTS:,}", column="step", value=self.step)]
        if not self._count(*self._limits):
            message = "no mixture on this grid keeps the bounds"
            return [Problem(message, column="bounds", value=self.bounds, way_out="widen them, or take a finer step")]
        return []

    def _component_problems(self) -> list[Problem]:
        if not isinstance(self.components, tuple) or len(self.components) < 2:
            return [Problem("needs a list of at least two components", column="components", value=self.components)]
        found = []
        for one in self.components:
            if not isinstance(one, str) or not one.strip() or one != one.strip() or "." in one or CONTROL.search(one):
                message = "a component is a text without a dot, without line breaks and without blanks at its ends"
                found.append(Problem(message, column="components", value=one))
            elif self.components.count(one) > 1:
                found.append(Problem("stands twice", column="components", value=one))
        return list(dict.fromkeys(found))

    def _bound_problems(self) -> list[Problem]:
        if not isinstance(self.bounds, Mapping):
            return [Problem("must be {component: [low, high]}", column="bounds", value=self.bounds)]
        found = []
        for one, pair in self.bounds.items():
            if one not in self.components:
                hint = nearest(str(one), [str(c) for c in self.components])
                found.append(Problem("is not a component", column="bounds", value=one, way_out=hint))
            elif not isinstance(pair, tuple) or len(pair) != 2 or number_problems({"low": pair[0], "high": pair[1]}):
                found.append(Problem("must be two numbers, [low, high]", column=f"bounds.{one}", value=pair))
            elif not 0 <= exact(pair[0]) <= exact(pair[1]) <= 1:
                found.append(Problem("must be 0 ≤ low ≤ high ≤ 1", column=f"bounds.{one}", value=pair))
        return found

    @cached_property
    def parts(self) -> int:
        """Of how many parts a whole is made on the grid."""
        if self.step is not None:
            return int(1 / exact(self.step))
        given = [exact(end) for pair in self.bounds.values() for end in pair] + [exact(self.least)]
        needed = max([places(end) or 0 for end in given])
        return max(PARTS, min(MOST_PARTS, 10**needed))

    @cached_property
    def _limits(self) -> tuple[IntArray, IntArray]:
        """Least and most parts [k] of each component."""
        pairs = [self.bounds.get(one, (0.0, 1.0)) for one in self.components]
        low = [-(-exact(pair[0]) * self.parts // 1) for pair in pairs]
        high = [exact(pair[1]) * self.parts // 1 for pair in pairs]
        return np.array([int(x) for x in low], dtype=np.int64), np.array([int(x) for x in high], dtype=np.int64)

    @property
    def columns(self) -> tuple[str, ...]:
        """One a component."""
        return tuple(f"{self.name}.{one}" for one in self.components)

    @property
    def endless(self) -> bool:
        """Whether it has no step."""
        return self.step is None

    @property
    def _used(self) -> int:
        """How many components may be used."""
        return len(self.components) if self.at_most is None else min(self.at_most, len(self.components))

    @cached_property
    def _least(self) -> int:
        """Parts that a used component has at least."""
        return max(1, int(-(-exact(self.least) * self.parts // 1)))

    def _slots(self) -> Sequence[Slot]:
        grid = Even(Fraction(0), Fraction(1, self.parts), self.parts + 1)
        loose = exact(SETTABLE) if self.endless else Fraction(0)
        return [Slot(column, "number", grid, tolerance=loose) for column in self.columns]

    @property
    def count(self) -> int:
        """How many mixtures can be set."""
        return self._count(*self._limits)

    def valid(self, codes: IntArray) -> BoolArray:
        """Which of some codes [m, k] are mixtures that can be set."""
        low, high = self._limits
        fine = (codes.sum(axis=1) == self.parts) & ((codes >= low) & (codes <= high)).all(axis=1)
        fine &= (codes > 0).sum(axis=1) <= self._used
        return fine & ((codes == 0) | (codes >= self._least)).all(axis=1)

    def listing(self) -> IntArray:
        """Every mixture."""
        return self._every

    @cached_property
    def _every(self) -> IntArray:
        """Component by component, with what is left over for the last one."""
        low, high = self._limits
        rows, left = np.empty((1, 0), dtype=np.int64), np.array([self.parts])
        for place in range(len(self.components) - 1):
            allowed = np.array(self._choices(int(low[place]), int(high[place])), dtype=np.int64)
            count = np.searchsorted(allowed, left, side="right")
            which = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
            rows = np.column_stack([np.repeat(rows, count, axis=0), allowed[which]])
            left = np.repeat(left, count) - allowed[which]
            fine = (rows > 0).sum(axis=1) <= self._used
            rows, left = rows[fine], left[fine]
        found = np.column_stack([rows, left])
        return found[self.valid(found)]

    def _choices(self, low: int, high: int) -> list[int]:
        """Parts that a component may have."""
        used = range(max(low, self._least), high + 1)
        return [0, *used] if low == 0 else list(used)

    @cached_property
    def _tables(self) -> dict[tuple[bytes, bytes], list[NDArray[np.object_]]]:
        return {}

    def _ways(self, low: IntArray, high: IntArray) -> list[NDArray[np.object_]]:
        """ways[i][u, r]: how many settings of components i, i + 1, … use u of them and sum to r parts; exact integers."""
        key = (low.tobytes(), high.tobytes())
        if key not in self._tables:
            if len(self._tables) >= KEPT:
                self._tables.pop(next(iter(self._tables)))
            self._tables[key] = self._counted(low, high)
        return self._tables[key]

    def _counted(self, low: IntArray, high: IntArray) -> list[NDArray[np.object_]]:
        whole, most = self.parts, self._used
        ways = np.zeros((most + 1, whole + 1), dtype=object)
        ways[0, 0] = 1
        tables = [ways]
        for place in reversed(range(len(self.components))):
            first, last = max(int(low[place]), self._least), int(high[place])
            sums = np.concatenate([np.zeros((most + 1, 1), dtype=object), np.cumsum(ways, axis=1)], axis=1)
            fresh = ways.copy() if low[place] == 0 else np.zeros_like(ways)
            if first <= last:
                r = np.arange(whole + 1)
                upper, lower = np.maximum(r - first + 1, 0), np.maximum(r - last, 0)
                fresh[1:] += sums[:-1, upper] - sums[:-1, lower]
            ways = fresh
            tables.append(ways)
        return tables[::-1]

    def _count(self, low: IntArray, high: IntArray) -> int:
        return int(self._ways(low, high)[0][:, self.parts].sum())

    def draw(self, low: IntArray, high: IntArray, n: int, generator: np.random.Generator) -> IntArray:
        """Every mixture within the bounds is equally likely; none at all where there is none ([0, k])."""
        least, most = self._limits
        low, high = np.maximum(low, least), np.minimum(high, most)
        ways = self._ways(low, high)
        if not int(ways[0][:, self.parts].sum()):
            return np.empty((0, len(low)), dtype=np.int64)
        used = self._pick(ways[0][:, self.parts], generator.random(n))
        left, columns = np.full(n, self.parts), []
        for place in range(len(low)):
            part = np.empty(n, dtype=np.int64)
            states, owner = np.unique(np.stack([used, left]), axis=1, return_inverse=True)
            uniform, owner = generator.random(n), owner.reshape(-1)
            for number, (u, r) in enumerate(states.T.tolist()):
                mine = owner == number
                part[mine] = self._part(ways[place + 1], u, r, int(low[place]), int(high[place]), uniform[mine])
            columns.append(part)
            left, used = left - part, used - (part > 0)
        return np.stack(columns, axis=1)

    def _part(
        self, after: NDArray[np.object_], used: int, left: int, low: int, high: int, uniform: FloatArray
    ) -> IntArray:
        """Parts [m] of one component, where so many are left and so many components may still be used."""
        first, last = max(low, self._least), min(high, left)
        none = [after[used, left] if low == 0 else 0]
        some = after[used - 1, left - last : left - first + 1][::-1] if used and first <= last else ()
        chosen = self._pick(np.array([*none, *some], dtype=object), uniform)
        return np.where(chosen == 0, 0, first + chosen - 1)

    @staticmethod
    def _pick(weights: NDArray[np.object_], uniform: FloatArray) -> IntArray:
        """Places [m] by weights that are exact integers of any size; uniform: [m], from 0 to 1."""
        total = int(weights.sum())
        sums = np.cumsum([int(w) / total for w in weights])
        return np.searchsorted(sums, uniform * sums[-1], side="right").astype(np.int64)

    def moves(self, codes: IntArray, low: IntArray, high: IntArray, generator: np.random.Generator) -> IntArray:
        """Parts that go from one component to another, all of them included, and pairs that change places."""
        found = []
        amounts = sorted({1, *(max(1, round(self.parts * share)) for share in (0.02, 0.05, 0.1, 0.2, 0.5))})
        for giver in np.flatnonzero(codes > 0).tolist():
            for taker in range(len(codes)):
                if taker == giver:
                    continue
                for amount in {*amounts, int(codes[giver]), abs(int(codes[giver] - codes[taker]))}:
                    fresh = codes.copy()
                    fresh[giver] -= amount
                    fresh[taker] += amount
                    found.append(fresh)
        rows = np.unique(np.array(found, dtype=np.int64).reshape(-1, len(codes)), axis=0)
        rows = rows[self.valid(rows) & ((rows >= low) & (rows <= high)).all(axis=1) & (rows != codes).any(axis=1)]
        if len(rows) > MOVES:
            rows = rows[np.sort(generator.choice(len(rows), MOVES, replace=False))]
        return rows

    def cells(self, codes: IntArray) -> dict[str, Any]:
        """One fraction a component."""
        return {
            column: float(Fraction(int(code), self.parts)) + 0.0
            for column, code in zip(self.columns, codes, strict=True)
        }

    def read(self, cells: Mapping[str, Any]) -> dict[str, Any]:
        """Fractions within the bounds that sum to one, exactly on a grid and to 1e-9 without; an empty cell is 0."""
        grid = self.slots[0].levels
        values = {
            c: Fraction(0) if missing(cells.get(c)) else on_level(number_cell(cells[c], c), grid) for c in self.columns
        }
        total = sum(values.values(), Fraction(0))
        for one, (column, value) in zip(self.components, values.items(), strict=True):
            low, high = (exact(end) for end in self.bounds.get(one, (0, 1)))
            if not low <= value <= high:
                message = f"is outside the bounds, {float(low):g} to {float(high):g}"
                hint = "percentages? divide by 100" if abs(total - 100) < Fraction(1, 1000) else ""
                raise Unreadable(message, column, cells.get(column), hint)
        if abs(total - 1) > exact(SETTABLE):
            shown = " + ".join(f"{float(value):g}" for value in values.values())
            message = f"the fractions of {self.name!r} sum to {float(total):.12g} ({shown})"
            raise Unreadable(message, self.columns[0], cells.get(self.columns[0]), "fractions sum to one")
        if (used := sum(value > 0 for value in values.values())) > self._used:
            raise Unreadable(f"{used} components are used, at most {self._used} may be", self.columns[0])
        return {column: float(value) + 0.0 for column, value in values.items()}

    def numbers_of(self, values: Mapping[str, Any]) -> Sequence[float]:
        """The fractions."""
        return [float(values[column]) for column in self.columns]

    def codes_of(self, numbers: Sequence[float]) -> list[int] | None:
        """The parts, where they can be set."""
        codes = super().codes_of(numbers)
        return codes if codes is not None and bool(self.valid(np.array([codes]))[0]) else None

    @cached_property
    def encodings(self) -> tuple[Encoding, ...]:
        """The fractions, with their mean and spread over all mixtures, exactly."""
        moments = [self._moments(place) for place in range(len(self.components))]
        centre, spread = (np.array(part) for part in zip(*moments, strict=True))
        return (Encoding("numbers", self.columns, centre, spread),)

    def _moments(self, place: int) -> tuple[float, float]:
        """Mean and deviation of one component's fraction over all mixtures."""
        order = [place, *(other for other in range(len(self.components)) if other != place)]
        low, high = (end[order] for end in self._limits)
        rest = self._ways(low, high)[1]
        weights = [0] * (self.parts + 1)
        for x in self._choices(int(low[0]), int(high[0])):
            most = self._used - (x > 0)
            weights[x] = int(rest[: most + 1, self.parts - x].sum()) if most >= 0 else 0
        total = sum(weights)
        shares = np.array([weight / total for weight in weights])
        fractions = np.arange(self.parts + 1) / self.parts
        mean = float(shares @ fractions)
        return mean, float(np.sqrt(shares @ (fractions - mean) ** 2))

    def encode(self, numbers: FloatArray) -> FloatArray:
        """The fractions as they are."""
        return numbers

    def __hash__(self) -> int:
        return hash((self.name, self.components))
