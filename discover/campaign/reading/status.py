"""Where a campaign stands, in a few lines worth reading."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from discover.candidates.space.points import Points, Pool
from discover.objective import Objective
from discover.store.ledger.ledger import Ledger
from discover.store.ledger.life import State

COUNTED = 10**12
"""From so many candidates on a digit more or less says nothing."""


@dataclass(frozen=True)
class Status:
    """Counts and the best so far. `to_dict` is plain JSON."""

    campaign: str
    objective: str
    candidates: int
    available: int
    experiments: int
    budget: int | None
    cost: float
    cost_budget: float | None
    measured: int
    censored: int
    failed: int
    infeasible: int
    pending: int
    to_approve: int
    unknown: list[str]
    in_hand: int
    workers: list[str]
    excluded: int
    gone: int
    iterations: int
    best: dict[str, Any] | None
    verdict: str
    stopped: str | None
    front: int = 0
    hypervolume: float | None = None
    reference: dict[str, float] | None = None
    elsewhere: int = 0

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain JSON."""
        return asdict(self)

    @property
    def size(self) -> str:
        """How many candidates there are, in words: of a space so large that nobody counts, its order of magnitude."""
        return f"{self.candidates:,}" if self.candidates < COUNTED else f"more than 10^{len(str(self.candidates)) - 1}"

    def __str__(self) -> str:
        budget = f" of {self.budget}" if self.budget else ""
        told = f" ({self.elsewhere} of them elsewhere)" if self.elsewhere else ""
        lines = [
            f"campaign    {self.campaign}: {self.objective}",
            f"candidates  {self.size}"
            + (f", of which {self.available:,} are still to be had" if self.candidates < COUNTED else ""),
            f"experiments {self.experiments}{budget}: {self.measured} measured{told}, {self.censored} censored, "
            f"{self.failed} failed, {self.infeasible} infeasible; {self.pending} pending",
        ]
        if self.cost or self.cost_budget:
            lines.append(f"cost        {self.cost:g}" + (f" of {self.cost_budget:g}" if self.cost_budget else ""))
        if self.to_approve:
            lines.append(f"to approve  {self.to_approve} wait for a person: 'discover approve'")
        if self.unknown:
            lines.append(f"unknown     {', '.join(self.unknown)}: say what you know with 'discover settle'")
        if self.workers:
            lines.append(f"at work     {', '.join(self.workers)}: {self.in_hand} in hand")
        if self.gone:
            lines.append(f"withdrawn   {self.gone} by the source of the candidates")
        if self.excluded:
            lines.append(f"excluded    {self.excluded}")
        if self.best:
            lines.append("best        " + ", ".join(f"{key} {_text(value)}" for key, value in self.best.items()))
        if self.reference:
            above = ", ".join(f"{name} {_text(value)}" for name, value in self.reference.items())
            volume = "" if self.hypervolume is None else f"; hypervolume {self.hypervolume:.5g} beyond {above}"
            lines.append(f"front       {self.front} that no other beats{volume}")
        if self.verdict:
            lines.append(f"model       {self.verdict}")
        if self.stopped:
            lines.append(f"stopped     {self.stopped}")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def _text(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _counts(pool: Pool, ledger: Ledger) -> tuple[int, int]:
    """How many candidates there are, and how many of them are still to be had."""
    if isinstance(pool, Points):
        return pool.counts(ledger.blocked())
    return len(pool), len(pool) - sum(1 for candidate in ledger.blocked() if candidate in pool)


def status_of(
    name: str,
    ledger: Ledger,
    pool: Pool,
    observations: pd.DataFrame,
    best: pd.DataFrame,
    workers: Mapping[str, str],
    cost: float,
) -> Status:
    """Count what the ledger says. workers: who has which proposals in hand. cost: what was spent."""
    in_hand = [trial.proposal_id for trial in ledger.pending() if trial.proposal_id in workers]
    objective = Objective.from_dict(ledger.definition["objective"])
    total, available = _counts(pool, ledger)
    verdicts = [i.verdict for i in ledger.iterations if i.verdict]
    counts = observations["status"].value_counts()
    lead = [pool.id, *objective.names]
    return Status(
        campaign=name,
        objective=repr(objective)[len("Objective(") : -1],
        candidates=total - len(ledger.former),
        available=available,
        experiments=ledger.started,
        budget=ledger.definition["budget"].get("experiments"),
        cost=cost,
        cost_budget=ledger.definition["budget"].get("cost"),
        measured=int(counts.get("measured", 0)),
        censored=int(counts.get("censored", 0)),
        failed=int(counts.get("failed", 0)),
        infeasible=int(counts.get("infeasible", 0)),
        pending=len(ledger.pending()),
        to_approve=sum(trial.waits_for_a_person for trial in ledger.pending()),
        unknown=[trial.proposal_id for trial in ledger.pending() if trial.state is State.UNKNOWN],
        in_hand=len(in_hand),
        workers=sorted({workers[pid] for pid in in_hand}),
        excluded=len(ledger.excluded),
        gone=len(ledger.gone),
        iterations=len(ledger.iterations),
        best={str(k): v for k, v in best[lead].iloc[0].items()} if len(best) else None,
        verdict=verdicts[-1] if verdicts else "",
        stopped=ledger.stopped,
        elsewhere=int(((observations["status"] == "measured") & observations["proposal_id"].isna()).sum()),
    )
