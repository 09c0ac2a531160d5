"""Workers and proposals: one worker at a time works on a proposal, under a lease that its heartbeat keeps alive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

from discover.errors import LeaseHeld
from discover.store.journal import Journal
from discover.store.leases import SECONDS, Lease, held
from discover.store.ledger import Ledger
from discover.store.life import State
from discover.store.trials import Trial


def workable(ledger: Ledger, *, may_begin: bool = True) -> list[Trial]:
    """Trials that a worker may take: what seems cut off first, then what is approved or to be retried, oldest first.

    may_begin: False for only those that were begun already. Excluded candidates are left alone.
    """
    mine = [trial for trial in ledger.pending() if trial.candidate_id not in ledger.excluded]
    begun = [trial for trial in mine if trial.state is State.SUBMITTED and trial.handle is None]
    return begun + [trial for trial in mine if may_begin and trial.runnable]


@contextmanager
def claimed_one(
    journal: Journal, trials: Sequence[Trial], worker: str = "", seconds: float = SECONDS
) -> Iterator[tuple[Trial, Lease] | None]:
    """Claim the first of these trials that nobody else works on, for the length of a block; None where there is none."""
    with ExitStack() as stack:
        lease = None
        for wanted in trials:
            with suppress(LeaseHeld):
                lease = stack.enter_context(held(journal.log, journal.name, f"proposal {wanted.proposal_id}", seconds))
                break
        if lease is None:
            yield None
            return
        ledger = journal.refresh()
        trial = ledger.trials[wanted.proposal_id]
        still = any(trial is one for one in workable(ledger))
        yield (trial, lease) if still else None
