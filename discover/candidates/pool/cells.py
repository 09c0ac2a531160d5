"""Cells that features cannot be made from, and columns whose names are taken."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from discover.candidates.pool.spec import PoolSpec
from discover.candidates.rows.canonical import kind_of, listed
from discover.candidates.snapshots.stored_rows import StoredRows
from discover.errors import Problem
from discover.reserved import RESERVED, RESERVED_PREFIXES

NUMERIC = ("integer", "number", "flag", "empty")
"""Kinds of columns that are features as they stand."""
SHOWN = 50
"""Cells of one column that are listed as wrong."""


def reserved_names(names: Sequence[str] | pd.Index) -> list[Problem]:
    """Columns that have a name which `ask` and `tell` use themselves."""
    hint = "rename the column; ask and tell use this name"
    return [
        Problem("the name is reserved", column=str(name), way_out=hint)
        for name in names
        if name in RESERVED or str(name).startswith(RESERVED_PREFIXES)
    ]


def cell_problems(
    table: pa.Table | StoredRows,
    spec: PoolSpec,
    structure: str | None,
    rows: Any = None,
    skip: Collection[str | None] = (),
) -> list[Problem]:
    """Cells that features cannot be made from. rows: labels by position of the table (default: the ids)."""
    labels = table[spec.id] if rows is None and spec.id in table.column_names else rows
    problems: list[Problem] = []
    for name in spec.used:
        if name != structure and name not in skip:
            problems += _column_problems(table, spec, name, labels)
    for name, told in spec.substances.items():
        if isinstance(told, str) and {name, told} <= set(table.column_names) and not {name, told} & {*skip}:
            problems += _several_molecules(table, name, told, labels)
    return problems


def _column_problems(table: pa.Table | StoredRows, spec: PoolSpec, name: str, labels: Any) -> list[Problem]:
    if name not in table.column_names:
        return [Problem("no such column", column=name)]
    if isinstance(table, StoredRows) and name in spec.columns and table.kind(name) in NUMERIC and name in table.full:
        return []  # the file says so itself: nothing of it need be read
    column = table[name]
    kind = kind_of(column)
    if name in spec.columns and kind not in NUMERIC:
        message = f"a feature must be numeric, this column holds {kind}"
        hint = "make it numeric (pandas.to_numeric), or name it in categorical="
        return [Problem(message, column=name, value=column[0].as_py(), way_out=hint)]
    if kind not in ("text", *NUMERIC):
        return [Problem(f"must be one value a row, this column holds {kind}", column=name)]
    if name in spec.smiles:
        return []
    missing = np.flatnonzero(_empty(column, kind))
    if len(missing):
        hint = "fill the cell or leave the row out"
        return _at(labels, missing, lambda place: column[place].as_py(), "the cell is empty", name, hint)
    problems: list[Problem] = []
    if name in spec.descriptors:
        problems += _undescribed(column, spec.descriptors[name], name, labels, "descriptors")
    if isinstance(known := spec.substances.get(name), Mapping):
        problems += _undescribed(column, known, name, labels, "SMILES")
    return problems


def _empty(column: pa.Array | pa.ChunkedArray, kind: str) -> np.ndarray:
    """[n] whether a cell holds nothing, or blanks alone."""
    empty = column.is_null()
    if kind == "text":
        empty = pc.or_(empty, pc.fill_null(pc.equal(pc.utf8_trim_whitespace(column), ""), False))
    return np.asarray(empty)


def _undescribed(column: Any, known: Mapping[str, Any], name: str, labels: Any, what: str) -> list[Problem]:
    told = {str(cell): cell for cell in pc.unique(column).to_pylist()}
    unknown = sorted(set(told) - set(known))
    first = {category: pc.index(column, told[category]).as_py() for category in unknown}
    hint = f"described are: {', '.join(sorted(known))}"
    return [
        Problem(f"the category has no {what}", row=_label(labels, first[c]), column=name, value=c, way_out=hint)
        for c in unknown
    ]


def _several_molecules(table: pa.Table | StoredRows, name: str, told: str, labels: Any) -> list[Problem]:
    """Names that have another SMILES in a later row than in their first. name, told: the columns of names and of SMILES."""
    smiles = pc.fill_null(pc.utf8_trim_whitespace(pc.cast(table[told], pa.string())), "")
    pairs = pa.table({"name": table[name], "smiles": smiles, "row": np.arange(len(smiles))})
    places = pairs.group_by(["name", "smiles"]).aggregate([("row", "min")]).sort_by("row_min")
    first: dict[Any, tuple[str, int]] = {}
    problems = []
    for category, text, place in zip(*(places[column].to_pylist() for column in ("name", "smiles", "row_min"))):
        own, begins = first.setdefault(category, (text, place))
        if category is not None and own != text:
            message = f"{category!r} of the column {name!r} is {own!r} in row {_label(labels, begins)!r}"
            hint = "write the same SMILES in all rows of a name, or give another molecule another name"
            problems.append(Problem(message, row=_label(labels, place), column=told, value=text, way_out=hint))
    return problems[:SHOWN]


def _at(labels: Any, places: np.ndarray, value: Any, message: str, column: str, hint: str) -> list[Problem]:
    shown = {int(p): _label(labels, int(p)) for p in places[:SHOWN]}
    return listed(shown, places, value, message, column, hint)


def _label(labels: Any, place: int) -> Any:
    label = labels[place]
    return label.as_py() if isinstance(label, pa.Scalar) else label
