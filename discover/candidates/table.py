"""Candidates from a table on disk: CSV, Parquet or a spreadsheet."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd

from discover.candidates.canonical import column_problems
from discover.candidates.query import matches
from discover.candidates.snapshot import Snapshot
from discover.errors import InvalidInput, Problem
from discover.protocols import Progress

SUFFIXES = (".csv", ".parquet", ".xlsx")


@dataclass(frozen=True)
class TableSource:
    """Candidates that stand in a file with one row each.

    file: .csv (UTF-8, commas), .parquet or .xlsx (first sheet), relative to the campaign file. id: its column of ids, read as
    text ("007" stays so). structure: its column of structures (JSON text), if it has one. query: only rows that match.
    """

    file: str
    id: str
    query: dict[str, Any] = field(default_factory=dict)
    structure: str | None = None
    base: Path | None = field(default=None, repr=False, metadata={"internal": True})
    files: Path | None = field(default=None, repr=False, metadata={"internal": True})

    def located(self, base: Path, files: Path) -> TableSource:
        """The same source: `file` is sought from `base`, the snapshot is kept under `files`."""
        return replace(self, base=base, files=files)

    def pull(self, fields: Sequence[str] = (), *, refresh: bool = False, progress: Progress | None = None) -> Snapshot:
        """The file's rows that match the query, as they are now. InvalidInput collects what is wrong with the file."""
        path = (self.base or Path()) / self.file
        data, frame = read_table(path, id=self.id)
        needed = [self.id, *([self.structure] if self.structure else []), *fields]
        problems = column_problems(frame, needed)
        if problems:
            raise InvalidInput(f"table {self.file}", problems)
        kept = frame[matches(frame, self.query)] if self.query else frame
        if not len(kept):
            hint = f"widen the query; it was {self.query}" if self.query else "the table is empty"
            raise InvalidInput(f"table {self.file}", [Problem(f"none of {len(frame)} rows is left", way_out=hint)])
        provenance = {
            "kind": "table",
            "source": path.name,
            "file_sha256": hashlib.sha256(data).hexdigest(),
            "query": self.query,
            "rows_in_file": len(frame),
        }
        folder = snapshots(self.files)
        snapshot = Snapshot.write(kept, folder, id=self.id, structure=self.structure, provenance=provenance)
        if progress:
            progress(len(snapshot), len(snapshot))
        return snapshot


def read_table(path: Path, *, id: str) -> tuple[bytes, pd.DataFrame]:
    """A file's bytes and its frame, ids as text. InvalidInput if it is absent, of another kind, or cannot be read."""
    problem = None
    if path.suffix.lower() not in SUFFIXES:
        problem = Problem("not a table that can be read", value=path.name, way_out=f"give one of {', '.join(SUFFIXES)}")
    elif not path.is_file():
        problem = Problem("no such file", value=str(path), way_out="paths are relative to the campaign file")
    elif path.suffix.lower() == ".xlsx" and find_spec("openpyxl") is None:
        problem = Problem(
            "spreadsheets need openpyxl", value=path.name, way_out="pip install openpyxl, or save it as .csv"
        )
    if problem:
        raise InvalidInput("table", [problem])
    try:
        return path.read_bytes(), _frame(path, id)
    except (ValueError, OSError, pd.errors.ParserError) as error:
        told = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InvalidInput("table", [Problem(f"cannot be read: {told}", value=path.name)]) from error


def snapshots(files: Path | None) -> Path:
    """Where a source keeps its snapshots. InvalidInput if it was not told."""
    if files is None:
        hint = "call source.located(base, files) first; a campaign file does so by itself"
        raise InvalidInput("candidate source", [Problem("there is no folder for snapshots yet", way_out=hint)])
    return files / "snapshots"


def _frame(path: Path, id: str) -> pd.DataFrame:
    """The frame; only an empty cell is missing in ids and text, so that a ligand may be called `None` or `NA`."""
    if path.suffix.lower() == ".parquet":
        return pd.read_parquet(path)
    frame, text = _read(path), _read(path, dtype=str, keep_default_na=False)
    for name in frame.columns:
        meant = pd.api.types.infer_dtype(frame[name], skipna=True)
        if name == id or meant not in ("boolean", "integer", "floating", "mixed-integer-float", "empty"):
            frame[name] = text[name].where(text[name] != "", None)
    return frame


def _read(path: Path, **options: Any) -> pd.DataFrame:
    if path.suffix.lower() == ".xlsx":
        return pd.read_excel(path, **options)
    return pd.read_csv(path, encoding="utf-8-sig", **options)
