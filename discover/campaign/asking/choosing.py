"""Choosing and committing a batch: by the policy, or by a person."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from discover import threads
from discover.campaign.asking.asking import batch_event, environment, moved, view_of
from discover.campaign.asking.changing import in_given_order
from discover.campaign.asking.deciding import Decision, decide
from discover.campaign.asking.fixing import fixed_values
from discover.campaign.asking.limiting import booked
from discover.campaign.pool.pooling import Candidates, Find, Moved, check_still
from discover.campaign.settings import check_reason, refuse
from discover.campaign.terms import Terms
from discover.candidates.space.points import Points, Pool
from discover.candidates.space.reading import codes_of_frame
from discover.errors import Conflict, Problem, UnknownCandidate, Unsupported
from discover.objective import Objective
from discover.policy.named import named_columns
from discover.protocols import Policy
from discover.store.journal import Decide, Journal
from discover.store.ledger.ledger import Ledger
from discover.store.ledger.trials import Iteration
from discover.store.log.events import Draft
from discover.values import Candidate, Proposal
from discover.version import VERSION

BY_HAND = "person"
TRIES = 20
"""How often a batch is chosen anew because another process took one of its candidates meanwhile, or of its funds."""


class FewerProposals(UserWarning):
    """Fewer candidates were proposed than were asked for; the message says why."""


class OverBudget(UserWarning):
    """More experiments are begun or proposed than the budget allows; a person may ask for them all the same."""


def choose(
    journal: Journal,
    objective: Objective,
    find: Find,
    policy: Policy,
    n: int,
    key: str | None,
    fixed: Mapping[str, Any] | None = None,
) -> Iteration:
    """The committed batch for this request; the one from before if its key was used before. find: the candidates of now.

    fixed: values, by column, that all of the batch are to have. InvalidInput where no candidate has them.
    """
    for _ in range(TRIES):
        with journal.steady() as ledger:
            candidates = find(ledger)
            given = fixed_values(fixed, candidates.pool)
            if key is not None and key in ledger.keys:
                return _asked_before(ledger.keys[key], n, given)
            basis, definition, many, paid = ledger.seq, ledger.definition, _threads_of(ledger), booked(ledger)
            view = view_of(ledger, objective, candidates.pool, candidates.features, given)
            view = replace(view, cache=candidates.sweeps, columns=named_columns(policy, candidates.pool))
        with threads.using(many):
            decision = decide(view, definition, policy, n, key)
            now = environment() | {"threads": threads.count(), "discover": VERSION}
        try:
            return _commit(journal, candidates, decision, n, key, basis, now, given, paid)
        except Moved:
            continue
    raise Conflict("other processes keep taking the candidates that were chosen, or what they cost; ask again")


def _threads_of(ledger: Ledger) -> int:
    """The threads that the campaign's first choice was computed with; before it, those that are set now."""
    first = next((i for i in ledger.iterations if i.policy != BY_HAND), None)
    known = first.learned.get("environment", {}) if first else {}
    return int(known.get("threads", threads.count()))


def _asked_before(iteration: Iteration, n: int, fixed: Mapping[str, Any]) -> Iteration:
    if dict(iteration.fixed) != dict(fixed):
        told = f"with {dict(iteration.fixed) or 'nothing'} fixed, now with {dict(fixed) or 'nothing'}"
        raise Conflict(f"key {iteration.key!r} was used to ask {told}; use another key")
    if iteration.n != n:
        raise Conflict(f"key {iteration.key!r} was used to ask for {iteration.n}, now for {n}; use another key")
    return iteration


def _commit(
    journal: Journal,
    candidates: Candidates,
    decision: Decision,
    n: int,
    key: str | None,
    basis: int,
    now: dict[str, Any],
    fixed: Mapping[str, Any],
    paid: object,
) -> Iteration:
    batch = decision.batch
    made = {"environment": now, "features": candidates.features.hash, "seed": str(decision.seed)}
    learned = {**batch.learned, **made}
    today = journal.log.now()

    def drafts(ledger: Ledger) -> Iterator[Draft]:
        check_still(ledger, candidates)
        taken = ledger.blocked()
        if key in ledger.keys or any(proposal.candidate_id in taken for proposal in batch) or booked(ledger) != paid:
            raise Moved
        last = next((i.learned["environment"] for i in reversed(ledger.iterations) if i.policy != BY_HAND), now)
        if change := moved(last, now):
            yield Draft("noted", {"text": f"not bit-reproducible from here on: {'; '.join(change)}"})
        terms = Terms.of(ledger.definition["policy"])
        yield batch_event(
            ledger, journal.uid, candidates.pool, batch.proposals, n=n, key=key, learned=learned,
            shortage=batch.shortage, seen=decision.seen, policy=str(ledger.definition["policy"]["kind"]), basis=basis,
            approval=terms.require_approval, deadline=_deadline(terms, today),
            fixed=fixed,
        )  # fmt: skip

    return _committed(journal, drafts)


