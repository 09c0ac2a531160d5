"""A database's error in words: what happened to the store, and the way out."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy.exc import DBAPIError

from discover.store.database.places import parse, shown


def said(url: str, done: str, error: DBAPIError, busy: float) -> str:
    """What went wrong while the store should be `done` ('written', 'read'). The URL's password is never part of it."""
    place = f"the store {shown(url)}"
    code = _code(error.orig)
    if code in ("SQLITE_BUSY", "SQLITE_BUSY_SNAPSHOT", "SQLITE_LOCKED", "55P03"):
        return f"{place} is locked: another process has been writing for more than {busy:g} s; wait for it, or end it"
    if code in ("SQLITE_FULL", "53100"):
        return f"{place} cannot be {done}: the disk is full; make room, and go on"
    if code.startswith("SQLITE_IOERR"):
        return f"{place} cannot be {done}: {_original(url, error)}; the disk may be full: make room, and go on"
    if code.startswith("SQLITE_READONLY") or code == "25006":
        return f"{place} cannot be {done}: it is read-only ({_original(url, error)})"
    if code in ("SQLITE_NOTADB",) or code.startswith("SQLITE_CORRUPT"):
        return f"{place} cannot be {done}: the file is damaged ({_original(url, error)}); go on from a backup"
    if lost(error):
        return (
            f"{place} cannot be reached: {_original(url, error)}; what was committed is safe, and can be gone on with"
        )
    return f"{place} cannot be {done}: {_original(url, error)}"


def garbled(url: str) -> str:
    """For texts in the store that are none: the database's driver has no error of its own for them."""
    return f"the store {shown(url)} cannot be read: the file is damaged (a text in it is none); go on from a backup"


def lost(error: DBAPIError) -> bool:
    """Whether there is no connection any more, so that a new one may serve."""
    code = _code(error.orig)
    return error.connection_invalidated or code[:2] == "08" or code in ("57P01", "57P02", "57P03", "no connection")


def _code(original: BaseException | None) -> str:
    """SQLite's name of the error, or PostgreSQL's five characters."""
    if name := getattr(original, "sqlite_errorname", None):
        return str(name)
    if state := getattr(original, "sqlstate", None):
        return str(state)
    return "no connection" if type(original).__name__ == "OperationalError" and _is_psycopg(original) else ""


def _is_psycopg(original: Any) -> bool:
    return type(original).__module__.startswith("psycopg")


def _original(url: str, error: DBAPIError) -> str:
    text = re.sub(r"\s+", " ", str(error.orig)).strip()
    password = parse(url).password
    return text.replace(str(password), "***") if password else text
