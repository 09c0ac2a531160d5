"""Canonical rows in a Parquet file, read by row groups and by columns: never all of them at once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from discover.candidates.rows.canonical import kind_of_type
from discover.candidates.rows.hashing import rows_hash
from discover.values import IntArray

READ = 131_072
"""Rows that are read together."""


def opened(path: Path, metadata: pq.FileMetaData | None = None) -> pq.ParquetFile:
    """A file to be read in parts; what was read of it is not kept until the end, as pyarrow's own choice would have it."""
    return pq.ParquetFile(path, metadata=metadata, pre_buffer=False)


def column_parts(file: pq.ParquetFile, name: str) -> Iterator[pa.Array]:
    """One column, part by part."""
    for batch in file.iter_batches(READ, columns=[name]):
        yield batch.column(name)


def full_columns(metadata: pq.FileMetaData) -> frozenset[str]:
    """Columns of which the file itself says that no cell is empty."""
    empty: set[str] = set()
    for group in range(metadata.num_row_groups):
        told = metadata.row_group(group)
        for place in range(told.num_columns):
            column = told.column(place)
            known = column.statistics
            if known is None or not known.has_null_count or known.null_count:
                empty.add(column.path_in_schema)
    names = {metadata.schema.column(place).path for place in range(metadata.num_columns)}
    return frozenset(names - empty)


def file_hash(path: Path, kinds: Mapping[str, str], *, id: str, structure: str | None = None) -> str:
    """The hash of the rows of a file in the columns of `kinds`; "" where a column is not there, or not of its kind."""
    with opened(path) as file:
        schema = file.schema_arrow
        for name, kind in kinds.items():
            if name not in schema.names or (kind != "empty" and kind_of_type(schema.field(name).type) != kind):
                return ""
        full = full_columns(file.metadata)
        rows = file.metadata.num_rows
        return rows_hash(kinds, lambda name: column_parts(file, name), rows=rows, id=id, structure=structure, full=full)


def pick(file: pq.ParquetFile, names: Sequence[str], places: IntArray) -> pa.Table:
    """Rows at ascending positions, read from only the row groups that hold them, some groups at a time."""
    metadata = file.metadata
    sizes = np.array([metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)])
    ends = np.cumsum(sizes)
    group = np.searchsorted(ends, places, side="right")
    groups = np.unique(group)
    shares = np.cumsum(sizes[groups]) // READ  # groups whose rows are read together
    found = [file.schema_arrow.empty_table().select(list(names))]
    for share in np.unique(shares):
        some = groups[shares == share]
        mine = places[(group >= some[0]) & (group <= some[-1])]
        read = file.read_row_groups(some.tolist(), columns=list(names)).select(list(names))
        starts, before = ends - sizes, np.cumsum(sizes[some]) - sizes[some]
        place = np.searchsorted(ends, mine, side="right")
        inside = mine - starts[place] + before[np.searchsorted(some, place)]
        found.append(read.take(pa.array(inside, type=pa.int64())))
    return pa.concat_tables(found).combine_chunks()


def write_parts(tables: Iterable[pa.Table], path: Path, schema: pa.Schema, text: Collection[str], group: int) -> None:
    """Tables of one schema, one after the other, in row groups of `group` rows but for the last. text: columns with a dictionary."""
    options = {"compression": "zstd", "compression_level": 1, "use_dictionary": list(text)}
    with pq.ParquetWriter(path, schema, **options) as writer:
        for table in _regrouped(tables, group):
            writer.write_table(table, row_group_size=group)


def _regrouped(tables: Iterable[pa.Table], group: int) -> Iterator[pa.Table]:
    """The same rows in tables of a multiple of `group` rows but for the last."""
    left: list[pa.Table] = []
    for table in tables:
        left.append(table)
        rows = sum(one.num_rows for one in left)
        if rows >= group:
            joined, whole = pa.concat_tables(left), rows - rows % group
            yield joined.slice(0, whole)
            left = [joined.slice(whole)]
    if sum(one.num_rows for one in left):
        yield pa.concat_tables(left)
