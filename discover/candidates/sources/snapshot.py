"""Candidates from a snapshot that lies in a folder, such as the one shipped with the examples, or in a shared place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from discover.candidates.snapshots.place import COPIES, Place
from discover.candidates.snapshots.snapshot import OWN, Snapshot, stored
from discover.candidates.sources.keeping import snapshots
from discover.candidates.sources.query import matches
from discover.errors import InvalidInput, Problem
from discover.kinds import typed
from discover.values import Progress


@dataclass(frozen=True)
@typed
class SnapshotSource:
    """Candidates of a snapshot on disk, or behind an fsspec URL.

    path: the folder of the snapshot, relative to the campaign file, or a URL such as s3://bucket/snapshots. hash: which one,
    where the folder holds several. query: only rows that match; they become a snapshot of their own that names this one as
    its parent.
    """

    path: str
    hash: str | None = None
    query: dict[str, Any] = field(default_factory=dict)
    base: Path | None = field(default=None, repr=False, metadata={"internal": True})
    files: Path | None = field(default=None, repr=False, metadata={"internal": True})
    place: Place | None = field(default=None, repr=False, metadata={"internal": True})

    def located(self, base: Path, files: Path) -> SnapshotSource:
        """The same source: `path` is sought from `base`, a filtered snapshot is kept under `files`."""
        return replace(self, base=base, files=files)

    def placed(self, place: Place) -> SnapshotSource:
        """The same source; a filtered snapshot is kept in a place of its own."""
        return replace(self, place=place)

    def header(self) -> tuple[str, ...]:
        """Names of the snapshot's columns; its rows are not read. InvalidInput or IntegrityError if there is none."""
        return self._open().columns

    def newest(self, fields: Sequence[str] = ()) -> Snapshot | None:
        """What was kept last of this folder's snapshots under `files`: the rows that matched, or what a campaign began with."""
        whole = self._open()
        origin = {key: whole.manifest[key] for key in ("kind", "source") if key in whole.manifest}
        best: tuple[float, Snapshot] | None = None
        place = snapshots(self.files, self.place)
        for kept in stored(place):
            if any(kept.manifest.get(key) != value for key, value in origin.items()):
                continue
            if self.query and kept.manifest.get("query") != self.query:
                continue
            rank = place.modified(f"{kept.hash}.json")
            if best is None or rank > best[0]:
                best = (rank, kept)
        if best is None or self.query:
            return best[1] if best else None
        return whole if best[1].manifest.get("parent", {}).get("hash") == whole.hash else best[1]

    def pull(self, fields: Sequence[str] = (), *, refresh: bool = False, progress: Progress | None = None) -> Snapshot:
        """The verified snapshot, or its rows that match the query. IntegrityError if its rows are not those of its hash."""
        whole = self._open()
        whole.verify()
        whole.check_columns(fields, self.path)
        snapshot = self._filtered(whole) if self.query else whole
        if progress:
            progress(len(snapshot), len(snapshot))
        return snapshot

    def _open(self) -> Snapshot:
        place = Place.of(self.path, self.files / COPIES if self.files else None, base=self.base)
        if self.hash:
            return Snapshot.open(self.hash, place)
        found = list(stored(place))
        if len(found) == 1:
            return found[0]
        listed = ", ".join(snapshot.hash for snapshot in found)
        hint = f"name one as hash: {listed}" if found else "paths are relative to the campaign file"
        raise InvalidInput(
            "snapshot", [Problem(f"{len(found)} snapshots lie in this folder", value=str(place), way_out=hint)]
        )

    def _filtered(self, whole: Snapshot) -> Snapshot:
        keep = matches(whole.frame(), self.query)
        if keep.all():
            return whole
        if not keep.any():
            hint = f"widen the query; it was {self.query}"
            raise InvalidInput(f"snapshot {self.path}", [Problem(f"none of {len(whole)} rows is left", way_out=hint)])
        origin = {key: value for key, value in whole.manifest.items() if key not in OWN}
        provenance = {**origin, "query": self.query, "parent": {"hash": whole.hash, "rows": len(whole)}}
        table = whole.table(whole.columns).filter(pa.array(keep)).combine_chunks()
        return Snapshot.from_table(
            table, snapshots(self.files, self.place), id=whole.id, structure=whole.structure, provenance=provenance
        )
