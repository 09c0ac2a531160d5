"""A frame of results to rows: every cell is read and checked, and nothing is held against the store yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from discover.campaign.telling.cells import Cells, Measured, is_empty
from discover.candidates.space import SearchSpace
from discover.candidates.space.reading import describes, read_row
from discover.errors import Problem, nearest
from discover.objective import Objective
from discover.reserved import RESERVED, RESERVED_PREFIXES
from discover.values import STATUSES, Candidate

READ = ("proposal_id", "status", "replicate", "cost", "measured_at", "source", "note", "fidelity", "context",
        "raw_data", "raw_hash")  # fmt: skip
MOST_REPLICATES = 1_000_000
IGNORED = ("acquisition", "reason", "state", "iteration", "rank", "policy")


@dataclass
class Row:
    """One line of what was told, read but not yet held against the store."""

    label: object
    proposal_id: str | None
    candidate_id: str | None
    status: str | None
    values: dict[str, Measured]
    replicate: int = 0
    cost: float | None = None
    measured_at: str | None = None
    source: str = ""
    note: str = ""
    fidelity: str = ""
    context: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    raw: dict[str, str] = field(default_factory=dict)
    point: Candidate | None = None
    no_point: list[Problem] = field(default_factory=list)
    told: dict[str, Any] = field(default_factory=dict)
    remark: str = ""
    unread: bool = False


def read(
    frame: pd.DataFrame,
    objective: Objective,
    id_name: str,
    pool_columns: Sequence[str],
    extra: Sequence[str],
    space: SearchSpace | None = None,
    conditions: Sequence[str] = (),
) -> tuple[list[Row], list[Problem]]:
    """The frame's rows and everything that is wrong with their cells. space: what rows may describe points of. conditions:
    columns that say what a candidate is."""
    if not isinstance(frame, pd.DataFrame):
        return [], [Problem(f"a DataFrame is needed, this is a {type(frame).__name__}")]
    if isinstance(extra, str):
        return [], [Problem("extra is a list of columns", value=extra, way_out=f"write extra=[{extra!r}]")]
    if frame.index.name in (id_name, "proposal_id") and frame.index.name not in frame.columns:
        frame = frame.reset_index()
    described = space is not None and describes(space, [str(column) for column in frame.columns])
    problems = _column_problems(frame, objective, id_name, pool_columns, extra, described)
    if problems:
        return [], problems
    rows = []
    results = {*READ, *IGNORED, id_name, *extra, *(n for t in objective.names for n in (t, f"{t}_std", f"{t}_bound"))}
    held = [column for column in conditions if column not in results]
    for label, record in zip(frame.index, _records(frame), strict=True):
        rows.append(_row(Cells(label, record, problems), objective, id_name, extra))
        if rows[-1].candidate_id or rows[-1].proposal_id:
            rows[-1].told = {column: record[column] for column in held if not is_empty(record.get(column))}
        if described and space is not None:
            _point(rows[-1], record, space, problems)
    return rows, problems


def _point(row: Row, record: Mapping[str, Any], space: SearchSpace, problems: list[Problem]) -> None:
    """Note the point that a row describes; a row that says nothing else of its candidate is about it. Of a row that names its
    candidate the cells need not be such as describe a point: they are held against the candidate, if it is known."""
    told = read_row(space, row.label, record)
    if isinstance(told, list) and (row.candidate_id or row.proposal_id):
        row.no_point = told
    elif isinstance(told, list):
        problems += told
        row.unread = True
    elif told is not None:
        row.point, row.remark = told.point, told.remark
        if row.candidate_id is None and row.proposal_id is None:
            row.candidate_id = told.point.id


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(column): cell for column, cell in record.items()} for record in frame.to_dict("records")]


def _column_problems(
    frame: pd.DataFrame,
    objective: Objective,
    id_name: str,
    pool_columns: Sequence[str],
    extra: Sequence[str],
    described: bool,
) -> list[Problem]:
    columns = [str(column) for column in frame.columns]
    own = {name for t in objective.names for name in (t, f"{t}_std", f"{t}_bound")}
    known = own | set(READ) | set(IGNORED) | {id_name} | set(pool_columns) | set(extra)
    problems = [
        Problem("the column stands twice", column=c) for c in sorted({c for c in columns if columns.count(c) > 1})
    ]
    for column in columns:
        if column not in known and not column.startswith(RESERVED_PREFIXES) and column not in RESERVED:
            way_out = nearest(column, own | set(READ))
            problems.append(Problem("unknown column", column=column, way_out=f"{way_out} or name it in extra=[…]"))
    problems += [
        Problem("named in extra, but the frame has no such column", column=c) for c in extra if c not in columns
    ]
    if not described and not {"proposal_id", id_name} & {*columns, str(frame.index.name)}:
        problems.append(
            Problem("the frame says of no row which candidate it is", way_out=f"add proposal_id or {id_name}")
        )
    if not {*objective.names, "status"} & set(columns):
        problems.append(Problem("the frame has no result", way_out=f"add a column {objective.names[0]!r} or 'status'"))
    return problems


def _row(cells: Cells, objective: Objective, id_name: str, extra: Sequence[str]) -> Row:
    status = cells.one_of("status", STATUSES)
    values = {target: told for target in objective.names if (told := cells.measured(target)) is not None}
    raw = {key: cell for key, column in (("link", "raw_data"), ("sha256", "raw_hash")) if (cell := cells.text(column))}
    return Row(
        cells.label,
        cells.text("proposal_id") or None,
        cells.text(id_name) or None,
        status,
        values,
        replicate=cells.whole("replicate", MOST_REPLICATES),
        cost=cells.number("cost", least=0.0),
        measured_at=cells.time("measured_at"),
        source=cells.text("source"),
        note=cells.text("note"),
        fidelity=cells.text("fidelity"),
        context=cells.mapping("context"),
        extra={column: cells.plain(column) for column in extra},
        raw=raw,
    )
