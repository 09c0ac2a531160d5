"""An experiment's result to events: as its worker's own, or, where it came too late for that, beside it. Never lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from discover.errors import LeaseLost
from discover.objective import Objective
from discover.store.canonical import canonical, plain
from discover.store.journal import Journal
from discover.store.leases.leases import Lease
from discover.store.ledger.ledger import Ledger
from discover.store.ledger.trials import Failure, identity
from discover.store.log.events import Draft
from discover.values import Observation, Proposal, Result


@dataclass(frozen=True)
class Attempt:
    """Who tried what for which time, under which lease, and how long it took [s].

    lease: None where nobody else could have it. seconds: None where nobody measured it.
    """

    proposal: Proposal
    number: int
    worker: str = ""
    lease: Lease | None = None
    seconds: float | None = None


LOST = "its worker had lost the lease"
TOLD = "another result was told meanwhile"


def record(journal: Journal, objective: Objective, attempt: Attempt, result: Result) -> None:
    """Commit a result. Under a lost lease, or where another result stands already, it is kept beside the proposal."""
    keep(journal, attempt, _found(objective, attempt, result))


def keep(journal: Journal, attempt: Attempt, found: Sequence[Observation | Failure]) -> bool:
    """Commit what was found of a proposal; whether as its worker's own. Under a lost lease it is kept beside the proposal."""
    try:
        journal.transact(lambda ledger: _own(ledger, attempt, _of(ledger, attempt, found)), fence=attempt.lease)
        return True
    except LeaseLost:
        keep_beside(journal, attempt, found)
        return False


def keep_beside(journal: Journal, attempt: Attempt, found: Sequence[Observation | Failure]) -> None:
    """Commit what a worker found of a proposal after somebody else was given it."""
    journal.transact(lambda ledger: _beside(ledger, attempt, _of(ledger, attempt, found), LOST))


def _of(ledger: Ledger, attempt: Attempt, found: Sequence[Observation | Failure]) -> Sequence[Observation | Failure]:
    """What was found, of the candidate in the version that was proposed: it may be a former one by now."""
    candidate = ledger.trials[attempt.proposal.proposal_id].candidate_id
    return [replace(one, candidate_id=candidate) for one in found]


def _own(ledger: Ledger, attempt: Attempt, found: Sequence[Observation | Failure]) -> Iterator[Draft]:
    """The result as the proposal's; what is there already, told by somebody else meanwhile, is not overruled."""
    trial = ledger.trials[attempt.proposal.proposal_id]
    concluded = any(not failure.retryable for failure in trial.failures)
    for one in found:
        if isinstance(one, Failure):
            if any(f.attempt == one.attempt for f in trial.failures):
                continue
            told = concluded or bool(trial.values)
            yield from _beside(ledger, attempt, [one], TOLD) if told else _failed(attempt, one)
        elif concluded or identity(one) in ledger.observations or identity(one) in ledger.ended:
            yield from _beside(ledger, attempt, [one], TOLD)
        else:
            yield _observed(one)


def _beside(ledger: Ledger, attempt: Attempt, found: Sequence[Observation | Failure], why: str) -> Iterator[Draft]:
    """The result as an observation of the candidate without a proposal, unless the same value is known already."""
    pid = attempt.proposal.proposal_id
    for one in found:
        if isinstance(one, Failure):
            yield Draft("noted", {"text": f"attempt {attempt.number} at {pid} failed ({one.reason}); {why}"})
            continue
        known = ledger.observations.get(identity(one))
        if known is not None and (known.value, known.std, known.bound) == (one.value, one.std, one.bound):
            continue
        extra = {**one.extra, "beside": pid, "why": why, "told_as": one.source}
        source = _source(attempt)
        other = replace(one, proposal_id=None, source=source, extra=extra)
        if identity(other) in ledger.observations or identity(other) in ledger.ended:
            continue
        yield Draft("noted", {"text": f"{one.target} of {pid}: a second result is kept without a proposal; {why}"})
        yield _observed(other)


def _source(attempt: Attempt) -> str:
    """Names one worker's hold of one attempt, so that no two results beside a proposal are taken for one."""
    by = f" by {attempt.worker}" if attempt.worker else ""
    under = f" under lease {attempt.lease.token}" if attempt.lease else ""
    return f"attempt {attempt.number} at {attempt.proposal.proposal_id}{by}{under}"


def _observed(observation: Observation) -> Draft:
    key = identity(observation)
    return Draft("observed", {"identity": key, "observation": _body(observation)}, identity=f"observed {key}")


def _failed(attempt: Attempt, failure: Failure) -> Iterator[Draft]:
    key = canonical(["failed", attempt.proposal.proposal_id, attempt.number])
    yield Draft("failed", {"failure": _body(failure)}, identity=key)


def _body(found: Observation | Failure) -> dict[str, Any]:
    body = asdict(found)
    body.pop("seq")
    return body


def _found(objective: Objective, attempt: Attempt, result: Result) -> list[Observation | Failure]:
    """What a result says, one item a target; a failure is one item."""
    proposal = attempt.proposal
    extra = {"cached": result.cached, "attempt": attempt.number, "details": plain(result.details)}
    if attempt.seconds is not None:
        extra["seconds"] = float(f"{attempt.seconds:.4g}")
    if attempt.worker:
        extra["worker"] = attempt.worker
    common: dict[str, Any] = {
        "candidate_id": proposal.candidate_id, "proposal_id": proposal.proposal_id, "source": "experiment",
        "extra": extra, "raw": dict(result.raw), "fidelity": result.fidelity, "context": plain(result.context),
    }  # fmt: skip
    if result.status in ("failed", "infeasible"):
        retryable = result.retryable and result.status == "failed"
        reason = result.reason or result.status
        return [
            Failure(
                status=result.status,
                reason=reason,
                retryable=retryable,
                attempt=attempt.number,
                cost=result.cost,
                **common,
            )
        ]
    targets = [target for target in result.values if target in objective.names]
    return [
        Observation(
            target=target, value=result.values[target].value, std=result.values[target].std,
            bound=result.values[target].bound, unit=objective.units[target],
            cost=result.cost if place == 0 else None, note=result.reason, **common,
        )
        for place, target in enumerate(targets)
    ]  # fmt: skip