def _committed(journal: Journal, drafts: Decide) -> Iteration:
    """Append a batch; the iteration that it became, whatever other threads append meanwhile."""
    batch = next(event for event in journal.transact(drafts) if event.kind == "proposed")
    return journal.ledger.iterations[int(batch.payload["iteration"]) - 1]


def _deadline(terms: Terms, today: datetime) -> str | None:
    days = terms.deadline_days
    return None if days is None else (today + timedelta(days=days)).isoformat()


def choose_by_hand(journal: Journal, find: Find, ids: str | Sequence[str] | pd.DataFrame, reason: str) -> Iteration:
    """Commit a person's own proposals: ids, or of a search space a frame of points. InvalidInput for candidates that are pending, excluded or withdrawn by the source."""
    check_reason(reason, "propose")
    for _ in range(TRIES):
        candidates = find(journal.refresh())
        try:
            named, points = _by_hand(candidates.pool, ids)
            return _commit_by_hand(journal, candidates, named, points, reason)
        except Moved:
            continue
    raise Conflict("other processes keep changing the candidates; propose again")


def _by_hand(pool: Pool, ids: Any) -> tuple[list[str], Mapping[str, Candidate]]:
    """Ids, and those candidates that the campaign need not know yet."""
    if not isinstance(ids, pd.DataFrame):
        return known_ids(pool, ids), {}
    if not isinstance(pool, Points):
        raise Unsupported(f"a frame describes points of a search space; of a pool give ids, such as frame[{pool.id!r}]")
    points = {point.id: point for point in codes_of_frame(pool.space, ids)}
    refuse([] if points else [Problem("names no candidate")], "candidates")
    return list(points), points


def _commit_by_hand(
    journal: Journal, candidates: Candidates, ids: Sequence[str], points: Mapping[str, Candidate], reason: str
) -> Iteration:
    def drafts(ledger: Ledger) -> Iterator[Draft]:
        check_still(ledger, candidates)
        refuse([problem for i in ids for problem in _not_to_propose(ledger, i)], "propose")
        proposals = [
            Proposal(i, BY_HAND, reason, rank=rank, candidate=points.get(i)) for rank, i in enumerate(ids, start=1)
        ]
        priced = in_given_order(proposals, ledger, candidates.pool)
        yield batch_event(
            ledger, journal.uid, candidates.pool, priced, n=len(proposals), key=None, learned={}, shortage="", seen="",
            policy=BY_HAND, basis=ledger.seq,
        )  # fmt: skip

    return _committed(journal, drafts)


def _not_to_propose(ledger: Ledger, candidate: str) -> Iterator[Problem]:
    """Why not even a person proposes a candidate."""
    if trial := ledger.open_trial(candidate):
        message, way_out = f"is pending as {trial.proposal_id}", "tell its result, or withdraw it"
        yield Problem(message, value=candidate, way_out=way_out)
    if candidate in ledger.excluded:
        yield Problem(f"is excluded: {ledger.excluded[candidate]}", value=candidate, way_out="readmit it first")
    if candidate in ledger.gone:
        hint = "a result of it can be told by its id all the same"
        yield Problem(f"is {ledger.gone[candidate]}", value=candidate, way_out=hint)
    if candidate in ledger.former:
        now = ledger.former[candidate]
        yield Problem(f"is a former version of {now!r}", value=candidate, way_out=f"propose {now!r}")


def warn_of_shortage(iteration: Iteration) -> str:
    """Say aloud that a batch is smaller than it was asked to be; returns the reason, or ""."""
    got = len(iteration.proposal_ids)
    if got >= iteration.n:
        return ""
    shortage, count = iteration.shortage or "no more candidates are to be had", f"{got} of {iteration.n} proposed: "
    told = shortage.removeprefix(count).removeprefix("none proposed: ")
    warnings.warn(count + told, FewerProposals, stacklevel=4)
    return shortage


def warn_of_excess(ledger: Ledger) -> None:
    """Say aloud that experiments begun and proposed are more than the budget of them."""
    limit = ledger.definition["budget"].get("experiments")
    many = ledger.started + sum(1 for trial in ledger.pending() if not trial.attempts)
    if limit is not None and many > limit:
        words = f"{many} experiments are begun or proposed, and the budget is {limit:g}; an unattended run stops there"
        warnings.warn(words, OverBudget, stacklevel=4)


def known_ids(pool: Pool, ids: Any) -> list[str]:
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
