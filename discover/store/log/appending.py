"""Drafts to the rows of the events table: numbered, linked into the chain, and no wider than the columns."""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select

from discover.errors import StoreError
from discover.store.canonical import canonical, digest
from discover.store.database.chain import genesis, link
from discover.store.database.schema import campaigns, events
from discover.store.log.events import SCHEMAS, Draft

WIDEST_IDENTITY = 400
"""Characters; a longer one is replaced by its digest. PostgreSQL enforces widths, and those of an index's entries."""


def rows_of(
    connection: Connection, name: str, last: int, drafts: Sequence[Draft], *, actor: str, host: str, time: str
) -> list[dict[str, Any]]:
    """The rows that follow event `last` of a campaign. InvalidInput or TypeError for a payload that cannot be stored."""
    rows: list[dict[str, Any]] = []
    if not drafts:
        return rows
    previous = last_link(connection, name, last)
    for number, draft in enumerate(drafts, start=1):
        row: dict[str, Any] = {
            "id": uuid.uuid4().hex,
            "campaign": name,
            "seq": last + number,
            "kind": draft.kind,
            "schema": SCHEMAS[draft.kind],
            "actor": fitted(actor, 200),
            "host": fitted(host, 200),
            "cause": fitted(draft.cause, 200),
            "time": time,
            "identity": None if draft.identity is None else stored_identity(draft.identity),
            "payload": canonical(draft.payload),
        }
        row["chain"] = previous = link(previous, row)
        rows.append(row)
    return rows


def last_link(connection: Connection, name: str, last: int) -> str:
    """The chain's link at event `last` of a campaign; 0 is before the first."""
    if last == 0:
        uid = connection.execute(select(campaigns.c.uid).where(campaigns.c.name == name)).scalar_one()
        return genesis(name, uid)
    query = select(events.c.chain).where(events.c.campaign == name, events.c.seq == last)
    found = connection.execute(query).scalar()
    if found is None:
        raise StoreError(
            f"event {last} of campaign {name!r} is not in the store any more: the store was replaced by another or an "
            "older one while it was open; open the campaign again"
        )
    return str(found)


def stored_identity(identity: str) -> str:
    """An identity as it is stored: one that is too long, or that a database cannot hold, as its digest."""
    return identity if fitted(identity, WIDEST_IDENTITY) == identity else f"sha256 {digest(identity)}"


def host_name() -> str:
    """This machine's name, for an event's envelope."""
    return os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "unknown")


def fitted(text: str, width: int) -> str:
    """The text without what a database cannot hold (NUL, lone surrogates), cut to a column's width with '…'."""
    if not text.isascii() or "\0" in text:
        text = text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= width else text[: width - 1] + "…"
