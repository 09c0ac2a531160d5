"""A grid to rows that a campaign can be told, and to those that it cannot, each with its reason."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time
from types import MappingProxyType
from typing import Any

from discover.errors import Problem
from discover.experiment.laboratory.numbers import Decimal, Odd, Unreadable, is_empty, marks, moment, number, shown
from discover.experiment.laboratory.reading import Grid, Refused
from discover.experiment.laboratory.units import same_unit

OTHERS = ("status", "replicate", "cost", "measured_at", "note", "source", "fidelity", "context")
SEARCHED = 50
"""Rows among which the header is looked for."""
_WITH_UNIT = re.compile(r"(?P<name>.*?)\s*(?:\[(?P<a>[^\[\]]*)\]|\((?P<b>[^()]*)\)|/\s+(?P<c>\S+)|\bin\s+(?P<d>\S+))")


@dataclass
class Rows:
    """good: by row number, values by column name. refused: what is wrong, by row. cells: every row that has a result, as text.

    header: as it stands. empty: rows without a result. remarks: what was passed over.
    """

    header: list[str]
    good: dict[int, dict[str, Any]] = field(default_factory=dict)
    refused: dict[int, list[Problem]] = field(default_factory=dict)
    cells: dict[int, list[str]] = field(default_factory=dict)
    empty: int = 0
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Column:
    """place: in the grid. name: as `tell` calls it. target: whose value or deviation it is. wrong: why it cannot be read.
    condition: whether it says what the candidate is."""

    place: int
    name: str
    target: str = ""
    wrong: str = ""
    condition: bool = False


def read_rows(
    grids: Sequence[Grid],
    targets: Mapping[str, str],
    id_name: str,
    decimal: Decimal,
    conditions: Mapping[str, str] = MappingProxyType({}),
) -> Rows:
    """The one table of proposals among the grids, read. Refused where there is none, or more than one.

    targets: with their units. id_name: the candidates' id column, which may also be called 'id'. conditions: columns that say
    what a candidate is, with their units; their cells are passed on as they stand.
    """
    found = [(grid, place) for grid in grids if (place := _header_place(grid, targets, id_name)) is not None]
    broken = [grid.broken for grid in ([grid for grid, _ in found] or grids) if grid.broken]
    if broken:
        raise Refused(broken[0], 'a quotation mark inside quotes is written twice: ""')
    if not found:
        hint = f"the first line names the columns: proposal_id (or id), {', '.join(targets)}"
        raise Refused("has no line that names proposal_id or id, and a target or status", hint)
    if len(found) > 1:
        names = " and ".join(repr(grid.name) for grid, _ in found)
        raise Refused(f"has a table of results in {names}", "keep one of them in the file")
    grid, place = found[0]
    return _Reader(grid, place, targets, id_name, decimal, conditions).read()


def _key(cell: Any) -> str:
    """A column's name, however it is spelt."""
    return re.sub(r"[\s_-]+", "_", shown(cell).strip().casefold())


def _header_place(grid: Grid, targets: Mapping[str, str], id_name: str) -> int | None:
    for place, (_, cells) in enumerate(grid.rows[:SEARCHED]):
        names = {column.name for column in _columns(cells, targets, id_name) if column}
        if names & {"proposal_id", id_name} and names & {"status", *targets}:
            return place
    return None


def _columns(cells: Sequence[Any], targets: Mapping[str, str], id_name: str) -> list[_Column | None]:
    return [_column(place, cell, targets, id_name) for place, cell in enumerate(cells)]


def _column(place: int, cell: Any, targets: Mapping[str, str], id_name: str) -> _Column | None:
    if cell is None:
        return None
    plain = {_key(name): (name, "") for name in ("proposal_id", *OTHERS)}
    plain |= {"id": (id_name, ""), _key(id_name): (id_name, "")}
    for target in targets:
        plain |= {_key(f"{target}{end}"): (f"{target}{end}", target) for end in ("", "_std", "_bound")}
    if _key(cell) in plain:
        return _Column(place, *plain[_key(cell)])
    match = _WITH_UNIT.fullmatch(shown(cell).strip())
    name, target = plain.get(_key(match["name"]), ("", "")) if match else ("", "")
    if match is None or not target:
        return None
    unit = next(part for part in (match["a"], match["b"], match["c"], match["d"]) if part is not None)
    expected = targets[target]
    if same_unit(unit, expected) or name.endswith("_bound"):
        return _Column(place, name, target)
    wrong = (
        f"the column is in {unit!r}, and {expected!r} is expected" if expected else f"{unit!r} is no known unit of it"
    )
    return _Column(place, name, target, wrong)


def _conditions(cells: Sequence[Any], read: Sequence[_Column], conditions: Mapping[str, str]) -> list[_Column]:
    """Columns of conditions among those that are not read otherwise, each once. One whose header names another unit than the
    candidates' is none of them: whoever converted the numbers knows why."""
    taken, names = {column.place for column in read}, {column.name for column in read}
    plain = {_key(name): name for name in conditions if name not in names}
    found: dict[str, list[_Column]] = {}
    for place, cell in enumerate(cells):
        if cell is None or place in taken:
            continue
        match = None if _key(cell) in plain else _WITH_UNIT.fullmatch(shown(cell).strip())
        name = plain.get(_key(match["name"] if match else cell))
        unit = next((part for part in match.group("a", "b", "c", "d") if part is not None), "") if match else ""
        if name is not None and (match is None or same_unit(unit, conditions[name])):
            found.setdefault(name, []).append(_Column(place, name, condition=True))
    return [columns[0] for columns in found.values() if len(columns) == 1]


