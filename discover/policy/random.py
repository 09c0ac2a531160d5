"""Candidates drawn blindly: the yardstick of every other policy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from discover.policy.choice import checked_count, free_rows, shortage
from discover.protocols import Batch, Proposal, View


@dataclass(frozen=True)
class Random:
    """Every free candidate is equally likely, none twice. `probability` is its chance to be in the batch."""

    def propose(self, view: View, n: int, generator: np.random.Generator) -> Batch:
        """At most n different free candidates, deterministic in (view, n, generator)."""
        n = checked_count(n)
        free = free_rows(view)
        size = min(n, len(free))
        chosen = generator.choice(free, size=size, replace=False) if size else free
        chance = size / len(free) if size else 0.0
        reason = f"drawn at random: {size} of {len(free):,} free candidates"
        proposals = tuple(Proposal(str(view.ids[row]), "random", reason, probability=chance) for row in chosen)
        return Batch(proposals, {"policy": "random"}, shortage(view, n, proposals))
