"""Leases: one process at a time does a named piece of work on a campaign.

A lease has a holder, an expiry that its heartbeat moves on, and a fencing token that grows with every new holder.
Leases are mutable and not part of the truth: what was decided under one is in the log.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, insert, select, update

from discover.errors import LeaseHeld, LeaseLost
from discover.store.database import host_name
from discover.store.log import EventLog
from discover.store.schema import leases

SECONDS = 60.0
"""How long a lease lasts without a heartbeat."""


@dataclass(frozen=True)
class Lease:
    """A right that is held until `expires`; a later holder has a greater token."""

    campaign: str
    name: str
    holder: str
    token: int


def holder_name() -> str:
    """This process, so that another one on the same machine can see whether it still lives."""
    return f"{host_name()}/{os.getpid()}/{_started(os.getpid())}"


def _started(pid: int) -> str:
    """When a process began, in the kernel's ticks: tells it from a later one with the same number. '' if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except (OSError, IndexError):
        return ""


def _gone(holder: str) -> bool:
    """Whether the holder was a process of this machine that no longer runs."""
    host, pid, started = holder.rsplit("/", 2)
    return host == host_name() and started != "" and _started(int(pid)) != started


def acquire(log: EventLog, campaign: str, name: str, seconds: float = SECONDS) -> Lease:
    """Take the lease, or LeaseHeld. A lease that has expired, or whose process is gone from this machine, is taken over."""
    holder, now = holder_name(), log.clock()
    expires = (now + timedelta(seconds=seconds)).isoformat()
    mine = (leases.c.campaign == campaign) & (leases.c.name == name)
    with log.database.writing() as connection:
        row = connection.execute(select(leases).where(mine)).first()
        if row is None:
            connection.execute(
                insert(leases).values(campaign=campaign, name=name, holder=holder, token=1, expires=expires)
            )
            return Lease(campaign, name, holder, 1)
        if row.holder and datetime.fromisoformat(row.expires) > now and not _gone(row.holder):
            host, pid, _ = row.holder.rsplit("/", 2)
            raise LeaseHeld(
                f"campaign {campaign!r} is being run by process {pid} on {host}; wait for it, or end it "
                f"(its lease ends at {row.expires})"
            )
        connection.execute(update(leases).where(mine).values(holder=holder, token=row.token + 1, expires=expires))
        return Lease(campaign, name, holder, row.token + 1)


def renew(log: EventLog, lease: Lease, seconds: float = SECONDS) -> bool:
    """Move the expiry on; False if the lease was lost to another holder."""
    expires = (log.clock() + timedelta(seconds=seconds)).isoformat()
    with log.database.writing() as connection:
        return connection.execute(update(leases).where(*_held(lease)).values(expires=expires)).rowcount == 1


def release(log: EventLog, lease: Lease) -> None:
    """Give the lease back, if it is still held."""
    with log.database.writing() as connection:
        connection.execute(update(leases).where(*_held(lease)).values(holder=""))


def _held(lease: Lease) -> tuple:
    return (
        leases.c.campaign == lease.campaign,
        leases.c.name == lease.name,
        leases.c.holder == lease.holder,
        leases.c.token == lease.token,
    )


@contextmanager
def held(log: EventLog, campaign: str, name: str, seconds: float = SECONDS) -> Iterator[Lease]:
    """Hold a lease, with a heartbeat, for the length of a block."""
    lease = acquire(log, campaign, name, seconds)
    done = threading.Event()

    def beat() -> None:
        while not done.wait(seconds / 3):
            if not renew(log, lease, seconds):
                return

    thread = threading.Thread(target=beat, name=f"lease-{name}", daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        done.set()
        thread.join(timeout=5)
        release(log, lease)


def check(connection: Connection, lease: Lease) -> None:
    """LeaseLost if somebody else was given this lease since; for use inside the transaction that writes under it."""
    mine = (leases.c.campaign == lease.campaign) & (leases.c.name == lease.name)
    token = connection.execute(select(leases.c.token).where(mine)).scalar()
    if token is not None and token > lease.token:
        raise LeaseLost(
            f"the lease {lease.name!r} of campaign {lease.campaign!r} was taken over; token {token} is newer"
        )
