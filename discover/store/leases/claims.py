"""Claims: which worker has which proposals in hand. A claim is a lease on one proposal.

A worker claims some, keeps them alive while it works, and writes each result fenced by its lease::

    for_me = claim(log, "oxides", [t.proposal_id for t in ledger.pending()], 4, worker="node-7")
    with beating(log, for_me) as beat:
        for lease in for_me:
            ...                                       # proposal_of(lease); look at its state first, it may be done
            journal.transact(decide, fence=lease)     # LeaseLost if somebody else was given it meanwhile
            beat.drop(lease)
            release(log, lease)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import islice
from typing import Any

from sqlalchemy import Connection, select

from discover.store.database.schema import leases
from discover.store.leases.holders import holder_name
from discover.store.leases.leases import SECONDS, Lease, holds, live, locked, take, token_of
from discover.store.log.log import EventLog

PREFIX = "proposal "


def claim(
    log: EventLog, campaign: str, proposal_ids: Sequence[str], n: int, *, worker: str = "", seconds: float = SECONDS
) -> list[Lease]:
    """Claim up to n of these proposals, in their order, that nobody holds.

    Of claimers at the same time each gets others: on PostgreSQL one skips what another is about to take, on SQLite one
    waits for the other. A claim that has expired, or whose process is gone from this machine, is given out anew.
    Whether a proposal is still to be done is the caller's to know: read the ledger again after claiming.
    """
    holder, taken = holder_name(worker), list[Lease]()
    with log.database.writing(written=lambda again: holds(again, taken)) as connection:
        names = iter(_free(log, connection, campaign, dict.fromkeys(PREFIX + pid for pid in proposal_ids)))
        # never more rows at a time than are wanted: a row that is locked and not taken would be skipped by others in vain
        while len(taken) < n and (some := list(islice(names, n - len(taken)))):
            rows = locked(connection, campaign, some, wait=False)
            now = log.database.now(connection)
            for name in some:
                if name in rows and not live(rows[name], now):
                    taken.append(take(connection, rows[name], holder, now + timedelta(seconds=seconds)))
    return taken


def claimed(log: EventLog, campaign: str) -> dict[str, Lease]:
    """The claims that are alive, by proposal."""
    with log.database.reading() as connection:
        now = log.database.now(connection)
        return {row.name.removeprefix(PREFIX): _lease(row) for row in _held(connection, campaign) if live(row, now)}


def taken_over(log: EventLog, held_: Sequence[Lease]) -> list[Lease]:
    """Those of these leases that somebody else was given since, whether or not that one still holds them."""
    with log.database.reading() as connection:
        return [lease for lease in held_ if token_of(connection, lease) != lease.token]


def proposal_of(lease: Lease) -> str:
    """The proposal that a claim is for."""
    return lease.name.removeprefix(PREFIX)


def _free(log: EventLog, connection: Connection, campaign: str, names: dict[str, None]) -> Iterator[str]:
    """The names that nobody seemed to hold when it was asked."""
    now = log.database.now(connection)
    taken = {row.name for row in _held(connection, campaign) if live(row, now)}
    return (name for name in names if name not in taken)


def _held(connection: Connection, campaign: str) -> Iterator[Any]:
    query = select(leases).where(
        leases.c.campaign == campaign, leases.c.name.startswith(PREFIX, autoescape=True), leases.c.holder != ""
    )
    yield from connection.execute(query)


def _lease(row: Any) -> Lease:
    return Lease(row.campaign, row.name, row.holder, row.token)
