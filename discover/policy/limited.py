"""A batch under limits: chosen as without them, and again from what may still join, until it is full or nothing may.

Where changing over costs something, what a change is worth depends on how many experiments will share it. So a batch is chosen
as if all of it shared each change, and as if nothing did, and the one is taken that promises more for what it costs in all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from discover.limits import Limits
from discover.policy.choice import beginners, free_rows, fuller, with_chosen
from discover.policy.ranking import Chosen, Ranking
from discover.protocols import View
from discover.values import FloatArray, IntArray

if TYPE_CHECKING:
    from discover.acquisition.batch import Allowed, Prices

Once = Callable[[View, int], tuple[Ranking, Chosen]]
"""From a view and a number to the leading free rows and at most so many of them, which its limits allow together."""
Parts = list[tuple[Ranking, Chosen]]
"""The portions of a batch, each with the candidates that it was chosen from."""
TINY = 1e-300
"""What a candidate that promises nothing counts as, where logarithms are taken."""
TRIED = 3
"""Values of what all of a batch must share for which whole batches are compared."""


def together(view: View, n: int, once: Once, *, per_cost: bool = True) -> Parts:
    """At most n candidates in one or several portions, each as if the earlier ones were under trial.

    Where they stop short of what the limits allow together, they are chosen again among those of a largest batch.
    per_cost: whether scores are divided by what candidates cost.
    """
    if view.limits.changes is None or n == 1 or not per_cost:
        return _filled(view, n, once)
    batches = {}
    for sharing in (n, 1):
        limits = replace(view.limits, sharing=sharing)
        parts = _filled(replace(view, limits=limits), n, once)
        batches[_worth_its_cost(limits, parts)] = (
            _told(parts, {"change-overs shared among": sharing}) if parts else parts
        )
    return batches[max(batches)]


def _filled(view: View, n: int, once: Once) -> Parts:
    """At most n candidates, as many as the limits allow together."""
    if not view.limits.binding:
        return [once(view, n)]
    parts = _one_after_the_other(view, n, once)
    if not parts or view.limits.among is not None:
        return parts
    chosen = np.concatenate([ranking.rows[[place for place, _ in places]] for ranking, places in parts])
    wider = fuller(view, n, chosen, parts[0][0].rows)
    if wider is None:
        return parts
    again = _one_after_the_other(wider, n, once)
    # A largest batch is sought by what its candidates cost by themselves; changing over to all of them may be too dear.
    if sum(len(places) for _, places in again) <= len(chosen):
        return parts
    return _told(again, {"filled": {"one after the other": len(chosen)}})


def _told(parts: Parts, how: dict[str, Any]) -> Parts:
    """The portions of a batch, and how it was made besides."""
    (ranking, chosen), *rest = parts
    return [(replace(ranking, sweep=ranking.sweep | how), chosen), *rest]


def _one_after_the_other(view: View, n: int, once: Once) -> Parts:
    """At most n candidates, each of which leaves room for those before it."""
    if view.limits.same and not view.limits.chosen:
        view = _agreeing(view, n, once)
    parts: Parts = []
    while n > 0 and len(free_rows(view)):
        ranking, chosen = once(view, n)
        if not chosen:
            break
        parts.append((ranking, chosen))
        view = with_chosen(view, ranking.rows[[place for place, _ in chosen]])
        n -= len(chosen)
    return parts


def allowed_of(limits: Limits, rows: IntArray) -> Allowed | None:
    """The limits as a greedy batch over some rows [m] asks for them; None where nothing stands in anything's way."""
    if not limits.binding:
        return None
    return lambda picked: torch.from_numpy(limits.allowed(rows, rows[list(picked)].tolist()))


def prices_of(view: View, rows: IntArray, *, wanted: bool) -> Prices | None:
    """What some rows [m] cost, as a greedy batch over them asks for it; None where that is not known or not wanted."""
    limits = view.limits
    if limits.costs is None or not wanted:
        return None
    if limits.changes is None:
        alone = torch.from_numpy(limits.costs[rows])
        return lambda picked: alone

    def told(picked: Sequence[int]) -> torch.Tensor:
        return torch.from_numpy(limits.prices(rows, rows[list(picked)].tolist()))

    return told


def _agreeing(view: View, n: int, once: Once) -> View:
    """The view with one value left of what all of a batch must share: that of the batch which promises most.

    Compared are the values of the leading candidates, among those that fill the batch, or come nearest to it.
    """
    free = free_rows(view)
    groups = view.limits.groups(free, n)
    leading, _ = once(_only(view, beginners(view, n)), n)
    places = np.searchsorted(free, leading.rows)
    tried = list(dict.fromkeys(groups[places].tolist()))[:TRIED]
    views = [_only(view, free[groups == group]) for group in tried]
    worth = [_worth(*once(some, n)) for some in views] if len(views) > 1 else [0.0]
    return views[int(np.argmax(worth))]


def _only(view: View, rows: IntArray) -> View:
    blocked = np.ones(len(view.ids), dtype=bool)
    blocked[rows] = False
    return replace(view, blocked=blocked)


def _worth(ranking: Ranking, chosen: Chosen) -> float:
    """What the candidates of a batch promise, each when it was chosen, in sum."""
    values: FloatArray = np.array([ranking.values[place] if gain is None else gain for place, gain in chosen])
    if not len(values):
        return -np.inf
    return float(np.logaddexp.reduce(values)) if ranking.kind.startswith("log") else float(values.sum())


def _worth_its_cost(limits: Limits, parts: Parts) -> float:
    """The logarithm of what a batch promises in sum for each unit of what it costs, change-overs included.

    limits: those by whose prices what each candidate promised was divided when it was chosen.
    """
    taken: list[int] = []
    promised: list[float] = []
    for ranking, chosen in parts:
        before = len(taken)
        for place, gain in chosen:
            row = int(ranking.rows[place])
            prices = limits.prices(np.array([row]), taken if gain is not None else taken[:before])
            assert prices is not None
            value = float(ranking.values[place]) if gain is None else gain
            log = value if ranking.kind.startswith("log") else math.log(max(value, TINY))
            promised.append(log + math.log(prices[0]))
            taken.append(row)
    if not taken:
        return -math.inf
    cost = limits.cost((*limits.chosen, *taken)) - limits.cost(limits.chosen)
    return float(np.logaddexp.reduce(promised)) - math.log(cost)
