"""A table as an experiment: every answer is known, and is given to whoever asks for it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from discover.candidates.canonical import column_problems, kind_of, listed, read_frame
from discover.candidates.snapshot_source import SnapshotSource
from discover.candidates.table import read_table
from discover.errors import ExperimentFailed, InvalidInput, Problem, nearest
from discover.kinds import typed
from discover.protocols import FloatArray, Proposal, Result, Value


@dataclass(frozen=True)
@typed
class TableLookup:
    """Looks the answer up in a file, or in a snapshot.

    file: .csv, .parquet or .xlsx, relative to the campaign file; or snapshot: a folder with a snapshot (`hash` names one of
    several). id: the file's column of ids (default: `id`; a snapshot knows its own). columns: {target: column}; or short,
    for one target, `target` and, where it is called otherwise, `column`. units: {target: unit}. stds: {target: column} of
    standard deviations, where known.

    valid: {column: [lowest, highest]}, the range in which the table's numbers are believed; either end may be null.
    outside: what a number outside it means. `failed`: there is no answer, for good, and the reason says so; `kept`: it is
    told as it stands, with that remark.

    An empty cell is a failure for good; so is a candidate that the table does not hold.
    """

    file: str | None = None
    snapshot: str | None = None
    hash: str | None = None
    id: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    target: str | None = None
    column: str | None = None
    units: dict[str, str] = field(default_factory=dict)
    stds: dict[str, str] = field(default_factory=dict)
    valid: dict[str, tuple[float | None, float | None]] = field(default_factory=dict)
    outside: Literal["failed", "kept"] = "failed"
    base: Path | None = field(default=None, repr=False, metadata={"internal": True})
    files: Path | None = field(default=None, repr=False, metadata={"internal": True})

    def __post_init__(self) -> None:
        problems = [*self._source_problems(), *self._target_problems(), *self._range_problems()]
        if problems:
            raise InvalidInput("experiment 'table'", problems)

    def _source_problems(self) -> list[Problem]:
        problems = []
        if (self.file is None) == (self.snapshot is None):
            problems.append(Problem("exactly one of file and snapshot is needed", column="file", value=self.file))
        if self.hash is not None and self.snapshot is None:
            problems.append(Problem("belongs to a snapshot", column="hash", value=self.hash))
        return problems

    def _target_problems(self) -> list[Problem]:
        problems = []
        if bool(self.columns) == (self.target is not None):
            hint = "columns: {target: column}, or target: its name"
            problems.append(Problem("exactly one of columns and target is needed", column="columns", way_out=hint))
        if self.column is not None and self.target is None:
            problems.append(Problem("belongs to target", column="column", value=self.column))
        for key, given in (("units", self.units), ("stds", self.stds)):
            problems += [
                Problem("is not a target here", column=key, value=name, way_out=nearest(name, self._columns))
                for name in given
                if name not in self._columns
            ]
        return problems

    def _range_problems(self) -> list[Problem]:
        problems = [
            Problem("the low end must be below the high end", column=f"valid.{name}", value=[low, high])
            for name, (low, high) in self.valid.items()
            if not (-math.inf if low is None else low) < (math.inf if high is None else high)
        ]
        if self.outside not in ("failed", "kept"):
            hint = nearest(str(self.outside), ("failed", "kept"))
            problems.append(Problem("unknown rule", column="outside", value=self.outside, way_out=hint))
        return problems

    @property
    def hides(self) -> tuple[str, ...]:
        """Columns that hold answers: a campaign's candidates must not show them."""
        return (*self._columns.values(), *self.stds.values())

    @property
    def _columns(self) -> Mapping[str, str]:
        return {self.target: self.column or self.target} if self.target is not None else self.columns

    @property
    def requires(self) -> tuple[str, ...]:
        """Nothing but the candidate's id."""
        return ()

    @property
    def targets(self) -> Mapping[str, str]:
        """Targets with their units, "" where none was given."""
        return {target: self.units.get(target, "") for target in self._columns}

    @property
    def deterministic(self) -> bool:
        """The table does not change."""
        return True

    def located(self, base: Path, files: Path) -> TableLookup:
        """The same experiment: paths start at `base`."""
        return replace(self, base=Path(base), files=Path(files))

    def describe(self) -> Mapping[str, Any]:
        """Which table, by its hash, and how it is read. InvalidInput if it cannot be."""
        ranges = {name: list(ends) for name, ends in self.valid.items()}
        identity = {"columns": dict(self._columns), "stds": dict(self.stds), "valid": ranges, "outside": self.outside}
        said = "".join(f"; {name} outside {_range(ends)} is {self.outside}" for name, ends in self.valid.items())
        origin = self._table.provenance
        told = "snapshot" if "hash" in origin else "file"
        return {
            "kind": "table",
            "method": f"look-up in the {told} {self.file or self.snapshot}{said}",
            "targets": dict(self.targets),
            "identity": {**identity, "table": origin.get("hash") or origin["file_sha256"]},
            "source": origin,
            "citations": list(origin.get("citations", [])),
            "cautions": [
                f"{count:,} rows have {name} outside {_range(self.valid[name])}: {self.outside}"
                for name, count in self._outside()
            ],
        }

    def run(self, proposal: Proposal) -> Result:
        """The table's row for the candidate's id."""
        table = self._table
        row = table.rows.get(proposal.candidate_id)
        if row is None:
            hint = nearest(proposal.candidate_id, table.rows) if len(table.rows) <= 20_000 else "check the ids"
            raise ExperimentFailed(f"the table has no row for {proposal.candidate_id!r} ({hint})")
        strange = [
            f"{name} = {table.numbers[name][row]:g} is outside the stated range {_range(ends)}"
            for name, ends in self.valid.items()
            if _is_outside(table.numbers[name][row], ends)
        ]
        if strange and self.outside == "failed":
            return Result("failed", reason="; ".join(strange))
        values = {}
        for target, column in self._columns.items():
            number = float(table.numbers[column][row])
            std = float(table.numbers[self.stds[target]][row]) if target in self.stds else math.nan
            if not math.isnan(number):
                values[target] = Value(number, None if math.isnan(std) else std)
        if not values:
            return Result("failed", reason="no value in the table")
        return Result("measured", values, reason="; ".join(strange))

    def _outside(self) -> list[tuple[str, int]]:
        numbers = self._table.numbers
        counts = {name: sum(_is_outside(x, ends) for x in numbers[name]) for name, ends in self.valid.items()}
        return [(name, count) for name, count in counts.items() if count]

    @cached_property
    def _table(self) -> _Table:
        """The table, read once and checked whole."""
        frame, id, provenance = self._read()
        wanted = list(dict.fromkeys([*self._columns.values(), *self.stds.values(), *self.valid]))
        problems = column_problems(frame, [id, *wanted])
        if problems:
            raise InvalidInput(f"table {self.file or self.snapshot}", problems)
        arrow, problems = read_frame(frame[[id, *wanted]], id=id)
        for name in wanted if not problems else ():
            problems += _cell_problems(frame, name, kind_of(arrow[name]))
        for target, name in self.stds.items():
            negative = np.flatnonzero(pd.to_numeric(frame[name], errors="coerce") < 0)
            message = f"a standard deviation of {target!r} is negative"
            problems += listed(frame.index, negative, frame[name].iloc.__getitem__, message, name)
        if problems:
            raise InvalidInput(f"table {self.file or self.snapshot}", problems)
        rows = {str(name): row for row, name in enumerate(arrow[id].to_pylist())}
        numbers = {name: arrow[name].to_pandas().to_numpy(dtype=np.float64, na_value=np.nan) for name in wanted}
        return _Table(rows, numbers, provenance)

    def _read(self) -> tuple[pd.DataFrame, str, Mapping[str, Any]]:
        base = self.base or Path()
        if self.file is not None:
            id = self.id or "id"
            data, frame = read_table(base / self.file, id=id)
            return frame, id, {"file": Path(self.file).name, "file_sha256": hashlib.sha256(data).hexdigest()}
        assert self.snapshot is not None
        snapshot = SnapshotSource(self.snapshot, self.hash).located(base, self.files or base).pull()
        if self.id not in (None, snapshot.id):
            hint = f"it is {snapshot.id!r}"
            raise InvalidInput(
                "experiment 'table'", [Problem("not the snapshot's id", column="id", value=self.id, way_out=hint)]
            )
        return snapshot.frame(), snapshot.id, dict(snapshot.manifest)


