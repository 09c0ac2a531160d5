"""Workers and proposals: what may be worked on, and who has it in hand.

One worker at a time has a proposal, under a lease that its heartbeat keeps alive. Everybody who runs experiments takes
them this way: `discover run`, `discover work`, a notebook, a task on a cluster. So any number of them may share a campaign.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress

from discover.errors import StoreError
from discover.store.journal import Journal
from discover.store.leases.claims import claim, claimed, proposal_of
from discover.store.leases.heartbeat import beating
from discover.store.leases.holders import holder_name
from discover.store.leases.leases import SECONDS, Lease, release
from discover.store.ledger.ledger import Ledger
from discover.store.ledger.life import State
from discover.store.ledger.trials import Trial


def workable(ledger: Ledger, *, may_begin: bool = True) -> list[Trial]:
    """Trials that a worker may take: what seems cut off first, then what is approved or to be retried, oldest first.

    may_begin: False for only those that were begun already.
    """
    mine = [trial for trial in ledger.pending() if is_workable(ledger, trial)]
    begun = [trial for trial in mine if trial.in_flight]
    return begun + [trial for trial in mine if may_begin and not trial.in_flight]


def is_workable(ledger: Ledger, trial: Trial) -> bool:
    """Whether a worker may take it: it may begin, or it was begun here and cut off. Excluded candidates are left alone."""
    begun = trial.state is State.SUBMITTED and trial.handle is None
    return (begun or trial.runnable) and trial.candidate_id not in ledger.excluded


def take(
    journal: Journal,
    n: int,
    *,
    worker: str = "",
    seconds: float = SECONDS,
    may_begin: bool = True,
    only: Collection[str] | None = None,
) -> list[Lease]:
    """Claim up to n workable proposals that nobody has in hand. only: none but these.

    What was finished between the look and the claim is given back at once.
    """
    taken: list[Lease] = []
    while len(taken) < n:
        wanted = _ids(journal.refresh(), may_begin, only)
        if wanted:  # who finds nothing does not wait for writers
            hands = claimed(journal.log, journal.name)
            wanted = [pid for pid in wanted if pid not in hands]
        got = claim(journal.log, journal.name, wanted, n - len(taken), worker=worker, seconds=seconds) if wanted else []
        if not got:
            break
        still = set(_ids(journal.refresh(), may_begin, only))
        if done := [lease for lease in got if proposal_of(lease) not in still]:
            release(journal.log, *done)
        taken += [lease for lease in got if proposal_of(lease) in still]
    return taken


def _ids(ledger: Ledger, may_begin: bool, only: Collection[str] | None) -> list[str]:
    found = (trial.proposal_id for trial in workable(ledger, may_begin=may_begin))
    return [pid for pid in found if only is None or pid in only]


@contextmanager
def in_hand(journal: Journal, lease: Lease, seconds: float = SECONDS) -> Iterator[Lease]:
    """Keep a claim alive for the length of a block, then give it back. A database that is away then ends it by itself."""
    with beating(journal.log, [lease], seconds) as beat:
        try:
            yield Lease(lease.campaign, lease.name, lease.holder, lease.token, beat.lost)
        finally:
            beat.drop(lease)
            with suppress(StoreError):
                release(journal.log, lease)


def holders(journal: Journal) -> dict[str, str]:
    """Who has which proposals in hand now: proposal to worker."""
    return {pid: worker_of(lease) for pid, lease in claimed(journal.log, journal.name).items()}


def held_elsewhere(journal: Journal, only: Collection[str] | None = None) -> dict[str, str]:
    """Workable proposals, or those of some, that another process has in hand: proposal to worker."""
    open_ = set(_ids(journal.refresh(), True, only))
    leases = claimed(journal.log, journal.name)
    mine = holder_name()
    return {
        pid: worker_of(lease)
        for pid, lease in leases.items()
        if pid in open_ and lease.holder.rpartition("@")[2] != mine
    }


def worker_of(lease: Lease) -> str:
    """The worker's name, or where it has none its machine and process."""
    name, at, process = lease.holder.rpartition("@")
    return name if at else process.rpartition("/")[0]


def shown_state(trial: Trial, workers: Mapping[str, str]) -> State:
    """A trial's state as people see it: one that nobody has begun and that a worker has in hand is claimed."""
    return State.CLAIMED if trial.runnable and trial.proposal_id in workers else trial.state


def shown_worker(trial: Trial, workers: Mapping[str, str]) -> str:
    """Who has an open trial in hand, or who was at work on it last."""
    return workers.get(trial.proposal_id, trial.worker) if trial.state.pending else trial.worker
