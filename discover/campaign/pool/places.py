"""Where a campaign's snapshots are, so that every machine that opens its store finds them."""

from __future__ import annotations

import os
from pathlib import Path

from discover.candidates.snapshots.place import COPIES, Place
from discover.candidates.snapshots.snapshot import Snapshot
from discover.errors import IntegrityError
from discover.store.database.database import Database
from discover.store.database.remembered import recall, remember

KEY = "snapshots"
ENVIRONMENT = "DISCOVER_SNAPSHOTS"
"""The variable by which one machine says where it sees the snapshots, whatever file and store say."""

Where = Path | str | Place


def named_place(where: Where | None, files: Path, base: Path | None = None) -> Place | None:
    """The place that the environment names, or else `where`; None if neither does."""
    named: Where | None = os.environ.get(ENVIRONMENT) or where
    if named is None:
        return None
    place = Place.of(named, files / COPIES, base=base)
    return place if place.local is None else Place(place.local.resolve())


def place_of(database: Database, campaign: str, where: Where | None = None) -> Place:
    """Where a campaign's snapshots are: as named here, as the store remembers, or among the store's files."""
    place = named_place(where, database.files)
    if place is None and (kept := recall(database, campaign, KEY)) is not None:
        place = Place.of(kept, database.files / COPIES)
    return place or Place(database.files / "snapshots")


def named_for_all(database: Database, where: Where | None) -> Place | None:
    """The place that was named for every machine; None if none was, or only one for this machine."""
    return None if where is None or os.environ.get(ENVIRONMENT) else named_place(where, database.files)


def keep_place(database: Database, campaign: str, where: Where | None, hashes: list[str]) -> None:
    """Remember a place that was named, for the machines to come. IntegrityError if a snapshot in use is not there.

    What the environment names holds for this machine alone.
    """
    place = named_for_all(database, where)
    if place is None or recall(database, campaign, KEY) == str(place) or place == place_of(database, campaign):
        return
    for hash in hashes:
        open_snapshot(hash, place)
    remember(database, campaign, KEY, str(place))


def open_snapshot(hash: str, place: Place) -> Snapshot:
    """The snapshot of a hash; where there is none, the error says how to name another place."""
    try:
        return Snapshot.open(hash, place)
    except IntegrityError as error:
        if place.size(f"{hash}.json") is not None:
            raise
        way_out = f"if it is elsewhere, name that place: 'snapshots:' in the campaign's file, or {ENVIRONMENT}"
        raise IntegrityError(f"{error}; {way_out}") from error
