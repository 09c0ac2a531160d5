"""A campaign's rows as they stand in the store: envelopes, and payloads as the very text that was written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import select, true, tuple_

from discover.errors import CampaignNotFound, nearest
from discover.store.database.schema import campaigns, events
from discover.store.log.events import Event, upcast
from discover.store.log.log import EventLog

Row = Mapping[str, Any]
COLUMNS = tuple(sorted(column.name for column in events.columns if column.name != "campaign"))
"""Columns of a stored event, without the name that the campaign has in its store."""
_ENVELOPE = tuple(field.name for field in fields(Event) if field.name != "payload")
_CHUNK = 1000


@dataclass(frozen=True)
class Entry:
    """A campaign's line in the table of campaigns."""

    name: str
    uid: str
    created: str


def entry(log: EventLog, name: str) -> Entry:
    """The campaign's line. CampaignNotFound names the nearest campaign."""
    with log.database.reading() as connection:
        row = connection.execute(select(campaigns).where(campaigns.c.name == name)).mappings().first()
    if row is None:
        raise CampaignNotFound(f"the store has no campaign {name!r} ({nearest(name, log.names())})")
    return Entry(row["name"], row["uid"], row["created"])


def stored_rows(log: EventLog, name: str) -> Iterator[dict[str, Any]]:
    """The campaign's rows in order, some at a time; others may write meanwhile. StoreError if they cannot be read.

    Rows are only ever appended, so what is read page by page is what the campaign was at one moment.
    """
    query = select(events).where(events.c.campaign == name).order_by(events.c.seq, events.c.id).limit(_CHUNK)
    rows: list[dict[str, Any]] = []
    while not rows or len(rows) == _CHUNK:
        place = tuple_(events.c.seq, events.c.id) > (rows[-1]["seq"], rows[-1]["id"]) if rows else true()
        with log.database.reading() as connection:
            rows = [dict(row) for row in connection.execute(query.where(place)).mappings()]
        yield from ({column: row[column] for column in COLUMNS} for row in rows)
        if not rows:
            return


def line_of(row: Row) -> str:
    """A row as a line of JSON, the same text for the same row."""
    return json.dumps(dict(row), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def event_of(row: Row) -> Event:
    """The event of a row, its payload at the newest schema."""
    body = {name: row[name] for name in _ENVELOPE if name in row}
    return Event(**body, payload=upcast(row["kind"], row["schema"], row["payload"]))


def snapshots_of(found: Iterable[Event]) -> list[str]:
    """Hashes of the snapshots that events refer to, each once, in order."""
    return list(dict.fromkeys(e.payload["pool"]["snapshot"] for e in found if e.payload.get("pool")))
