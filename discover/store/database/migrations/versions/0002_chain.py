"""The chain over the events, a cache of folds, and settings. No payload is touched.

Down again the chain and the cached folds go: both follow from the events, so the way back up restores them. A chain that
does not fit its events cannot be restored, and settings cannot either: with one of these the way down refuses.
"""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from discover.errors import StoreError
from discover.store.database import triggers
from discover.store.database.chain import FIELDS, genesis, link

revision = "0002"
down_revision = "0001"

PAGE = 500
"""How many events are in memory at a time."""

EVENTS = sa.table("events", *(sa.column(name) for name in (*FIELDS, "chain")))
CAMPAIGNS = sa.table("campaigns", sa.column("name"), sa.column("uid"))


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    _execute(triggers.allow_changes(dialect))
    op.add_column("events", sa.Column("chain", sa.String(64), nullable=False, server_default=""))
    for previous, row in _linked():
        op.execute(EVENTS.update().where(EVENTS.c.id == row["id"]).values(chain=link(previous, row)))
    op.create_table(
        "folds",
        sa.Column("campaign", sa.String(200), sa.ForeignKey("campaigns.name"), primary_key=True),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "settings",
        sa.Column("campaign", sa.String(200), primary_key=True),
        sa.Column("key", sa.String(100), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    for statements in (triggers.refuse_changes, triggers.refuse_replacing, triggers.refuse_unlinked):
        _execute(statements(dialect))


def downgrade() -> None:
    dialect = op.get_bind().dialect.name
    if op.get_bind().execute(sa.text("SELECT 1 FROM settings LIMIT 1")).first() is not None:
        raise StoreError("the store holds settings, which the schema before 0002 would lose; take them out first")
    for previous, row in _linked():
        if row["chain"] != link(previous, row):
            raise StoreError(
                f"event {row['seq']} of campaign {row['campaign']!r} does not fit the chain; the schema before 0002 "
                "would lose that evidence (discover audit says more)"
            )
    _execute(triggers.allow_changes(dialect))
    op.drop_table("settings")
    op.drop_table("folds")
    op.drop_column("events", "chain")
    _execute(triggers.refuse_changes(dialect))


def _execute(statements: list[str]) -> None:
    for statement in statements:
        op.execute(statement)


def _linked() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every event with the link before it, campaign by campaign, in order."""
    for name, uid in op.get_bind().execute(sa.select(CAMPAIGNS.c.name, CAMPAIGNS.c.uid)).all():
        previous, after = genesis(name, uid), 0
        query = sa.select(EVENTS).where(EVENTS.c.campaign == name).order_by(EVENTS.c.seq).limit(PAGE)
        while rows := op.get_bind().execute(query.where(EVENTS.c.seq > after)).mappings().all():
            for row in map(dict, rows):
                yield previous, row
                previous, after = link(previous, row), row["seq"]
