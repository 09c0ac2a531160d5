"""A frame of results to rows: every cell is read and checked, and nothing is held against the store yet."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from discover.candidates.space import SearchSpace
from discover.candidates.space.reading import describes, read_row
from discover.errors import InvalidInput, Problem, nearest
from discover.objective import Objective
from discover.reserved import RESERVED, RESERVED_PREFIXES
from discover.store.canonical import canonical, plain
from discover.values import STATUSES, Candidate

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|nan|infinity)", re.ASCII | re.IGNORECASE)
SIDE = re.compile(r"\s*(?:(?P<below><=?|≤)|(?P<above>>=?|≥))\s*(?P<number>.*)", re.DOTALL)
"""A limit as people write it: <5, ≥ 95."""
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
    values: dict[str, tuple[float, float | None, str | None]]
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
    remark: str = ""
    unread: bool = False


def read(
    frame: pd.DataFrame,
    objective: Objective,
    id_name: str,
    pool_columns: Sequence[str],
    extra: Sequence[str],
    space: SearchSpace | None = None,
) -> tuple[list[Row], list[Problem]]:
    """The frame's rows and everything that is wrong with their cells. space: what rows may describe points of."""
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
    for label, record in zip(frame.index, _records(frame), strict=True):
        rows.append(_row(label, record, objective, id_name, extra, problems))
        if described and space is not None:
            _point(rows[-1], record, space, problems)
    return rows, problems


def _point(row: Row, record: Mapping[str, Any], space: SearchSpace, problems: list[Problem]) -> None:
    """Note the point that a row describes; a row that says nothing else of its candidate is about it."""
    told = read_row(space, row.label, record)
    if isinstance(told, Problem):
        problems.append(told)
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


def _row(
    label: object,
    record: Mapping[str, Any],
    objective: Objective,
    id_name: str,
    extra: Sequence[str],
    problems: list[Problem],
) -> Row:
    def wrong(column: str, message: str, way_out: str = "") -> None:
        problems.append(Problem(message, label, column, record.get(column), way_out))

    def number(column: str, least: float = -math.inf, cell: Any = None) -> float | None:
        cell = record.get(column) if cell is None else cell
        if _empty(cell):
            return None
        if isinstance(cell, (bool, np.bool_)) or not isinstance(cell, (int, float, str, np.integer, np.floating)):
            wrong(column, "not a number")
            return None
        try:
            if isinstance(cell, str) and not NUMBER.fullmatch(cell.strip()):
                raise ValueError
            value = float(cell)
        except (ValueError, OverflowError):
            wrong(column, "not a number", _number_hint(str(cell), column))
            return None
        if not math.isfinite(value):
            wrong(column, "not a finite number")
        elif value < least:
            wrong(column, f"must be at least {least:g}")
        else:
            return value
        return None

    def text(column: str) -> str:
        cell = record.get(column)
        return "" if _empty(cell) else _text(cell)

    status = text("status") or None
    if status is not None and status not in STATUSES:
        wrong("status", "unknown status", nearest(status.lower(), STATUSES))
        status = None
    values: dict[str, tuple[float, float | None, str | None]] = {}
    for target in objective.names:
        cell, side = _limit(record.get(target))
        value, std, bound = number(target, cell=cell), number(f"{target}_std", 0.0), text(f"{target}_bound") or side
        if side not in (None, bound):
            wrong(target, f"is a limit on the other side than its bound, {bound!r}")
        if bound not in (None, "below", "above"):
            wrong(f"{target}_bound", "a bound is 'below' or 'above'", "'below': the truth is at most the value")
        if value is None:
            if (std is not None or bound) and _empty(record.get(target)):
                wrong(target, "has a standard deviation or a bound but no value")
            continue
        values[target] = (value, std, bound)
    replicate = number("replicate", 0.0) or 0.0
    if replicate != int(replicate):
        wrong("replicate", "must be a whole number")
    elif replicate > MOST_REPLICATES:
        wrong("replicate", f"must be at most {MOST_REPLICATES:,}", "did another column's number slip here?")
    return Row(
        label,
        text("proposal_id") or None,
        text(id_name) or None,
        status,
        values,
        int(replicate),
        number("cost", 0.0),
        _time(record.get("measured_at"), wrong),
        text("source"),
        text("note"),
        text("fidelity"),
        _context(record.get("context"), wrong),
        {column: _cell(record.get(column)) for column in extra},
        {key: cell for key, column in (("link", "raw_data"), ("sha256", "raw_hash")) if (cell := text(column))},
    )


def _empty(cell: Any) -> bool:
    return (
        cell is None
        or (isinstance(cell, str) and not cell.strip())
        or (pd.api.types.is_scalar(cell) and bool(pd.isna(cell)))
    )


def _limit(cell: Any) -> tuple[Any, str | None]:
    """A cell without the sign of a limit, and the limit's side: '<5' is 5, below."""
    found = SIDE.fullmatch(cell) if isinstance(cell, str) else None
    if found is None or not NUMBER.fullmatch(found["number"].strip()):
        return cell, None
    return found["number"], "below" if found["below"] else "above"


def _text(cell: Any) -> str:
    if isinstance(cell, (float, np.floating)) and float(cell).is_integer():
        return str(int(cell))  # a column of whole-number ids with a gap is read as floats
    return str(cell).strip()


def _cell(cell: Any) -> Any:
    if _empty(cell):
        return None
    try:
        return plain(cell)
    except TypeError:
        return str(cell)


def _number_hint(cell: str, column: str) -> str:
    if cell.strip()[:1] in "<>≤≥":
        return f"give the limit as the number, and 'below' or 'above' in {column}_bound"
    if "%" in cell:
        return "write the number alone, in the unit of the column"
    if "," in cell:
        return "write a decimal point"
    if cell[:1].isdigit():
        return "write the number alone"
    return "leave the cell empty if it is not measured yet"


def _time(cell: Any, wrong: Any) -> str | None:
    if _empty(cell):
        return None
    if isinstance(cell, datetime):
        return cell.isoformat()
    try:
        return datetime.fromisoformat(str(cell)).isoformat()
    except ValueError:
        wrong("measured_at", "not a time", "write it like 2026-01-31T14:30:00+01:00")
        return None


def _context(cell: Any, wrong: Any) -> dict[str, Any]:
    if _empty(cell):
        return {}
    try:
        read = json.loads(cell) if isinstance(cell, str) else cell
        found = plain(read) if isinstance(read, Mapping) else None
        canonical(found)
    except (ValueError, TypeError, RecursionError, InvalidInput):  # half a character, infinity, a bottomless list
        found = None
    if found is None:
        wrong("context", "not a mapping that can be kept", 'write it like {"reactor": "A"}')
        return {}
    told: dict[str, Any] = found
    return told
