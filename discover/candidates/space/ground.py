"""What else could be tried, as a policy sees it: the region of a space that is asked about, and the points that are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np

from discover.candidates.space.points import Points
from discover.candidates.space.region import Region
from discover.filling import Rule
from discover.limits import Limits
from discover.values import BoolArray, Candidate, IntArray

NOWHERE = -9
"""The codes of a known point that cannot be set: it was told, beside the grid."""


@dataclass(frozen=True)
class Ground:
    """region: what may be proposed. known: the rows of a view. limiting: what holds in a batch of other rows, such as costs."""

    region: Region
    known: Points
    limiting: Callable[[Points], Limits] = lambda _: Limits()

    @cached_property
    def codes(self) -> IntArray:
        """Codes [N, slots] of the known points."""
        space, found = self.region.space, []
        for candidate in self.known.candidates(range(len(self.known))):
            codes = space.codes_of(candidate.values)
            found.append(np.full(len(space.slots), NOWHERE, dtype=np.int64) if codes is None else codes)
        return np.array(found, dtype=np.int64).reshape(-1, len(space.slots))

    @cached_property
    def settable(self) -> BoolArray:
        """Which known points [N] may be proposed in this region."""
        return self.region.inside(self.codes)

    def grown(self, codes: IntArray) -> tuple[Ground, IntArray]:
        """The ground with further points [m, slots] among the known ones, and the rows [m] that they have there."""
        candidates: list[Candidate] = self.region.space.candidates(codes)
        known = self.known.grown(candidates)
        rows = known.rows([candidate.id for candidate in candidates])
        whole = np.full((len(known), codes.shape[1]), NOWHERE, dtype=np.int64)
        whole[: len(self.codes)] = self.codes
        whole[rows] = codes
        ground = replace(self, known=known)
        ground.__dict__["codes"] = whole
        return ground, rows


@dataclass(frozen=True)
class SpaceLimits(Limits):
    """What holds within one batch of points: the rules of a space, beside limits on columns and costs."""

    ground: Ground | None = None

    @classmethod
    def over(cls, ground: Ground, chosen: tuple[int, ...] = ()) -> SpaceLimits:
        """The limits over the known points of a ground, some of which are in the batch already."""
        plain = ground.limiting(ground.known)
        own = {field.name: getattr(plain, field.name) for field in fields(plain)}
        return cls(**own | {"chosen": chosen}, ground=ground)

    @property
    def binding(self) -> bool:
        """Whether one choice may stand in the way of another."""
        return (self.ground is not None and bool(self.ground.region.space.rules)) or super().binding

    @property
    def shared(self) -> bool:
        """Whether the batch shares more than its funds, which are spent on the best first."""
        return (self.ground is not None and bool(self.ground.region.space.rules)) or super().shared

    def allowed(self, rows: IntArray, chosen: Sequence[int] = ()) -> BoolArray:
        """Which of some rows [m] may join the batch, besides `chosen` rows that have joined it; [m]."""
        fine = super().allowed(rows, chosen)
        rules = self.ground.region.space.rules if self.ground is not None else None
        if self.ground is None or not rules:
            return fine
        space, codes = self.ground.region.space, self.ground.codes
        taken = codes[[*self.chosen, *(int(row) for row in chosen)]]
        offered = codes[rows]
        return fine & rules.fits(taken, offered, space.numbers(taken), space.numbers(offered))

    def rules(self, rows: IntArray) -> list[Rule]:
        """What further rows of a batch must keep together, of some rows [m] that may each join it."""
        found = super().rules(rows)
        if self.ground is None:
            return found
        space = self.ground.region.space
        taken, offered = self.ground.codes[list(self.chosen)], self.ground.codes[rows]
        return found + space.rules.joining(taken, offered, space.numbers(taken), space.numbers(offered))

    @property
    def words(self) -> str:
        """The limits, for a sentence."""
        rules = self.ground.region.space.rules.words if self.ground is not None else ""
        return ", ".join(part for part in (rules, super().words) if part)
