"""A table as an experiment: every answer is known, and is given to whoever asks for it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from discover.candidates.rows.hashing import sha256_of
from discover.candidates.snapshots.streaming import is_large, parts_of
from discover.candidates.sources.snapshot import SnapshotSource
from discover.candidates.sources.table import read_table
from discover.errors import ExperimentFailed, InvalidInput, Problem, nearest
from discover.experiment.table_answers import TableAnswers, answers_of
from discover.kinds import typed
from discover.stamps import stamp_of
from discover.values import Proposal, Result, Value


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
        row = table.place(proposal.candidate_id)
        if row is None:
            hint = nearest(proposal.candidate_id, table.ids.tolist()) if len(table.ids) <= 20_000 else "check the ids"
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
        counts = {name: int(_is_outside(numbers[name], ends).sum()) for name, ends in self.valid.items()}
        return [(name, count) for name, count in counts.items() if count]

    @cached_property
    def _table(self) -> TableAnswers:
        """The table, read once and checked whole."""
        wanted = list(dict.fromkeys([*self._columns.values(), *self.stds.values(), *self.valid]))
        frames, id, provenance = self._frames(wanted)
        name = f"table {self.file or self.snapshot}"
        return answers_of(frames, id=id, wanted=wanted, stds=self.stds, name=name, provenance=provenance)

    def _frames(self, wanted: Sequence[str]) -> tuple[Iterable[pd.DataFrame], str, Mapping[str, Any]]:
        """The table's frames, in parts where it is large, its column of ids, and where it comes from."""
        base = self.base or Path()
        if self.file is not None:
            id, path = self.id or "id", base / self.file
            if path.suffix.lower() == ".parquet" and is_large(path):
                stamp, origin = stamp_of(path), {"file": path.name, "file_sha256": sha256_of(path)}
                return parts_of(path, [id, *wanted], stamp), id, origin
            data, frame = read_table(path, id=id)
            return [frame], id, {"file": path.name, "file_sha256": hashlib.sha256(data).hexdigest()}
        assert self.snapshot is not None
        snapshot = SnapshotSource(self.snapshot, self.hash).located(base, self.files or base).pull()
        if self.id not in (None, snapshot.id):
            hint = f"it is {snapshot.id!r}"
            raise InvalidInput(
                "experiment 'table'", [Problem("not the snapshot's id", column="id", value=self.id, way_out=hint)]
            )
        if is_large(snapshot.path):
            parts = parts_of(snapshot.path, [snapshot.id, *wanted], stamp_of(snapshot.path))
            return parts, snapshot.id, dict(snapshot.manifest)
        return [snapshot.frame()], snapshot.id, dict(snapshot.manifest)


def _is_outside(numbers: Any, ends: tuple[float | None, float | None]) -> Any:
    """Whether numbers, one or [n], lie beyond an end; NaN does not."""
    low, high = (math.nan if end is None else end for end in ends)
    return (numbers < low) | (numbers > high)


def _range(ends: tuple[float | None, float | None]) -> str:
    """'1..10', '..10' or '1..'."""
    low, high = ("" if end is None else f"{end:g}" for end in ends)
    return f"{low}..{high}"
