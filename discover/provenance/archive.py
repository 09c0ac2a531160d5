"""A whole campaign as one file: a zip of JSON lines and Parquet that any tool reads, and no pickle.

    manifest.json               format, campaign, number of events, the end of their chain, a SHA-256 of every file
    events.jsonl                one event a line: envelope, and payload as the very text that the store holds
    snapshots/<hash>.parquet    every snapshot that the events refer to, with its manifest <hash>.json
    observations.parquet        what was found out, for other tools; an import does not read it

The same campaign gives the same archive, byte for byte.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from discover.campaign.pool.places import place_of
from discover.campaign.reading.tables import observations_frame
from discover.errors import IntegrityError
from discover.objective import Objective
from discover.provenance.rows import Entry, entry, event_of, line_of, snapshots_of, stored_rows
from discover.report.exporting import write_frame
from discover.report.writing import check_place, whole_file
from discover.store.ledger.ledger import Ledger
from discover.store.log.events import Event
from discover.store.log.log import EventLog

if TYPE_CHECKING:
    from discover.campaign import Campaign

FORMAT = "discover-campaign"
VERSION = 1
MANIFEST, EVENTS, OBSERVATIONS = "manifest.json", "events.jsonl", "observations.parquet"
_CHUNK = 1 << 20
_EPOCH = (1980, 1, 1, 0, 0, 0)


def export_campaign(campaign: Campaign, path: Path | str) -> dict[str, Any]:
    """Write a campaign into one archive, while others may go on writing into it; returns the archive's manifest.

    The file appears whole or not at all. IntegrityError if a snapshot is absent or altered; StoreError if the log cannot
    be read.
    """
    return write_archive(campaign._journal.log, campaign.name, Path(path))


def write_archive(log: EventLog, name: str, path: Path) -> dict[str, Any]:
    """`export_campaign` for a campaign by its name in a store."""
    check_place(path, "archive")
    found = entry(log, name)
    with TemporaryDirectory(prefix="discover-archive-") as folder:
        staged = Path(folder)
        events, chain = _write_events(log, name, staged / EVENTS)
        snapshots = _copy_snapshots(log, name, events, staged)
        _write_observations(events, staged / OBSERVATIONS)
        manifest = _manifest(found, len(events), chain, snapshots, staged)
        with whole_file(path, "archive") as draft:
            _zip(staged, manifest, draft)
    return manifest


def _write_events(log: EventLog, name: str, path: Path) -> tuple[list[Event], str | None]:
    events, chain = [], None
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in stored_rows(log, name):
            file.write(line_of(row) + "\n")
            events.append(event_of(row))
            chain = row.get("chain")
    return events, chain


def _copy_snapshots(log: EventLog, name: str, events: list[Event], staged: Path) -> list[str]:
    from discover.candidates.snapshots.snapshot import Snapshot

    place = place_of(log.database, name)
    folder = staged / "snapshots"
    folder.mkdir()
    hashes = snapshots_of(events)
    for digest in hashes:
        for suffix in (".parquet", ".json"):
            body = place.read(digest + suffix)
            if body is None:
                way_out = "restore it from a backup; 'discover audit' tells what else is missing"
                raise IntegrityError(f"the snapshot {digest} is not in {place}; {way_out}")
            (folder / (digest + suffix)).write_bytes(body)
        Snapshot.open(digest, folder).verify()
    return hashes


def _write_observations(events: list[Event], path: Path) -> None:
    ledger = Ledger().apply(events)
    objective = Objective.from_dict(ledger.definition["objective"])
    write_frame(observations_frame(ledger, objective, str(ledger.pool["spec"]["id"])), path)


def _manifest(found: Entry, events: int, chain: str | None, snapshots: list[str], staged: Path) -> dict[str, Any]:
    files = sorted(path for path in staged.rglob("*") if path.is_file())
    return {
        "format": FORMAT,
        "version": VERSION,
        "campaign": found.name,
        "uid": found.uid,
        "created": found.created,
        "events": events,
        "chain": chain,
        "snapshots": snapshots,
        "program": {"discover": version("discover-loop")},
        "files": {path.relative_to(staged).as_posix(): _told(path) for path in files},
    }


def _told(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": file_hash(path)}


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for part in parts(file):
            digest.update(part)
    return digest.hexdigest()


def parts(file: Any) -> Iterator[bytes]:
    """A binary file in pieces of bounded size."""
    while part := file.read(_CHUNK):
        yield part


def _zip(staged: Path, manifest: dict[str, Any], path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        head = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        archive.writestr(member(MANIFEST), head.encode())
        for name in manifest["files"]:
            with (staged / name).open("rb") as source, archive.open(member(name), "w", force_zip64=True) as target:
                for part in parts(source):
                    target.write(part)


def member(name: str) -> zipfile.ZipInfo:
    """An entry without the time and the machine, so that the same content is the same archive."""
    member = zipfile.ZipInfo(name, _EPOCH)
    member.create_system = 3
    member.external_attr = 0o644 << 16
    member.compress_type = zipfile.ZIP_STORED if name.endswith(".parquet") else zipfile.ZIP_DEFLATED
    return member
