"""The event log: campaigns, their events, and leases."""

import sqlalchemy as sa
from alembic import op

from discover.errors import StoreError
from discover.store.database import triggers

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "campaigns",
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("uid", sa.String(64), nullable=False),
        sa.Column("created", sa.String(40), nullable=False),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("campaign", sa.String(200), sa.ForeignKey("campaigns.name"), nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("schema", sa.Integer, nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("host", sa.String(200), nullable=False),
        sa.Column("cause", sa.String(200), nullable=False),
        sa.Column("time", sa.String(40), nullable=False),
        sa.Column("identity", sa.String(500), nullable=True),
        sa.Column("payload", sa.Text, nullable=False),
        sa.UniqueConstraint("campaign", "seq", name="events_in_order"),
        sa.UniqueConstraint("campaign", "identity", name="events_once"),
        sa.CheckConstraint("seq > 0", name="events_seq_positive"),
    )
    op.create_table(
        "leases",
        sa.Column("campaign", sa.String(200), sa.ForeignKey("campaigns.name"), primary_key=True),
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("holder", sa.String(300), nullable=False),
        sa.Column("token", sa.Integer, nullable=False),
        sa.Column("expires", sa.String(40), nullable=False),
    )
    for statement in triggers.refuse_changes(op.get_bind().dialect.name):
        op.execute(statement)


def downgrade() -> None:
    if op.get_bind().execute(sa.text("SELECT 1 FROM events LIMIT 1")).first() is not None:
        raise StoreError("the store holds events; going below the first schema would lose them")
    for table in ("leases", "events", "campaigns"):
        op.drop_table(table)
    for statement in triggers.drop_function(op.get_bind().dialect.name):
        op.execute(statement)
