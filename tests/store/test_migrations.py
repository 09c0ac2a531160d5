"""Migrations: up and down, triggers restored, never at the cost of data."""

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, inspect

from discover.store import schema
from discover.store.events import Draft
from discover.store.log import EventLog


def config_for(connection):
    from pathlib import Path

    import discover.store

    config = Config()
    config.set_main_option("script_location", str(Path(discover.store.__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def test_the_migrated_tables_are_the_ones_the_program_uses(tmp_path):
    log = EventLog(f"sqlite:///{tmp_path / 's.db'}")
    found = inspect(log.database.engine)
    for table in schema.metadata.sorted_tables:
        columns = {c["name"]: c["nullable"] for c in found.get_columns(table.name)}
        assert columns == {c.name: bool(c.nullable) for c in table.columns}, table.name


def test_down_and_up_again_on_an_empty_store(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path / 's.db'}")
    with engine.begin() as connection:
        command.upgrade(config_for(connection), "head")
        command.downgrade(config_for(connection), "base")
        assert inspect(connection).get_table_names() == ["alembic_version"]
        command.upgrade(config_for(connection), "head")
        triggers = connection.exec_driver_sql("SELECT count(*) FROM sqlite_master WHERE type='trigger'").scalar()
    assert triggers == 6


def test_a_downgrade_that_would_lose_events_is_refused(tmp_path):
    log = EventLog(f"sqlite:///{tmp_path / 's.db'}")
    log.create("c", "abc", Draft("noted", {"text": "kept"}))
    with pytest.raises(RuntimeError, match="would lose"), log.database.writing() as connection:
        command.downgrade(config_for(connection), "base")
    assert log.read("c")[0].payload == {"text": "kept"}
