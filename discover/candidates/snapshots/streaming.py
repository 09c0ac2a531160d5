"""A large Parquet file as a snapshot, part by part.

The file is looked at twice. First every cell is checked, and it is seen of which kind each column is and whether the ids ascend;
then the canonical rows are written. Of the ids, all are held at a time, as Arrow's text, which tells whether each stands once; of
everything else some thousand rows. Where the ids do not ascend, columns are brought into order one at a time, on disk.
The snapshot is the very one that the same rows in memory would be.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from discover import sizes
from discover.candidates.rows.canonical import ARROW, LISTS, SHOWN, column_array, column_problems, kind_of, read_frame
from discover.candidates.rows.parquet import READ, file_hash, opened, write_parts
from discover.candidates.snapshots.place import Place
from discover.candidates.snapshots.snapshot import Snapshot
from discover.errors import IntegrityError, InvalidInput, Problem
from discover.stamps import note, stamp_of, told_of, unchanged
from discover.values import BoolArray, IntArray, Progress

GROUP = 16_384
"""Rows of a row group: features are made from one at a time, and one candidate is read without more neighbours than that."""

Part = TypeVar("Part", pa.Table, pd.DataFrame)
Stamp = Mapping[str, int]
Fits = Callable[[pd.DataFrame], BoolArray]
"""Which rows of a frame are wanted."""


def is_large(path: Path) -> bool:
    """Whether a file is Parquet of more cells than are held in memory."""
    try:
        told = pq.read_metadata(path)
    except (pa.ArrowException, OSError):
        return False
    return sizes.large(told.num_rows, told.num_columns)


def freeze(
    path: Path,
    folder: Place,
    *,
    id: str,
    provenance: Mapping[str, Any],
    needed: Sequence[str] = (),
    fits: Fits | None = None,
    progress: Progress | None = None,
    stamp: Stamp | None = None,
) -> Snapshot:
    """The snapshot of a Parquet file, or of its rows that fit. InvalidInput collects what is wrong with the file.

    provenance: without `rows_in_file`. progress is called with rows looked at, of both times. stamp: of the file that is meant,
    see `discover.stamps`; nothing is made of one that is another, or is written to, before its last row is read.
    """
    stamp = stamp_of(path) if stamp is None else stamp
    with opened(path) as file:
        look = _Look(id, file.metadata.num_rows)
        problems = column_problems(file.schema_arrow.empty_table().to_pandas(), [id, *needed])
        for start, frame in () if problems else _frames(file, fits):
            look.at(frame)
            if progress:
                progress(start, 2 * look.rows_in_file)
        problems = problems or look.problems()
        if problems:
            raise InvalidInput(f"table {path.name}", problems)
        place, told = Place.of(folder), {**provenance, "rows_in_file": look.rows_in_file}
        with _scratch(place) as scratch:
            tables = look.in_file_order(file, fits) if look.order is None else look.in_order(file, fits, scratch)
            return written(_of_one(tables, path, stamp), look.kinds(), place, scratch, id=id, provenance=told)


def frozen(path: Path, folder: Place, *, id: str, needed: Sequence[str]) -> Snapshot:
    """`freeze`, or the snapshot that was made of the same file before, if the file has not changed since."""
    assert folder.local is not None
    if not path.is_file():
        raise InvalidInput("table", [Problem("no such file", value=str(path))])
    told = hashlib.sha256(json.dumps([str(path.resolve()), id]).encode()).hexdigest()[:32]
    noted = folder.local / f"frozen-{told}.json"
    if unchanged(path, noted):
        with suppress(IntegrityError):
            return Snapshot.open(str(told_of(noted).get("snapshot")), folder)
    stamp = stamp_of(path)
    with reading(path):
        provenance = {"kind": "table", "source": path.name}
        snapshot = freeze(path, folder, id=id, needed=needed, provenance=provenance, stamp=stamp)
    note(noted, {"snapshot": snapshot.hash}, stamp)
    return snapshot


def _of_one(parts: Iterable[Part], path: Path, stamp: Stamp) -> Iterator[Part]:
    """Parts of a file. InvalidInput at their end if the file is no longer the one with that stamp."""
    yield from parts
    if stamp_of(path) != stamp:
        problem = Problem("changed while it was read", value=path.name, way_out="once nobody writes to it, try again")
        raise InvalidInput("table", [problem])


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """InvalidInput where a file turns out to be damaged. Other errors, such as a full disk, stay what they are."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if getattr(error, "errno", None):
            raise
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> InvalidInput:
    """What is said of a file that cannot be read."""
    told = str(error).splitlines()[0] if str(error) else type(error).__name__
    return InvalidInput("table", [Problem(f"cannot be read: {told}", value=path.name)])


