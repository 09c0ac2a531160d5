"""The heartbeat: a thread that keeps leases alive while their holder works."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from discover.errors import StoreError
from discover.store.leases.leases import SECONDS, Lease, acquire, release, renew
from discover.store.log.log import EventLog


class Heartbeat:
    """Renews leases three times in their length, and goes on while the database is away for a while.

    `lost` holds the names of those that somebody else was given. `drop` lets a lease go that is done with.
    """

    def __init__(self, log: EventLog, leases: Sequence[Lease], seconds: float):
        self.lost: set[str] = set()
        self._log, self._seconds = log, seconds
        self._held = {lease.name: lease for lease in leases}
        self._lock = threading.Lock()
        self._done = threading.Event()
        name = leases[0].name if len(leases) == 1 else f"{len(leases)} leases"
        self._thread = threading.Thread(target=self._run, name=f"heartbeat of {name}", daemon=True)
        self._thread.start()

    def drop(self, lease: Lease) -> None:
        """Renew this one no more."""
        with self._lock:
            self._held.pop(lease.name, None)

    def end(self) -> None:
        """Stop beating. A beat that waits for the database is not waited for."""
        self._done.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        pause = self._seconds / 3
        while not self._done.wait(pause):
            with self._lock:
                held = list(self._held.values())
            try:
                lost = renew(self._log, held, self._seconds) if held else []
            except StoreError:  # away, or busy: soon again, for the lease may outlast it, or nobody may have taken it
                pause = self._seconds / 10
                continue
            pause = self._seconds / 3
            with self._lock:
                for lease in lost:
                    if self._held.pop(lease.name, None) is not None:
                        self.lost.add(lease.name)


@contextmanager
def beating(log: EventLog, leases: Sequence[Lease], seconds: float = SECONDS) -> Iterator[Heartbeat]:
    """Keep leases alive for the length of a block."""
    beat = Heartbeat(log, leases, seconds)
    try:
        yield beat
    finally:
        beat.end()


@contextmanager
def held(log: EventLog, campaign: str, name: str, seconds: float = SECONDS) -> Iterator[Lease]:
    """Hold a lease, with a heartbeat, for the length of a block.

    A database that is away at the end of the block is no reason to fail: the lease then ends by itself.
    """
    lease = acquire(log, campaign, name, seconds)
    with beating(log, [lease], seconds) as beat:
        try:
            yield Lease(lease.campaign, lease.name, lease.holder, lease.token, beat.lost)
        finally:
            with suppress(StoreError):
                release(log, lease)
