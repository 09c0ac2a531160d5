"""A pull of candidates, frozen: Parquet named by the hash of its content, with a manifest beside it.

The rows say what was pulled; the manifest says when, from where, by what query and under which licence. The same rows
pulled again are the same file: the manifest then leads with the newest provenance and keeps the others under `earlier`.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from discover.candidates.canonical import FORMAT, canonical_table, kind_of, table_hash
from discover.candidates.difference import Difference, difference
from discover.errors import IntegrityError, InvalidInput, Problem, UnknownCandidate, nearest

__all__ = ["Difference", "Snapshot", "difference", "to_frame", "unknown_ids"]

OWN = ("format", "hash", "rows", "id", "structure", "columns", "earlier")
"""Manifest keys that the snapshot itself writes; all others are provenance."""
_SECRETS = ("api_key", "apikey", "x-api-key", "authorization", "password", "token")
_GROUP = 1024
"""Rows of a row group: one structure is read without its 4,000 neighbours."""


@dataclass(frozen=True)
class Snapshot:
    """An immutable table of candidates with its provenance: `<folder>/<hash>.parquet` and `<hash>.json`."""

    hash: str
    folder: Path
    manifest: Mapping[str, Any]

    @classmethod
    def write(
        cls,
        frame: pd.DataFrame,
        folder: Path | str,
        *,
        id: str,
        provenance: Mapping[str, Any],
        structure: str | None = None,
    ) -> Snapshot:
        """Freeze a frame. Structures may be pymatgen's, their `as_dict()` or JSON text; ids become text.

        provenance: JSON, for the manifest only (`retrieved_at` as ISO 8601 orders snapshots); the hash does not know it.
        InvalidInput collects every cell that cannot be stored and every missing or doubled id.
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
        folder: Path | str,
        *,
        id: str,
        provenance: Mapping[str, Any],
        structure: str | None = None,
    ) -> Snapshot:
        """`write` for a canonical table."""
        folder = Path(folder)
        body = _checked_provenance(provenance)
        digest = table_hash(table, id=id, structure=structure)
        columns = {name: kind_of(table[name]) for name in table.column_names}
        own = {
            "format": FORMAT,
            "hash": digest,
            "rows": table.num_rows,
            "id": id,
            "structure": structure,
            "columns": columns,
        }
        strange = [
            Problem("the snapshot writes this key itself", column=k, value=v)
            for k, v in body.items()
            if k in OWN and own.get(k) != v
        ]
        if strange:
            raise InvalidInput("provenance", strange)
        folder.mkdir(parents=True, exist_ok=True)
        kept = _intact(digest, folder)
        if kept is None:
            dictionary = [
                name for name, kind in columns.items() if name not in (id, structure) and kind in ("text", "texts")
            ]
            with _replacing(folder / f"{digest}.parquet") as path:
                pq.write_table(
                    table,
                    path,
                    compression="zstd",
                    compression_level=12,
                    row_group_size=_GROUP,
                    use_dictionary=dictionary,
                )
        manifest = {**body, **own, "earlier": _earlier(kept, body)}
        if kept is None or dict(kept.manifest) != manifest:
            with _replacing(folder / f"{digest}.json") as path:
                path.write_text(
                    json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n",
                    encoding="utf-8",
                )
        return cls(digest, folder, manifest)

    @classmethod
    def open(cls, hash: str, folder: Path | str) -> Snapshot:
        """The snapshot of that hash. IntegrityError if it is absent or its manifest does not belong to it; rows are not read."""
        folder = Path(folder)
        path = folder / f"{hash}.json"
        if not path.is_file() or not (folder / f"{hash}.parquet").is_file():
            way_out = "restore the files from a backup, or save or pull the same candidates once more"
            raise IntegrityError(f"no snapshot {hash} in {folder}: it needs {hash}.parquet and {hash}.json; {way_out}")
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise IntegrityError(f"the manifest {path} is not JSON ({error}); restore it, or pull again") from error
        if not isinstance(manifest, dict) or manifest.get("hash") != hash or not set(OWN) <= set(manifest):
            raise IntegrityError(f"the manifest {path} is not that of snapshot {hash}; restore it, or pull again")
        if manifest["format"] != FORMAT:
            raise IntegrityError(f"snapshot {hash} has format {manifest['format']!r}, this version reads {FORMAT!r}")
        return cls(hash, folder, manifest)

    @classmethod
    def newest(cls, folder: Path | str, match: Mapping[str, Any] | None = None) -> Snapshot | None:
        """The snapshot that was retrieved last among those whose provenance equals `match` on its keys; None without one.

        Where an earlier pull of the same rows matches, the snapshot's manifest is led by that pull.
        """
        best: tuple[datetime, str, Snapshot] | None = None
        for path in sorted(Path(folder).glob("*.json")):
            if not path.with_suffix(".parquet").is_file():
                continue
            snapshot = cls.open(path.stem, path.parent)
            for pull in snapshot._pulls():
                if any(key not in pull or pull[key] != value for key, value in (match or {}).items()):
                    continue
                rank = (_time(pull.get("retrieved_at")), snapshot.hash, cls(snapshot.hash, snapshot.folder, pull))
                if best is None or rank[:2] > best[:2]:
                    best = rank
        return best[2] if best else None

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

    @property
    def path(self) -> Path:
        """The Parquet file."""
        return self.folder / f"{self.hash}.parquet"

    @cached_property
    def ids(self) -> NDArray[np.str_]:
        """[N] ids as text, ascending: row i of the snapshot has ids[i]."""
        ids = np.array(self.table([self.id])[self.id].to_pylist(), dtype=np.str_)
        ids.flags.writeable = False
        return ids

    def __len__(self) -> int:
        return int(self.manifest["rows"])

    def table(
        self, columns: Sequence[str] | None = None, ids: Sequence[str] | NDArray[np.str_] | None = None
    ) -> pa.Table:
        """Arrow table of some columns (default: all but the structure) and rows, in ascending order of id."""
        names = [name for name in self.columns if name != self.structure] if columns is None else list(columns)
        problems = [
            Problem("the snapshot has no such column", column=n, way_out=nearest(n, self.columns))
            for n in names
            if n not in self.columns
        ]
        if problems:
            raise InvalidInput(f"snapshot {self.hash[:12]}", problems)
        places = None if ids is None else self._places(ids)
        try:
            if places is None:
                return pq.read_table(self.path, columns=names).combine_chunks()
            return self._pick(names, places)
        except (pa.ArrowException, OSError) as error:
            raise IntegrityError(f"{self.path} cannot be read ({error}); restore it, or pull again") from error

    def _pick(self, names: list[str], places: NDArray[np.int64]) -> pa.Table:
        """Rows at ascending positions, read from only the row groups that hold them."""
        with pq.ParquetFile(self.path) as file:
            sizes = [file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)]
            starts = np.cumsum([0, *sizes])
            group = np.searchsorted(starts, places, side="right") - 1
            groups = np.unique(group)
            read = file.read_row_groups(groups.tolist(), columns=names)
        before = np.cumsum([0, *(sizes[one] for one in groups)])[:-1]
        inside = places - starts[group] + before[np.searchsorted(groups, group)]
        return read.take(pa.array(inside, type=pa.int64())).combine_chunks()

    def frame(
        self, columns: Sequence[str] | None = None, ids: Sequence[str] | NDArray[np.str_] | None = None
    ) -> pd.DataFrame:
        """DataFrame [rows, columns] (default: all but the structure), read from only the Parquet columns asked for.

        Rows in ascending order of id, whatever the order of `ids`; UnknownCandidate for an id that is not there. Lists
        are Python lists; integers and flags with missing values are pandas' nullable `Int64` and `boolean`.
        """
        return to_frame(self.table(columns, ids))

    def verify(self) -> None:
        """Recompute the hash from the rows. IntegrityError if the file, its rows or its fields are not what they were."""
        table = self.table(self.columns)
        missing = set(self.columns) - set(table.column_names)
        found = "" if missing else table_hash(table, id=self.id, structure=self.structure)
        if found != self.hash:
            told = f"its rows hash to {found[:12]}…" if found else f"columns are missing: {', '.join(sorted(missing))}"
            raise IntegrityError(
                f"snapshot {self.hash} in {self.folder} was changed: {told}; restore it, or pull again"
            )

    def _pulls(self) -> Iterator[dict[str, Any]]:
        own = {key: self.manifest[key] for key in OWN}
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


