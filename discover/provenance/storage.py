"""What stands around the events: the database's own soundness, its triggers, snapshots, cached folds, leases and files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select, text

from discover.candidates.pool.pool import CandidatePool
from discover.candidates.pool.spec import PoolSpec
from discover.candidates.rows.canonical import kind_of
from discover.candidates.snapshots.place import Place
from discover.candidates.snapshots.snapshot import Snapshot
from discover.drafts import unfinished
from discover.errors import DiscoverError, IntegrityError, StoreError
from discover.provenance.findings import Finding
from discover.provenance.sequence import RESTORE
from discover.store.canonical import canonical
from discover.store.database import triggers
from discover.store.database.schema import folds, leases
from discover.store.ledger import folds as caching
from discover.store.ledger.ledger import Ledger
from discover.store.log.log import EventLog

_NEW = "open the store once with the program that made it, or restore it from a backup"
_TRIGGER = re.compile(r"\b(CREATE) (?:OR REPLACE )?(TRIGGER) (?:IF NOT EXISTS )?(\w+)", re.IGNORECASE)


def soundness(log: EventLog) -> Iterator[Finding]:
    """What the database says of itself, and the triggers that keep events as they are."""
    try:
        with log.database.reading() as connection:
            if log.database.dialect == triggers.SQLITE:
                yield from _pages(connection)
            yield from _triggers(connection, log.database.dialect)
    except StoreError as error:
        yield Finding("error", str(error), RESTORE)


def _pages(connection: Connection) -> Iterator[Finding]:
    for line in connection.execute(text("PRAGMA integrity_check(20)")).scalars():
        if line != "ok":
            yield Finding("error", f"the database is damaged: {line}", RESTORE)
    for row in connection.execute(text("PRAGMA foreign_key_check")).all()[:20]:
        yield Finding("error", f"a row of {row[0]!r} belongs to no campaign", RESTORE)


def _triggers(connection: Connection, dialect: str) -> Iterator[Finding]:
    wanted = _wanted(dialect)
    there = _there(connection, dialect)
    for name, body in wanted.items():
        if name not in there:
            yield Finding("error", f"the trigger {name!r} is gone: events can be changed", _NEW)
        elif there[name] != body:
            yield Finding("error", f"the trigger {name!r} is not ours: events may be changed", _NEW)
    for name in sorted(set(there) - set(wanted)):
        yield Finding("warning", f"a trigger that is not ours acts on the events: {name!r}", "find out who made it")


def _wanted(dialect: str) -> dict[str, str]:
    """The triggers by name, with what must stand in the database's own account of them."""
    protections = (triggers.refuse_changes, triggers.refuse_replacing, triggers.refuse_unlinked)
    statements = [statement for protection in protections for statement in protection(dialect)]
    named = {found[3]: statement for statement in statements if (found := _TRIGGER.search(statement))}
    if dialect == triggers.SQLITE:
        return {name: _TRIGGER.sub(r"\1 \2 \3", statement) for name, statement in named.items()}
    return dict.fromkeys(named, "always")


def _there(connection: Connection, dialect: str) -> dict[str, str]:
    if dialect == triggers.SQLITE:
        query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN ('events', 'campaigns')"
        return {name: " ".join(sql.split()) for name, sql in connection.execute(text(query)).all()}
    query = (
        "SELECT t.tgname, t.tgenabled, p.prosrc FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid "
        "WHERE NOT t.tgisinternal AND t.tgrelid IN (CAST('events' AS regclass), CAST('campaigns' AS regclass))"
    )
    found = {}
    for name, enabled, source in connection.execute(text(query)).all():
        on = enabled.decode() if isinstance(enabled, bytes) else enabled
        found[name] = "always" if on == "A" and "RAISE EXCEPTION" in source else "asleep or changed"
    return found


def snapshot_findings(place: Place, hashes: Sequence[str], campaign: str) -> Iterator[Finding]:
    """Snapshots that are absent, or are not what their hash says."""
    for digest in hashes:
        try:
            snapshot = Snapshot.open(digest, place)
            snapshot.verify()
            _described(snapshot)
        except DiscoverError as error:
            yield Finding("error", str(error), campaign=campaign)
        except (ValueError, TypeError, KeyError, AttributeError, OSError) as error:
            told = f"snapshot {digest} cannot be read: {type(error).__name__}: {error}"
            yield Finding("error", told, "restore it from a backup", campaign=campaign)


