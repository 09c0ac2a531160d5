"""What can be tried, listed: a finite, immutable pool of candidates keyed by stable ids."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from discover.candidates.pool.cells import cell_problems, reserved_names
from discover.candidates.pool.spec import PoolSpec, read_descriptors
from discover.candidates.rows.canonical import column_problems, read_frame, sorted_by_id
from discover.candidates.rows.frames import places_of, to_frame, unknown_ids
from discover.candidates.rows.hashing import table_hash
from discover.candidates.snapshots.place import Place
from discover.candidates.snapshots.snapshot import Snapshot
from discover.candidates.snapshots.stored_rows import StoredRows, mapped_ids
from discover.candidates.snapshots.streaming import frozen
from discover.errors import InvalidInput, Problem
from discover.values import BoolArray, Candidate, IntArray

_PART = 131_072
"""Ids that are Python's own at one time."""


class CandidatePool:
    """Candidates in ascending order of id, with the roles of their columns.

    Rows live in memory as an Arrow table, but for the structures of a snapshot, which are read when they are needed, and for
    the rows of a snapshot with more than twenty million cells, which stay on disk (`discover.candidates.snapshots.stored_rows`).
    `rows`, `frame` and `candidate` count positions from 0 in the order of `ids`.
    """

    def __init__(
        self,
        spec: PoolSpec,
        table: pa.Table | StoredRows,
        structure: str | None,
        *,
        texts: pa.Array | None = None,
        snapshot: Snapshot | None = None,
        cache: Path | None = None,
    ):
        """Use `from_frame`, `from_snapshot` or `from_parquet`. table: canonical, without structures; these are `texts` or in
        `snapshot`."""
        problems = [*spec.problems(), *reserved_names(table.column_names), *cell_problems(table, spec, structure)]
        if not table.num_rows:
            problems.append(Problem("a pool needs at least one candidate"))
        if problems:
            raise InvalidInput("candidate pool", problems)
        self.spec = spec
        self._table = table
        self._structure = structure
        self._texts = texts
        self._snapshot = snapshot
        self._cache = cache

    @classmethod
    def from_frame(
        cls,
        df: pd.DataFrame,
        *,
        id: str,
        features: Sequence[str] = (),
        categorical: Sequence[str] = (),
        descriptors: Mapping[str, Any] | None = None,
        composition: str | None = None,
        structure: str | None = None,
        made_from: Mapping[str, str] | None = None,
        substances: Mapping[str, str | Mapping[str, str]] | None = None,
    ) -> CandidatePool:
        """A pool from a frame with one row a candidate.

        features: numeric columns. categorical: columns of names, one-hot, or described by `descriptors`
        ({"solvent": frame}, indexed by category). composition, structure: columns with formulas and with structures
        (pymatgen's, their `as_dict()` or JSON text) that features are made from; made_from: the same for other kinds
        of featurizers, {kind: column}. substances: categorical columns whose categories are molecules,
        {"ligand": {"PPh3": SMILES}} or {"ligand": "column of SMILES"}; an empty SMILES is no molecule. Further columns are
        kept and shown. InvalidInput collects every problem with its row's label, column and value.
        """
        given = {"features": features, "categorical": categorical}
        bare = [
            Problem("give a list of columns, not a text", column=name, value=value, way_out=f"{name}=[{value!r}]")
            for name, value in given.items()
            if isinstance(value, str)
        ]
        if bare:
            raise InvalidInput("candidate pool", bare)
        made = {kind: column for kind, column in {"composition": composition, "structure": structure}.items() if column}
        spec = PoolSpec(
            id, tuple(features), tuple(categorical), read_descriptors(descriptors), {**made, **(made_from or {})},
            dict(substances or {}),
        )  # fmt: skip
        problems = column_problems(df, [id, *spec.used])
        if not problems:
            table, problems = read_frame(df, id=id, structure=structure)
            wrong = {problem.column for problem in problems}
            problems += [
                *spec.problems(),
                *reserved_names(df.columns),
                *cell_problems(table, spec, structure, df.index, skip=wrong),
            ]
        if problems:
            raise InvalidInput("candidate pool", problems)
        table = sorted_by_id(table, id)
        texts = table[structure].combine_chunks() if structure else None
        plain = table.drop_columns([structure]) if structure else table
        return cls(spec, plain, structure, texts=texts)

    @classmethod
    def from_parquet(
        cls,
        path: Path | str,
        folder: Path | str,
        *,
        id: str,
        features: Sequence[str] = (),
        categorical: Sequence[str] = (),
        descriptors: Mapping[str, Any] | None = None,
        made_from: Mapping[str, str] | None = None,
        substances: Mapping[str, str | Mapping[str, str]] | None = None,
    ) -> CandidatePool:
        """A pool from a Parquet file of any size, read part by part; the roles of columns are those of `from_frame`.

        folder: where its rows are kept in canonical form, as a snapshot, and its ids; the same file is not read again while it
        does not change. InvalidInput collects what is wrong with the file.
        """
        spec = PoolSpec(
            id, tuple(features), tuple(categorical), read_descriptors(descriptors), dict(made_from or {}),
            dict(substances or {}),
        )  # fmt: skip
        snapshot = frozen(Path(path), Place(Path(folder)), id=id, needed=spec.used)
        return cls.from_snapshot(snapshot, spec, cache=Path(folder))

    @classmethod
    def from_snapshot(
        cls,
        snapshot: Snapshot,
        spec: PoolSpec,
        *,
        keep: BoolArray | None = None,
        drop: Sequence[str] = (),
        cache: Path | None = None,
    ) -> CandidatePool:
        """The rows of a snapshot where `keep` ([N], in the snapshot's order) is true, without the columns in `drop`.

        cache: a folder in which the ids of a large snapshot wait, mapped into memory.
        """
        known = set(snapshot.columns)
        missing = [name for name in dict.fromkeys([spec.id, *spec.used, *drop]) if name not in known]
        problems = [Problem("the snapshot has no such column", column=name) for name in missing]
        if spec.id != snapshot.id and spec.id in known:
            problems.append(Problem(f"the snapshot's id is {snapshot.id!r}", column=spec.id))
        problems += [Problem("is needed and cannot be dropped", column=n) for n in drop if n in (spec.id, *spec.used)]
        if keep is not None and (keep.dtype != np.bool_ or keep.shape != (len(snapshot),)):
            problems.append(Problem(f"keep must be {len(snapshot)} booleans, one a row of the snapshot"))
        if problems:
            raise InvalidInput("candidate pool", problems)
        names = [name for name in snapshot.columns if name != snapshot.structure and name not in drop]
        structure = None if snapshot.structure in drop else snapshot.structure
        all_rows = keep is None or bool(keep.all())
        if all_rows and (stored := StoredRows.of(snapshot, names)) is not None:
            return cls(spec, stored, structure, snapshot=snapshot, cache=cache)
        table = snapshot.table(names)
        if not all_rows:
            table = table.filter(pa.array(keep)).combine_chunks()
        return cls(spec, table, structure, snapshot=snapshot)

    @property
    def id(self) -> str:
        """Name of the id column."""
        return self.spec.id

    @cached_property
    def ids(self) -> NDArray[np.str_]:
        """[N] ids as text, ascending."""
        if isinstance(self._table, StoredRows) and self._cache is not None:
            return mapped_ids(self._table.snapshot, self._cache)
        column = self._table[self.id]
        parts = [column.slice(start, _PART) for start in range(0, len(column), _PART)]
        ids = np.concatenate([np.array(part.to_pylist(), dtype=np.str_) for part in parts])
        ids.flags.writeable = False
        return ids

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns but the id and the structures."""
        return tuple(name for name in self._table.column_names if name != self.id)

    @property
    def structure(self) -> str | None:
        """Name of the column of structures, or None. Features need not be made from it."""
        return self._structure

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Where the rows come from: the manifest of the snapshot, or {} for a frame."""
        return self._snapshot.manifest if self._snapshot else {}

    @cached_property
    def hash(self) -> str:
        """SHA-256 over the rows and columns; that of the snapshot which `save` writes."""
        if self._snapshot and self._whole():
            return self._snapshot.hash
        if isinstance(self._table, StoredRows):
            return self._table.hash
        return table_hash(self._full(), id=self.id, structure=self._structure)

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __contains__(self, candidate: object) -> bool:
        wanted = np.array([str(candidate)])
        return bool((self.ids[places_of(self.ids, wanted)] == wanted)[0])

    def rows(self, ids: Sequence[str] | NDArray[np.str_] | pd.Series) -> IntArray:
        """Positions [n] of ids, in their order. UnknownCandidate names those the pool does not hold, and the nearest."""
        wanted = np.array([str(i) for i in ids], dtype=np.str_)
        places = places_of(self.ids, wanted)
        unknown = list(dict.fromkeys(wanted[self.ids[places] != wanted].tolist())) if len(wanted) else []
        if unknown:
            raise unknown_ids("the pool", unknown, self.ids)
        return places

    def frame(
        self,
        rows: IntArray | Sequence[int] | None = None,
        columns: Sequence[str] | None = None,
        *,
        structure: bool = False,
    ) -> pd.DataFrame:
        """DataFrame [n, 1 + columns], the id first, rows in the order asked for (default: all).

        The structures are there as canonical text where `columns` names them or `structure` is true.
        """
        names = list(self.columns) if columns is None else [name for name in columns if name != self.id]
        if structure and self._structure and self._structure not in names:
            names.append(self._structure)
        known = [*self.columns, *([self._structure] if self._structure else [])]
        missing = [
            Problem("the pool has no such column", column=n, way_out=f"columns: {', '.join(known)}")
            for n in names
            if n not in known
        ]
        if missing:
            raise InvalidInput("candidate pool", missing)
        places = None if rows is None else np.asarray(rows, dtype=np.int64)
        table = self._rows(places, [self.id, *(n for n in names if n != self._structure)])
        if self._structure in names:
            table = table.append_column(self._structure, self._structures(places))
        return to_frame(table.select([self.id, *names]))

    def candidate(self, row: int) -> Candidate:
        """The whole candidate at a position: its id, all of its columns and its structure, as JSON."""
        return self.candidates([row])[0]

    def candidates(self, rows: IntArray | Sequence[int]) -> list[Candidate]:
        """Whole candidates at some positions, read at once."""
        places = np.asarray(rows, dtype=np.int64)
        records = self._rows(places, self._table.column_names).to_pylist()
        if self._structure:
            for record, text in zip(records, self._structures(places).to_pylist(), strict=True):
                record[self._structure] = text
        return [Candidate(record[self.id], _version(record), record) for record in records]

    def column(self, name: str) -> pa.Array:
        """The canonical cells of one column, the id and the structures among them; of a large pool nothing else is read."""
        if name == self._structure:
            return self._structures(None)
        column = self._table[name]
        return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column

    def table(self) -> pa.Table:
        """All rows with their structures, as the canonical table that `save` writes."""
        return self._full()

    def save(self, folder: Place | Path | str) -> Snapshot:
        """The pool as a snapshot in a folder or another place, with the same hash; `from_snapshot(it, pool.spec)` is this pool again."""
        if isinstance(self._table, StoredRows):
            return self._table.saved(Place.of(folder))
        provenance: dict[str, Any] = {"kind": "frame"}
        if self._snapshot:
            provenance = self._snapshot.origin
            if not self._whole():
                provenance["parent"] = {"hash": self._snapshot.hash, "rows": len(self._snapshot)}
        return Snapshot.from_table(self._full(), folder, id=self.id, structure=self._structure, provenance=provenance)

    def _whole(self) -> bool:
        """Whether the pool is all of its snapshot, rows and columns."""
        assert self._snapshot is not None
        columns = 1 + len(self.columns) + (self._structure is not None)
        return len(self) == len(self._snapshot) and columns == len(self._snapshot.columns)

    def _full(self) -> pa.Table:
        table = self._rows(None, self._table.column_names)
        return table.append_column(self._structure, self._structures(None)) if self._structure else table

    def _rows(self, places: IntArray | None, names: Sequence[str]) -> pa.Table:
        """Rows at some positions, or all, in some columns but the structures; in memory."""
        table = self._table.select(list(names))
        if places is not None:
            return table.take(pa.array(places))
        return table.table() if isinstance(table, StoredRows) else table

    def _structures(self, places: IntArray | None) -> pa.Array:
        """Canonical texts at some positions, or all; from memory or from the snapshot's file."""
        if self._texts is not None:
            return self._texts if places is None else self._texts.take(pa.array(places))
        assert self._snapshot is not None
        assert self._structure is not None
        if places is None and len(self) == len(self._snapshot):
            return self._snapshot.table([self._structure])[self._structure].combine_chunks()
        wanted = np.unique(places) if places is not None else np.arange(len(self))
        texts = self._snapshot.table([self._structure], self.ids[wanted])[self._structure].combine_chunks()
        return texts if places is None else texts.take(pa.array(np.searchsorted(wanted, places)))

    def __repr__(self) -> str:
        parts = [f"{len(self):,} candidates by {self.id!r}"]
        if self.spec.columns:
            parts.append(f"{len(self.spec.columns)} numeric features")
        if self.spec.categorical:
            parts.append(f"{len(self.spec.categorical)} categorical")
        parts += [f"{kind} from {column!r}" for kind, column in self.spec.made_from.items()]
        return f"CandidatePool({', '.join(parts)})"

    def _repr_html_(self) -> str:
        head = self.frame(np.arange(min(5, len(self))))
        more = f"<p>… and {len(self) - 5:,} more</p>" if len(self) > 5 else ""
        title = repr(self).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return f"<p><code>{title}</code></p>{head.to_html(index=False, max_cols=12)}{more}"


def _version(values: Mapping[str, Any]) -> str:
    """Content hash of one candidate (32 hex digits)."""
    text = json.dumps(values, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
