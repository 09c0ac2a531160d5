"""An order of some items: which is added first, which city is next."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import combinations, permutations
from typing import Any, ClassVar, Literal

import numpy as np

from discover.candidates.space.parameters.levels import Even
from discover.candidates.space.parameters.parameter import CONTROL, Encoding, Parameter, Slot, Unreadable
from discover.errors import Problem, nearest
from discover.values import BoolArray, FloatArray, IntArray

ARROW = " > "
_ODD = re.compile(rf"[>.]|{CONTROL.pattern}")
MOVES = 200
"""Moves from one order, at most; of more, so many are drawn."""


@dataclass(frozen=True)
class Ordering(Parameter):
    """A permutation of items; in a frame as the text "acid > base > catalyst". In constraints order.acid is its place, from 1.

    encoding: what the surrogate sees. "precedence": which of each pair comes first (their Gaussian kernel is Mallows's; Jiao
    and Vert, IEEE TPAMI 40, 1755, 2018). "positions": the place of each. "neighbours": which pairs stand next to each other
    on a closed tour, as a travelling salesman's costs depend on.
    """

    name: str
    items: tuple[str, ...]
    encoding: Literal["precedence", "positions", "neighbours"] = "precedence"
    when: str = ""
    kind: ClassVar[str] = "ordering"

    def _plain(self) -> None:
        if isinstance(self.items, Sequence) and not isinstance(self.items, str):
            object.__setattr__(self, "items", tuple(self.items))

    def _problems(self) -> Sequence[Problem]:
        if not isinstance(self.items, tuple) or len(self.items) < 2:
            return [Problem("needs a list of at least two items", column="items", value=self.items)]
        found = []
        for item in self.items:
            if not isinstance(item, str) or not item.strip() or item != item.strip() or _ODD.search(item):
                hint = "a text without '>', '.' and line breaks, and without blanks at its ends"
                found.append(Problem("not an item", column="items", value=item, way_out=hint))
            elif self.items.count(item) > 1:
                found.append(Problem("stands twice", column="items", value=item))
        known = ("precedence", "positions", "neighbours")
        if self.encoding not in known:
            hint = nearest(str(self.encoding), known)
            found.append(Problem("unknown encoding", column="encoding", value=self.encoding, way_out=hint))
        return list(dict.fromkeys(found))

    def _slots(self) -> Sequence[Slot]:
        grid = Even(Fraction(1), Fraction(1), len(self.items))
        return [Slot(f"{self.name}.{item}", "number", grid) for item in self.items]

    @property
    def count(self) -> int:
        """n factorial."""
        return math.factorial(len(self.items))

    def listing(self) -> IntArray:
        """Every order."""
        return np.array(list(permutations(range(len(self.items)))), dtype=np.int64)

    def valid(self, codes: IntArray) -> BoolArray:
        """Which of some codes [m, k] are orders."""
        return np.asarray((np.sort(codes, axis=1) == np.arange(len(self.items))).all(axis=1))

    def draw(self, low: IntArray, high: IntArray, n: int, generator: np.random.Generator) -> IntArray:
        """Every order is equally likely; under bounds on places each is found by a search in random order, or none."""
        k = len(self.items)
        if (low == 0).all() and (high == k - 1).all():
            return np.argsort(generator.random((n, k)), axis=1).astype(np.int64)
        found = [self._within(low, high, generator) for _ in range(n)]
        return np.array([row for row in found if row is not None], dtype=np.int64).reshape(-1, k)

    def _within(self, low: IntArray, high: IntArray, generator: np.random.Generator) -> list[int] | None:
        """One order with places within bounds: by matching items to places, those with the least room first."""
        owner: dict[int, int] = {}
        for item in generator.permutation(len(self.items)).tolist():
            if not self._match(item, low, high, owner, set(), generator):
                return None
        places = [0] * len(self.items)
        for place, item in owner.items():
            places[item] = place
        return places

    def _match(
        self,
        item: int,
        low: IntArray,
        high: IntArray,
        owner: dict[int, int],
        seen: set[int],
        generator: np.random.Generator,
    ) -> bool:
        """Find a place for an item, moving others where needed (an augmenting path)."""
        for place in (generator.permutation(int(high[item] - low[item]) + 1) + int(low[item])).tolist():
            if place in seen:
                continue
            seen.add(place)
            if place not in owner or self._match(owner[place], low, high, owner, seen, generator):
                owner[place] = item
                return True
        return False

    def moves(self, codes: IntArray, low: IntArray, high: IntArray, generator: np.random.Generator) -> IntArray:
        """Two items that change places, one that goes elsewhere, and a stretch that is turned round."""
        order = np.argsort(codes)
        found = []
        for i, j in combinations(range(len(order)), 2):
            for fresh in (_swapped(order, i, j), _turned(order, i, j), _moved(order, i, j), _moved(order, j, i)):
                places = np.empty(len(order), dtype=np.int64)
                places[fresh] = np.arange(len(order))
                found.append(places)
        rows = np.unique(np.array(found), axis=0)
        rows = rows[((rows >= low) & (rows <= high)).all(axis=1) & (rows != codes).any(axis=1)]
        if len(rows) > MOVES:
            rows = rows[np.sort(generator.choice(len(rows), MOVES, replace=False))]
        return rows

    def cells(self, codes: IntArray) -> dict[str, Any]:
        """The items in their order, as text."""
        return {self.name: ARROW.join(self.items[item] for item in np.argsort(codes))}

    def read(self, cells: Mapping[str, Any]) -> dict[str, Any]:
        """A text with '>' between the items, or a list of them."""
        cell = cells.get(self.name)
        parts = (
            cell.split(">") if isinstance(cell, str) else cell if isinstance(cell, (list, tuple, np.ndarray)) else ()
        )
        given = [part.strip() if isinstance(part, str) else part for part in parts]
        if sorted(map(str, given)) != sorted(self.items):
            hint = f"each of {', '.join(self.items)} once, with '>' between them"
            raise Unreadable("is not an order of the items", self.name, cell, hint)
        return {self.name: ARROW.join(map(str, given))}

    def numbers_of(self, values: Mapping[str, Any]) -> Sequence[float]:
        """The place of each item, from 1."""
        order = str(values[self.name]).split(ARROW)
        return [order.index(item) + 1.0 for item in self.items]

    @cached_property
    def _pairs(self) -> list[tuple[int, int]]:
        return list(combinations(range(len(self.items)), 2))

    @cached_property
    def encodings(self) -> tuple[Encoding, ...]:
        """One, as `encoding` says; with the mean and spread over all orders."""
        n = len(self.items)
        if self.encoding == "positions":
            names = [f"{self.name}.{item}" for item in self.items]
            mean, spread = (n + 1) / 2, math.sqrt((n * n - 1) / 12)
        else:
            sign = "<" if self.encoding == "precedence" else "~"
            names = [f"{self.name}.{self.items[i]}{sign}{self.items[j]}" for i, j in self._pairs]
            mean = 0.5 if self.encoding == "precedence" else min(1.0, 2.0 / (n - 1))
            spread = math.sqrt(mean * (1.0 - mean))
        return (Encoding("numbers", tuple(names), np.full(len(names), mean), np.full(len(names), spread)),)

    def encode(self, numbers: FloatArray) -> FloatArray:
        """Places [m, k] to features [m, f]."""
        if self.encoding == "positions":
            return numbers
        first, second = (numbers[:, [pair[k] for pair in self._pairs]] for k in (0, 1))
        if self.encoding == "precedence":
            told = (first < second).astype(np.float64)
        else:
            apart = np.abs(first - second)
            told = ((apart == 1) | (apart == len(self.items) - 1)).astype(np.float64)
        return np.where(np.isnan(first), np.nan, told)


def _swapped(order: IntArray, i: int, j: int) -> IntArray:
    fresh = order.copy()
    fresh[[i, j]] = fresh[[j, i]]
    return fresh


def _turned(order: IntArray, i: int, j: int) -> IntArray:
    return np.concatenate([order[:i], order[i : j + 1][::-1], order[j + 1 :]])


def _moved(order: IntArray, i: int, j: int) -> IntArray:
    return np.insert(np.delete(order, i), j, order[i])
