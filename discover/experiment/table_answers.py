"""The numbers of a table of answers, by id. A large file is read part by part, and of it only the columns that answer."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from discover.candidates.rows.canonical import SHOWN, column_problems, kind_of, listed, read_frame
from discover.errors import InvalidInput, Problem
from discover.values import FloatArray, IntArray


@dataclass(frozen=True)
class TableAnswers:
    """ids: [N], ascending. numbers: [N] by column, NaN where the cell is empty. provenance: where they come from."""

    ids: NDArray[np.str_]
    numbers: Mapping[str, FloatArray]
    provenance: Mapping[str, Any]

    def place(self, id: str) -> int | None:
        """Where the numbers of a candidate stand; None where the table does not hold it."""
        place = bisect_left(self.ids, id)  # numpy would copy all ids for one that is longer
        return place if place < len(self.ids) and self.ids[place] == id else None


@dataclass
class _Parts:
    """What was read so far, part by part. labels: the rows' own in the file."""

    id: str
    stds: Mapping[str, str]
    ids: list[NDArray[np.str_]] = field(default_factory=list)
    labels: list[Any] = field(default_factory=list)
    numbers: list[dict[str, FloatArray]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def add(self, frame: pd.DataFrame, wanted: Sequence[str]) -> None:
        """Read some rows; all that is wrong with them is noted."""
        arrow, problems = read_frame(frame[[self.id, *wanted]], id=self.id)
        for name in wanted if not problems else ():
            problems += _cell_problems(frame, name, kind_of(arrow[name]))
        for target, name in self.stds.items():
            negative = np.flatnonzero(pd.to_numeric(frame[name], errors="coerce") < 0)
            message = f"a standard deviation of {target!r} is negative"
            problems += listed(frame.index, negative, frame[name].iloc.__getitem__, message, name)
        self.problems += problems
        if self.problems:
            return
        self.ids.append(np.array(arrow[self.id].to_pylist(), dtype=np.str_))
        self.labels.append(frame.index.to_numpy())
        self.numbers.append(
            {name: arrow[name].to_pandas().to_numpy(dtype=np.float64, na_value=np.nan) for name in wanted}
        )

    def ordered(self) -> tuple[NDArray[np.str_], IntArray]:
        """All ids, ascending, and where each stands in the file; those that stand twice in different parts are noted."""
        ids = np.concatenate(self.ids) if self.ids else np.empty(0, dtype=np.str_)
        order = np.argsort(ids, kind="stable")
        found = ids[order]
        again = 1 + np.flatnonzero(found[1:] == found[:-1])
        labels = np.concatenate(self.labels)[order] if len(again) else np.empty(0)
        message = "this id stands in an earlier row already"
        self.problems += listed(labels, again, found.__getitem__, message, self.id)
        return found, order


def answers_of(
    frames: Iterable[pd.DataFrame],
    *,
    id: str,
    wanted: Sequence[str],
    stds: Mapping[str, str],
    name: str,
    provenance: Mapping[str, Any],
) -> TableAnswers:
    """From the frames of a table, one below the other. InvalidInput collects what is wrong with its cells.

    wanted: columns of numbers. stds: {target: column} of those that are standard deviations. name: of the table, in words.
    """
    parts = _Parts(id, stds)
    for frame in frames:
        if problems := column_problems(frame, [id, *wanted]):
            raise InvalidInput(name, problems)
        if len(parts.problems) < SHOWN:
            parts.add(frame, wanted)
    ids, order = parts.ordered() if not parts.problems else (np.empty(0, dtype=np.str_), np.empty(0, dtype=np.int64))
    if parts.problems:
        raise InvalidInput(name, parts.problems)
    numbers = {column: np.concatenate([part[column] for part in parts.numbers])[order] for column in wanted}
    return TableAnswers(ids, numbers, provenance)


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