class _Reader:
    """Reads the rows below a header."""

    def __init__(
        self,
        grid: Grid,
        place: int,
        targets: Mapping[str, str],
        id_name: str,
        decimal: Decimal,
        conditions: Mapping[str, str],
    ):
        self.targets, self.id_name, self.decimal = targets, id_name, decimal
        header = grid.rows[place][1]
        self.width = len(header) if grid.even else None
        self.rows = grid.rows[place + 1 :]
        self.columns = [column for column in _columns(header, targets, id_name) if column]
        self.out = Rows([shown(cell) for cell in header], remarks=[grid.remark] if grid.remark else [])
        names = [column.name for column in self.columns]
        if doubled := sorted({name for name in names if names.count(name) > 1}):
            raise Refused(f"has the column {doubled[0]!r} twice", "keep one of them")
        self.columns += _conditions(header, self.columns, conditions)
        self._remark_unread(header)
        results = [*targets, *(f"{t}_std" for t in targets), *(f"{t}_bound" for t in targets), "status"]
        self.results = [column for column in self.columns if column.name in results]
        self.numbers = [
            c for c in self.columns if c.name in (*targets, *(f"{t}_std" for t in targets), "cost", "replicate")
        ]
        self.marks = {c.name: marks((self._at(cells, c) for _, cells in self.rows), decimal) for c in self.numbers}

    def _remark_unread(self, header: Sequence[Any]) -> None:
        read = {column.place for column in self.columns}
        known = ["proposal_id", self.id_name, *OTHERS, *self.targets, *(f"{t}_std" for t in self.targets)]
        for place, cell in enumerate(header):
            if cell is not None and place not in read:
                close = difflib.get_close_matches(_key(cell), [_key(name) for name in known], n=1, cutoff=0.8)
                if close and close[0] not in {_key(column.name) for column in self.columns}:
                    self.out.remarks.append(f"the column {shown(cell)!r} was not read; did you mean {close[0]!r}?")

    def _at(self, cells: Sequence[Any], column: _Column) -> Any:
        return cells[column.place] if column.place < len(cells) else None

    def read(self) -> Rows:
        """Every row."""
        for line, cells in self.rows:
            if all(is_empty(self._at(cells, column)) for column in self.results) and not self._longer(cells):
                self.out.empty += 1
                continue
            self.out.cells[line] = [shown(cell) for cell in cells]
            problems = self._misfits(line, cells)
            row = {} if problems else self._row(line, cells, problems)
            if problems:
                self.out.refused[line] = problems
            else:
                self.out.good[line] = row
        return self.out

    def _longer(self, cells: Sequence[Any]) -> bool:
        """Whether something stands beyond the header: a result may have slipped there."""
        return self.width is not None and any(cell is not None for cell in cells[self.width :])

    def _misfits(self, line: int, cells: Sequence[Any]) -> list[Problem]:
        if self.width is None or len(cells) == self.width:
            return []
        hint = "an empty cell needs its separator; a cell with a separator in it needs quotes"
        if len(cells) > self.width:
            hint += ": a decimal comma among commas too"
        return [Problem(f"{len(cells)} cells, and the header names {self.width}", line, way_out=hint)]

    def _row(self, line: int, cells: Sequence[Any], problems: list[Problem]) -> dict[str, Any]:
        row: dict[str, Any] = {}
        for column in self.columns:
            cell = self._at(cells, column)
            if column.condition:
                row |= {} if is_empty(cell) or isinstance(cell, Odd) else {column.name: cell}
                continue
            if is_empty(cell) and not (column.name in ("proposal_id", self.id_name) and isinstance(cell, str)):
                continue
            try:
                row |= self._value(column, cell)
            except Unreadable as error:
                problems.append(Problem(str(error), line, self.out.header[column.place], shown(cell), error.way_out))
        if not problems and not {"proposal_id", self.id_name} & row.keys():
            hint = f"fill in proposal_id or {self.id_name}"
            problems.append(Problem("names neither a proposal nor a candidate", line, way_out=hint))
        return row

    def _value(self, column: _Column, cell: Any) -> dict[str, Any]:
        name = column.name
        if name in ("proposal_id", self.id_name):
            return {name: _identifier(cell, name)}
        if column.wrong:
            raise Unreadable(column.wrong, "convert the numbers, and name the unit in the header")
        if name in self.marks:
            unit = self.targets.get(column.target, "")
            value, bound = number(cell, unit, self.marks[name], self.decimal)
            if bound and name not in self.targets:
                raise Unreadable("must be a number, not a bound")
            return {name: value} | ({f"{name}_bound": bound} if bound else {})
        if name == "measured_at":
            return {name: moment(cell)}
        if isinstance(cell, Odd) and name not in ("note", "source"):
            raise Unreadable(cell.reason)
        text = shown(cell).strip()
        return {name: text.casefold() if name == "status" or name.endswith("_bound") else text}


def _identifier(cell: Any, name: str) -> str:
    """An id as text. Unreadable where a spreadsheet has made something else of it."""
    hint = "write it as text again" + ("" if name == "proposal_id" else ", or leave it empty beside a proposal_id")
    if isinstance(cell, Odd):
        raise Unreadable(cell.reason, hint)
    if isinstance(cell, (bool, date, time)):
        raise Unreadable(f"the spreadsheet made {shown(cell)} of the id", hint)
    return shown(int(cell) if isinstance(cell, float) and cell.is_integer() else cell)
