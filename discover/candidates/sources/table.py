"""Candidates from a table on disk: CSV, Parquet or a spreadsheet."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from discover.candidates.rows.canonical import column_problems
from discover.candidates.rows.hashing import sha256_of
from discover.candidates.sheets.sheet import read_sheet
from discover.candidates.snapshots.place import Place
from discover.candidates.snapshots.snapshot import Snapshot
from discover.candidates.snapshots.streaming import freeze, is_large, reading, unreadable
from discover.candidates.sources.keeping import newest_of, snapshots
from discover.candidates.sources.query import matches
from discover.errors import InvalidInput, Problem
from discover.kinds import typed
from discover.stamps import stamp_of
from discover.values import Progress

SUFFIXES = (".csv", ".parquet", ".xlsx")


@dataclass(frozen=True)
@typed
class TableSource:
    """Candidates that stand in a file with one row each.

    file: .csv, .parquet or .xlsx (first sheet), relative to the campaign file. A .csv is UTF-8 with commas between the cells and
    decimal points, or with semicolons and either decimal mark, if no number in it may mean two; a row with more or fewer cells
    than its header is refused. id: its column of ids, read as text ("007" stays so). structure: its column of structures (JSON
    text), if it has one. query: only rows that match. A .parquet without structures may hold millions of rows: beyond twenty
    million cells it is read part by part, and its rows stay on disk.
    """

    file: str
    id: str
    query: dict[str, Any] = field(default_factory=dict)
    structure: str | None = None
    base: Path | None = field(default=None, repr=False, metadata={"internal": True})
    files: Path | None = field(default=None, repr=False, metadata={"internal": True})
    place: Place | None = field(default=None, repr=False, metadata={"internal": True})

    def located(self, base: Path, files: Path) -> TableSource:
        """The same source: `file` is sought from `base`, the snapshot is kept under `files`."""
        return replace(self, base=base, files=files)

    def placed(self, place: Place) -> TableSource:
        """The same source; snapshots are kept in a place of their own."""
        return replace(self, place=place)

    def header(self) -> tuple[str, ...]:
        """Names of the file's columns. InvalidInput if there is no such table, or if rows of a .csv do not fit its header."""
        path = (self.base or Path()) / self.file
        if problem := _no_table(path):
            raise InvalidInput(f"table {self.file}", [problem])
        return _header(path)

    def newest(self, fields: Sequence[str] = ()) -> Snapshot | None:
        """The snapshot of this file and query whose file was the newest one, or None."""
        same = {"kind": "table", "source": Path(self.file).name, "query": self.query}
        return newest_of(snapshots(self.files, self.place), same, by="file_modified")

    def pull(self, fields: Sequence[str] = (), *, refresh: bool = False, progress: Progress | None = None) -> Snapshot:
        """The file's rows that match the query, as they are now. InvalidInput collects what is wrong with the file."""
        path = (self.base or Path()) / self.file
        if problem := _no_table(path):
            raise InvalidInput("table", [problem])
        if self.structure is None and path.suffix.lower() == ".parquet" and is_large(path):
            return self._streamed(path, fields, progress)
        data, frame = read_table(path, id=self.id)
        needed = [self.id, *([self.structure] if self.structure else []), *fields]
        problems = column_problems(frame, needed)
        if problems:
            raise InvalidInput(f"table {self.file}", problems)
        kept = frame[matches(frame, self.query)] if self.query else frame
        if not len(kept):
            hint = f"widen the query; it was {self.query}" if self.query else "the table is empty"
            raise InvalidInput(f"table {self.file}", [Problem(f"none of {len(frame)} rows is left", way_out=hint)])
        provenance = self._origin(path, hashlib.sha256(data).hexdigest()) | {"rows_in_file": len(frame)}
        folder = snapshots(self.files, self.place)
        snapshot = Snapshot.write(kept, folder, id=self.id, structure=self.structure, provenance=provenance)
        if progress:
            progress(len(snapshot), len(snapshot))
        return snapshot

    def _streamed(self, path: Path, fields: Sequence[str], progress: Progress | None) -> Snapshot:
        """The same of a file that is too large for memory."""
        stamp, digest = stamp_of(path), sha256_of(path)
        fits = (lambda frame: matches(frame, self.query)) if self.query else None
        origin, folder = self._origin(path, digest), snapshots(self.files, self.place)
        with reading(path):
            return freeze(
                path, folder, id=self.id, provenance=origin, needed=fields, fits=fits, progress=progress, stamp=stamp
            )

    def _origin(self, path: Path, digest: str) -> dict[str, Any]:
        return {
            "kind": "table",
            "source": path.name,
            "file_sha256": digest,
            "file_modified": datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(),
            "query": self.query,
        }


