"""An archive back into a store: everything is verified before anything is written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError as DatabaseIntegrityError

from discover.campaign import Campaign
from discover.campaign.pool.places import place_of
from discover.campaign.settings import NAME
from discover.candidates.snapshots.snapshot import Snapshot
from discover.errors import CampaignExists, Conflict, IntegrityError, InvalidInput, Problem
from discover.provenance.archive import EVENTS
from discover.provenance.findings import Finding
from discover.provenance.meaning import Meaning
from discover.provenance.rows import COLUMNS, Row
from discover.provenance.sequence import PROPOSAL_ID, Sequence
from discover.provenance.unpacking import LIMIT, Manifest, unpack
from discover.store.database.chain import genesis, link
from discover.store.database.schema import campaigns, events
from discover.store.log.log import EventLog

_CHUNK = 500


def import_campaign(
    path: Path | str, store: str | EventLog, name: str | None = None, *, limit: int = LIMIT
) -> Campaign:
    """Write the campaign of an archive into a store, which is made if there is none; returns the campaign.

    Every hash, the chain, the fold and the snapshots are verified before anything is written; the events are one
    transaction. name: another name in this store; the chain is then linked anew. limit: bytes that the archive may hold,
    unpacked. InvalidInput for an archive that is truncated, altered, newer than this program or not one; CampaignExists if
    the store has a campaign of that name, or this campaign under another one.
    """
    path = Path(path)
    if name is not None and not NAME.fullmatch(name):
        hint = "letters, digits, spaces and . _ -, beginning with a letter or digit, at most 100"
        raise InvalidInput("import", [Problem("not a campaign's name", column="name", value=name, way_out=hint)])
    with TemporaryDirectory(prefix="discover-import-") as folder:
        staged = Path(folder)
        manifest = unpack(path, staged, limit)
        _verify(path, manifest, staged)
        log = store if isinstance(store, EventLog) else EventLog(store)
        name = name or manifest.campaign
        check_free(log, name, manifest.uid)
        _put_snapshots(log, name, manifest, staged)
        _put_events(log, name, manifest, staged / EVENTS)
    return Campaign.open(name, store=log)


def _verify(path: Path, manifest: Manifest, staged: Path) -> None:
    """InvalidInput for events or snapshots that are not what an archive must hold."""
    problems = _snapshot_problems(manifest, staged / "snapshots")
    sequence, meaning = Sequence(manifest.campaign, manifest.uid), Meaning(manifest.campaign, manifest.uid)
    found: list[Finding] = []
    count = 0
    for row in _rows(staged / EVENTS):
        count += 1
        found += sequence.see(row)
        if sequence.event is not None:
            told = meaning.see(sequence.event)
            found += told if meaning.broken or meaning.misshapen else []
            if not meaning.misshapen:
                problems += _unsafe(sequence.event.payload, manifest, row["seq"])
        if len(found) >= 20:
            break
    problems += [Problem(f"event {f.seq}: {f.what}" if f.seq else f.what) for f in found]
    if not found and count != manifest.events:
        problems.append(Problem(f"the manifest tells of {manifest.events} events, there are {count}"))
    if not found and sequence.last is not None and sequence.last["chain"] != manifest.chain:
        problems.append(Problem("the last event is not the one that the manifest tells of"))
    if not meaning.ledger.definition:
        problems.append(Problem("the events do not begin with a campaign's definition"))
    if problems:
        raise InvalidInput(f"archive {path}", problems)


def _snapshot_problems(manifest: Manifest, folder: Path) -> list[Problem]:
    problems = []
    for digest in manifest.snapshots:
        try:
            Snapshot.open(digest, folder).verify()
        except (IntegrityError, InvalidInput) as error:
            problems.append(Problem(str(error)))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            problems.append(Problem(f"snapshot {digest} cannot be read: {type(error).__name__}: {error}"))
    return problems


def _unsafe(body: Any, manifest: Manifest, seq: int) -> Iterator[Problem]:
    """Names in a payload that become names of files or keys elsewhere and are not what ours look like."""
    if body.get("pool") and body["pool"]["snapshot"] not in manifest.snapshots:
        yield Problem(f"event {seq}: the snapshot {body['pool']['snapshot']!r} is not in the archive")
    for item in body.get("proposals", ()):
        if not PROPOSAL_ID.fullmatch(str(item.get("proposal_id"))):
            yield Problem(f"event {seq}: not a proposal's id", value=item.get("proposal_id"))


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of an archive, one a line; InvalidInput for a line that is none."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                row = json.loads(line.decode())
                if not isinstance(row, dict) or set(row) != set(COLUMNS):
                    raise ValueError("it does not have the columns of an event")
            except (ValueError, RecursionError) as error:
                raise InvalidInput(f"archive, {EVENTS}", [Problem(str(error), line=number)]) from error
            yield row


def check_free(log: EventLog, name: str, uid: str, connection: Any = None) -> None:
    """CampaignExists if the store has a campaign of this name, or this campaign under another one."""
    if connection is None:
        with log.database.reading() as fresh:
            check_free(log, name, uid, fresh)
            return
    query = select(campaigns.c.name, campaigns.c.uid)
    for row in connection.execute(query.where((campaigns.c.name == name) | (campaigns.c.uid == uid))):
        if row.uid == uid:
            told = f"the store already has this campaign, as {row.name!r}: an archive is not a continuation"
            raise CampaignExists(f"{told}; import it into another store")
        raise CampaignExists(f"the store already has a campaign {name!r}; import this one under another name (--name)")


def _put_snapshots(log: EventLog, name: str, manifest: Manifest, staged: Path) -> None:
    """Copy the snapshots to where this store has them; those that are there and whole are left as they are."""
    place = place_of(log.database, name)
    for digest in manifest.snapshots:
        try:
            Snapshot.open(digest, place).verify()
            continue
        except IntegrityError:
            pass
        for suffix in (".parquet", ".json"):
            with place.writing(digest + suffix) as path:
                path.write_bytes((staged / "snapshots" / (digest + suffix)).read_bytes())


def _put_events(log: EventLog, name: str, manifest: Manifest, path: Path) -> None:
    """The campaign and its events, in one transaction."""
    line = {"name": name, "uid": manifest.uid, "created": manifest.created}
    try:
        with log.database.writing() as connection:
            check_free(log, name, manifest.uid, connection)
            connection.execute(insert(campaigns).values(**line))
            chunk: list[dict[str, Any]] = []
            for row in _renamed(_rows(path), name, manifest):
                chunk.append(row)
                if len(chunk) == _CHUNK:
                    connection.execute(insert(events), chunk)
                    chunk = []
            if chunk:
                connection.execute(insert(events), chunk)
    except DatabaseIntegrityError as error:
        raise Conflict(f"the store already holds one of these events, or this campaign: {error.orig}") from error


def _renamed(rows: Iterator[Row], name: str, manifest: Manifest) -> Iterator[dict[str, Any]]:
    """Rows as they enter the store; under another name each carries a link of its own."""
    previous = genesis(name, manifest.uid)
    for row in rows:
        entered = {**row, "campaign": name}
        if name != manifest.campaign:
            previous = entered["chain"] = link(previous, entered)
        yield entered
