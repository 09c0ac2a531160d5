"""Parameters of one number or flag."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np

from discover.candidates.space.parameters.levels import (
    DIGITS,
    Even,
    Levels,
    exact,
    exact_floats,
    finest,
    listed,
    on_level,
    power_below,
)
from discover.candidates.space.parameters.parameter import (
    NICE,
    SETTABLE,
    Encoding,
    Parameter,
    Slot,
    Unreadable,
    even_between,
    number_cell,
    number_problems,
    scaled,
)
from discover.errors import Problem, nearest
from discover.values import FloatArray, IntArray

REACHES = (0.5, 0.25, 0.1, 0.04, 0.015, 0.005, 0.0015, 0.0005)
"""How far moves of a number go, in widths of its bounds."""
CLOSEST = 10**6
"""Bounds without a step lie within so many widths of zero: beyond, floats are too coarse for a billionth of the width."""


class _Number(Parameter):
    """A parameter with one number."""

    unit: str

    @property
    def log(self) -> bool:
        """Whether ratios count, and not differences."""
        return False

    @property
    def whole(self) -> bool:
        """Whether every level is a whole number, and shown as one."""
        return False

    @property
    def levels(self) -> Levels:
        """What can be set."""
        return self.slots[0].levels

    @property
    def low_value(self) -> Fraction:
        """The lower bound, exactly."""
        return self.levels.low

    @property
    def high_value(self) -> Fraction:
        """The upper bound, exactly."""
        return self.levels.high

    def _shape(self, numbers: FloatArray) -> FloatArray:
        return np.log10(numbers) if self.log else numbers

    def _unshape(self, shaped: FloatArray) -> FloatArray:
        return 10.0**shaped if self.log else shaped

    @cached_property
    def _ends(self) -> tuple[float, float]:
        low, high = self._shape(np.array([float(self.low_value), float(self.high_value)]))
        return float(low), float(high)

    def moves(self, codes: IntArray, low: IntArray, high: IntArray, generator: np.random.Generator) -> IntArray:
        here = float(self._shape(self.levels.numbers(codes[:1]))[0])
        width = self._ends[1] - self._ends[0]
        reaches = np.array([sign * reach * width for reach in REACHES for sign in (-1.0, 1.0)])
        wanted = here + reaches * generator.uniform(0.6, 1.4, size=len(reaches))
        near = self._settable(self._unshape(np.clip(wanted, *self._ends)), low[0], high[0])
        code = int(codes[0])
        steps = [] if self.endless else [code - 1, code + 1, code - 2, code + 2]
        ends = [int(low[0]), int(high[0])]
        found = np.unique(np.clip([*near, *steps, *ends], low[0], high[0]))
        return found[found != code][:, None]

    def _settable(self, wanted: FloatArray, low: int, high: int) -> IntArray:
        """The codes nearest to some numbers [q], from low to high."""
        return np.clip(self.levels.nearest(self._rounded(wanted)), low, high)

    def _rounded(self, wanted: FloatArray) -> FloatArray:
        return wanted

    def _json(self, value: Fraction) -> float | int:
        if self.whole and value.denominator == 1:
            return int(value)
        return float(value) + 0.0

    def cells(self, codes: IntArray) -> dict[str, Any]:
        return {self.name: self._json(self.levels.exact(int(codes[0])))}

    def read(self, cells: Mapping[str, Any]) -> dict[str, Any]:
        cell = cells.get(self.name)
        value = on_level(number_cell(cell, self.name), self.levels)
        if not self.low_value <= value <= self.high_value:
            bounds = f"{float(self.low_value):g} to {float(self.high_value):g}"
            raise Unreadable(f"is outside the bounds, {bounds}{f' {self.unit}' if self.unit else ''}", self.name, cell)
        return {self.name: self._json(value)}

    def numbers_of(self, values: Mapping[str, Any]) -> Sequence[float]:
        return [float(values[self.name])]

    @cached_property
    def encodings(self) -> tuple[Encoding, ...]:
        codes = np.unique(np.linspace(0, self.levels.count - 1, 257).round().astype(np.int64))
        if self.log:  # evenly in ratios, as it is drawn
            codes = np.unique(self._settable(self._unshape(np.linspace(*self._ends, 257)), 0, self.slots[0].top))
        return (scaled("numbers", [self.name], self.encode(self.levels.numbers(codes)[:, None])),)

    def encode(self, numbers: FloatArray) -> FloatArray:
        return self._shape(numbers)


@dataclass(frozen=True)
class Continuous(_Number):
    """A number from low to high. scale: "linear", or "log" where ratios count. step: what can be set, from low on.

    Without a step proposals are rounded to three decimal places of the width (log: to three digits).
    """

    name: str
    low: float
    high: float
    scale: Literal["linear", "log"] = "linear"
    step: float | None = None
    unit: str = ""
    when: str = ""
    kind: ClassVar[str] = "continuous"

    def _problems(self) -> Sequence[Problem]:
        given = {"low": self.low, "high": self.high} | ({} if self.step is None else {"step": self.step})
        problems = number_problems(given)
        if self.scale not in ("linear", "log"):
            hint = nearest(str(self.scale), ["linear", "log"])
            problems.append(Problem("unknown scale", column="scale", value=self.scale, way_out=hint))
        if problems:
            return problems
        return [*_bound_problems(self.low, self.high, self.step), *self._log_problems()]

    def _log_problems(self) -> list[Problem]:
        if self.scale == "log" and not exact(self.low) > 0:
            return [Problem("a log scale needs bounds above 0", column="low", value=self.low)]
        if self.scale == "log" and self.step is None and exact(self.high) / exact(self.low) > 10**9:
            hint = "narrow the bounds, or make its logarithm the parameter"
            return [Problem("a log scale spans at most nine decades", column="high", value=self.high, way_out=hint)]
        return []

    @property
    def log(self) -> bool:
        """Whether ratios count, and not differences."""
        return self.scale == "log"

    @property
    def endless(self) -> bool:
        """Whether it has no step."""
        return self.step is None

    @property
    def low_value(self) -> Fraction:
        """The lower bound, exactly."""
        return exact(self.low)

    @property
    def high_value(self) -> Fraction:
        """The upper bound, exactly; a step need not lead there."""
        return exact(self.high)

    def _slots(self) -> Sequence[Slot]:
        low, high = exact(self.low), exact(self.high)
        if self.step is not None:
            return [Slot(self.name, "number", even_between(low, high, self.step))]
        share = 10
        if self.log:
            share = max(share, power_below(high) - power_below(low) + NICE + 1)
        return [Slot(self.name, "number", finest(low, high, share), tolerance=(high - low) * exact(SETTABLE))]

    def _nice(self, wanted: FloatArray) -> FloatArray:
        """The widths of round numbers near some values."""
        if self.log:
            return 10.0 ** (np.floor(np.log10(wanted)) - NICE + 1)
        return np.full(wanted.shape, 10.0 ** (power_below(self.high_value - self.low_value) - NICE))

    def _rounded(self, wanted: FloatArray) -> FloatArray:
        if not self.endless:
            return wanted
        nice = self._nice(wanted)
        return np.rint(wanted / nice) * nice

    def draw(self, low: IntArray, high: IntArray, n: int, generator: np.random.Generator) -> IntArray:
        """Drawn evenly (log: evenly in ratios); without a step, rounded."""
        first, last = int(low[0]), int(high[0])
        if not self.log and not self.endless:
            return super().draw(low, high, n, generator)
        ends = self._shape(self.levels.numbers(np.array([first, last])))
        if self.log and not self.endless and last - first < 10_000:
            weights = self.levels.numbers(np.arange(first, last + 1)) ** -1.0
            return first + generator.choice(last - first + 1, size=(n, 1), p=weights / weights.sum()).astype(np.int64)
        wanted = self._unshape(generator.uniform(ends[0], ends[1], size=n))
        return self._settable(wanted, first, last)[:, None]

    def _settable(self, wanted: FloatArray, low: int, high: int) -> IntArray:
        ends = self.levels.numbers(np.array([low, high]))
        if self.endless and ends[1] - ends[0] < 2.0 * self._nice(ends[1:])[0]:  # no room for round numbers
            return np.clip(self.levels.nearest(wanted), low, high)
        return super()._settable(wanted, low, high)


def _bound_problems(low: Any, high: Any, step: Any) -> list[Problem]:
    if not exact(low) < exact(high):
        return [Problem("the lower bound must be below the upper one", column="low", value=low)]
    if step is not None and not 0 < exact(step) <= exact(high) - exact(low):
        return [Problem("must be above 0 and at most the width of the bounds", column="step", value=step)]
    if step is None and max(abs(exact(low)), abs(exact(high))) > CLOSEST * (exact(high) - exact(low)):
        hint = "make the distance from the lower bound the parameter"
        return [Problem("the bounds are too close together for their size", column="high", value=high, way_out=hint)]
    if step is not None and not exact_floats(exact(low), exact(high), exact(step)):
        hint = "take a larger step, or narrower bounds"
        return [Problem(f"its settings have more than {DIGITS} digits", column="step", value=step, way_out=hint)]
    return []


@dataclass(frozen=True)
class Integer(_Number):
    """A whole number from low to high, by step. scale: "log" where ratios count."""

    name: str
    low: int
    high: int
    step: int = 1
    scale: Literal["linear", "log"] = "linear"
    unit: str = ""
    when: str = ""
    kind: ClassVar[str] = "integer"

    def _problems(self) -> Sequence[Problem]:
        given = {"low": self.low, "high": self.high, "step": self.step}
        problems = number_problems(given)
        if problems:
            return problems
        problems = [
            Problem("must be a whole number", column=key, value=value)
            for key, value in given.items()
            if exact(value).denominator != 1
        ]
        if self.scale not in ("linear", "log"):
            problems.append(Problem("unknown scale", column="scale", value=self.scale, way_out="'linear' or 'log'"))
        elif self.scale == "log" and not self.low > 0:
            problems.append(Problem("a log scale needs bounds above 0", column="low", value=self.low))
        return problems or _bound_problems(self.low, self.high, self.step)

    @property
    def log(self) -> bool:
        """Whether ratios count."""
        return self.scale == "log"

    @property
    def whole(self) -> bool:
        """Always."""
        return True

    @property
    def high_value(self) -> Fraction:
        """The upper bound."""
        return exact(self.high)

    def _slots(self) -> Sequence[Slot]:
        return [Slot(self.name, "number", even_between(self.low, self.high, self.step))]


@dataclass(frozen=True)
class Discrete(_Number):
    """One of some numbers, whose order counts: [0.5, 1, 2.5]. scale: "log" where ratios count."""

    name: str
    values: tuple[float, ...]
    scale: Literal["linear", "log"] = "linear"
    unit: str = ""
    when: str = ""
    kind: ClassVar[str] = "discrete"

    def _plain(self) -> None:
        if isinstance(self.values, Sequence) and not isinstance(self.values, str):
            object.__setattr__(self, "values", tuple(self.values))

    def _problems(self) -> Sequence[Problem]:
        if not isinstance(self.values, tuple) or len(self.values) < 2:
            return [Problem("needs a list of at least two numbers", column="values", value=self.values)]
        problems = [p for v in self.values for p in number_problems({"values": v})]
        if problems:
            return problems
        exacts = [exact(v) for v in self.values]
        problems += [
            Problem("stands twice", column="values", value=v)
            for v, e in zip(self.values, exacts, strict=True)
            if exacts.count(e) > 1
        ][:1]
        if self.scale not in ("linear", "log"):
            problems.append(Problem("unknown scale", column="scale", value=self.scale, way_out="'linear' or 'log'"))
        elif self.scale == "log" and min(exacts) <= 0:
            problems.append(Problem("a log scale needs numbers above 0", column="values", value=min(self.values)))
        return problems

    @property
    def log(self) -> bool:
        """Whether ratios count."""
        return self.scale == "log"

    @property
    def whole(self) -> bool:
        """Whether all of them are whole numbers."""
        return all(exact(value).denominator == 1 for value in self.values)

    def _slots(self) -> Sequence[Slot]:
        return [Slot(self.name, "number", listed([exact(value) for value in self.values]))]

    @cached_property
    def encodings(self) -> tuple[Encoding, ...]:
        """One number, centred over the values that there are."""
        return (scaled("numbers", [self.name], self.encode(self.levels.numbers(self.listing()))),)


@dataclass(frozen=True)
class Binary(Parameter):
    """Yes or no; in a frame true or false (1 and 0 are read as well)."""

    name: str
    when: str = ""
    kind: ClassVar[str] = "binary"

    def _problems(self) -> Sequence[Problem]:
        return []

    def _slots(self) -> Sequence[Slot]:
        return [Slot(self.name, "flag", Even(Fraction(0), Fraction(1), 2))]

    def moves(self, codes: IntArray, low: IntArray, high: IntArray, generator: np.random.Generator) -> IntArray:
        other = 1 - codes[:1]
        return other[:, None] if low[0] <= other[0] <= high[0] else np.empty((0, 1), dtype=np.int64)

    def cells(self, codes: IntArray) -> dict[str, Any]:
        return {self.name: bool(codes[0])}

    def read(self, cells: Mapping[str, Any]) -> dict[str, Any]:
        cell = cells.get(self.name)
        if isinstance(cell, bool | np.bool_):
            return {self.name: bool(cell)}
        known = {
            "true": True,
            "yes": True,
            "1": True,
            "1.0": True,
            "false": False,
            "no": False,
            "0": False,
            "0.0": False,
        }
        found = known.get(str(cell).strip().lower())
        if found is None:
            raise Unreadable("is neither true nor false", self.name, cell, "write true or false")
        return {self.name: found}

    def numbers_of(self, values: Mapping[str, Any]) -> Sequence[float]:
        return [float(values[self.name])]

    @cached_property
    def encodings(self) -> tuple[Encoding, ...]:
        return (Encoding("numbers", (self.name,), np.array([0.5]), np.array([0.5])),)

    def encode(self, numbers: FloatArray) -> FloatArray:
        return numbers
