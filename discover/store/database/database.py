"""A store's URL to an open, migrated database."""

from __future__ import annotations

import os
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, Engine, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import IntegrityError as DatabaseIntegrityError

from discover.errors import StoreError
from discover.store.database import engines, migrating
from discover.store.database.places import files_of, is_server, parse, path_of, shown
from discover.store.database.saying import garbled, said

BUSY_SECONDS = 60.0
"""How long a writer waits for another one before it gives up; $DISCOVER_BUSY_SECONDS says otherwise."""

Written = Callable[[Connection], bool]
"""Whether a transaction's rows are in the store."""


class FateUnknown(StoreError):
    """The connection broke during a commit, and the store could not be asked since whether it holds what was written."""


class Database:
    """One open store. `files` is the folder for snapshots, caches and reports; `url` is shown without its password."""

    def __init__(self, url: str, *, create: bool = True, clock: Callable[[], datetime] | None = None):
        """Open the store, or make it. StoreError if it cannot be opened, or is not there and create is false.

        clock: the time where no database server has one.
        """
        if not create and not exists(url):
            raise StoreError(f"there is no store {path_of(url) or shown(url)}")
        self.url = shown(url)
        self.busy_seconds = _busy_seconds()
        self.engine, self.files = _open(url, self.busy_seconds)
        self._secret_url = url
        self._clock = clock or (lambda: datetime.now(UTC))
        self._process = os.getpid()
        weakref.finalize(self, _give_back, self.engine, self._process)
        _migrate(self.engine, url, self.busy_seconds)

    def __repr__(self) -> str:
        return f"Database({self.url!r})"

    @property
    def dialect(self) -> str:
        """'sqlite' or 'postgresql'."""
        return self.engine.dialect.name

    def again(self) -> Database:
        """The same store, opened a second time, as another process would."""
        return Database(self._secret_url, create=False, clock=self._clock)

    def now(self, connection: Connection) -> datetime:
        """The time by which leases end: the database server's on PostgreSQL, this machine's elsewhere."""
        return engines.server_time(connection) or self._clock()

    @contextmanager
    def writing(self, campaign: str | None = None, *, written: Written | None = None) -> Iterator[Connection]:
        """One transaction. With a campaign's name it excludes the campaign's other writers from its first statement on.

        SQLite has one writer at a time, whatever the name. StoreError in words where the database refuses; an integrity
        error means something to the caller and passes as it is.

        A commit that fails has an unknown fate: the connection may have broken before the server heard of it, or before
        we heard of the success. It is neither reported as lost nor repeated blindly. `written`, given a connection,
        says whether the rows are in the store. It is asked under the same lock, which the first transaction holds for as
        long as the server still works on it, so that its answer is final: if they are there, all is well; if they are not,
        StoreError says that nothing was written. If the store cannot be asked, FateUnknown says that, and whoever reads
        the store later sees which it was; unique ids and identities keep a repetition from being a second event.
        """
        failure: DBAPIError | None = None
        try:
            with self._ours().connect() as connection:
                transaction = connection.begin()
                try:
                    if campaign is not None:
                        engines.exclude_writers(connection, f"campaign {campaign}")
                    yield connection
                except BaseException:
                    with suppress(DBAPIError):  # the connection may be gone; the server rolls back then
                        transaction.rollback()
                    raise
                try:
                    transaction.commit()
                except DBAPIError as error:
                    failure = error
        except DatabaseIntegrityError:
            raise
        except DBAPIError as error:
            raise StoreError(self._said("written", error)) from error
        except UnicodeDecodeError as error:
            raise StoreError(garbled(self._secret_url)) from error
        if failure is not None:
            self._settle(failure, campaign, written)

    def _settle(self, failure: DBAPIError, campaign: str | None, written: Written | None) -> None:
        """Find out what became of a commit that failed; StoreError unless it was written."""
        reason = self._said("written", failure)
        deadline = time.monotonic() + self.busy_seconds
        while written is not None:
            answer: bool | None = None
            try:
                with self.writing(campaign) as connection:
                    answer = written(connection)
            except StoreError:
                pass  # not reachable, or still at work; or the end of a transaction that has only read
            if answer:
                return
            if answer is False:
                raise StoreError(f"{reason} (nothing was written)") from failure
            if time.monotonic() > deadline:
                break
            time.sleep(0.25)
        raise FateUnknown(
            f"{reason} (whether the last step was written is unknown; the store says so when it is back)"
        ) from failure

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for reading; it never waits for writers."""
        try:
            with self._ours().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                yield connection
        except DBAPIError as error:
            raise StoreError(self._said("read", error)) from error
        except UnicodeDecodeError as error:
            raise StoreError(garbled(self._secret_url)) from error

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()

    def _ours(self) -> Engine:
        """The engine, with no connection that a fork has copied: two processes must not speak over one."""
        if self._process != os.getpid():
            self.engine.dispose(close=False)
            self._process = os.getpid()
        return self.engine

    def _said(self, done: str, error: DBAPIError) -> str:
        return said(self._secret_url, done, error, self.busy_seconds)


def _give_back(engine: Engine, process: int) -> None:
    """Close what nobody uses any more; connections that a fork has copied are left to their owner."""
    engine.dispose(close=process == os.getpid())


def exists(url: str) -> bool:
    """Whether there is a store at the URL. None is made. StoreError for a server that cannot be asked."""
    parsed = parse(url)
    if not is_server(parsed):
        path = path_of(url)
        return path is not None and path.exists()
    busy = _busy_seconds()
    engine = engines.postgresql(parsed, busy)
    try:
        with engine.connect() as connection:
            return migrating.revision(connection) is not None
    except DBAPIError as error:
        raise StoreError(said(url, "opened", error, busy)) from error
    finally:
        engine.dispose()


def _busy_seconds() -> float:
    named = os.environ.get("DISCOVER_BUSY_SECONDS")
    try:
        seconds = float(named) if named else BUSY_SECONDS
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < 1e6:
        raise StoreError(f"DISCOVER_BUSY_SECONDS must be a number of seconds, not {named!r}")
    return seconds


def _open(url: str, busy: float) -> tuple[Engine, Path]:
    parsed = parse(url)
    if is_server(parsed):
        return engines.postgresql(parsed, busy), files_of(url)
    path = path_of(url)
    if path is None:
        return engines.sqlite(make_url(url), None, busy), Path(tempfile.mkdtemp(prefix="discover-"))
    if path.is_dir():
        raise StoreError(f"the store {path} is a folder; name a file in it, such as {path / 'campaigns.db'}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"the store's folder {path.parent} cannot be made: {error}") from error
    return engines.sqlite(parsed, path, busy), files_of(url)


def _migrate(engine: Engine, url: str, busy: float) -> None:
    try:
        migrating.upgrade(engine)
    except DBAPIError as error:
        engine.dispose()
        raise StoreError(said(url, "opened as a campaign store", error, busy)) from error
    except UnicodeDecodeError as error:
        engine.dispose()
        raise StoreError(garbled(url)) from error
    except StoreError:
        engine.dispose()
        raise
