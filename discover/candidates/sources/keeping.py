"""Where a source keeps the snapshots that it pulled."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from discover.candidates.snapshots.place import Place
from discover.candidates.snapshots.snapshot import Snapshot, stored
from discover.errors import InvalidInput, Problem


def snapshots(files: Path | None, place: Place | None = None) -> Place:
    """Where a source keeps its snapshots: its place, or its folder's. InvalidInput if it was told neither."""
    if place is not None:
        return place
    if files is None:
        hint = "call source.located(base, files) first; a campaign file does so by itself"
        raise InvalidInput("candidate source", [Problem("there is no folder for snapshots yet", way_out=hint)])
    return Place(files / "snapshots")


def newest_of(place: Place, same: Mapping[str, Any], *, by: str) -> Snapshot | None:
    """The whole snapshot in a place with equal provenance under the keys of `same` and the greatest value under `by`."""
    best: tuple[str, str, Snapshot] | None = None
    for snapshot in stored(place):
        for pull in (snapshot.manifest, *snapshot.manifest["earlier"]):
            if "parent" in pull or any(key not in pull or pull[key] != value for key, value in same.items()):
                continue
            rank = (str(pull.get(by, "")), snapshot.hash, snapshot)
            if best is None or rank[:2] > best[:2]:
                best = rank
    return best[2] if best else None
