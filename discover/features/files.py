"""Tables of features on disk: written once, held to their hash whenever they are read, mapped into memory where they are large."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from discover import sizes
from discover.drafts import draft_of
from discover.errors import InvalidInput, Problem
from discover.stamps import note, sound, stamp_of, told_of
from discover.values import FeatureTable, FloatArray

ROWS = 16_384
"""Rows of a large table that are looked at together."""


def room_for(cache: Path | None, key: str, rows: int, columns: int) -> FloatArray:
    """Zeros [rows, columns] to be filled: in memory, or of a large table in a file of the folder that `finished` gives its name."""
    if cache is None or not sizes.large(rows, columns):
        return np.zeros((rows, columns))
    cache.mkdir(parents=True, exist_ok=True)
    path = draft_of(_path(cache, key))
    return np.lib.format.open_memmap(path, "w+", np.float64, (rows, columns))


def discarded(cache: Path | None, key: str, values: FloatArray) -> None:
    """Room that is not to be filled after all: of a large table its file goes."""
    if isinstance(values, np.memmap):
        draft_of(_path(cache, key)).unlink(missing_ok=True)


def finished(cache: Path | None, key: str, names: tuple[str, ...], values: FloatArray) -> FeatureTable:
    """What was filled as a table, stored in the folder if there is one. InvalidInput where a number is not finite."""
    try:
        table = table_of(names, values)
    except InvalidInput:
        discarded(cache, key, values)
        raise
    if cache is None:
        return table
    path = _path(cache, key)
    if mapped := isinstance(values, np.memmap):
        values.flush()
        draft_of(path).replace(path)
    else:
        cache.mkdir(parents=True, exist_ok=True)
        _write(path, lambda file: np.save(file, table.values))
    note(path.with_suffix(".json"), {"hash": table.hash, "names": list(names), "rows": len(table)}, stamp_of(path))
    return FeatureTable(names, np.load(path, mmap_mode="r"), table.hash) if mapped else table


def stored(cache: Path, key: str, names: tuple[str, ...], rows: int) -> FeatureTable | None:
    """The table of a key; None where there is none, or one that is not what its hash says.

    A table that is mapped from its file is not read for that while the file has not changed, see `discover.stamps`.
    """
    path = _path(cache, key)
    noted = path.with_suffix(".json")
    large = sizes.large(rows, len(names))
    try:
        values = np.load(path, allow_pickle=False, mmap_mode="r" if large else None)
    except (OSError, ValueError, EOFError):
        return None
    digest = told_of(noted).get("hash")
    if digest is None or values.dtype != np.float64 or values.shape != (rows, len(names)):
        return None

    def look() -> bool:
        try:
            return table_of(names, values).hash == digest
        except InvalidInput:
            return False

    whole = sound(path, noted, look) if large else look()
    return FeatureTable(names, values, digest) if whole else None


def table_of(names: tuple[str, ...], values: FloatArray) -> FeatureTable:
    """A table with its hash, in parts: no copy is made. InvalidInput where a number is not finite.

    Negative zeros become zeros, for they are the same number.
    """
    values = np.ascontiguousarray(values, dtype=np.float64) if not isinstance(values, np.memmap) else values
    digest = hashlib.sha256(json.dumps([list(names), list(values.shape)], ensure_ascii=False).encode())
    bad: set[int] = set()
    for start in range(0, len(values), ROWS):
        part = values[start : start + ROWS]
        if values.flags.writeable:
            part += 0.0
        bad |= set(np.flatnonzero(~np.isfinite(part).all(axis=0)).tolist())
        digest.update(np.ascontiguousarray(part + 0.0, dtype="<f8").data)
    if bad:
        columns = sorted({names[place] for place in bad})
        raise InvalidInput(
            "features", [Problem("a featurizer gave a number that is not finite", column=name) for name in columns]
        )
    values.flags.writeable = False
    return FeatureTable(names, values, digest.hexdigest())


def _path(cache: Path | None, key: str) -> Path:
    assert cache is not None
    return cache / f"features-{key}.npy"


def _write(target: Path, write: Callable[[Any], object]) -> None:
    """As a whole or not at all."""
    fresh = draft_of(target)
    with fresh.open("wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(target)
