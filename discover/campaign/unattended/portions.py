"""How a batch is divided among tasks on other machines, so that scheduling costs little beside the work."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from statistics import median

from discover.store.ledger.ledger import Ledger

TASK_SECONDS = 30.0
"""How much work a task is given. Scheduling one costs 0.2 to 1.2 s (benchmarks/dispatch.py): less than 5 % of that."""
LATEST = 30
"""How many results tell how long an experiment takes."""


def typical_seconds(ledger: Ledger) -> float | None:
    """How long an experiment took of late [s], failures included and what came from a cache not; None before the first."""
    found = [(o.seq, o.extra) for o in ledger.observations.values()]
    found += [(failure.seq, failure.extra) for failure in ledger.failures()]
    found.sort(key=lambda one: one[0], reverse=True)
    known = (float(extra["seconds"]) for _, extra in found if "seconds" in extra and not extra.get("cached"))
    latest = list(islice(known, LATEST))
    return median(latest) if latest else None


def portions(
    proposal_ids: Sequence[str], seconds: float | None, slots: int, task_seconds: float = TASK_SECONDS
) -> list[list[str]]:
    """Proposals by task, each with about `task_seconds` of work; one each where an experiment takes longer.

    seconds: how long an experiment takes; while nobody knows, one each for `slots` tasks is tried, and the rest waits for the
    answer. slots: how many tasks run at the same time.
    """
    ids = list(proposal_ids)
    if seconds is None:
        return [[pid] for pid in ids[:slots]]
    tasks = min(len(ids), max(1, int(len(ids) * seconds / task_seconds)))
    return [ids[place::tasks] for place in range(tasks)] if ids else []
