"""A batch under limits: chosen as without them, and again from what may still join, until it is full or nothing may."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from discover.limits import Limits
from discover.policy.choice import beginners, free_rows, fuller, with_chosen
from discover.policy.ranking import Chosen, Ranking
from discover.protocols import View
from discover.values import FloatArray, IntArray

if TYPE_CHECKING:
    from discover.acquisition.batch import Allowed

Once = Callable[[View, int], tuple[Ranking, Chosen]]
"""From a view and a number to the leading free rows and at most so many of them, which its limits allow together."""
TRIED = 3
"""Values of what all of a batch must share for which whole batches are compared."""


def together(view: View, n: int, once: Once) -> list[tuple[Ranking, Chosen]]:
    """At most n candidates in one or several portions, each as if the earlier ones were under trial.

    Where they stop short of what the limits allow together, they are chosen again among those of a largest batch.
    """
    if not view.limits.binding:
        return [once(view, n)]
    parts = _one_after_the_other(view, n, once)
    if not parts or view.limits.among is not None:
        return parts
    chosen = np.concatenate([ranking.rows[[place for place, _ in places]] for ranking, places in parts])
    wider = fuller(view, n, chosen, parts[0][0].rows)
    return parts if wider is None else _told(_one_after_the_other(wider, n, once), len(chosen))


def _told(parts: list[tuple[Ranking, Chosen]], before: int) -> list[tuple[Ranking, Chosen]]:
    """The portions of a batch, and how many there had been before it was filled."""
    (ranking, chosen), *rest = parts
    return [(replace(ranking, sweep=ranking.sweep | {"filled": {"one after the other": before}}), chosen), *rest]


def _one_after_the_other(view: View, n: int, once: Once) -> list[tuple[Ranking, Chosen]]:
    """At most n candidates, each of which leaves room for those before it."""
    if view.limits.same and not view.limits.chosen:
        view = _agreeing(view, n, once)
    parts: list[tuple[Ranking, Chosen]] = []
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


def known_costs(view: View, rows: IntArray, *, wanted: bool) -> torch.Tensor | None:
    """What some rows [m] cost, if that is known and wanted; [m]."""
    costs = view.limits.costs
    return torch.from_numpy(costs[rows]) if wanted and costs is not None else None


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
