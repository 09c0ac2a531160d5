"""What a person does to proposals and results: approve, withdraw, settle, retract; and what a deadline does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime

from discover.campaign.settings import check_reason, refuse
from discover.errors import IllegalTransition, Problem, nearest
from discover.store.journal import Journal
from discover.store.ledger.ledger import Ledger
from discover.store.ledger.life import State, legal
from discover.store.ledger.trials import Failure, Trial
from discover.store.log.events import Draft, submission_key


def listed(ids: str | Sequence[str], action: str) -> list[str]:
    """Ids, each once; InvalidInput for none."""
    found = [ids] if isinstance(ids, str) else list(dict.fromkeys(map(str, ids)))
    refuse([] if found else [Problem("names no proposal")], action)
    return found


def check(ledger: Ledger, action: str, proposal_ids: Sequence[str]) -> list[Trial]:
    """The trials of these proposals. IllegalTransition names every one for which the action is not legal, and what is."""
    problems = []
    for pid in proposal_ids:
        trial = ledger.trials.get(pid)
        if trial is None:
            problems.append(Problem("no such proposal", value=pid, way_out=nearest(pid, ledger.trials)))
        elif action not in possible(trial):
            state = trial.state.value
            if action == "approve" and trial.state is State.PROPOSED:
                state = "proposed, and needs no approval"
            problems.append(Problem(f"cannot {action}: the proposal is {state}", value=pid, way_out=way_out(trial)))
    if problems:
        raise IllegalTransition(action, problems)
    return [ledger.trials[pid] for pid in proposal_ids]


def possible(trial: Trial) -> list[str]:
    """What can be done with a proposal now. One that waits for approval cannot be worked on."""
    waits = trial.state is State.PROPOSED and trial.awaits_approval
    closed = {"claim", "submit"} if waits else {"approve"}
    found = [action for action in legal(trial.state, told=bool(trial.values)) if action not in closed]
    return ["tell", *found] if trial.gave_up else found


def way_out(trial: Trial) -> str:
    """The same in words, for a message."""
    return f"what can be done with it: {', '.join(possible(trial))}"


def approve(journal: Journal, proposal_ids: Sequence[str], note: str = "") -> None:
    """Let proposals pass that wait for a person, all or none. IllegalTransition."""

    def decide(ledger: Ledger) -> Iterator[Draft]:
        trials = check(ledger, "approve", proposal_ids)
        yield Draft("approved", {"proposal_ids": [t.proposal_id for t in trials], "note": note})

    journal.transact(decide)


def withdraw(journal: Journal, proposal_ids: Sequence[str], reason: str) -> None:
    """Take back proposals, all or none. IllegalTransition for those that are no longer pending."""
    check_reason(reason, "withdraw")

    def decide(ledger: Ledger) -> Iterator[Draft]:
        trials = check(ledger, "withdraw", proposal_ids)
        yield Draft("withdrawn", {"proposal_ids": [t.proposal_id for t in trials], "reason": reason})

    journal.transact(decide)


def expire(journal: Journal, now: datetime) -> list[str]:
    """Close the proposals whose deadline has passed; their ids. A late result is still accepted."""

    def due(ledger: Ledger) -> list[str]:
        open_ = (t for t in ledger.pending() if t.deadline is not None)
        return [t.proposal_id for t in open_ if datetime.fromisoformat(str(t.deadline)) < now]

    closed: list[str] = []

    def decide(ledger: Ledger) -> Iterator[Draft]:
        closed[:] = due(ledger)
        if closed:
            yield Draft("expired", {"proposal_ids": list(closed), "time": now.isoformat()})

    if due(journal.refresh()):  # most often there is none, and nobody waits for writers
        journal.transact(decide)
    return closed


def settle(journal: Journal, proposal_id: str, submitted: bool, reason: str) -> None:
    """A person's answer whether somebody outside has a proposal that nobody could tell of. IllegalTransition."""
    check_reason(reason, "settle")

    def decide(ledger: Ledger) -> Iterator[Draft]:
        (trial,) = check(ledger, "settle", [proposal_id])
        body = {"proposal_id": proposal_id, "attempt": trial.attempts, "submitted": submitted, "reason": reason}
        yield Draft("settled", body | {"key": submission_key(proposal_id, trial.attempts)})

    journal.transact(decide)


def retract(
    journal: Journal, ids: Sequence[str], reason: str, *, target: str | None = None, replicate: int | None = None
) -> None:
    """Take back results with no new value. ids: of proposals, or of candidates for results told without a proposal.

    target, replicate: only results of this target, of this replicate. IllegalTransition for a proposal without a result.
    """
    check_reason(reason, "retract")

    def decide(ledger: Ledger) -> Iterator[Draft]:
        known = [pid for pid in ids if pid in ledger.trials]
        check(ledger, "retract", known)
        replaces, failures, problems = [], [], []
        for wanted in ids:
            mine, failed = _results(ledger, wanted, target, replicate)
            if not mine and not failed and not (wanted in known and ledger.trials[wanted].gave_up):
                problems.append(Problem("has no result to take back", value=wanted, way_out=_told(ledger, wanted)))
            replaces += mine
            failures += [asdict(failure) for failure in failed]
        refuse(problems, "retract")
        yield Draft("retracted", {"replaces": replaces, "failures": failures, "proposal_ids": known, "reason": reason})

    journal.transact(decide)


def _results(ledger: Ledger, wanted: str, target: str | None, replicate: int | None) -> tuple[list[str], list[Failure]]:
    """Identities of the observations, and the final failures, of a proposal, or of a candidate without a proposal."""
    trial = ledger.trials.get(wanted)
    candidate = trial.candidate_id if trial else wanted
    owner = trial.proposal_id if trial else None
    observations = [
        key
        for key, o in ledger.found.get(candidate, {}).items()
        if o.proposal_id == owner and target in (None, o.target) and replicate in (None, o.replicate)
    ]
    source = trial.failures if trial else [f for f in ledger.elsewhere if f.candidate_id == wanted]
    failures = [f for f in source if not f.retryable and replicate in (None, f.replicate) and target is None]
    return observations, failures


def _told(ledger: Ledger, wanted: str) -> str:
    if wanted in ledger.found:
        owners = sorted({str(o.proposal_id) for o in ledger.found[wanted].values()})
        return f"its results belong to {', '.join(owners)}"
    return "give the id of a proposal, or of a candidate that was told without one"