def written(
    tables: Iterator[pa.Table],
    kinds: Mapping[str, str],
    place: Place,
    scratch: Path,
    *,
    id: str,
    provenance: Mapping[str, Any],
) -> Snapshot:
    """The snapshot of canonical tables, one after the other in ascending order of id. scratch: a folder beside the place."""
    draft = scratch / "rows.parquet"
    text = [name for name, kind in kinds.items() if name != id and kind in ("text", "texts")]
    write_parts(tables, draft, _schema(kinds), text, GROUP)
    digest = file_hash(draft, kinds, id=id)
    rows = pq.read_metadata(draft).num_rows
    return Snapshot.put(
        place, draft.replace, hash=digest, kinds=kinds, rows=rows, id=id, structure=None, provenance=provenance
    )


def of_columns(
    columns: Iterable[tuple[str, pa.ChunkedArray]],
    folder: Place | Path | str,
    *,
    id: str,
    provenance: Mapping[str, Any],
) -> Snapshot:
    """The snapshot of canonical columns, the id first, in ascending order of id; each waits on disk for the others."""
    place, kinds, held = Place.of(folder), {}, {}
    with _scratch(place) as scratch:
        for number, (name, column) in enumerate(columns):
            kinds[name] = kind_of(column)
            held[name] = _on_disk(column, name, scratch / f"{number}.arrow")
        return written(_parts(held), kinds, place, scratch, id=id, provenance=provenance)


def without_columns(snapshot: Snapshot, names: Sequence[str], folder: Place, provenance: Mapping[str, Any]) -> Snapshot:
    """The snapshot of some columns of another one without structures, in another place or the same."""
    kept = [snapshot.id, *sorted(set(names) - {snapshot.id})]
    kinds = {name: snapshot.manifest["columns"][name] for name in kept}
    with opened(snapshot.path) as file, _scratch(folder) as scratch:
        parts = (pa.table({n: batch.column(n) for n in kept}) for batch in file.iter_batches(READ, columns=kept))
        return written(parts, kinds, folder, scratch, id=snapshot.id, provenance=provenance)


@contextmanager
def _scratch(place: Place) -> Iterator[Path]:
    """A temporary folder beside the files of a place, or beside their copies."""
    beside = place.copy("rows").parent
    beside.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".rows-", dir=beside) as folder:
        yield Path(folder)


def parts_of(path: Path, columns: Sequence[str], stamp: Stamp) -> Iterator[pd.DataFrame]:
    """Some columns of a Parquet file, part by part, labelled by their rows in the file. InvalidInput for what is not there, and
    where the file is not, or no longer, the one with that stamp."""
    with reading(path), opened(path) as file:
        problems = column_problems(file.schema_arrow.empty_table().to_pandas(), columns)
        if problems:
            raise InvalidInput(f"table {path.name}", problems)
        frames = (frame for _, frame in _frames(file, None, list(dict.fromkeys(columns))))
        yield from _of_one(frames, path, stamp)


def _frames(
    file: pq.ParquetFile, fits: Fits | None, columns: list[str] | None = None
) -> Iterator[tuple[int, pd.DataFrame]]:
    """Frames of rows that fit, in some columns, labelled by their rows in the file, and how many rows were looked at."""
    start = 0
    for batch in file.iter_batches(READ, columns=columns):
        frame = pa.Table.from_batches([batch]).to_pandas()
        frame.index = pd.RangeIndex(start, start + len(frame))
        start += len(frame)
        yield start, frame if fits is None else frame[fits(frame)]


