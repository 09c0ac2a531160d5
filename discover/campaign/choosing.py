"""Choosing and committing a batch: by the policy, or by a person."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any

from discover.campaign.asking import batch_event, environment, moved, view_of
from discover.campaign.deciding import Decision, decide
from discover.campaign.settings import check_reason, refuse
from discover.campaign.terms import Terms
from discover.candidates.pool import CandidatePool
from discover.errors import Conflict, Problem, UnknownCandidate
from discover.objective import Objective
from discover.protocols import FeatureTable, Policy, Proposal
from discover.store.events import Draft
from discover.store.journal import Journal
from discover.store.ledger import Ledger
from discover.store.trials import Iteration

BY_HAND = "person"
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
        basis = ledger.seq
        view = view_of(ledger, objective, pool, features)
        decision = decide(view, ledger.definition, policy, n, key)
        try:
            return _commit(journal, pool, decision, n, key, basis)
        except _Stale:
            continue
    raise Conflict("other processes keep taking the candidates that were chosen; ask again")


def _asked_before(iteration: Iteration, n: int) -> Iteration:
    if iteration.n != n:
        raise Conflict(f"key {iteration.key!r} was used to ask for {iteration.n}, now for {n}; use another key")
    return iteration


def _commit(
    journal: Journal, pool: CandidatePool, decision: Decision, n: int, key: str | None, basis: int
) -> Iteration:
    now, batch = environment(), decision.batch
    learned = {**batch.learned, "environment": now, "seed": str(decision.seed)}

    def drafts(ledger: Ledger) -> Iterator[Draft]:
        taken = ledger.blocked()
        if key in ledger.keys or any(proposal.candidate_id in taken for proposal in batch):
            raise _Stale
        last = next((i.learned["environment"] for i in reversed(ledger.iterations) if i.policy != BY_HAND), now)
        if change := moved(last, now):
            yield Draft("noted", {"text": f"not bit-reproducible from here on: {'; '.join(change)}"})
        terms = Terms.of(ledger.definition["policy"])
        yield batch_event(
            ledger, journal.uid, pool, batch.proposals, n=n, key=key, learned=learned,
            shortage=batch.shortage, seen=decision.seen, policy=str(ledger.definition["policy"]["kind"]), basis=basis,
            approval=terms.require_approval, deadline=_deadline(terms, journal),
        )  # fmt: skip

    journal.transact(drafts)
    return journal.ledger.iterations[-1]


def _deadline(terms: Terms, journal: Journal) -> str | None:
    days = terms.deadline_days
    return None if days is None else (journal.log.clock() + timedelta(days=days)).isoformat()


def choose_by_hand(journal: Journal, pool: CandidatePool, ids: Sequence[str], reason: str) -> Iteration:
    """Commit a person's own proposals. InvalidInput for candidates that are pending or excluded."""
    check_reason(reason, "propose")

    def drafts(ledger: Ledger) -> Iterator[Draft]:
        problems = [
            Problem(f"is pending as {trial.proposal_id}", value=i, way_out="tell its result, or withdraw it")
            for i in ids
            if (trial := ledger.open_trial(i))
        ]
        problems += [
            Problem(f"is excluded: {ledger.excluded[i]}", value=i, way_out="readmit it first")
            for i in ids
            if i in ledger.excluded
        ]
        refuse(problems, "propose")
        proposals = [Proposal(i, BY_HAND, reason, rank=rank) for rank, i in enumerate(ids, start=1)]
        yield batch_event(
            ledger, journal.uid, pool, proposals, n=len(proposals), key=None, learned={}, shortage="", seen="",
            policy=BY_HAND, basis=ledger.seq,
        )  # fmt: skip

    journal.transact(drafts)
    return journal.ledger.iterations[-1]


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
