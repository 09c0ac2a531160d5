"""Numbers that can be set, exactly: the levels of a parameter as fractions, and their codes 0, 1, 2 …

A level is a decimal number. It is kept as a fraction, so that sums and comparisons of settings are exact; its float is the one
nearest to it, from which `exact` gives the decimal back.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from discover.values import FloatArray, IntArray

MOST = 2**53
"""Levels that a parameter may have: codes and numerators up to here are floats without rounding."""
DIGITS = 15
"""Decimal digits that every float keeps."""
ROUNDING = Fraction(1, 10**13)
"""How far from a level, in widths, sums and differences of floats come to lie: 1 - 0.7 is 0.30000000000000004."""
DECADES = 100
"""Numbers from 10^-DECADES to 10^DECADES can be computed with: their squares are floats, too."""
_TEXT = re.compile(
    r"[+-]?(\d{1,400}\.?\d{0,400}|\.\d{1,400})([eE][+-]?\d{1,6})?|[+-]?(inf|nan|infinity)", re.ASCII | re.I
)


def exact(value: Any) -> Fraction:
    """A finite number as the decimal that it is written as: 0.1 is a tenth. ValueError for what is none, or far too large."""
    if isinstance(value, Fraction):
        return value
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        number = Decimal(int(value))
    else:
        number = _written(repr(float(value)) if isinstance(value, float | np.floating) else str(value).strip())
    if not number.is_finite():
        raise ValueError("not a finite number")
    if number and abs(number.adjusted()) > DECADES:  # a fraction of it may fill the memory
        raise ValueError(f"not a number between 1e-{DECADES} and 1e{DECADES}")
    return Fraction(number)


def _written(text: str) -> Decimal:
    if not _TEXT.fullmatch(text):
        raise ValueError("not a number")
    return Decimal(text)


def places(value: Fraction) -> int | None:
    """Decimal places of an exact decimal; None for a fraction that no decimal is, such as a third."""
    rest, twos, fives = value.denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    return max(twos, fives) if rest == 1 else None


def power_below(value: Fraction) -> int:
    """The greatest e with 10^e ≤ value, for a value above 0."""
    e = math.floor(math.log10(value.numerator) - math.log10(value.denominator))
    while Fraction(10) ** (e + 1) <= value:
        e += 1
    while Fraction(10) ** e > value:
        e -= 1
    return e


@dataclass(frozen=True)
class Even:
    """Levels low, low + step, … `count` of them."""

    low: Fraction
    step: Fraction
    count: int

    @cached_property
    def _integers(self) -> tuple[int, int, int]:
        """(a, b, c) with level k = (a + b·k) / c."""
        common = math.lcm(self.low.denominator, self.step.denominator)
        return int(self.low * common), int(self.step * common), common

    @property
    def high(self) -> Fraction:
        """The last level."""
        return self.exact(self.count - 1)

    def exact(self, code: int) -> Fraction:
        """The level of a code."""
        return self.low + self.step * code

    def numbers(self, codes: IntArray) -> FloatArray:
        """Codes of any shape to the floats nearest to their levels; NaN for -1."""
        first, step, common = self._integers
        if max(abs(first), abs(first + step * self.count), common) < MOST:
            found = (first + step * codes.astype(np.int64)) / float(common)
        else:
            flat = [float(self.exact(int(code))) for code in codes.ravel()]
            found = np.array(flat, dtype=np.float64).reshape(codes.shape)
        return np.where(codes < 0, np.nan, found)

    def code(self, value: Fraction) -> int | None:
        """The code of a level; None for another number."""
        found = (value - self.low) / self.step
        return int(found) if found.denominator == 1 and 0 <= found < self.count else None

    def nearest(self, numbers: FloatArray) -> IntArray:
        """The codes of the levels nearest to some numbers [q]."""
        found = np.rint((numbers - float(self.low)) / float(self.step))
        return np.clip(found, 0, self.count - 1).astype(np.int64)

    def last_below(self, value: Fraction) -> int:
        """The greatest code whose level is at most `value`; -1 where there is none."""
        return max(-1, min(self.count - 1, math.floor((value - self.low) / self.step)))

    def first_above(self, value: Fraction) -> int:
        """The least code whose level is at least `value`; `count` where there is none."""
        return min(self.count, max(0, math.ceil((value - self.low) / self.step)))


@dataclass(frozen=True)
class Listed:
    """Levels that stand in a list, ascending."""

    values: tuple[Fraction, ...]

    @property
    def count(self) -> int:
        """How many."""
        return len(self.values)

    @property
    def low(self) -> Fraction:
        """The first level."""
        return self.values[0]

    @property
    def high(self) -> Fraction:
        """The last level."""
        return self.values[-1]

    @cached_property
    def _floats(self) -> FloatArray:
        return np.array([float(value) for value in self.values] + [np.nan])

    def exact(self, code: int) -> Fraction:
        """The level of a code."""
        return self.values[code]

    def numbers(self, codes: IntArray) -> FloatArray:
        """Codes of any shape to floats; NaN for -1."""
        return self._floats[codes]

    def code(self, value: Fraction) -> int | None:
        """The code of a level; None for another number."""
        place = self.first_above(value)
        return place if place < self.count and self.values[place] == value else None

    def nearest(self, numbers: FloatArray) -> IntArray:
        """The codes of the levels nearest to some numbers [q]."""
        return np.abs(numbers[:, None] - self._floats[:-1]).argmin(axis=1).astype(np.int64)

    def last_below(self, value: Fraction) -> int:
        """The greatest code whose level is at most `value`; -1 where there is none."""
        return sum(1 for one in self.values if one <= value) - 1

    def first_above(self, value: Fraction) -> int:
        """The least code whose level is at least `value`; `count` where there is none."""
        return sum(1 for one in self.values if one < value)


Levels = Even | Listed


def between(low: Fraction, high: Fraction, step: Fraction) -> Even:
    """All levels low + k·step up to high."""
    return Even(low, step, math.floor((high - low) / step) + 1)


def exact_floats(low: Fraction, high: Fraction, step: Fraction) -> bool:
    """Whether all levels from low to high by step are decimals that their floats give back, and can be counted by floats."""
    digits = max(places(end) or 0 for end in (low, step))
    return max(abs(low), abs(high)) * 10**digits <= 10**DIGITS and (high - low) / step < MOST


def finest(low: Fraction, high: Fraction, share: int = 10) -> Even:
    """Levels so fine that none is missed: a power of ten below 10^-share of the width, with both ends among them.

    Where the ends have more decimal places than that, the step is as fine as they need, within the limit of `MOST` levels.
    """
    exponent = power_below(high - low) - share
    needed = [places(end) for end in (low, high)]
    finer = min([exponent, *(-p for p in needed if p is not None)])
    step = Fraction(10) ** finer
    if (high - low) / step >= MOST // 4:
        step = Fraction(10) ** exponent
    return Even(low, step, math.floor((high - low) / step) + 1)


def on_level(value: Fraction, levels: Levels) -> Fraction:
    """The level that a number is, but for the rounding of floats; the number itself where there is none."""
    level = levels.exact(int(levels.nearest(np.array([float(value)]))[0]))
    return level if abs(value - level) <= ROUNDING * (levels.high - levels.low) else value


def listed(values: Sequence[Fraction]) -> Listed:
    """Levels from numbers in any order, each once."""
    return Listed(tuple(sorted(set(values))))
