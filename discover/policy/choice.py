"""What every policy does alike: which rows are free, and why there are too few."""

from __future__ import annotations

import numpy as np

from discover.errors import InvalidInput, Problem
from discover.protocols import Batch, IntArray, Proposal, View


def checked_count(n: int) -> int:
    """The number of candidates asked for. InvalidInput below 1."""
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise InvalidInput("batch", [Problem("ask for at least one candidate", column="n", value=n)])
    return int(n)


def free_rows(view: View) -> IntArray:
    """Rows that may be proposed, ascending."""
    return np.flatnonzero(~view.blocked).astype(np.int64)


def touched_rows(view: View) -> IntArray:
    """Rows that were measured, tried, are under trial or must not be proposed, ascending."""
    parts = [np.flatnonzero(view.blocked), view.pending, view.infeasible, *(t.rows for t in view.training.values())]
    return np.unique(np.concatenate(parts)).astype(np.int64)


def shortage(view: View, n: int, proposals: tuple[Proposal, ...]) -> str:
    """Why there are fewer proposals than were asked for, or ''."""
    if len(proposals) >= n:
        return ""
    total, blocked = len(view.ids), int(view.blocked.sum())
    left = (
        "no candidate is"
        if not proposals
        else "1 candidate is"
        if len(proposals) == 1
        else f"{len(proposals)} candidates are"
    )
    return f"{left} left of {total:,}: {blocked:,} are pending, finished or excluded ({n} asked for)"


def nothing_left(view: View, n: int) -> Batch:
    """The batch of an exhausted pool."""
    return Batch((), {"verdict": "every candidate is pending, finished or excluded"}, shortage(view, n, ()))
