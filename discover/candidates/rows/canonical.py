"""Frames to canonical Arrow tables.

Two frames that say the same have the same canonical table and hash (`discover.candidates.rows.hashing`), whatever the order of
their rows and columns and whichever dtype pandas happened to choose. A column is of one of these kinds:

==========  ==========================  =====================================================================
kind        stored as                   made from
==========  ==========================  =====================================================================
text        large_string                strings, categories, dates and times (as ISO 8601)
integer     int64                       integers of any width, nullable or not
number      float64                     floats of any width, decimals; NaN is a missing value, -0.0 is 0.0
flag        bool                        booleans, nullable or not
empty       float64                     a column without a single value
texts       list<large_string>          lists of the above; empty lists only are `texts`
integers    list<int64>
numbers     list<double>
flags       list<bool>
==========  ==========================  =====================================================================

An integer column in which pandas had to spell a missing value as NaN has become a `number`; a nullable `Int64` stays one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from discover.candidates.materials.structures import structure_text
from discover.errors import InvalidInput, Problem

FORMAT = "discover-snapshot/1"
SHOWN = 20
"""Problems of one sort in one column that are listed before the rest is only counted."""

LISTS = {"text": "texts", "integer": "integers", "number": "numbers", "flag": "flags", "empty": "texts"}
ARROW = {
    "text": pa.large_string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "flag": pa.bool_(),
    "empty": pa.float64(),
}


def canonical_table(frame: pd.DataFrame, *, id: str, structure: str | None = None) -> pa.Table:
    """The canonical table of a frame: rows sorted by id, id first, then the columns by name, the structure last.

    InvalidInput collects missing or doubled ids and cells that fit no kind, each with its row's label in the frame.
    """
    table, problems = read_frame(frame, id=id, structure=structure)
    if problems:
        raise InvalidInput("candidates", problems)
    return sorted_by_id(table, id)


def sorted_by_id(table: pa.Table, id: str) -> pa.Table:
    """The table in ascending order of id (of Unicode code points)."""
    return table.take(pc.sort_indices(table[id])).combine_chunks()


def read_frame(frame: pd.DataFrame, *, id: str, structure: str | None = None) -> tuple[pa.Table, list[Problem]]:
    """The columns in their canonical types and order, rows as they stand, and all that is wrong with them.

    A column with a problem is empty in the table; a frame without the needed columns gives an empty table.
    """
    problems = column_problems(frame, [id, *([structure] if structure else [])])
    if problems:
        return pa.table({}), problems
    names = sorted(str(name) for name in frame.columns if name not in (id, structure))
    arrays = {}
    for name in [id, *names, *([structure] if structure else [])]:
        read = _ids if name == id else _structures if name == structure else column_array
        arrays[name], found = read(frame[name])
        problems += found
    return pa.table(arrays), problems


def kind_of(column: pa.ChunkedArray | pa.Array) -> str:
    """The kind of a canonical column."""
    if not _is_list(column.type) and len(column) == column.null_count:
        return "empty"
    return kind_of_type(column.type)


def kind_of_type(type: pa.DataType) -> str:
    """The kind of a canonical column of some Arrow type that has a value."""
    return LISTS[_kind(type.value_type)] if _is_list(type) else _kind(type)


def column_problems(frame: pd.DataFrame, needed: Sequence[str]) -> list[Problem]:
    """Columns that are missing, doubled or without a name."""
    if not isinstance(frame, pd.DataFrame):
        return [Problem(f"a pandas DataFrame is needed, this is a {type(frame).__name__}")]
    columns = list(frame.columns)
    present = ", ".join(map(str, columns))
    problems = [
        Problem("no such column", column=name, way_out=f"the columns are: {present}")
        for name in dict.fromkeys(needed)
        if name not in columns
    ]
    problems += [
        Problem("column names must be text", value=name)
        for name in columns
        if not isinstance(name, str) or not name.strip()
    ]
    doubled = frame.columns[frame.columns.duplicated()].unique()
    return problems + [Problem("two columns have this name", column=str(name)) for name in doubled]


def listed(
    frame_index: Any, positions: Sequence[int] | np.ndarray, values: Any, message: str, column: str, way_out: str = ""
) -> list[Problem]:
    """One problem a row for the first few positions, and one that counts the others."""
    found = []
    for place in map(int, positions[:SHOWN]):
        value = values(place)
        value = value.item() if isinstance(value, np.generic) else value
        found.append(Problem(message, row=frame_index[place], column=column, value=value, way_out=way_out))
    if len(positions) > SHOWN:
        found.append(Problem(f"{message}: {len(positions) - SHOWN} further rows", column=column, way_out=way_out))
    return found


def _ids(series: pd.Series) -> tuple[pa.Array, list[Problem]]:
    name = str(series.name)
    array, problems = column_array(series)
    if problems:
        return array, problems
    kind = kind_of(array)
    if kind == "number":
        if problems := _inexact(array, series):
            return array, problems
        if array.cast(pa.int64(), safe=False).cast(pa.float64()).equals(array):
            array, kind = array.cast(pa.int64()), "integer"  # a spreadsheet's 7.0, or integers beside a missing one
    if kind == "integer":
        array, kind = pc.cast(array, pa.large_string()), "text"
    if kind not in ("text", "empty"):
        hint = "turn the column into text first"
        problems = [Problem(f"ids must be text or integers, these are of kind '{kind}'", column=name, way_out=hint)]
    if problems or _plainly_ids(array):
        return array, problems
    ids = pd.Series(array.to_pylist(), dtype=object, index=series.index)
    missing = ids.isna().to_numpy(dtype=bool)
    problems = listed(series.index, np.flatnonzero(missing), lambda p: None, "the id is missing", name)
    odd = np.array([not (i and i.isprintable() and i.strip() == i) for i in ids.where(~missing, "x")], dtype=bool)
    problems += listed(
        series.index,
        np.flatnonzero(odd),
        lambda p: ids.iloc[p],
        "an id must be printable text without spaces around it",
        name,
    )
    return array.cast(pa.large_string()), problems + _doubled(ids, name)


def _plainly_ids(array: pa.Array) -> bool:
    """Whether one look tells that ids are all there, printable ASCII without spaces around them, and different; most are."""
    if array.null_count or not len(array) or not pa.types.is_large_string(array.type):
        return False
    trimmed = pc.equal(pc.ascii_trim_whitespace(array), array)
    looks = (pc.string_is_ascii(array), pc.ascii_is_printable(array), trimmed, pc.greater(pc.binary_length(array), 0))
    return all(pc.all(look).as_py() for look in looks) and pc.count_distinct(array).as_py() == len(array)


def _inexact(array: pa.Array, series: pd.Series) -> list[Problem]:
    """Ids that have become floats and are too large for one to hold every digit."""
    values = np.nan_to_num(array.to_numpy(zero_copy_only=False))
    hint = "read the column as text, such as read_csv(…, dtype={'id': str})"
    large = np.flatnonzero(np.abs(values) >= 2.0**53)
    message = "an id of so many digits is not exact as a decimal number"
    return listed(series.index, large, lambda p: series.iloc[p], message, str(series.name), hint)


def _doubled(ids: pd.Series, name: str) -> list[Problem]:
    again = np.flatnonzero((ids.duplicated() & ids.notna()).to_numpy(dtype=bool))
    first: dict[str, int] = {}
    if len(again):
        for position, value in enumerate(ids):
            first.setdefault(value, position)
    found = [
        Problem(
            f"this id stands in row {ids.index[first[ids.iloc[p]]]} already",
            row=ids.index[p],
            column=name,
            value=ids.iloc[p],
        )
        for p in again[:SHOWN]
    ]
    if len(again) > SHOWN:
        found.append(Problem(f"ids that stand in an earlier row: {len(again) - SHOWN} further rows", column=name))
    return found


def _structures(series: pd.Series) -> tuple[pa.Array, list[Problem]]:
    texts: list[str | None] = []
    problems: list[Problem] = []
    for row, cell in zip(series.index, series, strict=True):
        try:
            texts.append(structure_text(cell))
        except InvalidInput as error:
            first = error.problems[0]
            problems.append(
                Problem(first.message, row=row, column=str(series.name), value=first.value, way_out=first.way_out)
            )
            texts.append(None)
    if len(problems) > SHOWN:
        problems = [
            *problems[:SHOWN],
            Problem(f"not a crystal structure: {len(problems) - SHOWN} further rows", column=str(series.name)),
        ]
    return pa.array(texts, type=pa.large_string()), problems


def column_array(series: pd.Series) -> tuple[pa.Array, list[Problem]]:
    """A column in its canonical type. Problems name the cells that fit no kind."""
    name = str(series.name)
    try:
        array = pa.array(series, from_pandas=True)
        array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
        normal = _normal(array)
    except (pa.ArrowException, ValueError, TypeError, OverflowError, UnicodeError) as error:
        return pa.nulls(len(series), pa.float64()), _misfits(series, str(error).splitlines()[0][:200]) or [
            Problem(str(error)[:200], column=name)
        ]

    numbers = normal.flatten() if _is_list(normal.type) else normal
    if pa.types.is_floating(normal.type):
        infinite = np.flatnonzero(np.isinf(normal.to_numpy(zero_copy_only=False)))
        return normal, listed(
            series.index, infinite, lambda p: series.iloc[p], "infinite", name, "leave the cell empty"
        )
    if pa.types.is_floating(numbers.type) and np.isinf(numbers.to_numpy(zero_copy_only=False)).any():
        return normal, [Problem("holds an infinite number", column=name, way_out="leave it out of its list")]
    return normal, []


def _misfits(series: pd.Series, told: str) -> list[Problem]:
    """The cells whose type is not the commonest of the column, or a word about the column as a whole."""
    name = str(series.name)
    cells = series.dropna() if series.dtype == object else series.iloc[:0]
    types = cells.map(lambda cell: type(cell).__name__)
    hint = (
        "make every cell of the column a number, a text, a boolean, or a list of one of these; "
        "flatten mappings into columns of their own"
    )
    if types.nunique() < 2:
        what = f"cells of type {types.iloc[0]}" if len(types) else told
        if what.endswith("Structure"):
            hint = "name the column in structure="
        return [Problem(f"cannot be stored: {what}", column=name, way_out=hint)]
    usual = types.value_counts().index[0]
    odd = np.flatnonzero((types != usual).to_numpy(dtype=bool))
    return listed(cells.index, odd, lambda p: cells.iloc[p], f"is not of the column's type ({usual})", name, hint)


def _normal(array: pa.Array) -> pa.Array:
    kind_type = array.type
    if isinstance(array, pa.ExtensionArray):
        return _normal(array.storage)
    if pa.types.is_dictionary(kind_type):
        return _normal(array.dictionary_decode())
    if pa.types.is_null(kind_type) or (pa.types.is_temporal(kind_type) and len(array) == array.null_count):
        return pa.nulls(len(array), pa.float64())
    if pa.types.is_timestamp(kind_type) or pa.types.is_date(kind_type):
        return pa.array(
            [None if cell is None else cell.isoformat() for cell in array.to_pylist()], type=pa.large_string()
        )
    if _is_list(kind_type):
        return _normal_list(array)
    normal = array.cast(ARROW[_kind(kind_type)])
    if pa.types.is_floating(normal.type):
        values = normal.to_numpy(zero_copy_only=False) + 0.0
        return pa.array(values, from_pandas=True)
    return pa.nulls(len(normal), pa.float64()) if len(normal) == normal.null_count else normal


def _normal_list(array: pa.Array) -> pa.Array:
    if pa.types.is_fixed_size_list(array.type):
        array = array.cast(pa.list_(array.type.value_type))
    inner = pa.large_string() if pa.types.is_null(array.type.value_type) else ARROW[_kind(array.type.value_type)]
    if len(array) == array.null_count:
        return pa.nulls(len(array), pa.float64())
    lists = array.cast(pa.large_list(inner))
    values = _normal(lists.flatten())
    offsets = np.concatenate(
        [[0], np.cumsum(pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False))]
    )
    values = values.cast(inner) if values.type != inner else values
    mask = lists.is_null() if lists.null_count else None
    return pa.LargeListArray.from_arrays(pa.array(offsets, type=pa.int64()), values, mask=mask)


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _kind(kind: pa.DataType) -> str:
    types = pa.types
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return "text"
    if types.is_integer(kind):
        return "integer"
    if types.is_floating(kind) or types.is_decimal(kind):
        return "number"
    if types.is_boolean(kind):
        return "flag"
    raise TypeError(f"cells of type {kind}")
