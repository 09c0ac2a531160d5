"""Which scaled features belong together, and how raw ones come back from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from discover.surrogate.inputs.scaling import SPAN, Scaling
from discover.values import Block, BlockKind, FloatArray

ENCODINGS: tuple[BlockKind, ...] = ("categories", "descriptors", "composition", "structure", "fingerprint", "embedding")
"""Kinds of blocks that may stand for one another; numbers stand for themselves."""

LOOKED_AT = 4096
"""Rows of a pool that its variance is taken from."""


@dataclass(frozen=True)
class Part:
    """The scaled features of a block; raw = spread·scaled + centre.

    constant: sum of squares of the raw columns that were left out, for they are the same everywhere.
    """

    name: str
    kind: BlockKind
    columns: tuple[int, ...]
    spread: tuple[float, ...]
    centre: tuple[float, ...]
    constant: float = 0.0


@dataclass(frozen=True)
class Layout:
    """The blocks of `width` scaled features: of those that tell candidates apart.

    variance: over the pool, summed over the features. lows: [width], the least of each over the pool; () where the pool
    has no ends.
    """

    width: int
    parts: tuple[Part, ...]
    variance: float = 0.0
    lows: tuple[float, ...] = ()

    @classmethod
    def of(cls, scaling: Scaling, blocks: Sequence[Block], values: FloatArray) -> Layout:
        """Of the features that a scaling kept; without blocks all of them are numbers. values: [N, d], raw."""
        total = len(scaling.kept)
        place = np.cumsum(scaling.kept) - 1
        parts = []
        for block in blocks or (Block("features", "numbers", 0, total),):
            columns = place[block.start : block.stop][scaling.kept[block.start : block.stop]]
            if len(columns):
                spread, centre = SPAN * scaling.spread[columns], scaling.centre[columns]
                told = tuple(columns.tolist()), tuple(spread.tolist()), tuple(centre.tolist())
                same = values[0, block.start : block.stop][~scaling.kept[block.start : block.stop]]
                parts.append(Part(block.name, block.kind, *told, float(np.square(same).sum())))
        if not parts:
            return cls.plain(scaling.width)
        if (least := scaling.least) is None:  # the rows are those that were come upon, not what there is
            return cls(scaling.width, tuple(parts), scaling.width / SPAN**2)
        some = np.unique(np.linspace(0, len(values) - 1, min(len(values), LOOKED_AT)).round().astype(int))
        variance = float(scaling.apply(values[some]).var(axis=0).sum())
        lows = tuple(((least - scaling.centre) / (SPAN * scaling.spread)).tolist())
        return cls(scaling.width, tuple(parts), variance, lows)

    @classmethod
    def plain(cls, width: int) -> Layout:
        """So many numbers of which nothing is known."""
        return cls(width, (Part("features", "numbers", tuple(range(width)), (1.0,) * width, (0.0,) * width),))

    def columns(self, *kinds: BlockKind) -> tuple[int, ...]:
        """Positions of the features of some kinds, ascending."""
        return tuple(sorted(c for part in self.parts if part.kind in kinds for c in part.columns))

    @property
    def doubled(self) -> tuple[BlockKind, ...]:
        """Kinds of encoding among which there is a choice, for some column is encoded in two of them."""
        twice = told_twice(self.parts)
        return tuple(k for k in ENCODINGS if any(part.kind == k and part.name in twice for part in self.parts))

    def preferring(self, kind: BlockKind) -> Layout:
        """Each column that is encoded more than once in this kind, if it has it, and else in its first."""
        chosen: dict[str, Part] = {}
        for part in self.parts:
            first = part.name not in chosen
            if part.kind in ENCODINGS and (first or part.kind == kind != chosen[part.name].kind):
                chosen[part.name] = part
        kept = (part for part in self.parts if part.kind not in ENCODINGS or chosen[part.name] is part)
        return replace(self, parts=tuple(kept))


def told_twice(parts: Iterable[Part | Block]) -> set[str]:
    """Columns that are encoded in more than one way. A number beside a name, which says whether a parameter has a value at
    all, is no encoding."""
    names = [part.name for part in parts if part.kind in ENCODINGS]
    return {name for name in names if names.count(name) > 1}