@dataclass(frozen=True)
class _Table:
    """rows: position by id. numbers: [N] by column, NaN where the cell is empty."""

    rows: Mapping[str, int]
    numbers: Mapping[str, FloatArray]
    provenance: Mapping[str, Any]


def _cell_problems(frame: pd.DataFrame, name: str, kind: str) -> list[Problem]:
    """Cells that are no numbers."""
    if kind in ("number", "integer", "empty"):
        return []
    numbers = pd.to_numeric(frame[name], errors="coerce") if kind == "text" else pd.Series(np.nan, index=frame.index)
    strange = np.flatnonzero((numbers.isna() & frame[name].notna()).to_numpy(dtype=bool))
    if not len(strange):
        return [Problem(f"the column is of kind '{kind}', not numbers", column=name, way_out="store it as numbers")]
    hint = "write a number, or leave the cell empty"
    return listed(frame.index, strange, frame[name].iloc.__getitem__, "not a number", name, hint)


def _is_outside(number: float, ends: tuple[float | None, float | None]) -> bool:
    """Whether a number lies beyond an end; NaN does not."""
    low, high = ends
    return (low is not None and number < low) or (high is not None and number > high)


def _range(ends: tuple[float | None, float | None]) -> str:
    """'1..10', '..10' or '1..'."""
    low, high = ("" if end is None else f"{end:g}" for end in ends)
    return f"{low}..{high}"