def _described(snapshot: Snapshot) -> None:
    """IntegrityError if the manifest tells of other rows or columns than the table has."""
    kinds = {name: kind_of(snapshot.table([name])[name]) for name in snapshot.columns}
    if snapshot.metadata.num_rows != snapshot.manifest["rows"] or kinds != dict(snapshot.manifest["columns"]):
        told = f"the manifest of snapshot {snapshot.hash} tells of other rows or columns than its table has"
        raise IntegrityError(f"{told}; restore it from a backup")


def pool_of(place: Place, body: Mapping[str, Any]) -> CandidatePool | None:
    """The candidates of a `pool` in an event, or None where they cannot be read."""
    try:
        return CandidatePool.from_snapshot(Snapshot.open(body["snapshot"], place), PoolSpec.from_dict(body["spec"]))
    except (DiscoverError, ValueError, TypeError, KeyError, AttributeError, OSError):
        return None


class Cached:
    """The cached fold of a campaign, held against the fold that is made anew."""

    def __init__(self, log: EventLog, campaign: str):
        self.campaign = campaign
        with log.database.reading() as connection:
            self.row = connection.execute(select(folds).where(folds.c.campaign == campaign)).first()
        self._finding: Finding | None = None

    def see(self, ledger: Ledger) -> None:
        """Compare, once the fold has come as far as the cached one."""
        row = self.row
        if row is None or row.seq != ledger.seq or row.version != caching.version():
            return
        if canonical(caching.dumped(ledger)) != row.body:
            what = f"the cached fold up to event {row.seq} is not what the events say"
            self._finding = Finding("error", what, "empty the table 'folds': it is made anew", row.seq, self.campaign)

    def findings(self, last: int) -> Iterator[Finding]:
        """What is wrong with it, given the last event."""
        if self._finding:
            yield self._finding
        if self.row is not None and self.row.seq > last:
            what = f"events {last + 1} to {self.row.seq} are gone: a cached fold knows of them"
            yield Finding("error", what, RESTORE, last, self.campaign)


def lease_findings(log: EventLog, campaign: str, ledger: Ledger) -> Iterator[Finding]:
    """Leases that nobody gave back, or that name proposals which do not exist."""
    with log.database.reading() as connection:
        rows = connection.execute(select(leases).where(leases.c.campaign == campaign)).all()
        now = log.database.now(connection)
    for row in rows:
        if row.name.startswith("proposal ") and row.name.removeprefix("proposal ") not in ledger.trials:
            yield Finding("warning", f"the lease {row.name!r} is of no proposal", campaign=campaign)
        if row.holder and datetime.fromisoformat(row.expires) < now:
            what = f"the lease {row.name!r} ended at {row.expires} and was not given back by {row.holder}"
            way_out = "its process ended without a word; whoever comes next takes it over"
            yield Finding("note", what, way_out, campaign=campaign)


def _origins(place: Place, hashes: set[str]) -> set[str]:
    """Snapshots that these were made of, as their manifests say, and those that they were made of."""
    found: set[str] = set()
    left = list(hashes)
    while left:
        try:
            manifest = Snapshot.open(left.pop(), place).manifest
        except DiscoverError:
            continue  # said elsewhere
        named = [manifest.get("parent"), *(manifest.get("parents") or ())]
        origins = {str(one["hash"] if isinstance(one, dict) else one) for one in named if one}
        left += origins - found
        found |= origins
    return found


def file_findings(place: Place, referred: set[str]) -> Iterator[Finding]:
    """Files among the snapshots that belong to nothing."""
    try:
        tables = {name.removesuffix(".parquet") for name in place.names(".parquet")}
        manifests = {name.removesuffix(".json") for name in place.names(".json")}
    except DiscoverError as error:
        yield Finding("error", str(error))
        return
    for digest in sorted(tables - manifests - referred):
        yield Finding("note", f"{place}/{digest}.parquet has no manifest", "a pull was cut off; it may be removed")
    for digest in sorted(manifests - tables - referred):
        yield Finding("warning", f"{place}/{digest}.json has no table", "restore it from a backup, or pull again")
    if others := sorted((tables & manifests) - referred - _origins(place, referred & tables & manifests)):
        told = f"{len(others)} snapshot{'s' if len(others) != 1 else ''} that no campaign refers to in {place}"
        yield Finding("note", told, "pulls that no campaign began with; they may be kept or removed")
    if place.local is not None:
        yield from half_written(place.local)


def half_written(folder: Path) -> Iterator[Finding]:
    """Files of a folder that nobody has finished."""
    for path in unfinished(folder):
        hint = "a process is writing it, or was killed while it did; then it may be removed"
        yield Finding("note", f"{path} was not finished", hint)
