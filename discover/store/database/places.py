"""A store's URL: which file or database it names, where its files are, and how it may be shown."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from discover.errors import StoreError

EXAMPLES = "sqlite:///campaigns.db, or postgresql://user@host/database"

_SECRETS = ("password", "sslpassword", "passfile")
"""Words of a URL's query that hold, or lead to, a password."""


def parse(url: str) -> URL:
    """The URL's parts, with the driver that we use. StoreError for a URL that names no store."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:  # a port that is no number is a ValueError
        raise StoreError(f"{shown(url)!r} is not a store's URL; write {EXAMPLES}") from error
    backend = "postgresql" if parsed.drivername == "postgres" else parsed.get_backend_name()
    if backend == "sqlite":
        if "?" in url and not parsed.query:  # what follows is part of a path, and SQLAlchemy would leave it out
            where, hint = str(parsed.database), "take another folder, or name a store elsewhere"
            raise StoreError(f"{url!r} has a '?' in its path, so that its file would be {where}; {hint}")
        return parsed
    if backend != "postgresql" or parsed.drivername not in ("postgres", "postgresql", "postgresql+psycopg"):
        raise StoreError(f"a store on {parsed.drivername!r} is not supported; write {EXAMPLES}")
    if not parsed.database:
        raise StoreError(f"{shown(url)!r} names no database; write postgresql://user@host/database")
    if "@" in (parsed.host or ""):
        raise StoreError(
            f"{shown(url)!r} has a second '@': write %40 for one in a password (better: PGPASSWORD or ~/.pgpass)"
        )
    return parsed.set(drivername="postgresql+psycopg")


def shown(url: str) -> str:
    """The URL as it may be printed, logged and stored: without its password."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return _masked(url)
    if "@" in (parsed.host or ""):  # a part of the password was taken for the host
        return _masked(url)
    secret = {key: "***" for key in _SECRETS if key in parsed.query}
    if parsed.password is None and not secret:
        return url
    return parsed.update_query_dict(secret).render_as_string(hide_password=True).replace("%2A%2A%2A", "***")


def _masked(url: str) -> str:
    """A URL that cannot be taken apart, with everything left out that may be a password."""
    return re.sub(r"(password=)[^&]*", r"\1***", re.sub(r"^(.*?//)?([^:@]*):.*@", r"\1\2:***@", url))


def path_of(url: str) -> Path | None:
    """The database file of a store's URL; None for one in memory or on a server. StoreError for a URL that is none."""
    parsed = parse(url)
    if is_server(parsed) or parsed.database in (None, "", ":memory:"):
        return None
    return Path(str(parsed.database)).expanduser().resolve()


def is_server(parsed: URL) -> bool:
    """Whether the store is on a PostgreSQL server."""
    return parsed.get_backend_name() == "postgresql"


def files_of(url: str) -> Path:
    """The folder for snapshots, caches and reports of a store: beside its file, or for a server's on this machine.

    A server's is `<database>-<hash of the place>.files` in $DISCOVER_FILES, or in ~/.local/share/discover.
    """
    parsed = parse(url)
    if is_server(parsed):
        return _local_folder() / f"{_plain(str(parsed.database))}-{_place(parsed)}.files"
    path = path_of(url)
    if path is None:
        raise StoreError(f"{url!r} is a store in memory; name a file, such as sqlite:///campaigns.db")
    return path.with_name(path.name + ".files")


def set_aside(url: str, stamp: str) -> Path | None:
    """Rename a store and its files, so that a new one begins; returns where it went, or None if there was none.

    Nothing is deleted, and nothing that was set aside before is overwritten. The caller makes sure that nobody has the store
    open. StoreError for one on a server, whose database is not ours to rename.
    """
    refuse_server(url)
    path = path_of(url)
    if path is None or not path.exists():
        return None
    stamps = itertools.chain([stamp], (f"{stamp}-{number}" for number in itertools.count(2)))
    names = (path.with_name(f"{path.stem}.{one}{path.suffix}") for one in stamps)
    aside = next(name for name in names if not any(_beside(name, ending).exists() for ending in _PARTS))
    for ending in _PARTS:
        if (part := _beside(path, ending)).exists():
            part.rename(_beside(aside, ending))
    return aside


_PARTS = ("-wal", "-shm", ".files", "")
"""Endings of what belongs to a store in a file, itself last: while it has its name the store is there."""


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def refuse_server(url: str) -> None:
    """StoreError where the store is on a server, for what can only be done with a file."""
    if is_server(parse(url)):
        raise StoreError(f"a store on a server is not set aside: begin anew in another database than {shown(url)}")


def _local_folder() -> Path:
    if named := os.environ.get("DISCOVER_FILES"):
        return Path(named).expanduser().resolve()
    shared = os.environ.get("XDG_DATA_HOME") or Path("~/.local/share").expanduser()
    return Path(shared).resolve() / "discover"


def _plain(name: str) -> str:
    """A database's name as part of a folder's: it cannot lead elsewhere."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)[:60]


def _place(parsed: URL) -> str:
    """A hash of where the database is. Who logs in, and how, does not change the place."""
    query = {key: parsed.query[key] for key in ("host", "port", "options") if key in parsed.query}
    place = [parsed.host or "", parsed.port or 5432, parsed.database, sorted(query.items())]
    return hashlib.sha256(repr(place).encode()).hexdigest()[:10]