def unknown_ids(where: str, unknown: Sequence[str], ids: NDArray[np.str_]) -> UnknownCandidate:
    """The error for ids that are not among the ascending `ids`: each with the nearest one, sought nearby in large pools."""
    told = []
    for name in unknown[:5]:
        spot = int(np.searchsorted(ids, name))
        choices = ids if len(ids) <= 20_000 else ids[max(0, spot - 100) : spot + 100]
        close = difflib.get_close_matches(name, choices.tolist(), n=1)
        told.append(f"{name!r}" + (f" (did you mean {close[0]!r}?)" if close else ""))
    more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
    example = f"; ids look like {str(ids[0])!r}" if len(ids) else ""
    return UnknownCandidate(f"{where} has no {', '.join(told)}{more}{example}")


def to_frame(table: pa.Table) -> pd.DataFrame:
    """A canonical table as a DataFrame that `canonical_table` turns into the same table again."""
    series = {}
    for name in table.column_names:
        column = table[name]
        if pa.types.is_large_list(column.type) or pa.types.is_list(column.type):
            series[name] = pd.Series(column.to_pylist(), dtype=object)
        elif column.null_count and pa.types.is_integer(column.type):
            series[name] = pd.Series(column.to_pylist(), dtype="Int64")
        elif column.null_count and pa.types.is_boolean(column.type):
            series[name] = pd.Series(column.to_pylist(), dtype="boolean")
        else:
            series[name] = column.to_pandas()
    return pd.DataFrame(series, columns=table.column_names, index=pd.RangeIndex(table.num_rows))


