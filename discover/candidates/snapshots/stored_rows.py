"""Rows of a large snapshot that stay on disk: columns and row groups are read when somebody asks for them.

A `StoredRows` answers what a pool asks of an Arrow table. Whoever asks for a column has that column in memory, whoever asks for
rows the row groups that hold them, and nobody all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from discover import sizes
from discover.candidates.rows.hashing import sha256_of
from discover.candidates.rows.parquet import column_parts, file_hash, full_columns, opened
from discover.candidates.snapshots.place import Place
from discover.candidates.snapshots.snapshot import Snapshot
from discover.candidates.snapshots.streaming import without_columns
from discover.drafts import draft_of
from discover.stamps import note, sound, told_of
from discover.values import IntArray


@dataclass(frozen=True)
class StoredRows:
    """Rows of a snapshot in some columns, the id first, in ascending order of id."""

    snapshot: Snapshot
    column_names: tuple[str, ...]

    @classmethod
    def of(cls, snapshot: Snapshot, names: Sequence[str]) -> StoredRows | None:
        """For a snapshot that is too large for memory; None for another one, and for one with structures."""
        large = sizes.large(len(snapshot), len(snapshot.columns)) and snapshot.structure is None
        return cls(snapshot, tuple(names)) if large else None

    @property
    def num_rows(self) -> int:
        """How many rows there are."""
        return len(self.snapshot)

    @property
    def whole(self) -> bool:
        """Whether these are all columns of the snapshot."""
        return set(self.column_names) == set(self.snapshot.columns)

    def __getitem__(self, name: str) -> pa.ChunkedArray:
        return self.snapshot.table([name])[name]

    def kind(self, name: str) -> str:
        """The kind of a column; nothing of it is read."""
        return str(self.snapshot.manifest["columns"][name])

    @cached_property
    def full(self) -> frozenset[str]:
        """Columns of which the file itself says that no cell is empty."""
        return full_columns(self.snapshot.metadata)

    def select(self, names: Sequence[str]) -> StoredRows:
        """The same rows in some columns."""
        return StoredRows(self.snapshot, tuple(names))

    def take(self, places: pa.Array) -> pa.Table:
        """Rows at some positions, in their order."""
        wanted: IntArray = places.to_numpy(zero_copy_only=False).astype(np.int64)
        found, back = np.unique(wanted, return_inverse=True)
        table = self.snapshot.rows_at(list(self.column_names), found)
        return table if np.array_equal(found, wanted) else table.take(pa.array(back))

    def table(self) -> pa.Table:
        """All of it, in memory."""
        return self.snapshot.table(list(self.column_names))

    @cached_property
    def hash(self) -> str:
        """Of these columns; every one of them is read, part by part."""
        kinds = {name: self.kind(name) for name in self.column_names}
        return file_hash(self.snapshot.path, kinds, id=self.snapshot.id)

    def saved(self, folder: Place) -> Snapshot:
        """These rows as a snapshot in a place, with the provenance of their own but for columns that are left out."""
        provenance = self.snapshot.origin
        if self.whole:
            return self.snapshot.copied(folder)
        parent = {"hash": self.snapshot.hash, "rows": len(self.snapshot)}
        return without_columns(self.snapshot, self.column_names, folder, {**provenance, "parent": parent})


def mapped_ids(snapshot: Snapshot, cache: Path) -> NDArray[np.str_]:
    """[N] ids as text, ascending, in a file of the folder that is mapped into memory: written once for a snapshot.

    A file that is not what was written is written again.
    """
    path = cache / f"ids-{snapshot.hash}.npy"
    noted = path.with_suffix(".json")
    if not sound(path, noted, lambda: path.is_file() and told_of(noted).get("sha256") == sha256_of(path)):
        _write_ids(snapshot, path)
        note(noted, {"sha256": sha256_of(path)}, {})
    ids: NDArray[np.str_] = np.load(path, mmap_mode="r")
    return ids


def _write_ids(snapshot: Snapshot, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = draft_of(path)
    with opened(snapshot.path, snapshot.metadata) as file:
        width = max(int(pc.max(pc.utf8_length(part)).as_py()) for part in column_parts(file, snapshot.id))
        ids, start = np.lib.format.open_memmap(fresh, "w+", np.dtype(f"<U{width}"), (len(snapshot),)), 0
        for part in column_parts(file, snapshot.id):
            ids[start : start + len(part)] = np.array(part.to_pylist(), dtype=np.str_)
            start += len(part)
    ids.flush()
    fresh.replace(path)
