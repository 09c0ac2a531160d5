"""A store changed behind its back, and what an audit says of it."""

from __future__ import annotations

from contextlib import closing

from sqlalchemy import text

from discover.provenance.findings import Audit
from discover.store.database import triggers
from discover.store.database.database import Database


def by_hand(url: str, *statements: str, **values: object) -> None:
    """Go round the database's own protection, and put it back."""
    with closing(Database(url)) as database, database.writing() as connection:
        for statement in triggers.allow_changes(database.dialect):
            connection.execute(text(statement))
        for statement in statements:
            connection.execute(text(statement), values if ":" in statement else {})
        for protect in (triggers.refuse_changes, triggers.refuse_replacing, triggers.refuse_unlinked):
            for statement in protect(database.dialect):
                connection.execute(text(statement))


def says(found: Audit, words: str, severity: str = "error") -> bool:
    return any(f.severity == severity and words in str(f) for f in found.findings)
