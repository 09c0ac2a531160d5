"""What to try next, as a pure function of what was known: the same for a campaign that runs and for a replay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from discover.campaign.asking import check_batch, seed_of
from discover.campaign.terms import Terms
from discover.protocols import Batch, Policy, Proposal, View


@dataclass(frozen=True)
class Decision:
    """A batch, the seed that it was drawn with, and the hash of the data that it knew."""

    batch: Batch
    seed: int
    seen: str


def decide(view: View, definition: Mapping[str, Any], policy: Policy, n: int, key: str | None) -> Decision:
    """The policy's batch for this view, with the share that is drawn at random.

    definition: the campaign's, for its seed, its policy's settings and its terms. Deterministic in its arguments.
    """
    settings = dict(definition["policy"])
    seed = seed_of(int(definition["seed"]), settings, key, view.seen)
    share = Terms.of(settings).explore
    explored = _explored(view, n, share, np.random.default_rng([seed, 1])) if share else ()
    rest = _without(view, explored) if explored else view
    left = n - len(explored)
    chosen = policy.propose(rest, left, np.random.default_rng(seed)) if left else Batch((), {"policy": "explore"})
    batch = replace(chosen, proposals=_ranked((*chosen.proposals, *explored))) if explored else chosen
    check_batch(batch, view, n)
    return Decision(batch, seed, view.seen)


def _explored(view: View, n: int, share: float, generator: np.random.Generator) -> tuple[Proposal, ...]:
    """Free candidates drawn at random before the policy chooses: on average `share` of n, none twice."""
    free = np.flatnonzero(~view.blocked)
    wanted = share * n
    size = min(int(wanted) + int(generator.random() < wanted % 1), len(free))
    if not size:
        return ()
    chance = min(1.0, wanted / len(free))
    reason = (
        f"drawn at random from {len(free):,} free candidates: {share:.0%} of the campaign's choices are, as a check"
    )
    rows = generator.choice(free, size=size, replace=False)
    return tuple(Proposal(str(view.ids[row]), "explore", reason, probability=chance) for row in rows)


def _without(view: View, explored: tuple[Proposal, ...]) -> View:
    """The view as the policy sees it once these are under trial."""
    rows = np.searchsorted(view.ids, [proposal.candidate_id for proposal in explored])
    blocked = view.blocked.copy()
    blocked[rows] = True
    return replace(view, blocked=blocked, pending=np.union1d(view.pending, rows).astype(np.int64))


def _ranked(proposals: tuple[Proposal, ...]) -> tuple[Proposal, ...]:
    return tuple(replace(proposal, rank=rank) for rank, proposal in enumerate(proposals, start=1))
