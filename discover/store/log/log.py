"""The append-only log of one store: read a campaign's events, append decisions made under the writers' lock."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError as DatabaseIntegrityError

from discover.errors import CampaignExists, CampaignNotFound, Conflict, IntegrityError, nearest
from discover.store.database.chain import link
from discover.store.database.database import Database
from discover.store.database.remembered import put
from discover.store.database.schema import campaigns, events
from discover.store.log.appending import host_name, last_link, rows_of
from discover.store.log.events import Draft, Event, upcast

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(UTC)


def default_actor() -> str:
    """Who is working: the login name, or 'unknown'."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


class EventLog:
    """The campaigns of one store and their events."""

    def __init__(self, url: str, *, actor: str | None = None, clock: Clock = utc_now, create: bool = True):
        self.database = Database(url, create=create, clock=lambda: self.clock())
        self.actor = actor or default_actor()
        self.clock = clock

    def now(self) -> datetime:
        """The time by which deadlines pass: the database server's on PostgreSQL, the clock's elsewhere."""
        with self.database.reading() as connection:
            return self.database.now(connection)

    def names(self) -> list[str]:
        """Names of all campaigns, oldest first."""
        with self.database.reading() as connection:
            rows = connection.execute(select(campaigns.c.name).order_by(campaigns.c.created, campaigns.c.name))
            return [row.name for row in rows]

    def create(self, name: str, uid: str, first: Draft, settings: Mapping[str, str] | None = None) -> None:
        """Register a campaign together with its first event. CampaignExists if the name is taken.

        settings: what the store is to remember of it from its beginning on (`discover.store.database.remembered`).
        """
        written: list[Event] = []
        with self.database.writing(name, written=lambda again: self._holds(again, name, written)) as connection:
            if connection.execute(select(campaigns.c.name).where(campaigns.c.name == name)).first():
                raise CampaignExists(f"the store already has a campaign {name!r}; open it, or choose another name")
            now = self.clock().isoformat()
            try:
                connection.execute(insert(campaigns).values(name=name, uid=uid, created=now))
            except DatabaseIntegrityError as error:  # somebody else made it at the same moment
                raise CampaignExists(f"the store already has a campaign {name!r}; open it") from error
            written += self._append(connection, name, 0, [first])
            for key, value in (settings or {}).items():
                put(connection, name, key, value)

    def uid(self, name: str) -> str:
        """The campaign's short id. CampaignNotFound names the nearest campaign."""
        with self.database.reading() as connection:
            row = connection.execute(select(campaigns.c.uid).where(campaigns.c.name == name)).first()
        if row is None:
            raise CampaignNotFound(
                f"the store {self.database.url} has no campaign {name!r} ({nearest(name, self.names())})"
            )
        return str(row.uid)

    def read(
        self, name: str, after: int = 0, *, until: int | None = None, connection: Connection | None = None
    ) -> list[Event]:
        """The campaign's events with a sequence number above `after` (and at most `until`), in order.

        IntegrityError where they are not what was written, by their chain: nobody folds a damaged page into a campaign.
        """
        if connection is None:
            with self.database.reading() as fresh:
                return self.read(name, after, until=until, connection=fresh)
        query = select(events).where(events.c.campaign == name, events.c.seq > after).order_by(events.c.seq)
        if until is not None:
            query = query.where(events.c.seq <= until)
        rows = [dict(row) for row in connection.execute(query).mappings()]
        if rows and rows[0]["seq"] == after + 1:  # otherwise one is missing, which the fold says
            _verify(name, last_link(connection, name, after), rows)
        return [_event(row) for row in rows]

    def transact(
        self,
        name: str,
        after: int,
        decide: Callable[[Sequence[Event]], Iterable[Draft]],
        check: Callable[[Connection], None] | None = None,
    ) -> list[Event]:
        """Append what `decide` returns, under the writers' lock.

        decide is given the events after `after`, those that the caller has not seen, and returns drafts or raises;
        nobody else can write between the two. check: raises where nothing may be written, such as under a lost lease.
        Returns the unseen events followed by the appended ones.
        """
        written: list[Event] = []
        with self.database.writing(name, written=lambda again: self._holds(again, name, written)) as connection:
            if check is not None:
                check(connection)
            unseen = self.read(name, after, connection=connection)
            drafts = list(decide(unseen))
            last = unseen[-1].seq if unseen else after
            written += self._append(connection, name, last, drafts)
        return [*unseen, *written]

    def _holds(self, connection: Connection, name: str, written: Sequence[Event]) -> bool:
        """Whether the store holds these events, all of one transaction: the first tells."""
        if not written:
            return True
        query = select(events.c.id).where(events.c.campaign == name, events.c.seq == written[0].seq)
        return connection.execute(query).scalar() == written[0].id

    def _append(self, connection: Connection, name: str, last: int, drafts: Sequence[Draft]) -> list[Event]:
        rows = rows_of(
            connection, name, last, drafts, actor=self.actor, host=host_name(), time=self.clock().isoformat()
        )
        if not rows:
            return []
        try:
            connection.execute(insert(events), rows)
        except DatabaseIntegrityError as error:
            raise Conflict(f"the campaign {name!r} already holds one of these events: {error.orig}") from error
        return [_event(row) for row in rows]


def _verify(name: str, previous: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Hold consecutive rows against their chain."""
    for row in rows:
        previous = link(previous, row)
        if previous != row["chain"]:
            raise IntegrityError(
                f"event {row['seq']} of campaign {name!r} is not what was written: the store is damaged, or somebody "
                "changed it; `discover audit` says what is wrong; restore the store from a backup"
            )


def _event(row: Mapping[str, Any]) -> Event:
    body = {name: row[name] for name in row if name not in ("campaign", "payload", "chain")}
    return Event(**body, payload=upcast(row["kind"], row["schema"], row["payload"]))
