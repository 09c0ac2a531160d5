"""What every policy does alike: which rows are free, and why there are too few."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from discover.errors import InvalidInput, Problem
from discover.protocols import View
from discover.values import Batch, IntArray, Proposal


def checked_count(n: int) -> int:
    """The number of candidates asked for. InvalidInput below 1."""
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise InvalidInput("batch", [Problem("ask for at least one candidate", column="n", value=n)])
    return int(n)


def free_rows(view: View) -> IntArray:
    """Rows that may be proposed, ascending: neither blocked nor at odds with what is in the batch already."""
    free = np.flatnonzero(~view.blocked).astype(np.int64)
    return free[view.limits.allowed(free)] if view.limits.binding else free


def beginners(view: View, n: int) -> IntArray:
    """Free rows that a batch of n may begin with: where all of a batch agree, those with the most that agree with them."""
    free = free_rows(view)
    return free[view.limits.groups(free, n) >= 0] if view.limits.same else free


def fuller(view: View, n: int, chosen: IntArray, leading: IntArray) -> View | None:
    """The view in which only the rows of a largest batch may be chosen, where `chosen` stopped short of it; else None.

    Of the largest batches it is one with the most of `chosen`, and then of what stands early in `leading`: free rows, the
    preferred ones first.
    """
    if len(chosen) >= n or not view.limits.shared:
        return None
    free = free_rows(view)
    preference = np.zeros(len(free))
    order = np.searchsorted(free, leading)
    preference[order] = np.linspace(0.5, 0.0, len(leading), endpoint=False)
    preference[np.searchsorted(free, chosen)] = 1.0
    rows = view.limits.fullest(free, n, preference)
    if len(rows) <= len(chosen):
        return None
    return replace(view, limits=replace(view.limits, among=tuple(rows.tolist())))


def with_chosen(view: View, rows: IntArray) -> View:
    """The view as it is once some rows are in the batch: blocked, under trial, and counted by its limits."""
    if not len(rows):
        return view
    blocked = view.blocked.copy()
    blocked[rows] = True
    pending = np.union1d(view.pending, rows).astype(np.int64)
    return replace(view, blocked=blocked, pending=pending, limits=view.limits.joined(rows))


def rows_of(view: View, proposals: Iterable[Proposal]) -> IntArray:
    """Rows of the candidates of some proposals. The ids of a space's points stand in the order in which they were found."""
    names = np.array([proposal.candidate_id for proposal in proposals], dtype=view.ids.dtype)
    if not len(names):
        return np.empty(0, dtype=np.int64)
    rows = np.minimum(np.searchsorted(view.ids, names), len(view.ids) - 1)
    if not (view.ids[rows] == names).all():
        order = np.argsort(view.ids, kind="stable")
        rows = order[np.searchsorted(view.ids, names, sorter=order)]
    return rows.astype(np.int64)


def touched_rows(view: View) -> IntArray:
    """Rows that were measured, tried, are under trial or must not be proposed, ascending."""
    parts = [np.flatnonzero(view.blocked), view.pending, view.infeasible, *(t.rows for t in view.training.values())]
    return np.unique(np.concatenate(parts)).astype(np.int64)


def shortage(view: View, n: int, proposals: tuple[Proposal, ...]) -> str:
    """Why there are fewer proposals than were asked for, or ''."""
    if len(proposals) >= n:
        return ""
    total, blocked = len(view.ids), int(view.blocked.sum())
    if view.limits.binding and total - blocked > len(proposals):
        count = f"{len(proposals)} of {n} proposed" if proposals else "none proposed"
        return f"{count}: no further free candidate may be in the batch: {view.limits.words}"
    some = "1 candidate is" if len(proposals) == 1 else f"{len(proposals)} candidates are"
    left = some if proposals else "no candidate is"
    return f"{left} left of {total:,}: {blocked:,} are pending, finished or excluded ({n} asked for)"


def nothing_left(view: View, n: int) -> Batch:
    """The batch of a pool that is exhausted, or of which nothing may be taken."""
    all_gone = bool(view.blocked.all())
    verdict = "every candidate is pending, finished or excluded" if all_gone else "the limits of a batch leave nothing"
    return Batch((), {"verdict": verdict}, shortage(view, n, ()))
