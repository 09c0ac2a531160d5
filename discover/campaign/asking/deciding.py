"""What to try next, as a pure function of what was known: the same for a campaign that runs and for a replay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from discover.campaign.asking.asking import check_batch, seed_of
from discover.campaign.asking.changing import in_running_order
from discover.campaign.terms import Terms
from discover.policy import in_space
from discover.policy.choice import beginners, shortage, with_chosen
from discover.policy.filled import filled
from discover.protocols import Policy, View
from discover.values import Batch, Proposal

EXPLORED: Mapping[str, Any] = {"policy": "explore"}


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
    if view.ground is not None:
        return Decision(in_running_order(_in_space(view, policy, n, seed, share), view), seed, view.seen)
    explored = _explored(view, n, share, np.random.default_rng([seed, 1])) if share else ()
    rest = _without(view, explored) if explored else view
    left = n - len(explored)
    chosen = filled(policy.propose, rest, left, np.random.default_rng(seed)) if left else Batch((), EXPLORED)
    batch = _joined(chosen, explored, rest, view, n) if explored else chosen
    check_batch(batch, view, n)
    batch = _within(batch, view, n) if view.limits.binding else batch
    return Decision(in_running_order(batch, view), seed, view.seen)


def _in_space(view: View, policy: Policy, n: int, seed: int, share: float) -> Batch:
    """The same over a search space."""
    generator = np.random.default_rng([seed, 1])
    size = int(share * n) + int(generator.random() < (share * n) % 1) if share else 0
    explored, rest = in_space.explore(view, n, share, size, generator) if size else ((), view)
    left = n - len(explored)
    chosen = in_space.propose(policy, rest, left, np.random.default_rng(seed)) if left else Batch((), EXPLORED)
    batch = replace(chosen, proposals=_ranked((*chosen.proposals, *explored))) if explored else chosen
    in_space.check(batch.proposals, view, n)
    return batch


def _explored(view: View, n: int, share: float, generator: np.random.Generator) -> tuple[Proposal, ...]:
    """Free candidates drawn at random before the policy chooses: on average `share` of n, none twice."""
    free = beginners(view, n)
    wanted = share * n
    size = min(int(wanted) + int(generator.random() < wanted % 1), len(free))
    if not size:
        return ()
    chance = min(1.0, wanted / len(free)) if size == 1 or not view.limits.binding else None
    reason = (
        f"drawn at random from {len(free):,} free candidates: {share:.0%} of the campaign's choices are, as a check"
    )
    rows = generator.choice(free, size=size, replace=False)
    if view.limits.binding and size > 1:
        order = np.concatenate([rows, generator.permutation(np.setdiff1d(free, rows))])
        rows = order[view.limits.walk(order, size)]
    return tuple(Proposal(str(view.ids[row]), "explore", reason, probability=chance) for row in rows)


def _without(view: View, explored: tuple[Proposal, ...]) -> View:
    """The view as the policy sees it once these are under trial."""
    rows = np.searchsorted(view.ids, [proposal.candidate_id for proposal in explored])
    return with_chosen(view, rows.astype(np.int64))


def _joined(chosen: Batch, explored: tuple[Proposal, ...], rest: View, view: View, n: int) -> Batch:
    """The policy's batch, chosen from `rest`, and what was drawn before it; why they are fewer than n counts both."""
    proposals = _ranked((*chosen.proposals, *explored))
    why = chosen.shortage
    if why and why == shortage(rest, n - len(explored), chosen.proposals):
        why = shortage(view, n, proposals)
    elif why:
        why = f"{len(proposals)} of {n} proposed: {why.partition(' proposed: ')[2] or why}"
    return replace(chosen, proposals=proposals, shortage=why)


def _within(batch: Batch, view: View, n: int) -> Batch:
    """What of a batch its limits let pass, in its order: all of it, where the policy looked at them."""
    rows = np.searchsorted(view.ids, [proposal.candidate_id for proposal in batch]).astype(np.int64)
    places = view.limits.walk(rows, len(rows))
    if len(places) == len(rows):
        return batch
    kept = tuple(batch.proposals[place] for place in places)
    why = (
        f"{len(rows) - len(kept)} of the {len(rows)} that the policy chose may not be in one batch: {view.limits.words}"
    )
    return replace(batch, proposals=kept, shortage=f"{len(kept)} of {n} proposed: {why}")


def _ranked(proposals: tuple[Proposal, ...]) -> tuple[Proposal, ...]:
    return tuple(replace(proposal, rank=rank) for rank, proposal in enumerate(proposals, start=1))