@dataclass
class _Look:
    """What the first look finds. seen: kinds by column. ids, labels: of the rows that fit, part by part."""

    id: str
    rows_in_file: int
    seen: dict[str, set[str]] = field(default_factory=dict)
    found: list[Problem] = field(default_factory=list)
    ids: list[pa.Array] = field(default_factory=list)
    labels: list[IntArray] = field(default_factory=list)
    order: IntArray | None = None

    def at(self, frame: pd.DataFrame) -> None:
        """Look at some rows."""
        table, problems = read_frame(frame, id=self.id)
        self.found += problems
        self.labels.append(frame.index.to_numpy(dtype=np.int64))
        for name in table.column_names:
            self.seen.setdefault(name, set()).add(kind_of(table[name]))
        column = table[self.id].combine_chunks() if self.id in table.column_names else None
        if column is not None and not problems:
            self.ids.append(column.cast(pa.large_string()))

    def problems(self) -> list[Problem]:
        """Everything that is wrong, ids that stand twice among it; also finds the order of the rows."""
        if self.found:
            return _merged(self.found)
        ids = pa.chunked_array(self.ids, pa.large_string())
        if not len(ids):
            return [Problem(f"none of {self.rows_in_file} rows is left", way_out="widen the query, or fill the table")]
        if _ascend(ids):
            return []
        self.order = pc.sort_indices(ids).to_numpy().astype(np.int64)
        return self._doubled(ids.take(pa.array(self.order)), np.concatenate(self.labels)[self.order])

    def _doubled(self, ids: pa.ChunkedArray, labels: IntArray) -> list[Problem]:
        """ids, labels: in ascending order of id; of the same id in that of the file."""
        again = 1 + np.flatnonzero(pc.equal(ids.slice(1), ids.slice(0, len(ids) - 1)).to_numpy())
        found = [
            Problem(
                f"this id stands in row {labels[p - 1]} already", row=labels[p], column=self.id, value=ids[p].as_py()
            )
            for p in again[:SHOWN].tolist()
        ]
        if len(again) > SHOWN:
            message = f"ids that stand in an earlier row: {len(again) - SHOWN} further rows"
            found.append(Problem(message, column=self.id))
        return found

    def kinds(self) -> dict[str, str]:
        """The kind of each column, the id first, the others by name: what it would be, were it looked at as a whole."""
        names = [self.id, *sorted(set(self.seen) - {self.id})]
        return {name: _kind(self.seen[name]) for name in names}

    def in_file_order(self, file: pq.ParquetFile, fits: Fits | None) -> Iterator[pa.Table]:
        """Canonical tables of the rows as they stand."""
        kinds = self.kinds()
        for _, frame in _frames(file, fits):
            if len(frame):
                table, _ = read_frame(frame, id=self.id)
                yield pa.table({name: _as(table[name].combine_chunks(), kind) for name, kind in kinds.items()})

    def in_order(self, file: pq.ParquetFile, fits: Fits | None, scratch: Path) -> Iterator[pa.Table]:
        """Canonical tables of the rows in ascending order of id; columns wait on disk."""
        kinds, held = self.kinds(), {}
        for number, (name, kind) in enumerate(kinds.items()):
            held[name] = _on_disk(self._sorted_column(file, name, kind), name, scratch / f"{number}.arrow")
        yield from _parts(held)

    def _sorted_column(self, file: pq.ParquetFile, name: str, kind: str) -> pa.ChunkedArray:
        """One column in ascending order of id."""
        parts, start = [], 0
        labels = np.concatenate(self.labels)
        for batch in file.iter_batches(READ, columns=[name]):
            rows = labels[np.searchsorted(labels, start) : np.searchsorted(labels, start + len(batch))] - start
            series = pa.Table.from_batches([batch]).to_pandas()[name].iloc[rows]
            start += len(batch)
            array, _ = read_frame(series.to_frame(), id=name) if name == self.id else (column_array(series)[0], [])
            parts.append(_as(array[name].combine_chunks() if name == self.id else array, kind))
        return pa.chunked_array(parts).take(pa.array(self.order))


def _on_disk(column: pa.ChunkedArray, name: str, where: Path) -> pa.ChunkedArray:
    """The same column, mapped from a file."""
    table = pa.table({name: column})
    with pa.OSFile(str(where), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=READ)
    return pa.ipc.open_file(pa.memory_map(str(where))).read_all()[name]


def _parts(columns: Mapping[str, pa.ChunkedArray]) -> Iterator[pa.Table]:
    """Columns as tables of some thousand rows, one below the other."""
    whole = pa.table(dict(columns))
    for start in range(0, whole.num_rows, READ):
        yield whole.slice(start, READ)


def _ascend(ids: pa.ChunkedArray) -> bool:
    """Whether each id is greater than the one before it."""
    last = None
    for part in ids.chunks:
        if not len(part):
            continue
        if last is not None and not pc.less(last, part[0]).as_py():
            return False
        if not (pc.all(pc.less(part.slice(0, len(part) - 1), part.slice(1))).as_py() or len(part) < 2):
            return False
        last = part[len(part) - 1]
    return True


def _kind(seen: set[str]) -> str:
    """The kind of a column whose parts are of these kinds: what holds all of them."""
    some = seen - {"empty"}
    lists = some - {"texts"}
    some = lists if lists and "texts" in some else some  # lists without a member are called texts
    if some <= {"integer", "number"} and len(some) == 2:
        return "number"
    return "numbers" if some == {"integers", "numbers"} else min(some, default="empty")


def _as(array: pa.Array, kind: str) -> pa.Array:
    """A part of a column as one of the kind that the whole column is of."""
    wanted = _type(kind)
    if array.null_count == len(array) and array.type != wanted:
        return pa.nulls(len(array), wanted)
    return array if array.type == wanted else array.cast(wanted, safe=False)


def _type(kind: str) -> pa.DataType:
    inner = next((single for single, several in LISTS.items() if several == kind and single != "empty"), None)
    return ARROW[kind] if inner is None else pa.large_list(ARROW[inner])


def _schema(kinds: Mapping[str, str]) -> pa.Schema:
    return pa.schema([(name, _type(kind)) for name, kind in kinds.items()])


def _merged(problems: Sequence[Problem]) -> list[Problem]:
    """Problems of many parts of a file: of each sort in each column the first, and how many parts have more."""
    kept: dict[tuple[str, str | None], list[Problem]] = {}
    for problem in problems:
        kept.setdefault((problem.message.split(":")[0], problem.column), []).append(problem)
    found = []
    for (message, column), some in kept.items():
        found += some[:SHOWN]
        if len(some) > SHOWN:
            found.append(Problem(f"{message}, and so in further rows", column=column))
    return found
