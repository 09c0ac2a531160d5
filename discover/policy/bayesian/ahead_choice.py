"""Batches by what an observation would change elsewhere: learning the whole, the best mean, hits within what is left."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from discover.acquisition.feasibility import Weighed
from discover.acquisition.improvement import log_expected_improvement
from discover.acquisition.integrated import IntegratedVariance, falls
from discover.acquisition.knowledge import KnowledgeGradient
from discover.acquisition.lookahead import Known, Score, greedily
from discover.acquisition.search import Hits, HitsAhead
from discover.policy.bayesian.one_target import BY_MEANS, OneTarget
from discover.policy.limited import allowed_of, prices_of
from discover.policy.ranking import Chosen, Ranking
from discover.surrogate.gaussian.threads import one_thread
from discover.values import IntArray

if TYPE_CHECKING:
    from torch import Tensor

AHEAD = ("integrated-variance", "knowledge-gradient", "hits-ahead")
"""Acquisition functions that look at what an observation changes elsewhere."""
OFFERED = 20_000
"""Candidates whose part in the integrated variance is worked out; of larger pools the most uncertain, and as many at random."""
LARGEST_REFERENCE = 4000
"""Rows that stand for the pool at most: their joint covariance is held in memory."""
RIVALS = 200
"""Rows of each sort that may become the best mean, beside the short list."""
FURTHER = 500
"""Likely hits that further experiments are chosen from, or four for each of these, where that is more."""


Case = tuple[IntArray, IntArray, Score, dict[str, Any]]
"""Places of a short list among the free rows, rows of the reference, the score over both, and how they were found."""


def ahead(case: OneTarget, n: int, generator: np.random.Generator) -> tuple[Ranking, Chosen]:
    """A short list from the whole pool, its scores, and at most n of it, each as if the earlier ones had been observed."""
    places, reference, score, how = _CASES[case.policy.acquisition](case, n, generator)
    rows, noise = case.free[places], case.posterior.noise_variance
    parts = case.scaled(rows), case.scaled(reference), case.scaled(case.under_trial)
    known = Known.of(case.posterior, *parts, noise).turned(case.sign)
    if case.chance is not None:
        score = Weighed(score, case.chance_at(rows), case.chance_words.removeprefix("of "))
    prices = prices_of(case.view, rows, wanted=case.policy.per_cost)
    with one_thread():
        first = score(known, torch.arange(known.m))
        chosen = greedily(known, score, n, allowed=allowed_of(case.view.limits, rows), prices=prices, first=first)
    values = (first if prices is None else first / prices([])).numpy()
    order = np.argsort(-values, kind="stable")
    scores = np.full(len(case.free), np.nan)
    scores[places] = values
    words = score.words if prices is None else f"{score.words} per cost"
    ranking = case.ranking(scores, places[order], words, BY_MEANS, reference=len(reference), **how)
    rank = np.argsort(order, kind="stable")
    return ranking, [(int(rank[place]), value) for place, value in chosen]


def _integrated(case: OneTarget, n: int, generator: np.random.Generator) -> Case:
    """The short list by the exact fall of the mean variance over a sample of the pool."""
    total = len(case.view.ids)
    asked = case.policy.reference
    size = min(total, LARGEST_REFERENCE, asked if isinstance(asked, int) else max(1, round(asked * total)))
    reference = np.sort(generator.choice(total, size, replace=False)).astype(np.int64)
    offered = _offered(case, n, generator)
    noise = case.posterior.noise_variance
    fall = falls(case.posterior, case.scaled(case.free[offered]), case.scaled(reference), noise)
    if case.chance is not None:
        fall = fall * case.chance[torch.from_numpy(offered)]
    prices = prices_of(case.view, case.free[offered], wanted=case.policy.per_cost)
    order = torch.argsort(-(fall if prices is None else fall / prices([])), stable=True).numpy()
    places = offered[order[case.view.limits.spread(case.free[offered[order]], case.room(n), n)]]
    return np.sort(places), reference, IntegratedVariance(), {"solved": len(offered)}


def _offered(case: OneTarget, n: int, generator: np.random.Generator) -> IntArray:
    """Places that are looked at: all, or of a large pool the most uncertain half and a random half; ascending."""
    most, total = max(OFFERED, 4 * n), len(case.free)
    if total <= most:
        return np.arange(total, dtype=np.int64)
    uncertain = np.argsort(-case.deviation.numpy(), kind="stable")[: most // 2]
    others = generator.choice(np.setdiff1d(np.arange(total), uncertain), most - most // 2, replace=False)
    return np.sort(np.concatenate([uncertain, others])).astype(np.int64)


def _knowledge(case: OneTarget, n: int, generator: np.random.Generator) -> Case:
    """The short list by expected improvement and by uncertainty; rivals are the leading by mean, by hope, and as observed."""
    gain = log_expected_improvement(case.mean, case.deviation, case.best)
    doubt = case.deviation
    if case.chance is not None:
        gain, doubt = gain + case.chance.clamp_min(1e-300).log(), doubt * case.chance
    places = _mixed(case, [gain, doubt], n)
    hopes = [case.mean, case.mean + 2.0 * case.deviation]
    rivals = [case.free[np.argsort(-hope.numpy(), kind="stable")[:RIVALS]] for hope in hopes]
    reference = np.unique(np.concatenate([*rivals, case.leading_observed(RIVALS)]))
    return places, np.setdiff1d(reference, case.free[places]), KnowledgeGradient(), {"solved": len(case.free)}


def _hits(case: OneTarget, n: int, generator: np.random.Generator) -> Case:
    """The short list by the chance of a hit and by how thinkable one is; further hits are the likeliest of the pool."""
    hits = Hits(*case.hits)
    left = max(n, (case.policy.horizon if case.view.remaining is None else case.view.remaining))
    left = max(n, left - len(case.view.limits.chosen))
    chance = hits.chance(case.mean, case.deviation)
    places = _mixed(case, [chance, -hits.shortfall(case.mean, case.deviation)], n)
    further = np.argsort(-chance.numpy(), kind="stable")[: min(max(FURTHER, 4 * left), LARGEST_REFERENCE)]
    reference = case.free[np.setdiff1d(further, places)]
    how = {"solved": len(case.free), "experiments_left": left}
    return places, reference, HitsAhead(hits, left), how


def _mixed(case: OneTarget, scores: list[Tensor], n: int) -> IntArray:
    """Places that lead by any of some scores, as many by each; as many in all as compete for a batch of n; ascending."""
    orders = [np.argsort(-score.numpy(), kind="stable") for score in scores]
    merged = np.stack(orders, axis=1).reshape(-1)
    _, first = np.unique(merged, return_index=True)
    order = merged[np.sort(first)]
    return np.sort(order[case.view.limits.spread(case.free[order], case.room(n), n)])


_CASES: dict[str, Callable[[OneTarget, int, np.random.Generator], Case]] = {
    "integrated-variance": _integrated,
    "knowledge-gradient": _knowledge,
    "hits-ahead": _hits,
}
