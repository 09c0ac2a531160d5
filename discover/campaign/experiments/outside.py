"""Experiments that somebody else makes: hand over, reconcile after a crash, collect by key or by sheet.

A key is committed before anything is handed over (`submitted`), and what the outside calls it afterwards (`dispatched`). A
key between the two is reconciled first: the outside is asked whether it has it. If it has, that is committed; if it has
not, the same key is handed over; if nobody can say, a person is asked (`unsure`), and nothing is handed over meanwhile.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from discover.campaign.claiming import take, worker_of
from discover.campaign.experiments.recording import Attempt, record
from discover.errors import DiscoverError, ExperimentFailed, InvalidInput, LeaseLost, StoreError
from discover.objective import Objective
from discover.protocols import OutsideExperiment
from discover.store.canonical import canonical, plain
from discover.store.journal import Journal
from discover.store.leases.claims import claim, proposal_of
from discover.store.leases.heartbeat import beating
from discover.store.leases.leases import Lease, release
from discover.store.ledger.ledger import Ledger
from discover.store.ledger.life import State
from discover.store.ledger.trials import Trial
from discover.store.log.events import Draft, submission_key
from discover.values import Handle, Proposal, Result


class NotHandedOver(DiscoverError):
    """Proposals that the outside did not take now. They keep their keys: the next dispatch hands them over."""


@dataclass(frozen=True)
class Handed:
    """One proposal on its way out: under which key, at which attempt, and the lease that keeps others from it."""

    key: str
    attempt: int
    proposal: Proposal
    lease: Lease


def dispatch_outside(
    journal: Journal, objective: Objective, experiment: OutsideExperiment, limit: int | None = None, worker: str = ""
) -> int:
    """Hand over what is proposed, approved or to be retried, and what a crash left in between; how many were handed over.

    limit: how many attempts may be begun. NotHandedOver, after everything else is committed, if the outside did not take
    some of it.
    """
    ceiling = None if limit is None else journal.refresh().started + limit
    trouble: list[str] = []
    done = _reconcile(journal, objective, experiment, worker, trouble)
    ledger = journal.refresh()
    wanted = [t.proposal_id for t in ledger.pending() if t.runnable and t.candidate_id not in ledger.excluded]
    room = len(wanted) if ceiling is None else min(len(wanted), max(0, ceiling - ledger.started))
    leases = take(journal, room, worker=worker, only=frozenset(wanted)) if room and _goes_on(trouble) else []
    with _in_hand(journal, leases):
        for group in _groups(experiment, leases):
            if _goes_on(trouble) and (batch := _begin(journal, group, ceiling)):
                done += _hand_over(journal, objective, experiment, batch, trouble)
    if trouble:
        raise NotHandedOver(f"handed over {done}; {'; '.join(trouble)}")
    return done


TROUBLE = 3
"""After so many refusals the outside is not troubled with more until the next time."""


def _goes_on(trouble: Sequence[str]) -> bool:
    return len(trouble) < TROUBLE


def _in_between(trial: Trial) -> bool:
    return trial.state is State.UNKNOWN or (trial.state is State.SUBMITTED and trial.handle is None)


@contextmanager
def _in_hand(journal: Journal, leases: Sequence[Lease]) -> Iterator[None]:
    """Keep claims alive for the length of a block, then give them back."""
    if not leases:
        yield
        return
    with beating(journal.log, list(leases)):
        try:
            yield
        finally:
            with suppress(StoreError):  # a database that is away ends them by itself
                release(journal.log, *leases)


def _groups(experiment: OutsideExperiment, leases: Sequence[Lease]) -> list[list[Lease]]:
    """What is handed over at a time: everything, or one proposal."""
    return [list(leases)] if experiment.together and leases else [[lease] for lease in leases]


def _reconcile(
    journal: Journal, objective: Objective, experiment: OutsideExperiment, worker: str, trouble: list[str]
) -> int:
    """Ask the outside about every key that was committed and not confirmed; how many it has, now or again."""
    ids = [trial.proposal_id for trial in journal.refresh().pending() if _in_between(trial)]
    leases = claim(journal.log, journal.name, ids, len(ids), worker=worker) if ids else []
    done = 0
    with _in_hand(journal, leases):
        ledger = journal.refresh()  # what another process finished before it let go
        still = [lease for lease in leases if _in_between(ledger.trials[proposal_of(lease)])]
        for group in _groups(experiment, still):
            batch = [_again(ledger.trials[proposal_of(lease)], lease) for lease in group]
            found = experiment.find([item.key for item in batch])
            if found is None:
                _unsure(journal, batch, "the outside cannot say whether it has it")
                continue
            known = [item for item in batch if item.key in found]
            _dispatched(journal, known, found)
            done += len(known)
            free = [item for item in batch if item not in known and item.proposal.candidate_id not in ledger.excluded]
            if free and _goes_on(trouble):
                done += _hand_over(journal, objective, experiment, free, trouble)
    return done


def _again(trial: Trial, lease: Lease) -> Handed:
    return Handed(submission_key(trial.proposal_id, trial.attempts), trial.attempts, trial.proposal, lease)


def _begin(journal: Journal, leases: Sequence[Lease], ceiling: int | None) -> list[Handed]:
    """Commit the keys of these proposals, as far as they may still begin."""
    begun: list[Handed] = []

    def decide(ledger: Ledger) -> Iterator[Draft]:
        begun.clear()
        for lease in leases:
            trial = ledger.trials[proposal_of(lease)]
            full = ceiling is not None and ledger.started + len(begun) >= ceiling
            if full or not trial.runnable or trial.candidate_id in ledger.excluded:
                continue
            pid, number = trial.proposal_id, trial.attempts + 1
            begun.append(Handed(submission_key(pid, number), number, trial.proposal, lease))
            body = {"proposal_id": pid, "attempt": number, "key": begun[-1].key, "worker": worker_of(lease)}
            yield Draft("submitted", body, identity=canonical(["submitted", pid, number]))

    try:
        journal.transact(decide, fence=leases[0])
    except LeaseLost:
        return []
    return begun


def _hand_over(
    journal: Journal,
    objective: Objective,
    experiment: OutsideExperiment,
    batch: Sequence[Handed],
    trouble: list[str],
) -> int:
    """Hand over committed keys and commit what the outside calls them; how many it took. trouble: why it did not take some."""
    try:
        handles = experiment.submit({item.key: item.proposal for item in batch})
    except ExperimentFailed as error:
        if error.retryable or len(batch) > 1 or experiment.together:
            _not_now(journal, experiment, batch, str(error))
            trouble.append(f"{_named(batch)} not handed over: {error}; the next run tries again")
            return 0
        for item in batch:
            attempt = Attempt(item.proposal, item.attempt, worker_of(item.lease), item.lease)
            record(journal, objective, attempt, Result("failed", reason=f"not handed over: {error}"))
        return 0
    except Exception as error:
        _settle_what_is_known(journal, experiment, batch, error)
        trouble.append(f"it is not known whether {_named(batch)} handed over: {error}; the next run asks the outside")
        return 0
    taken = [item for item in batch if item.key in handles]
    _dispatched(journal, taken, handles)
    if left := [item for item in batch if item.key not in handles]:
        trouble.append(f"{_named(left)} not handed over; the next run tries again")
    return len(taken)


def _named(batch: Sequence[Handed]) -> str:
    ids = ", ".join(item.proposal.proposal_id for item in batch[:5])
    return f"{ids}{' …' if len(batch) > 5 else ''} {'was' if len(batch) == 1 else 'were'}"


def _not_now(journal: Journal, experiment: OutsideExperiment, batch: Sequence[Handed], reason: str) -> None:
    """Nothing was handed over. Where the outside could not tell so later, it is written down now."""
    with suppress(Exception):
        if experiment.find([item.key for item in batch]) is not None:
            return
    journal.transact(lambda ledger: _of_these(ledger, batch, "settled", {"submitted": False, "reason": reason}))


def _settle_what_is_known(
    journal: Journal, experiment: OutsideExperiment, batch: Sequence[Handed], error: Exception
) -> None:
    """After a hand-over that was cut off: what the outside certainly has. What it has not may still be on its way."""
    try:
        found = experiment.find([item.key for item in batch])
    except Exception:
        return
    if found is None:
        _unsure(journal, batch, str(error) or type(error).__name__)
    else:
        _dispatched(journal, [item for item in batch if item.key in found], found)


def _unsure(journal: Journal, batch: Sequence[Handed], reason: str) -> None:
    journal.transact(lambda ledger: _of_these(ledger, batch, "unsure", {"reason": reason}))


def _dispatched(journal: Journal, batch: Sequence[Handed], handles: Mapping[str, Handle]) -> None:
    def decide(ledger: Ledger) -> Iterator[Draft]:
        for item in batch:
            trial = ledger.trials[item.proposal.proposal_id]
            if trial.attempts == item.attempt and trial.handle is None:
                yield _draft("dispatched", item, {"handle": plain(handles[item.key])})

    if batch:
        journal.transact(decide)


def _of_these(ledger: Ledger, batch: Sequence[Handed], kind: str, more: Mapping[str, object]) -> Iterator[Draft]:
    """An event for each of the batch that is still in between; 'unsure' is said once."""
    for item in batch:
        trial = ledger.trials[item.proposal.proposal_id]
        said = kind == "unsure" and trial.state is State.UNKNOWN
        if trial.attempts == item.attempt and _in_between(trial) and not said:
            yield _draft(kind, item, more)


def _draft(kind: str, item: Handed, more: Mapping[str, object]) -> Draft:
    body = {"proposal_id": item.proposal.proposal_id, "attempt": item.attempt, "key": item.key}
    return Draft(kind, {**body, **more})


def collect_outside(journal: Journal, objective: Objective, experiment: OutsideExperiment) -> int:
    """Commit the results that have come in by key; how many there were. A late one is accepted, told twice it is one."""
    waiting = {
        submission_key(trial.proposal_id, trial.attempts): trial
        for trial in journal.refresh().trials.values()
        if _may_have_result(trial)
    }
    if not waiting:
        return 0
    results = experiment.collect({key: trial.handle or {} for key, trial in waiting.items()})
    for key, result in results.items():
        trial = waiting[key]
        _record(journal, objective, Attempt(trial.proposal, trial.attempts, trial.worker), _checked(result))
    return len(results)


def _record(journal: Journal, objective: Objective, attempt: Attempt, result: Result) -> None:
    """Commit a result; one that no store can keep is a failure in words, and keeps none of the others out."""
    try:
        record(journal, objective, attempt, result)
    except (InvalidInput, TypeError, ValueError, RecursionError) as error:
        said = str(error).encode("utf-8", "backslashreplace").decode()
        record(journal, objective, attempt, Result("failed", reason=f"the result cannot be kept: {said[:500]}"))


def _may_have_result(trial: Trial) -> bool:
    if any(failure.attempt == trial.attempts for failure in trial.failures):
        return False
    late = trial.state in (State.WITHDRAWN, State.EXPIRED) and trial.attempts > 0 and not trial.values
    return late or (trial.in_flight and trial.handle is not None)


def _checked(result: Result) -> Result:
    if result.status in ("measured", "censored") and not result.values:
        return replace(result, status="failed", reason="the experiment returned no value")
    return result


def vacancies(ledger: Ledger, experiment: OutsideExperiment, batch: int) -> int:
    """How many proposals an unattended iteration may add while others are out: never more than a batch are open at a time.

    A batch that is handed over together, such as a sheet, is followed by the next one once no more than half of it is open.
    """
    free = max(0, batch - len(ledger.pending()))
    return 0 if experiment.together and free < math.ceil(batch / 2) else free
