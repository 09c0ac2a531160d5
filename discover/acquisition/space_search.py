"""Search in a space too large to list: local search from many starts, and a batch thought ahead so that what is found differs.

Every parameter is moved by itself, some pairs together, and two numbers along an equality, always from settable points to
settable points that keep every constraint; all neighbours of all starts are scored at once. It is the alternating search over
discrete and continuous parameters of Oh et al. (NeurIPS 2019) and of BoTorch's mixed optimiser (Daulton et al., NeurIPS 2022)
with one kind of move for both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from discover.values import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from discover.candidates.space.region import Region

Score = Callable[[FloatArray, FloatArray], FloatArray]
"""Features [m, d] of points, and [k, d] of points that count as observed, to scores [m]; larger is better."""
TIES = 1e-9
"""A move that gains less is none."""


class Search:
    """Points of a region that were come upon, with their scores. Features are made anew where they are needed: they may be many.

    taken: which points [m, slots] must not be proposed; they may be passed through. handicap: of points [m, slots], what is
    taken off their scores [m], whatever counts as observed, such as the logarithm of their costs. Deterministic for a generator.
    """

    def __init__(
        self,
        region: Region,
        score: Score,
        generator: np.random.Generator,
        taken: Callable[[IntArray], BoolArray],
        handicap: Callable[[IntArray], FloatArray] | None = None,
    ):
        self.region, self.generator, self._score, self._taken = region, generator, score, taken
        self._handicap = handicap or (lambda codes: np.zeros(len(codes)))
        self.codes = np.empty((0, len(region.low)), dtype=np.int64)
        self.scores = np.empty(0)
        self.handicaps = np.empty(0)
        self.free = np.empty(0, dtype=bool)
        self.steps = 0
        self._places: dict[bytes, int] = {}

    def within(self, region: Region) -> None:
        """Go on in a part of the region."""
        self.region = region

    def visit(self, codes: IntArray) -> IntArray:
        """Score points [m, slots] that are new; the places [m] of all of them."""
        keys = [row.tobytes() for row in codes]
        fresh: dict[bytes, int] = {}
        for place, key in enumerate(keys):
            if key not in self._places:
                fresh.setdefault(key, place)
        if fresh:
            added = codes[list(fresh.values())]
            features, handicaps = self.region.encode(added), self._handicap(added)
            self._places |= {key: len(self.codes) + k for k, key in enumerate(fresh)}
            self.codes = np.concatenate([self.codes, added])
            self.handicaps = np.concatenate([self.handicaps, handicaps])
            self.scores = np.concatenate([self.scores, self._score(features, features[:0]) - handicaps])
            self.free = np.concatenate([self.free, ~self._taken(added)])
        return np.array([self._places[key] for key in keys], dtype=np.int64)

    def features(self, places: IntArray | list[int]) -> FloatArray:
        """Features [k, d] of the points at some places [k]."""
        return self.region.encode(self.codes[places])

    def climb(self, starts: IntArray, steps: int, ahead: FloatArray | None = None) -> IntArray:
        """From places [k], go to the best neighbour for as long as that gains; the places [k] where it ends.

        ahead: features [j, d] of points that count as observed; without it the plain scores decide.
        """
        here, active = starts.copy(), np.ones(len(starts), dtype=bool)
        for _ in range(steps):
            if not active.any():
                break
            self.steps += 1
            near = [self.region.neighbours(self.codes[place], self.generator) for place in here[active]]
            places = self.visit(np.concatenate(near)) if sum(map(len, near)) else np.empty(0, dtype=np.int64)
            ends = np.cumsum([0, *map(len, near)])
            scores = self._told(np.concatenate([here[active], places]), ahead)
            own, scores = scores[: len(near)], scores[len(near) :]
            for k, start in enumerate(np.flatnonzero(active)):
                part = slice(ends[k], ends[k + 1])
                if ends[k] == ends[k + 1] or scores[part].max() <= own[k] + TIES:
                    active[start] = False
                else:
                    here[start] = places[part][int(scores[part].argmax())]
        return here

    def _told(self, places: IntArray, ahead: FloatArray | None) -> FloatArray:
        if ahead is None:
            return self.scores[places]
        return self._score(self.features(places), ahead) - self.handicaps[places]

    def leading(self, k: int, among: BoolArray | None = None) -> IntArray:
        """Places of the best k by the plain scores, of those that are free and `among` [m]."""
        fine = self.free if among is None else self.free & among
        order = np.argsort(-np.where(fine, self.scores, -np.inf), kind="stable")[:k]
        return order[fine[order]]

    def apart(self, k: int, among: BoolArray | None = None) -> IntArray:
        """Places of k starts: the best one, then the best of those that are not neighbours of an earlier one in most slots."""
        order = self.leading(40 * k, among)
        chosen: list[int] = []
        for place in order.tolist():
            different = [(self.codes[place] != self.codes[one]).sum() for one in chosen]
            if not different or min(different) >= min(2, self.codes.shape[1]):
                chosen.append(place)
            if len(chosen) == k:
                break
        return np.array(chosen, dtype=np.int64)

    def best(self, places: IntArray, ahead: FloatArray, k: int) -> IntArray:
        """The best k of some places, where further points count as observed; best first. Of none, none."""
        if not len(places):
            return places
        scores = self._told(places, ahead if len(ahead) else None)
        return places[np.argsort(-scores, kind="stable")[:k]]
