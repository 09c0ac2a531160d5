"""Candidates drawn blindly: the yardstick of every other policy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from discover.kinds import typed
from discover.policy.choice import beginners, checked_count, shortage
from discover.protocols import View
from discover.values import Batch, IntArray, Proposal


@dataclass(frozen=True)
@typed
class Random:
    """Every free candidate is equally likely, none twice. `probability` is its chance to be in the batch.

    Where limits bind a batch, each next candidate is drawn among those that may still join it, and the chance of one to be in
    the batch is not stated.
    """

    def propose(self, view: View, n: int, generator: np.random.Generator) -> Batch:
        """At most n different free candidates, deterministic in (view, n, generator)."""
        n = checked_count(n)
        free = beginners(view, n)
        if view.limits.binding:
            return self._limited(view, free, n, generator)
        size = min(n, len(free))
        chosen = generator.choice(free, size=size, replace=False) if size else free
        chance = size / len(free) if size else 0.0
        reason = f"drawn at random: {size} of {len(free):,} free candidates"
        proposals = tuple(Proposal(str(view.ids[row]), "random", reason, probability=chance) for row in chosen)
        return Batch(proposals, {"policy": "random"}, shortage(view, n, proposals))

    def _limited(self, view: View, free: IntArray, n: int, generator: np.random.Generator) -> Batch:
        order = generator.permutation(free)
        chosen = order[view.limits.walk(order, n)]
        reason = f"drawn at random from {len(free):,} free candidates, under limits: {view.limits.words}"
        proposals = tuple(Proposal(str(view.ids[row]), "random", reason) for row in chosen)
        return Batch(proposals, {"policy": "random"}, shortage(view, n, proposals))
