"""A policy's batch, chosen again where its limits stopped it short of what they allow together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from discover.policy.choice import free_rows, fuller, rows_of
from discover.protocols import View
from discover.values import Batch

Propose = Callable[[View, int, np.random.Generator], Batch]


def filled(propose: Propose, view: View, n: int, generator: np.random.Generator) -> Batch:
    """At most n proposals, as many as the limits of a batch allow together.

    A policy chooses one after the other, so its first choices may leave too little for the last ones. Then a largest batch is
    sought that keeps as many of its choices as can be, the others drawn, and the policy chooses within that. What chance each
    choice had is not known then. Funds alone are no reason: they are spent on the best first.
    """
    batch = propose(view, n, generator)
    if len(batch) >= n or not view.limits.shared:
        return batch
    wider = fuller(view, n, rows_of(view, batch), generator.permutation(free_rows(view)))
    if wider is None:
        return batch
    again = propose(wider, n, generator)
    if len(again) <= len(batch):
        return batch
    proposals = tuple(replace(proposal, probability=None) for proposal in again)
    told = {"one after the other": len(batch), "together": len(again)}
    return replace(again, proposals=proposals, learned={**again.learned, "filled": told})
