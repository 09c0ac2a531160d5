"""Leases: one process at a time does a named piece of work on a campaign.

A lease has a holder, an expiry that its heartbeat moves on, and a fencing token that grows with every new holder.
Leases are mutable and not part of the truth: what was decided under one is in the log.

Time is the database server's where there is one, so that machines need not agree on it. A clock may still be wrong, and a
process may sleep through its lease: then two believe that they hold it. What is written under a lease is therefore fenced:
`check`, inside the transaction that writes, refuses whoever holds an older token than the newest.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select, text, update

from discover.errors import LeaseHeld, LeaseLost
from discover.store.database.engines import exclude_writers
from discover.store.database.schema import leases
from discover.store.leases.holders import described, gone, holder_name
from discover.store.log.log import EventLog

SECONDS = 60.0
"""How long a lease lasts without a heartbeat."""


@dataclass(frozen=True)
class Lease:
    """A right that is held until it expires; a later holder has a greater token.

    taken: names that a heartbeat, if there is one, has found in other hands by now.
    """

    campaign: str
    name: str
    holder: str
    token: int
    taken: Collection[str] = field(default=(), compare=False, repr=False)

    @property
    def lost(self) -> bool:
        """Whether the heartbeat has found another holder. Only `check` is certain."""
        return self.name in self.taken


def acquire(log: EventLog, campaign: str, name: str, seconds: float = SECONDS) -> Lease:
    """Take the lease, or LeaseHeld. A lease that has expired, or whose process is gone from this machine, is taken over."""
    holder, taken = holder_name(), list[Lease]()
    with log.database.writing(written=lambda again: holds(again, taken)) as connection:
        row = locked(connection, campaign, [name])[name]
        now = log.database.now(connection)
        if live(row, now):
            what = f"campaign {campaign!r} is being run" if name == "run" else f"{name} of {campaign!r} is held"
            raise LeaseHeld(
                f"{what} by {described(row.holder)}; wait for it, or end it (its lease ends at {row.expires})"
            )
        taken.append(take(connection, row, holder, now + timedelta(seconds=seconds)))
    return taken[0]


def renew(log: EventLog, held_: Sequence[Lease], seconds: float = SECONDS) -> list[Lease]:
    """Move the expiry of leases on, in one transaction; those that were lost to another holder.

    One that has only expired is held again.
    """
    with log.database.writing(written=lambda _: True) as connection:
        expires = (log.database.now(connection) + timedelta(seconds=seconds)).isoformat()
        ordered = sorted(held_, key=lambda lease: lease.name)  # one order for everybody, so that no two wait crosswise
        return [lease for lease in ordered if not _change(connection, lease, expires=expires)]


def release(log: EventLog, *held_: Lease) -> None:
    """Give leases back, those that are still held."""
    with log.database.writing(written=lambda _: True) as connection:
        for lease in sorted(held_, key=lambda lease: lease.name):
            _change(connection, lease, holder="")


def check(connection: Connection, lease: Lease) -> None:
    """LeaseLost if somebody else was given this lease since; for use inside the transaction that writes under it.

    Until that transaction ends nobody can take the lease. One that has expired and that nobody took is still good.
    """
    token = token_of(connection, lease, lock=True)
    if token != lease.token:
        raise LeaseLost(
            f"the lease {lease.name!r} of campaign {lease.campaign!r} was taken over: somebody holds token {token}, "
            f"and this one is {lease.token}"
        )


def token_of(connection: Connection, lease: Lease, *, lock: bool = False) -> int | None:
    """The newest token of a lease's place. lock: nobody can take it until the transaction ends."""
    query = select(leases.c.token).where(*_named(lease.campaign, lease.name))
    found: int | None = connection.execute(query.with_for_update(read=True) if lock else query).scalar()
    return found


def locked(connection: Connection, campaign: str, names: Sequence[str], *, wait: bool = True) -> dict[str, Any]:
    """The rows of leases, by name, made where there were none. Nobody else can take them until the transaction ends.

    wait: whether to wait for whoever has them locked; otherwise theirs are left out.
    """
    query = select(leases).where(leases.c.campaign == campaign, leases.c.name.in_(list(names))).order_by(leases.c.name)
    if set(names) - {row.name for row in connection.execute(query)}:
        # one at a time: who makes some waits for the same of others, and two that make several would wait crosswise.
        # Looked up again: a row that was made meanwhile may be changing, and an insertion would wait for that
        exclude_writers(connection, f"leases of {campaign}")
        for name in sorted(set(names) - {row.name for row in connection.execute(query)}):
            connection.execute(_MAKE, {"campaign": campaign, "name": name})
    return {row.name: row for row in connection.execute(query.with_for_update(skip_locked=not wait))}


_MAKE = text(
    "INSERT INTO leases (campaign, name, holder, token, expires) VALUES (:campaign, :name, '', 0, '') "
    "ON CONFLICT DO NOTHING"
)


def live(row: Any, now: datetime) -> bool:
    """Whether a lease is held by somebody who may still be at work."""
    return bool(row.holder) and datetime.fromisoformat(row.expires) > now and not gone(row.holder)


def take(connection: Connection, row: Any, holder: str, expires: datetime) -> Lease:
    """Give a lease, whose row is locked, to a new holder, with the next token."""
    values = {"holder": holder, "token": row.token + 1, "expires": expires.isoformat()}
    connection.execute(update(leases).where(*_named(row.campaign, row.name)).values(**values))
    return Lease(row.campaign, row.name, holder, row.token + 1)


def holds(connection: Connection, held_: Sequence[Lease]) -> bool:
    """Whether the store says that these leases are theirs, which were given out in one transaction."""
    return not held_ or connection.execute(select(leases.c.token).where(*_mine(held_[0]))).first() is not None


def _change(connection: Connection, lease: Lease, **values: str) -> bool:
    """Change a lease's row if the lease is still held; whether it was."""
    return connection.execute(update(leases).where(*_mine(lease)).values(**values)).rowcount == 1


def _named(campaign: str, name: str) -> tuple[Any, ...]:
    return (leases.c.campaign == campaign, leases.c.name == name)


def _mine(lease: Lease) -> tuple[Any, ...]:
    return (*_named(lease.campaign, lease.name), leases.c.holder == lease.holder, leases.c.token == lease.token)
