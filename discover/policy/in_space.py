"""Any policy over a search space: a set of points is found that is worth its while, and it chooses among them as in a pool.

Which points these are depends on the policy. Where a space has few points, all of them. For a Bayesian policy that has a model,
those that a search on its acquisition function comes upon; for others, points drawn evenly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from discover.candidates.space.ground import Ground, SpaceLimits
from discover.errors import DiscoverError, InvalidInput, Problem
from discover.policy.bayesian import Bayesian
from discover.policy.bayesian.options import usable_observations
from discover.policy.choice import checked_count, rows_of, with_chosen
from discover.policy.filled import filled
from discover.policy.named import named_columns
from discover.policy.offer import Offer
from discover.policy.random import Random
from discover.protocols import Policy, View
from discover.values import Batch, FeatureTable, IntArray, Proposal

if TYPE_CHECKING:
    from discover.surrogate.belief import Belief

SAMPLE = 2_000
"""Points that are drawn for a policy which does not search."""
MOST = 10_000
"""Points that are sought for one batch, at most: some times as many are drawn to choose among."""
PORTIONS = 6
"""How often points are sought for one batch, at most."""


@dataclass(frozen=True)
class _Portion:
    """What a policy chose of one offer. after: the view with the offered points, in which those that it chose are in the batch."""

    offer: Offer
    batch: Batch
    proposals: tuple[Proposal, ...]
    after: View


def propose(policy: Policy, view: View, n: int, generator: np.random.Generator) -> Batch:
    """At most n different points that keep every constraint, deterministic in (view, n, generator).

    Where limits of a batch left too few of the points that were found, further ones are sought that may join it; where these do
    not fill it, it is chosen anew among points of all kinds, of which some use little of what a batch may use in total.
    """
    n = _checked(n)
    portions = _portions(policy, view, n, generator)
    if _size(portions) < n and portions[0].after.limits.shared and portions[0].offer.share != 1.0:
        portions = max(portions, _portions(policy, view, n, generator, portions[0].offer), key=_size)
    proposals = portions[0].proposals + tuple(
        replace(p, probability=None) for one in portions[1:] for p in one.proposals
    )
    first, last = portions[0], portions[-1]
    how = first.offer.how | ({"in portions": [len(one.proposals) for one in portions]} if len(portions) > 1 else {})
    learned = {**first.batch.learned, "space": how}
    return Batch(proposals, learned, _shortage(last.batch, last.after, n, proposals, last.offer))


def _checked(n: int) -> int:
    """The number of points asked for. InvalidInput where it is none, or more than are sought at once."""
    if (n := checked_count(n)) > MOST:
        problem = Problem(f"at most {MOST:,} points are sought at once", column="n", value=n)
        raise InvalidInput("batch", [problem])
    return n


def _portions(
    policy: Policy, view: View, n: int, generator: np.random.Generator, before: Offer | None = None
) -> list[_Portion]:
    """A batch, from one offer after the other. before: one that was not enough, for points of all kinds besides."""
    portions = [_portion(policy, view, n, generator, before=before)]
    while (left := n - _size(portions)) and _further(portions):
        portions.append(_portion(policy, portions[-1].after, left, generator, portions[-1].offer.held))
    return portions


def _size(portions: list[_Portion]) -> int:
    return sum(len(one.proposals) for one in portions)


def _further(portions: list[_Portion]) -> bool:
    """Whether it is limits that keep a batch small, and a further search may help: the last one did."""
    last = portions[-1]
    return len(portions) < PORTIONS and last.offer.share != 1.0 and last.after.limits.binding and bool(last.proposals)


def _portion(
    policy: Policy,
    view: View,
    n: int,
    generator: np.random.Generator,
    held: Belief | None = None,
    before: Offer | None = None,
) -> _Portion:
    """At most n points of one offer. held: the belief, where it is known from an earlier portion. before: as in _portions."""
    assert view.ground is not None
    offer = _offer(policy, view, n, generator, held) if before is None else _of_all_kinds(before, view, n, generator)
    whole, _ = grown(view, offer.codes)
    assert whole.ground is not None
    columns = named_columns(policy, whole.ground.known)
    propose = partial(_chosen, policy, offer.held)
    batch = filled(propose, replace(whole, ground=None, columns=columns), n, generator)
    proposals = tuple(_whole(proposal, whole, offer) for proposal in batch.proposals)
    proposals = _within(proposals, whole)
    return _Portion(offer, batch, proposals, with_chosen(whole, rows_of(whole, proposals)))


def _chosen(policy: Policy, held: Belief | None, view: View, n: int, generator: np.random.Generator) -> Batch:
    """What a policy chooses of a view with the offered points."""
    if held is not None and isinstance(policy, Bayesian):
        return policy.propose(view, n, generator, held=held)
    return policy.propose(view, n, generator)


def explore(
    view: View, n: int, share: float, size: int, generator: np.random.Generator
) -> tuple[tuple[Proposal, ...], View]:
    """At most `size` points drawn at random for a batch of n, and the view once they are in it."""
    assert view.ground is not None
    n = _checked(n)
    offer = drawn(view, 20 * size + 50, generator)
    whole, rows = grown(view, offer.codes)
    rows = rows[~whole.blocked[rows]]
    chosen = rows[whole.limits.walk(rows, size)]
    reason = f"drawn at random from the space: {share:.0%} of the campaign's choices are, as a check"
    count = None if offer.share is None else len(offer.codes) / offer.share
    chance = None if count is None or (whole.limits.binding and size > 1) else min(1.0, share * n / count)
    proposals = tuple(
        Proposal(str(whole.ids[row]), "explore", reason, probability=chance, candidate=_candidate(whole, int(row)))
        for row in chosen
    )
    return proposals, with_chosen(whole, chosen)


def grown(view: View, codes: IntArray) -> tuple[View, IntArray]:
    """The view with further points [m, slots] among its rows, and the rows [m] that they have. Those of before stay where they
    are; what cannot be proposed here is blocked, and the limits of a batch are over all rows."""
    assert view.ground is not None
    before = len(view.ids)
    ground, rows = view.ground.grown(codes)
    fresh = ground.codes[before:]
    region, encoding = ground.region, ground.region.space.encoding
    values = np.concatenate([view.features.values, region.encode(fresh)]) if len(fresh) else view.features.values
    table: FeatureTable = encoding.table(values)
    blocked = np.concatenate([view.blocked, np.zeros(len(fresh), dtype=bool)])
    blocked |= ~ground.settable
    limits = SpaceLimits.over(ground, tuple(view.limits.chosen))
    return replace(view, ids=ground.known.ids, features=table, blocked=blocked, limits=limits, ground=ground), rows


def listed(view: View) -> View:
    """The view with every point of its space among its rows, where these are few enough to list; else as it is."""
    listing = view.ground.region.listing if view.ground is not None else None
    return view if listing is None else grown(view, listing)[0]


def drawn(view: View, n: int, generator: np.random.Generator) -> Offer:
    """Points drawn evenly, as many as n where there are so many, and what share of all points they are."""
    assert view.ground is not None
    region = view.ground.region.agreeing(view.ground.codes[list(view.limits.chosen)], view.limits.same)
    codes = region.draw(n, generator)
    if region.listing is not None:
        told = {"drawn": len(codes), "of": len(region.listing)}
        return Offer(codes, told, len(codes) / max(1, len(region.listing)))
    size = region.estimate
    return Offer(codes, {"drawn": len(codes), "of about": size}, None if size is None else min(1.0, len(codes) / size))


def _offer(policy: Policy, view: View, n: int, generator: np.random.Generator, held: Belief | None = None) -> Offer:
    assert view.ground is not None
    listing = view.ground.region.listing
    if listing is not None:
        return Offer(listing, {"listed": len(listing)}, 1.0)
    if isinstance(policy, Random):
        return drawn(
            view, (max(50, 4 * n) if not view.ground.region.space.rules else 30 * n + 300) + len(view.ids), generator
        )
    if isinstance(policy, Bayesian) and 2 * usable_observations(view) >= policy.start:
        from discover.policy.bayesian.searching import searched

        return searched(policy, view, n, generator, held)
    return drawn(view, max(SAMPLE, 20 * n), generator)


def _of_all_kinds(before: Offer, view: View, n: int, generator: np.random.Generator) -> Offer:
    """An offer with further points besides, drawn evenly and among those that use little; no chance of these is known."""
    assert view.ground is not None
    region = view.ground.region
    drawn = [one.draw(max(SAMPLE, 20 * n), generator) for one in (region, region.sparing(n))]
    codes = np.unique(np.concatenate([before.codes, *drawn]), axis=0)
    how = before.how | {"of all kinds besides": len(codes) - len(before.codes)}
    return Offer(codes, how, held=before.held)


def _whole(proposal: Proposal, view: View, offer: Offer) -> Proposal:
    """A proposal with its candidate, and with the chance that it had to be offered and chosen."""
    row = int(np.flatnonzero(view.ids == proposal.candidate_id)[0])
    chance = proposal.probability
    if chance is not None:
        chance = None if offer.share is None else chance * offer.share
    return replace(proposal, candidate=_candidate(view, row), probability=chance)


def _candidate(view: View, row: int) -> Any:
    assert view.ground is not None
    return view.ground.known.candidate(row)


def _within(proposals: tuple[Proposal, ...], view: View) -> tuple[Proposal, ...]:
    """Those proposals that the limits of a batch let pass, in their order: all of them, where the policy looked at them."""
    if not view.limits.binding:
        return proposals
    places = {str(name): row for row, name in enumerate(view.ids)}
    rows = np.array([places[proposal.candidate_id] for proposal in proposals], dtype=np.int64)
    return tuple(proposals[place] for place in view.limits.walk(rows, len(rows)))


def _shortage(batch: Batch, view: View, n: int, proposals: tuple[Proposal, ...], offer: Offer) -> str:
    if len(proposals) >= n:
        return ""
    assert view.ground is not None
    rules = view.ground.region.space.rules.words
    if len(proposals) == len(batch.proposals) and batch.shortage and offer.share == 1.0 and not rules:
        return batch.shortage
    found = f"no further one of {len(offer.codes):,} points that were found is free"
    return f"{found} and may join the batch: {rules}" if rules else found


def check(proposals: tuple[Proposal, ...], view: View, n: int) -> None:
    """Hold a policy to its promise: points of the region, free, on the grid, called after their values, together in one batch."""
    ground: Ground | None = view.ground
    assert ground is not None
    space = ground.region.space
    bad = [p.candidate_id for p in proposals if not _fine(p, view)]
    names = [p.candidate_id for p in proposals]
    codes = [space.codes_of(p.candidate.values) for p in proposals if p.candidate is not None]
    if not bad and space.rules:
        rows = np.array(codes, dtype=np.int64).reshape(len(codes), len(space.slots))
        numbers = space.numbers(rows)
        for place in range(len(rows)):
            if not space.rules.fits(rows[:place], rows[[place]], numbers[:place], numbers[[place]])[0]:
                bad.append(names[place])
    if bad or len(set(names)) != len(names) or len(names) > n:
        raise DiscoverError(f"the policy broke its promise: asked for {n}, it proposed {names}, not allowed: {bad}")


def _fine(proposal: Proposal, view: View) -> bool:
    ground, candidate = view.ground, proposal.candidate
    assert ground is not None
    if candidate is None or candidate.id != proposal.candidate_id:
        return False
    space = ground.region.space
    codes = space.codes_of(candidate.values)
    known = np.flatnonzero(view.ids == candidate.id)
    free = not len(known) or not view.blocked[known[0]]
    named = space.candidate(candidate.values).id == candidate.id
    return codes is not None and free and named and bool(ground.region.inside(codes[None])[0])
