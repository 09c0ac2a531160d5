"""A store's URL to an open, migrated database."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, OperationalError
from sqlalchemy.pool import StaticPool

from discover.errors import StoreError

BUSY_SECONDS = 60
"""How long a writer waits for another one before it gives up."""


class Database:
    """One open store. `files` is the folder beside it for snapshots, caches and reports."""

    def __init__(self, url: str, *, create: bool = True):
        """Open the store, or make it. StoreError if it cannot be opened, or is not there and create is false."""
        path = path_of(url)
        if not create and path is not None and not path.exists():
            raise StoreError(f"there is no store {path}")
        self.url = url
        self.engine, self.files = _open(url)
        _migrate(self.engine)

    @contextmanager
    def writing(self, campaign: str | None = None) -> Iterator[Connection]:
        """One transaction that excludes other writers (of that campaign, at least) from its first statement on."""
        try:
            with self.engine.begin() as connection:
                yield connection
        except (OperationalError, DatabaseError) as error:
            if type(error) not in (OperationalError, DatabaseError):
                raise  # such as an integrity error, which means something to the caller
            raise StoreError(f"the store {self.url} cannot be written: {error.orig}") from error

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for reading; it never waits for writers."""
        try:
            with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                yield connection
        except DBAPIError as error:
            raise StoreError(f"the store {self.url} cannot be read: {error.orig}") from error

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()


def _open(url: str) -> tuple[Engine, Path]:
    path = path_of(url)
    if path is None:
        engine = create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False})
        files = Path(tempfile.mkdtemp(prefix="discover-"))
    else:
        if path.is_dir():
            raise StoreError(f"the store {path} is a folder; name a file in it, such as {path / 'campaigns.db'}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"the store's folder {path.parent} cannot be made: {error}") from error
        engine = create_engine(make_url(url).set(database=str(path)), connect_args={"timeout": BUSY_SECONDS})
        files = files_of(url)
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_immediate)
    return engine, files


def path_of(url: str) -> Path | None:
    """The database file of a store's URL; None for one in memory. StoreError for a URL that is none."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StoreError(f"{url!r} is not a store's URL; write sqlite:///campaigns.db") from error
    if parsed.get_backend_name() != "sqlite":
        raise StoreError(f"a store on {parsed.get_backend_name()!r} is not supported; write sqlite:///campaigns.db")
    if parsed.database in (None, "", ":memory:"):
        return None
    return Path(str(parsed.database)).expanduser().resolve()


def files_of(url: str) -> Path:
    """The folder for snapshots, caches and reports of a store in a file."""
    path = path_of(url)
    if path is None:
        raise StoreError(f"{url!r} is a store in memory; name a file, such as sqlite:///campaigns.db")
    return path.with_name(path.name + ".files")


def set_aside(url: str, stamp: str) -> Path | None:
    """Rename a store and its files, so that a new one begins; returns where it went, or None if there was none.

    Nothing is deleted. The caller makes sure that nobody has the store open.
    """
    path = path_of(url)
    if path is None or not path.exists():
        return None
    aside = path.with_name(f"{path.stem}.{stamp}{path.suffix}")
    for ending in ("-wal", "-shm", ".files", ""):
        part = path.with_name(path.name + ending)
        if part.exists():
            part.rename(aside.with_name(aside.name + ending))
    return aside


def _configure_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not open transactions of its own: ours begin IMMEDIATE
    cursor = connection.cursor()
    for pragma in (f"busy_timeout={BUSY_SECONDS * 1000}", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_immediate(connection: Connection) -> None:
    if connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
        return  # a reader needs no lock
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _migrate(engine: Engine) -> None:
    """Bring the tables to the newest schema; refuse a store that a newer program has written."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    newest = ScriptDirectory.from_config(config).get_current_head()
    try:
        if _revision(engine) == newest:
            return
        with engine.begin() as connection:  # the lock is held, so of two first openers one migrates and one waits
            revision = MigrationContext.configure(connection).get_current_revision()
            if revision == newest:
                return
            known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
            if revision is not None and revision not in known:
                raise StoreError(f"the store has schema {revision}, newer than this program knows; update discover")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DBAPIError as error:
        raise StoreError(f"{engine.url.database} cannot be opened as a campaign store: {error.orig}") from error


def _revision(engine: Engine) -> str | None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        found = connection.execute(
            text("SELECT name FROM sqlite_master WHERE type='table' AND name='alembic_version'")
        ).first()
        return MigrationContext.configure(connection).get_current_revision() if found else None


def host_name() -> str:
    """This machine's name, for an event's envelope."""
    return os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "unknown")


def short_hash(text_: str, length: int = 6) -> str:
    """The first hex digits of a text's SHA-256."""
    return hashlib.sha256(text_.encode()).hexdigest()[:length]
