"""Points of a space as numbers for a surrogate, on scales that the space itself gives."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from discover.candidates.space.parameters.parameter import Parameter
from discover.values import Block, FeatureTable, FloatArray


@dataclass(frozen=True)
class SpaceEncoding:
    """Names [d], centres [d] and spreads [d] of the features: over each parameter's own settings, not over what was tried.

    owners: the parameters with their slots. optional: places of those that may have no value.
    blocks: runs of features that belong together. A parameter that may have no value has a
    further feature that says whether it has one; its others stand at their centre where it has none.
    """

    owners: tuple[tuple[Parameter, tuple[int, ...]], ...]
    optional: Collection[int]
    names: tuple[str, ...]
    centre: FloatArray
    spread: FloatArray
    blocks: tuple[Block, ...]

    @classmethod
    def of(cls, owners: Sequence[tuple[Parameter, tuple[int, ...]]], optional: Collection[int]) -> SpaceEncoding:
        """The encoding of a space's points."""
        names: list[str] = []
        centres, spreads, blocks = [], [], []
        for place, (one, _) in enumerate(owners):
            parts = [(e.kind, e.names, e.centre, e.spread) for e in one.encodings]
            if place in optional:
                parts.append(("numbers", (f"{one.name}?",), np.array([0.5]), np.array([0.5])))
            for kind, own, centre, spread in parts:
                blocks.append(Block(one.name, kind, len(names), len(names) + len(own)))
                names += own
                centres.append(centre)
                spreads.append(spread)
        return cls(
            tuple(owners),
            frozenset(optional),
            tuple(names),
            np.concatenate(centres),
            np.concatenate(spreads),
            _joined(blocks),
        )

    def transform(self, numbers: FloatArray) -> FloatArray:
        """Numbers [m, slots] to features [m, d], finite."""
        parts = []
        for place, (one, slots) in enumerate(self.owners):
            own = numbers[:, list(slots)]
            parts.append(one.encode(own))
            if place in self.optional:
                parts.append((~np.isnan(own[:, :1])).astype(np.float64))
        found = np.concatenate(parts, axis=1) if parts else np.empty((len(numbers), 0))
        return np.where(np.isnan(found), self.centre, found) + 0.0

    def table(self, values: FloatArray) -> FeatureTable:
        """Features [m, d] as a table."""
        values = np.ascontiguousarray(values, dtype=np.float64)
        values.flags.writeable = False
        header = json.dumps([list(self.names), list(values.shape)], ensure_ascii=False)
        digest = hashlib.sha256(header.encode() + values.astype("<f8").tobytes()).hexdigest()
        return FeatureTable(self.names, values, digest, self.blocks, (self.centre, self.spread))


def _joined(blocks: list[Block]) -> tuple[Block, ...]:
    """Neighbouring blocks of numbers become one."""
    found: list[Block] = []
    for block in blocks:
        if found and block.kind == "numbers" and found[-1].kind == "numbers":
            found[-1] = Block("numbers", "numbers", found[-1].start, block.stop)
        else:
            found.append(block)
    return tuple(found)
