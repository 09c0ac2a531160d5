"""A pull of candidates, frozen: Parquet named by the hash of its content, with a manifest beside it.

The rows say what was pulled; the manifest says when, from where, by what query and under which licence. The same rows
pulled again are the same file: the manifest then leads with the newest provenance and keeps the others under `earlier`.
The manifest is written last: a snapshot is there when its manifest is.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from discover.candidates.rows.canonical import FORMAT, canonical_table, kind_of
from discover.candidates.rows.frames import to_frame, unknown_ids
from discover.candidates.rows.hashing import table_hash
from discover.candidates.rows.parquet import file_hash, opened, pick
from discover.candidates.snapshots.manifest import NEEDED, OWN, checked_provenance, earlier, time_of
from discover.candidates.snapshots.place import Place, link_or_copy
from discover.errors import IntegrityError, InvalidInput, Problem, nearest
from discover.stamps import sound

_HASH = re.compile(r"[0-9a-f]{64}")
_WAY_OUT = "restore it from a backup, or save or pull the same candidates once more"
_NOTED = 16_000_000
"""Bytes of a file from which on what was found of it is noted."""
_GROUP = 1024
"""Rows of a row group: one structure is read without its 4,000 neighbours."""


@dataclass(frozen=True)
class Snapshot:
    """An immutable table of candidates with its provenance: `<hash>.parquet` and `<hash>.json` in a place."""

    hash: str
    place: Place
    manifest: Mapping[str, Any]

    @classmethod
    def write(
        cls,
        frame: pd.DataFrame,
        folder: Place | Path | str,
        *,
        id: str,
        provenance: Mapping[str, Any],
        structure: str | None = None,
    ) -> Snapshot:
        """Freeze a frame. Structures may be pymatgen's, their `as_dict()` or JSON text; ids become text.

        folder: a folder, or a place behind an fsspec URL. provenance: JSON, for the manifest only (`retrieved_at` as ISO
        8601 orders snapshots); the hash does not know it. InvalidInput collects every cell that cannot be stored and every
        missing or doubled id.
        """
        return cls.from_table(
            canonical_table(frame, id=id, structure=structure),
            folder,
            id=id,
            provenance=provenance,
            structure=structure,
        )

    @classmethod
    def from_table(
        cls,
        table: pa.Table,
        folder: Place | Path | str,
        *,
        id: str,
        provenance: Mapping[str, Any],
        structure: str | None = None,
    ) -> Snapshot:
        """`write` for a canonical table."""
        kinds = {name: kind_of(table[name]) for name in table.column_names}
        dictionary = [n for n, kind in kinds.items() if n not in (id, structure) and kind in ("text", "texts")]

        def write(path: Path) -> None:
            pq.write_table(
                table,
                path,
                compression="zstd",
                compression_level=12,
                row_group_size=_GROUP,
                use_dictionary=dictionary,
            )

        digest = table_hash(table, id=id, structure=structure)
        return cls.put(
            folder, write, hash=digest, kinds=kinds, rows=table.num_rows, id=id, structure=structure,
            provenance=provenance,
        )  # fmt: skip

    @classmethod
    def put(
        cls,
        folder: Place | Path | str,
        write: Callable[[Path], object],
        *,
        hash: str,
        kinds: Mapping[str, str],
        rows: int,
        id: str,
        structure: str | None,
        provenance: Mapping[str, Any],
    ) -> Snapshot:
        """The snapshot of canonical rows with this hash, which `write` puts into a Parquet file where they are not there yet."""
        place, digest = Place.of(folder), hash
        body = checked_provenance(provenance)
        own = {
            "format": FORMAT,
            "hash": digest,
            "rows": rows,
            "id": id,
            "structure": structure,
            "columns": dict(kinds),
        }
        strange = [
            Problem("the snapshot writes this key itself", column=k, value=v)
            for k, v in body.items()
            if k in OWN and own.get(k) != v
        ]
        if strange:
            raise InvalidInput("provenance", strange)
        kept = _intact(digest, place)
        if kept is None:
            with place.writing(f"{digest}.parquet") as path:
                write(path)
                own["parquet"] = _bytes_of(path)
        else:
            own["parquet"] = _bytes_of(kept.path)
        manifest = {**body, **own, "earlier": earlier(kept.manifest if kept else None, body)}
        if kept is None or dict(kept.manifest) != manifest:
            with place.writing(f"{digest}.json") as path:
                path.write_text(
                    json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n",
                    encoding="utf-8",
                )
        return cls(digest, place, manifest)

    @classmethod
    def open(cls, hash: str, folder: Place | Path | str) -> Snapshot:
        """The snapshot of that hash. IntegrityError if it is absent or its manifest does not belong to it; rows are not read."""
        place = Place.of(folder)
        known = _HASH.fullmatch(hash) is not None  # a name that leaves the place is no hash
        body = place.read(f"{hash}.json") if known else None
        if body is None or place.size(f"{hash}.parquet") is None:
            raise IntegrityError(f"no snapshot {hash} in {place}: it needs {hash}.parquet and {hash}.json; {_WAY_OUT}")
        return cls._of(hash, place, body)

    @classmethod
    def _of(cls, hash: str, place: Place, body: bytes) -> Snapshot:
        path = f"{place}/{hash}.json"
        try:
            manifest = json.loads(body)
        except ValueError as error:
            raise IntegrityError(f"the manifest {path} is not JSON ({error}); {_WAY_OUT}") from error
        if not isinstance(manifest, dict) or manifest.get("hash") != hash or not set(NEEDED) <= set(manifest):
            raise IntegrityError(f"the manifest {path} is not that of snapshot {hash}; {_WAY_OUT}")
        if manifest["format"] != FORMAT:
            raise IntegrityError(f"snapshot {hash} has format {manifest['format']!r}, this version reads {FORMAT!r}")
        return cls(hash, place, manifest)

    @classmethod
    def newest(cls, folder: Place | Path | str, match: Mapping[str, Any] | None = None) -> Snapshot | None:
        """The snapshot that was retrieved last among those whose provenance equals `match` on its keys; None without one.

        Where an earlier pull of the same rows matches, the snapshot's manifest is led by that pull.
        """
        best: tuple[datetime, str, Snapshot] | None = None
        for snapshot in stored(Place.of(folder)):
            for pull in snapshot.pulls():
                if any(key not in pull or pull[key] != value for key, value in (match or {}).items()):
                    continue
                rank = (time_of(pull.get("retrieved_at")), snapshot.hash, cls(snapshot.hash, snapshot.place, pull))
                if best is None or rank[:2] > best[:2]:
                    best = rank
        return best[2] if best else None

    @property
    def folder(self) -> Path | str:
        """Where it is: a folder of this machine, or a URL."""
        return self.place.where

    @property
    def origin(self) -> dict[str, Any]:
        """The manifest without what a snapshot writes into it itself."""
        return {key: value for key, value in self.manifest.items() if key not in OWN}

    @property
    def id(self) -> str:
        """Name of the id column."""
        return str(self.manifest["id"])

    @property
    def structure(self) -> str | None:
        """Name of the column of structures, or None."""
        return self.manifest["structure"]

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns: the id first, then by name, the structure last."""
        names = [name for name in sorted(self.manifest["columns"]) if name not in (self.id, self.structure)]
        return (self.id, *names, *([self.structure] if self.structure else []))

    @cached_property
    def path(self) -> Path:
        """The Parquet file on this machine; of a snapshot elsewhere a copy, held against the hash before it is used.

        A copy in the cache that is not whole is fetched again. IntegrityError if the file itself is not that of the hash.
        """
        name = f"{self.hash}.parquet"
        if self.place.local is not None:
            return self.place.local / name
        copy = self.place.copy(name)
        return copy if self._same_bytes(copy) else self._fetched()

    def _fetched(self) -> Path:
        """The file, fetched anew if it is elsewhere, once its rows are found to be those of the hash."""
        name = f"{self.hash}.parquet"
        with self.place.fetching(name) as path:
            if path is None:
                raise IntegrityError(f"snapshot {self.hash} in {self.place} has lost its rows; {_WAY_OUT}")
            self._verify(path)
        return self.place.copy(name)

    @cached_property
    def metadata(self) -> pq.FileMetaData:
        """What the Parquet file says of itself: row groups and columns."""
        return pq.read_metadata(self.path)

    @cached_property
    def ids(self) -> NDArray[np.str_]:
        """[N] ids as text, ascending: row i of the snapshot has ids[i]."""
        ids = np.array(self.table([self.id])[self.id].to_pylist(), dtype=np.str_)
        ids.flags.writeable = False
        return ids

    def __len__(self) -> int:
        return int(self.manifest["rows"])

    def check_columns(self, names: Iterable[str], called: str) -> None:
        """InvalidInput for columns that it does not have. called: what the snapshot is to whoever reads this."""
        problems = [
            Problem("the snapshot has no such column", column=n, way_out=nearest(n, self.columns))
            for n in names
            if n not in self.columns
        ]
        if problems:
            raise InvalidInput(f"snapshot {called}", problems)

    def table(
        self, columns: Sequence[str] | None = None, ids: Sequence[str] | NDArray[np.str_] | None = None
    ) -> pa.Table:
        """Arrow table of some columns (default: all but the structure) and rows, in ascending order of id."""
        names = [name for name in self.columns if name != self.structure] if columns is None else list(columns)
        self.check_columns(names, self.hash[:12])
        places = None if ids is None else self._places(ids)
        try:
            if places is None:
                return pq.read_table(self.path, columns=names).combine_chunks()
            return self.rows_at(names, places)
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable(self.path, error) from error

    def rows_at(self, columns: Sequence[str], places: NDArray[np.int64]) -> pa.Table:
        """Rows at ascending positions, read from only the row groups that hold them."""
        with opened(self.path, self.metadata) as file:
            return pick(file, columns, places)

    def copied(self, folder: Place | Path | str) -> Snapshot:
        """The same snapshot in another place; itself where it is there. On one disk no second copy is made of the rows."""
        place = Place.of(folder)
        if place == self.place or (
            place.local and self.place.local and place.local.resolve() == self.place.local.resolve()
        ):
            return self
        return Snapshot.put(
            place, partial(link_or_copy, self.path), hash=self.hash, kinds=self.manifest["columns"], rows=len(self),
            id=self.id, structure=self.structure, provenance=self.origin,
        )  # fmt: skip

    def frame(
        self, columns: Sequence[str] | None = None, ids: Sequence[str] | NDArray[np.str_] | None = None
    ) -> pd.DataFrame:
        """DataFrame [rows, columns] (default: all but the structure), read from only the Parquet columns asked for.

        Rows in ascending order of id, whatever the order of `ids`; UnknownCandidate for an id that is not there. Lists
        are Python lists; integers and flags with missing values are pandas' nullable `Int64` and `boolean`.
        """
        return to_frame(self.table(columns, ids))

    def check(self, notes: Path | None = None) -> None:
        """`verify`, but without reading the rows where the file's bytes are those that the manifest knows (some 0.6 s a gigabyte).

        notes: a folder of this machine for what was found of a large file, so that the bytes are not read either until the file
        changes (`discover.stamps`). Of a snapshot elsewhere it is the copy on this machine that is checked.
        """
        known = self.manifest.get("parquet") or {}

        def look() -> bool:
            if not self._same_bytes(self.path):
                self._verify(self.path)
            return True

        if notes is None or known.get("bytes", 0) < _NOTED:
            look()
        else:
            sound(self.path, notes / f"checked-{self.hash}.json", look)

    def verify(self) -> None:
        """Recompute the hash from the rows. IntegrityError if the file, its rows or its fields are not what they were.

        A snapshot elsewhere is fetched once more for it.
        """
        self._fetched()

    def _verify(self, path: Path) -> None:
        try:
            found = file_hash(path, self.manifest["columns"], id=self.id, structure=self.structure)
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable(path, error) from error
        if found != self.hash:
            told = f"its rows hash to {found[:12]}…" if found else "columns are missing, or of other kinds"
            raise IntegrityError(f"snapshot {self.hash} in {self.place} was changed: {told}; {_WAY_OUT}")

    def _same_bytes(self, path: Path) -> bool:
        """Whether a file is the very one that was written; one that was written by other means may still hold the rows."""
        told = self.manifest.get("parquet")
        try:
            return told is not None and path.stat().st_size == told["bytes"] and _bytes_of(path) == told
        except (OSError, KeyError, TypeError):
            return False

    def _unreadable(self, path: Path, error: Exception) -> IntegrityError:
        where = path if self.place.local is not None else f"{self.place}/{path.name}"
        return IntegrityError(f"{where} cannot be read ({error}); {_WAY_OUT}")

    def pulls(self) -> Iterator[dict[str, Any]]:
        """The manifest, then once for each earlier pull of the same rows a manifest that is led by it."""
        own = {key: self.manifest[key] for key in OWN if key in self.manifest}
        yield dict(self.manifest)
        for pull in self.manifest["earlier"]:
            yield {**pull, **own}

    def _places(self, ids: Sequence[str] | NDArray[np.str_]) -> NDArray[np.int64]:
        """Ascending positions of ids, each once."""
        wanted = np.unique(np.array([str(i) for i in ids], dtype=np.str_))
        places = np.searchsorted(self.ids, wanted).astype(np.int64)
        known = np.array([p < len(self) and self.ids[p] == i for p, i in zip(places, wanted, strict=True)], dtype=bool)
        if not known.all():
            raise unknown_ids(f"snapshot {self.hash[:12]}", wanted[~known].tolist(), self.ids)
        return places

    def __repr__(self) -> str:
        origin = self.manifest.get("source") or self.manifest.get("kind") or ""
        when = self.manifest.get("retrieved_at")
        tail = "".join(f", {word}" for word in (origin, f"retrieved {when}" if when else "") if word)
        return f"Snapshot({self.hash[:12]}, {len(self):,} rows, {len(self.columns)} columns{tail})"


def stored(place: Place) -> Iterator[Snapshot]:
    """The snapshots of a place, in the order of their hashes. IntegrityError for a manifest that does not belong."""
    names = place.names()
    whole = {name.removesuffix(".parquet") for name in names if name.endswith(".parquet")}
    hashes = [h for name in names if name.endswith(".json") and (h := name[:-5]) in whole and _HASH.fullmatch(h)]
    bodies = place.read_all([f"{hash}.json" for hash in hashes])
    for hash in hashes:
        if f"{hash}.json" in bodies:
            yield Snapshot._of(hash, place, bodies[f"{hash}.json"])


def _bytes_of(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "bytes": path.stat().st_size}


def _intact(digest: str, place: Place) -> Snapshot | None:
    """The snapshot if it is already there, whole; what a crash or a hand left broken is written again."""
    try:
        snapshot = Snapshot.open(digest, place)
        snapshot.verify()
    except IntegrityError:
        return None
    return snapshot
