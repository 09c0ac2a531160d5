"""Triggers by which the database itself refuses to change what happened, on both engines."""

from __future__ import annotations

APPEND_ONLY = ("campaigns", "events")
"""Tables whose rows are never changed or removed."""

SQLITE = "sqlite"
POSTGRESQL = "postgresql"

_FUNCTION = """
CREATE OR REPLACE FUNCTION discover_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% are append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$
"""


def refuse_changes(dialect: str) -> list[str]:
    """Statements that make the database refuse UPDATE and DELETE (and TRUNCATE, where there is one)."""
    if dialect == SQLITE:
        return [
            f"CREATE TRIGGER IF NOT EXISTS {table}_no_{action.lower()} BEFORE {action} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} are append-only'); END"
            for table in APPEND_ONLY
            for action in ("UPDATE", "DELETE")
        ]
    if dialect == POSTGRESQL:
        statements = [_FUNCTION]
        for table in APPEND_ONLY:
            statements += [
                f"CREATE OR REPLACE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION discover_append_only()",
                # also in a session that calls itself a replica, where ordinary triggers sleep
                f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_append_only",
            ]
        return statements
    raise ValueError(f"no triggers are written for {dialect!r}")


def refuse_replacing(dialect: str) -> list[str]:
    """Statements that close SQLite's side door: INSERT OR REPLACE removes a row without asking the DELETE trigger."""
    if dialect != SQLITE:
        return []
    there = {
        "campaigns": ("name = NEW.name",),
        "events": (
            "id = NEW.id",
            "campaign = NEW.campaign AND seq = NEW.seq",
            "campaign = NEW.campaign AND identity = NEW.identity",
        ),
    }
    return [
        f"CREATE TRIGGER IF NOT EXISTS {table}_no_replace BEFORE INSERT ON {table} "
        f"WHEN {' OR '.join(f'EXISTS (SELECT 1 FROM {table} WHERE {key})' for key in (*keys, _ROWID))} "
        f"BEGIN SELECT RAISE(ABORT, '{table} are append-only, and this one is there already'); END"
        for table, keys in there.items()
    ]


def refuse_unlinked(dialect: str) -> list[str]:
    """Statements against an older program that has the store open while it is migrated: it knows no chain."""
    if dialect != SQLITE:
        return ["ALTER TABLE events ALTER COLUMN chain DROP DEFAULT"]
    return [
        "CREATE TRIGGER IF NOT EXISTS events_no_unlinked BEFORE INSERT ON events WHEN NEW.chain = '' "
        "BEGIN SELECT RAISE(ABORT, 'the store has a newer schema; update discover'); END"
    ]


_ROWID = "NEW.rowid > 0 AND rowid = NEW.rowid"
"""SQLite's own key of a row, by which a replacement could be made too. It is -1 where the statement names none."""


def allow_changes(dialect: str) -> list[str]:
    """Statements that take every trigger off, for a migration that restores them in the same transaction."""
    if dialect == SQLITE:
        return [
            f"DROP TRIGGER IF EXISTS {table}_no_{action}"
            for table in APPEND_ONLY
            for action in ("update", "delete", "replace", "unlinked")
        ]
    return [f"DROP TRIGGER IF EXISTS {table}_append_only ON {table}" for table in APPEND_ONLY]


def drop_function(dialect: str) -> list[str]:
    """Statements that remove what the triggers called, once the tables are gone."""
    return ["DROP FUNCTION IF EXISTS discover_append_only()"] if dialect == POSTGRESQL else []
