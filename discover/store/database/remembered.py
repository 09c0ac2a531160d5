"""What a store remembers beside its log: where things are. Mutable, and no part of the truth."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from discover.store.database.database import Database
from discover.store.database.schema import settings


def recall(database: Database, campaign: str, key: str) -> str | None:
    """A setting of a campaign, or None."""
    query = select(settings.c.value).where(settings.c.campaign == campaign, settings.c.key == key)
    with database.reading() as connection:
        row = connection.execute(query).first()
    return None if row is None else str(row.value)


def remember(database: Database, campaign: str, key: str, value: str) -> None:
    """Set a setting of a campaign."""
    with database.writing(campaign) as connection:
        put(connection, campaign, key, value)


def put(connection: Connection, campaign: str, key: str, value: str) -> None:
    """Set a setting of a campaign within a transaction that writes into it."""
    connection.execute(delete(settings).where(settings.c.campaign == campaign, settings.c.key == key))
    connection.execute(insert(settings).values(campaign=campaign, key=key, value=value))