def _checked_provenance(provenance: Mapping[str, Any]) -> dict[str, Any]:
    try:
        body = json.loads(json.dumps(dict(provenance), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InvalidInput("provenance", [Problem(f"must be JSON: {error}")]) from error
    secrets = [
        name for name in _names(body) if name.lower().replace(" ", "_") in _SECRETS or name.upper().endswith("API_KEY")
    ]
    if secrets:
        raise InvalidInput("provenance", [Problem("a manifest never holds a key", column=name) for name in secrets])
    return body


def _names(body: Any) -> Iterator[str]:
    if isinstance(body, dict):
        for name, inner in body.items():
            yield name
            yield from _names(inner)
    elif isinstance(body, list):
        for inner in body:
            yield from _names(inner)


def _intact(digest: str, folder: Path) -> Snapshot | None:
    """The snapshot if it is already there, whole; what a crash or a hand left broken is written again."""
    try:
        snapshot = Snapshot.open(digest, folder)
        snapshot.verify()
    except IntegrityError:
        return None
    return snapshot


def _earlier(kept: Snapshot | None, body: Mapping[str, Any]) -> list[dict[str, Any]]:
    if kept is None:
        return []
    before = [{key: value for key, value in kept.manifest.items() if key not in OWN}, *kept.manifest["earlier"]]
    provenance = {key: value for key, value in body.items() if key not in OWN}
    return [pull for i, pull in enumerate(before) if pull != provenance and pull not in before[:i]]


def _time(text: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return datetime.min.replace(tzinfo=UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class _replacing:
    """A path to write to; on success it takes the place of `target` in one step, on disk for good."""

    def __init__(self, target: Path):
        self.target = target
        self.path = target.with_name(f".{target.name}.{os.getpid()}.new")

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.path.unlink(missing_ok=True)
            return
        with self.path.open("rb+") as file:
            os.fsync(file.fileno())
        self.path.replace(self.target)
        if os.name == "posix":
            descriptor = os.open(self.target.parent, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
