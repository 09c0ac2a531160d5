"""The hash of canonical rows, of a table in memory or of columns that are read part by part."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from discover.candidates.rows.canonical import FORMAT, LISTS, kind_of

if TYPE_CHECKING:
    from hashlib import _Hash

Parts = Callable[[], Iterable[pa.Array]]
"""A column part by part, as often as it is asked for."""
_PART = 131_072
"""Rows of a column in memory that are looked at together."""


def table_hash(table: pa.Table, *, id: str, structure: str | None = None) -> str:
    """SHA-256 (64 hex digits) over rows and fields of a canonical table; no file format enters."""
    kinds = {name: kind_of(table[name]) for name in table.column_names}

    def parts(name: str) -> Iterable[pa.Array]:
        for chunk in table[name].chunks:
            yield from (chunk.slice(start, _PART) for start in range(0, len(chunk), _PART))

    return rows_hash(kinds, parts, rows=table.num_rows, id=id, structure=structure)


def rows_hash(
    kinds: Mapping[str, str],
    parts: Callable[[str], Iterable[pa.Array]],
    *,
    rows: int,
    id: str,
    structure: str | None = None,
    full: Collection[str] = (),
) -> str:
    """The same from the kind of every column, and the column of a name part by part; `full` have a value in every row.

    Never more than a part of a column is looked at, unless its cells are lists.
    """
    names = sorted(kinds)
    told = [[name, kinds[name]] for name in names]
    header = {"format": FORMAT, "id": id, "structure": structure, "rows": rows, "columns": told}
    digest = hashlib.sha256(json.dumps(header, sort_keys=True, ensure_ascii=False).encode())
    for name in names:
        _add(digest, partial(parts, name), kinds[name], rows, name in full)
    return digest.hexdigest()


def _add(digest: _Hash, parts: Parts, kind: str, rows: int, full: bool = False) -> None:
    """What of a canonical column enters its hash: which rows have a value, and the values."""
    digest.update(np.packbits(np.ones(rows, dtype=bool) if full else _joined(parts, rows, _is_valid)).data)
    if kind == "empty" or not rows:
        return
    if kind in LISTS.values():
        whole = pa.concat_arrays([part.cast(pa.large_list(part.type.value_type)) for part in parts()])
        digest.update(pc.fill_null(pc.list_value_length(whole), 0).to_numpy(zero_copy_only=False).astype("<i8").data)
        flat = whole.flatten()
        _add(digest, lambda: [flat], kind[:-1], len(flat))
    elif kind == "text":
        for part in parts():
            lengths = pc.fill_null(pc.binary_length(part), 0).to_numpy(zero_copy_only=False)
            digest.update(np.ascontiguousarray(lengths.astype("<i8")).data)
        for part in parts():
            digest.update(_bytes_of(part))
    elif kind == "flag":
        digest.update(np.packbits(_joined(parts, rows, _is_true)).data)
    else:
        dtype = "<i8" if kind == "integer" else "<f8"
        for part in parts():
            numbers = pc.fill_null(part, 0).to_numpy(zero_copy_only=False).astype(dtype, copy=False)
            digest.update(np.ascontiguousarray(numbers).data)


def _joined(parts: Parts, rows: int, look: Callable[[pa.Array], np.ndarray]) -> np.ndarray:
    """Booleans [rows] of a whole column."""
    found, done = np.empty(rows, dtype=bool), 0
    for part in parts():
        found[done : done + len(part)] = look(part)
        done += len(part)
    return found


def _is_valid(part: pa.Array) -> np.ndarray:
    valid: np.ndarray = part.is_valid().to_numpy(zero_copy_only=False)
    return valid


def _is_true(part: pa.Array) -> np.ndarray:
    true: np.ndarray = pc.fill_null(part, False).to_numpy(zero_copy_only=False)
    return true


def _bytes_of(part: pa.Array) -> bytes | memoryview:
    """The cells of a column of text, one after the other, as UTF-8."""
    cells = pc.fill_null(part, "").cast(pa.large_string())
    _, offsets, data = cells.buffers()
    if not len(cells) or data is None:
        return b""
    ends = np.frombuffer(offsets, dtype=np.int64)[cells.offset : cells.offset + len(cells) + 1]
    return memoryview(data)[int(ends[0]) : int(ends[-1])]


def sha256_of(path: Path) -> str:
    """Of a file's bytes, which are never in memory together."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