def read_table(path: Path, *, id: str) -> tuple[bytes, pd.DataFrame]:
    """A file's bytes and its frame, ids as text. InvalidInput if it is absent, of another kind, or cannot be read.

    The index of a .csv or .xlsx holds the line of each row, so that a problem names the row as an editor counts it.
    """
    if problem := _no_table(path):
        raise InvalidInput("table", [problem])
    try:
        return path.read_bytes(), _frame(path, id)
    except (ValueError, OSError) as error:
        raise unreadable(path, error) from error


def _no_table(path: Path) -> Problem | None:
    """Why there is no table to be read at a path."""
    if path.suffix.lower() not in SUFFIXES:
        return Problem("not a table that can be read", value=path.name, way_out=f"give one of {', '.join(SUFFIXES)}")
    if not path.is_file():
        return Problem("no such file", value=str(path), way_out="paths are relative to the campaign file")
    if path.suffix.lower() == ".xlsx" and find_spec("openpyxl") is None:
        hint = "pip install openpyxl, or save it as .csv"
        return Problem("spreadsheets need openpyxl", value=path.name, way_out=hint)
    return None


def _header(path: Path) -> tuple[str, ...]:
    try:
        if path.suffix.lower() == ".parquet":
            return tuple(pq.read_schema(path).names)
        if path.suffix.lower() == ".xlsx":
            return tuple(map(str, _spreadsheet(path, nrows=0).columns))
    except (ValueError, OSError) as error:
        raise unreadable(path, error) from error
    return tuple(read_sheet(path).header)


def _frame(path: Path, id: str) -> pd.DataFrame:
    """The frame; only an empty cell is missing in ids and text, so that a ligand may be called `None` or `NA`."""
    if path.suffix.lower() == ".parquet":
        return pd.read_parquet(path)
    if path.suffix.lower() == ".xlsx":
        frame, text = _spreadsheet(path), _spreadsheet(path, dtype=str, keep_default_na=False)
        index = pd.Index(range(2, len(frame) + 2), dtype=object)
    else:
        frame, text, index = _read_csv(path, id)
    for name in frame.columns:
        meant = pd.api.types.infer_dtype(frame[name], skipna=True)
        if name == id or meant not in ("boolean", "integer", "floating", "mixed-integer-float", "empty"):
            frame[name] = text[name].where(text[name] != "", None)
    return frame.set_axis(index, axis=0)


def _spreadsheet(path: Path, **options: Any) -> pd.DataFrame:
    """The first sheet. ValueError or OSError if it cannot be read."""
    try:
        return pd.read_excel(path, **options)
    except (ValueError, OSError, MemoryError):
        raise
    except Exception as error:  # openpyxl lets out whatever a damaged file makes it stumble over
        raise ValueError(f"the workbook is damaged ({type(error).__name__}: {str(error)[:100]})") from error


def _read_csv(path: Path, id: str) -> tuple[pd.DataFrame, pd.DataFrame, pd.Index]:
    """The cells as what they look like, the same as text, and their lines in the file."""
    sheet = read_sheet(path)
    doubled = sorted({name for name in sheet.header if sheet.header.count(name) > 1})
    if doubled:
        raise InvalidInput(str(path), [Problem("two columns have this name", column=name) for name in doubled])
    plain = sheet.with_points(names=[id]).text()
    return (
        pd.read_csv(io.StringIO(plain)),
        pd.read_csv(io.StringIO(plain), dtype=str, keep_default_na=False),
        sheet.index,
    )
