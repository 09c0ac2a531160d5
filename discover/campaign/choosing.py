"""Choosing and committing a batch: by the policy, or by a person."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from discover.campaign.asking import batch_event, check_batch, environment, moved, seed_of, view_of
from discover.campaign.settings import check_reason, refuse
from discover.candidates.pool import CandidatePool
from discover.errors import Conflict, Problem, UnknownCandidate, nearest
from discover.objective import Objective
from discover.protocols import Batch, FeatureTable, Policy, Proposal, View
from discover.store.events import Draft
from discover.store.journal import Journal
from discover.store.ledger import Iteration, Ledger

TRIES = 20
"""How often a batch is chosen anew because another process took one of its candidates meanwhile."""


class FewerProposals(UserWarning):
    """Fewer candidates were proposed than were asked for; the message says why."""


class _Stale(Exception):
    """The store moved on while a batch was being chosen."""


def choose(
    journal: Journal,
    objective: Objective,
    pool: CandidatePool,
    features: FeatureTable,
    policy: Policy,
    n: int,
    key: str | None,
) -> Iteration:
    """The committed batch for this request; the one from before if its key was used before."""
    for _ in range(TRIES):
        ledger = journal.refresh()
        if key is not None and key in ledger.keys:
            return _asked_before(ledger.keys[key], n)
        view = view_of(ledger, objective, pool, features)
        seed = seed_of(int(ledger.definition["seed"]), dict(ledger.definition["policy"]), key, view.seen)
        batch = policy.propose(view, n, np.random.default_rng(seed))
        check_batch(batch, view, n)
        try:
            return _commit(journal, pool, batch, n, key, view, seed)
        except _Stale:
            continue
    raise Conflict("other processes keep taking the candidates that were chosen; ask again")


def _asked_before(iteration: Iteration, n: int) -> Iteration:
    if iteration.n != n:
        raise Conflict(f"key {iteration.key!r} was used to ask for {iteration.n}, now for {n}; use another key")
    return iteration


def _commit(
    journal: Journal, pool: CandidatePool, batch: Batch, n: int, key: str | None, view: View, seed: int
) -> Iteration:
    now = environment()
    learned = {**batch.learned, "environment": now, "seed": str(seed)}

    def decide(ledger: Ledger) -> Iterator[Draft]:
        taken = ledger.blocked()
        if key in ledger.keys or any(proposal.candidate_id in taken for proposal in batch):
            raise _Stale
        last = next((i.learned["environment"] for i in reversed(ledger.iterations) if "environment" in i.learned), now)
        if change := moved(last, now):
            yield Draft("noted", {"text": f"not bit-reproducible from here on: {'; '.join(change)}"})
        yield batch_event(
            ledger, journal.uid, pool, batch.proposals, n=n, key=key, learned=learned,
            shortage=batch.shortage, seen=view.seen, policy=str(ledger.definition["policy"]["kind"]),
        )  # fmt: skip

    journal.transact(decide)
    return journal.ledger.iterations[-1]


def choose_by_hand(journal: Journal, pool: CandidatePool, ids: Sequence[str], reason: str) -> Iteration:
    """Commit a person's own proposals. InvalidInput for candidates that are pending or excluded."""
    check_reason(reason, "propose")

    def decide(ledger: Ledger) -> Iterator[Draft]:
        problems = [
            Problem(f"is pending as {trial.proposal.proposal_id}", value=i, way_out="tell its result, or withdraw it")
            for i in ids
            if (trial := ledger.open_trial(i))
        ]
        problems += [
            Problem(f"is excluded: {ledger.excluded[i]}", value=i, way_out="readmit it first")
            for i in ids
            if i in ledger.excluded
        ]
        refuse(problems, "propose")
        proposals = [Proposal(i, "person", reason, rank=rank) for rank, i in enumerate(ids, start=1)]
        yield batch_event(
            ledger, journal.uid, pool, proposals, n=len(proposals), key=None, learned={}, shortage="", seen="",
            policy="person",
        )  # fmt: skip

    journal.transact(decide)
    return journal.ledger.iterations[-1]


def withdraw(journal: Journal, proposal_ids: Sequence[str], reason: str) -> None:
    """Take back proposals, all or none. InvalidInput for those that are unknown or no longer pending."""
    check_reason(reason, "withdraw")
    refuse([] if proposal_ids else [Problem("names no proposal")], "withdraw")

    def decide(ledger: Ledger) -> Iterator[Draft]:
        problems = []
        for pid in proposal_ids:
            trial = ledger.trials.get(pid)
            if trial is None:
                problems.append(Problem("no such proposal", value=pid, way_out=nearest(pid, ledger.trials)))
            elif not ledger.state(trial).pending:
                state = ledger.state(trial).value
                problems.append(Problem(f"is {state}; only a pending proposal can be withdrawn", value=pid))
        refuse(problems, "withdraw")
        yield Draft("withdrawn", {"proposal_ids": list(dict.fromkeys(proposal_ids)), "reason": reason})

    journal.transact(decide)


def warn_of_shortage(iteration: Iteration) -> str:
    """Say aloud that a batch is smaller than it was asked to be; returns the reason, or ""."""
    got = len(iteration.proposal_ids)
    if got >= iteration.n:
        return ""
    shortage = iteration.shortage or "no more candidates are to be had"
    warnings.warn(f"{got} of {iteration.n} proposed: {shortage}", FewerProposals, stacklevel=4)
    return shortage


def known_ids(pool: CandidatePool, ids: Any) -> list[str]:
    """Ids of the pool as text, in their order, each once. UnknownCandidate for those that it does not hold; InvalidInput for none."""
    if isinstance(ids, str) or not isinstance(ids, Iterable):
        ids = [ids]
    wanted = list(dict.fromkeys(_id_text(i) for i in ids))
    refuse([] if wanted else [Problem("names no candidate")], "candidates")
    unknown = [i for i in wanted if i not in pool]
    if unknown:
        raise UnknownCandidate(f"not in the pool: {', '.join(unknown[:10])}{' …' if len(unknown) > 10 else ''}")
    return wanted


def _id_text(value: Any) -> str:
    """An id as the pool writes it: whole numbers without a decimal point."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
