"""The points of a space that a Bayesian policy chooses among: those that a search on its acquisition function comes upon.

A batch is thought ahead: after the best point is found, it counts as known to be what is expected of it, in the belief and in what
improvements are counted from, and the search goes on elsewhere (Ginsbourger, Le Riche and Carraro's believer, 2010). What the search found best at each step is offered, so that the policy's own rule for batches has
candidates in every direction that it may take. Rules of a batch are kept on the way: once a plate's temperature is given by
its first well, the search goes on at that temperature.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from discover.acquisition.space_search import Search
from discover.candidates.space.constraints.batch_rules import BatchRules, Different
from discover.policy.bayesian.believing import belief_of
from discover.policy.bayesian.search_scores import acquired, log_costs
from discover.policy.offer import Offer
from discover.protocols import View
from discover.surrogate.gaussian.threads import one_thread
from discover.values import BoolArray, IntArray

if TYPE_CHECKING:
    from discover.policy.bayesian.options import Options
    from discover.surrogate.belief import Belief

DRAWN = 600
"""Points that are drawn and scored before the search begins."""
STARTS = 6
"""Starts among them, and as many among the points that were measured."""
STEPS = 30
"""Steps of a start at most."""
WIDE = 100
"""Points of those that were drawn that are looked at for every further point of a batch,"""
LEADING = 200
"""besides so many of the best that the search came upon."""
FURTHER = 12
"""Steps from each of the best points after a further point was thought ahead."""
ROUNDS = 12
"""How often the search goes on in the course of a batch, about."""
OFFERED = 240
"""Points that are offered, and ten for each of the batch."""


def searched(policy: Options, view: View, n: int, generator: np.random.Generator, held: Belief | None = None) -> Offer:
    """Points that are worth choosing among, as codes [m, slots], and the belief that they were found by.

    held: that belief, where the same observations were fitted before. Deterministic in its arguments.
    """
    assert view.ground is not None
    ground = view.ground
    if held is None:
        held = belief_of(policy, view, judge=policy.filled(view, n) < n)
    known = {row.tobytes(): bool(blocked) for row, blocked in zip(ground.codes, view.blocked, strict=True)}
    with one_thread():
        score = acquired(policy, view, held, generator)
        search = Search(ground.region, score, generator, _taken(known), log_costs(policy, view, n))
        drawn = search.visit(ground.region.draw(DRAWN, generator))
        own = ground.codes[ground.settable]
        measured = search.visit(own[-500:]) if len(own) else np.empty(0, dtype=np.int64)
        leading = measured[np.argsort(-search.scores[measured], kind="stable")[:STARTS]]
        ends = search.climb(np.concatenate([search.apart(STARTS), leading]), STEPS)
        best_drawn = drawn[np.argsort(-search.scores[drawn], kind="stable")[:WIDE]]
        chosen, offered = _ahead(search, view, n, ends, best_drawn)
    fit = _joinable(search, view, chosen, offered)
    how = {"searched": len(search.codes), "steps": search.steps, "offered": len(fit), "thought ahead": len(chosen)}
    return Offer(search.codes[fit], how, held=held)


def _taken(known: dict[bytes, bool]) -> Callable[[IntArray], BoolArray]:
    return lambda codes: np.array([known.get(row.tobytes(), False) for row in codes], dtype=bool)


def _ahead(search: Search, view: View, n: int, ends: IntArray, drawn: IntArray) -> tuple[IntArray, IntArray]:
    """Places of a batch thought ahead, and of the points that were best on the way.

    ends: of the climbs so far. drawn: the best of the points drawn. Both are far from each other.
    """
    assert view.ground is not None
    rules, region = view.ground.region.space.rules, view.ground.region
    already = view.ground.codes[list(view.limits.chosen)]
    chosen: list[int] = []
    offered: list[IntArray] = [search.leading(OFFERED // 2)]
    for number in range(n):
        batch = np.concatenate([already, search.codes[chosen]])
        if rules and len(batch):
            region = region.agreeing(batch)
            search.within(region)
        if number and number % max(1, n // ROUNDS) == 0:
            ends = np.concatenate([ends, _go_on(search, batch, chosen, rules, np.concatenate([ends, drawn]))])
        wide = np.concatenate([ends, drawn])
        best = _leading(search, batch, chosen, rules, wide)
        if not len(best):
            search.visit(region.draw(DRAWN // 4, search.generator))
            best = _leading(search, batch, chosen, rules, wide)
        if not len(best):
            break
        chosen.append(int(best[0]))
        offered.append(best[:10])
    return np.array(chosen, dtype=np.int64), np.unique(np.concatenate([*offered, ends[search.free[ends]]]))


def _leading(search: Search, batch: IntArray, chosen: list[int], rules: BatchRules, wide: IntArray) -> IntArray:
    """The best places that may join a batch, where the earlier ones count as observed.

    Looked at are the best by the plain scores, which may all lie around one point, and those of `wide`.
    """
    among = search.free.copy()
    among[chosen] = False
    if rules:
        space = search.region.space
        numbers = space.numbers(batch)
        among &= rules.fits(batch, search.codes, numbers, space.numbers(search.codes))
    places = np.union1d(search.leading(LEADING, among), wide[among[wide]])
    return search.best(places, search.features(chosen), 12)


def _go_on(search: Search, batch: IntArray, chosen: list[int], rules: BatchRules, wide: IntArray) -> IntArray:
    """Draw some points and climb from the best, and the best of `wide`, where the batch so far counts as observed; where it ends."""
    if rules:
        search.visit(search.region.draw(DRAWN // 8, search.generator))
    best = _leading(search, batch, chosen, rules, wide)
    starts = np.unique(np.concatenate([best[:1], best[np.isin(best, wide)][:2]]))
    return search.climb(starts, FURTHER, search.features(chosen))


def _joinable(search: Search, view: View, chosen: IntArray, offered: IntArray) -> IntArray:
    """Of the offered places those whose values the batch that was thought ahead has, where a batch may have few."""
    assert view.ground is not None
    fine = np.ones(len(offered), dtype=bool)
    for rule in view.ground.region.space.rules.rules:
        if isinstance(rule, Different):
            had = np.unique(search.codes[chosen][:, rule.slots], axis=0)
            if len(had) >= rule.most:
                fine &= (search.codes[offered][:, None, rule.slots] == had[None]).all(axis=2).any(axis=1)
    return offered[fine]
