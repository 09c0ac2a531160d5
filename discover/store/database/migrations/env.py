"""Alembic's entry: migrates over the connection that `discover.store.database.database` hands in."""

from alembic import context

from discover.store.database.schema import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=False)
with context.begin_transaction():
    context.run_migrations()
