"""What differs between SQLite and PostgreSQL: how a connection is made ready, how writers exclude each other, the time."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.pool import StaticPool

from discover.errors import StoreError

CONNECT_SECONDS = 10
"""How long a server may take to answer at all."""


def sqlite(parsed: URL, path: Path | None, busy: float) -> Engine:
    """An engine for a file, or without a path for a store in memory. Transactions begin IMMEDIATE, readers never wait."""
    if path is None:
        engine = create_engine(parsed, poolclass=StaticPool, connect_args={"check_same_thread": False})
    else:
        engine = create_engine(parsed.set(database=str(path)), connect_args={"timeout": busy})

    def configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not open transactions of its own: ours begin IMMEDIATE
        cursor = connection.cursor()
        ready = (f"busy_timeout={int(busy * 1000)}", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")
        for pragma in ready:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    event.listen(engine, "connect", configure)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def _begin_immediate(connection: Connection) -> None:
    if connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
        return  # a reader needs no lock
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def postgresql(parsed: URL, busy: float) -> Engine:
    """An engine for a server. A connection that died is noticed before it is used, and replaced."""
    ready = {
        "connect_timeout": CONNECT_SECONDS,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
        "application_name": "discover",
    }
    engine = create_engine(
        parsed,
        pool_pre_ping=True,
        # whatever the server's default is: a writer must see what was committed while it waited for the lock
        isolation_level="READ COMMITTED",
        connect_args={key: value for key, value in ready.items() if key not in parsed.query},
    )

    def configure(connection: Any, _record: Any) -> None:
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            connection.close()
            raise StoreError(
                f"the database has the encoding {encoding}; a store needs one with UTF8 (createdb -E UTF8)"
            )
        with connection.cursor() as cursor:
            cursor.execute(_READY, {"busy": f"{int(busy * 1000)}ms"})
        connection.commit()

    event.listen(engine, "connect", configure)
    return engine


_READY = """
SELECT set_config('client_encoding', 'UTF8', false),
       set_config('lock_timeout', %(busy)s, false),
       set_config('synchronous_commit',
                  CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on'
                  ELSE current_setting('synchronous_commit') END, false)
"""
"""A session's settings: waiting has an end, and a commit that was reported is on the server's disk."""


def exclude_writers(connection: Connection, name: str) -> None:
    """Wait until no other transaction writes under this name; until the end of ours none does.

    SQLite's transactions exclude each other from their BEGIN on. On PostgreSQL it is a lock of the transaction, by name
    rather than by row: it also covers what is not there yet, and it is freed after the commit can be seen.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _lock_key(name)})


def _lock_key(name: str) -> int:
    digest = hashlib.sha256(f"discover {name}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def server_time(connection: Connection) -> datetime | None:
    """What the database server's clock says this moment, in UTC; None where there is no server."""
    if connection.dialect.name != "postgresql":
        return None
    found: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return found.astimezone(UTC)
