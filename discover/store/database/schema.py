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
    Column("chain", String(64), nullable=False),
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

folds = Table(
    "folds",
    metadata,
    Column("campaign", String(200), ForeignKey("campaigns.name"), primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("version", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("body", Text, nullable=False),
)
"""A cache of each campaign's fold up to event `seq`, by the code of `version`; it may be dropped at any time."""

settings = Table(
    "settings",
    metadata,
    Column("campaign", String(200), primary_key=True),
    Column("key", String(100), primary_key=True),
    Column("value", Text, nullable=False),
)
"""Where things are, such as the snapshots; of one campaign, or of the whole store where `campaign` is ''."""
