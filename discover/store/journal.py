"""One campaign's log together with its fold: read what others wrote, decide on it, append, all under one lock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection

from discover.errors import StoreError
from discover.store.leases.leases import Lease, check
from discover.store.ledger import folds
from discover.store.ledger.ledger import Ledger
from discover.store.log.events import Draft, Event
from discover.store.log.log import EventLog

Decide = Callable[[Ledger], Iterable[Draft]]


class Journal:
    """The only way to write into a campaign. `ledger` is the fold of all events seen so far.

    Threads of one process may share a journal of a store in a file; a store in memory serves one thread at a time.
    """

    def __init__(self, log: EventLog, name: str):
        """CampaignNotFound if the store has no campaign of that name."""
        self.log = log
        self.name = name
        self._lock = threading.RLock()
        self.uid = log.uid(name)
        begun = log.read(name, until=1)
        if not begun:
            raise StoreError(f"event 1 of campaign {name!r} is missing from the store; restore the store from a backup")
        self.first = begun[0]
        self.ledger = folds.newest(log, name)
        cached = self.ledger.seq
        self.ledger.apply(log.read(name, after=cached))
        self._kept = self._keep(cached)

    def refresh(self) -> Ledger:
        """The ledger with everything that others have written meanwhile."""
        with self._lock:
            return self.ledger.apply(self.log.read(self.name, after=self.ledger.seq))

    @contextmanager
    def steady(self) -> Iterator[Ledger]:
        """The newest ledger, which no other thread moves on while this is entered."""
        with self._lock:
            yield self.refresh()

    def transact(self, decide: Decide, *, fence: Lease | None = None) -> Sequence[Event]:
        """Append the drafts that `decide` makes of the newest ledger, and return them as events; nobody else can write in between.

        fence: write only while this lease is not somebody else's. LeaseLost otherwise. An exception of `decide` leaves the
        store as it was.
        """

        def decide_now(unseen: Sequence[Event]) -> Iterable[Draft]:
            self.ledger.apply(unseen)
            return decide(self.ledger)

        with self._lock:
            events = self.log.transact(self.name, self.ledger.seq, decide_now, _checking(fence))
            appended = [event for event in events if event.seq > self.ledger.seq]
            self.ledger.apply(appended)
            self._kept = self._keep(self._kept)
        return appended

    def append(self, *drafts: Draft) -> None:
        """Append drafts that depend on nothing."""
        self.transact(lambda _: drafts)

    def _keep(self, kept: int) -> int:
        """Cache the fold where much was added since it was cached last; returns up to which event it is cached."""
        return folds.keep(self.log, self.name, self.ledger, kept)


def _checking(fence: Lease | None) -> Callable[[Connection], None] | None:
    return None if fence is None else lambda connection: check(connection, fence)
