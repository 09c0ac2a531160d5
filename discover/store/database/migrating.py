"""Bring a store's tables to the newest schema, or with care to an older one."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect

from discover.errors import StoreError
from discover.store.database.engines import exclude_writers

_ONE_AT_A_TIME = "migration"


def newest() -> str:
    """The schema that this program writes."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def revision(connection: Connection) -> str | None:
    """The schema that the store has; None where there are no tables of ours."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(engine: Engine) -> None:
    """Bring the tables to the newest schema, all or nothing. StoreError for a store that a newer program has written.

    Of two processes that open an old store at once one migrates, and the other waits for it.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if revision(connection) == newest():
            return
    with engine.begin() as connection:
        exclude_writers(connection, _ONE_AT_A_TIME)
        found = revision(connection)
        if found == newest():
            return
        if found is not None and found not in _known():
            raise StoreError(
                f"the store has schema {found}, newer than this program knows; update discover "
                "(or the database belongs to another program)"
            )
        move(connection, "head")


def move(connection: Connection, target: str) -> None:
    """Migrate up or down to a revision ('0001', 'base', 'head') within the connection's transaction.

    StoreError where the way down would lose something that does not follow from the events.
    """
    config = _config()
    config.attributes["connection"] = connection
    there = revision(connection)
    if target == "base" or (there is not None and target in _known() and target < there):
        command.downgrade(config, target)
    else:
        command.upgrade(config, target)


def _known() -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config
