"""The tables of a campaign store, as the newest migration leaves them."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, ForeignKey, Integer, MetaData, String, Table, Text, UniqueConstraint

metadata = MetaData()

campaigns = Table(
    "campaigns",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("uid", String(64), nullable=False),
    Column("created", String(40), nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("campaign", String(200), ForeignKey("campaigns.name"), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("schema", Integer, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("host", String(200), nullable=False),
    Column("cause", String(200), nullable=False, default=""),
    Column("time", String(40), nullable=False),
    Column("identity", String(500), nullable=True),
    Column("payload", Text, nullable=False),
    UniqueConstraint("campaign", "seq", name="events_in_order"),
    UniqueConstraint("campaign", "identity", name="events_once"),
    CheckConstraint("seq > 0", name="events_seq_positive"),
)

leases = Table(
    "leases",
    metadata,
    Column("campaign", String(200), ForeignKey("campaigns.name"), primary_key=True),
    Column("name", String(100), primary_key=True),
    Column("holder", String(300), nullable=False),
    Column("token", Integer, nullable=False),
    Column("expires", String(40), nullable=False),
)

APPEND_ONLY = ("campaigns", "events")
"""Tables whose rows are never changed or removed; triggers in the database refuse it."""


def append_only_triggers(dialect: str) -> list[str]:
    """Statements that make the database itself refuse UPDATE and DELETE on the append-only tables."""
    if dialect != "sqlite":
        raise ValueError(f"no triggers are written for {dialect!r}")
    return [
        f"CREATE TRIGGER IF NOT EXISTS {table}_no_{action.lower()} BEFORE {action} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} are append-only'); END"
        for table in APPEND_ONLY
        for action in ("UPDATE", "DELETE")
    ]
