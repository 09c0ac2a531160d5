"""All answers of a known table at once: what every candidate of a pool would give if it were tried."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from discover.errors import ExperimentFailed, InvalidInput, Problem, Unsupported
from discover.objective import Objective, Target
from discover.protocols import Experiment
from discover.values import STATUSES, BoolArray, FloatArray, Progress, Proposal, Result

if TYPE_CHECKING:
    import pandas as pd

    from discover.candidates.pool.pool import CandidatePool

_SIDES: Mapping[str, int] = {"below": -1, "above": 1}


@dataclass(frozen=True)
class Answers:
    """What each of the N candidates gives, in the order of the pool, for one target.

    values: [N] in the target's unit, NaN without a value. stds: [N], NaN where unknown. bounds: [N], as in `Training`.
    status, reason: [N] words. outcomes: [N] by name, what is constrained besides the target, NaN where it is not known exactly.
    """

    target: Target
    values: FloatArray
    stds: FloatArray
    bounds: NDArray[np.int64]
    status: NDArray[np.str_]
    reason: NDArray[np.str_]
    outcomes: Mapping[str, FloatArray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.values)

    def utilities(self, objective: Objective | None = None) -> FloatArray:
        """[N], larger is better; NaN where there is no exact value or where it breaks a constraint of `objective`."""
        usable = (self.status == "measured") & (self.bounds == 0)
        found = np.where(usable, np.asarray(self.target.utility(self.values), dtype=np.float64), np.nan)
        if objective is not None and objective.constraints:
            found = np.where(self._kept(objective), found, np.nan)
        return found

    def _kept(self, objective: Objective) -> BoolArray:
        """Which candidates [N] keep every constraint; none of those of which too little is known."""
        told = {self.target.name: self.values, **self.outcomes}
        rows = zip(*told.values(), strict=True)
        return np.array([objective.feasible(dict(zip(told, row, strict=True))) for row in rows], dtype=bool)

    def counts(self) -> dict[str, int]:
        """How many candidates there are of each status."""
        return {status: int(n) for status in STATUSES if (n := np.count_nonzero(self.status == status))}


def single_target(objective: Objective) -> Target:
    """The one target of an objective. Unsupported for several: best-so-far is then a front, not a number."""
    if len(objective.targets) != 1:
        names = ", ".join(target.name for target in objective.targets)
        raise Unsupported(f"a backtest follows one target, and this objective has {len(objective.targets)} ({names})")
    return objective.targets[0]


def ask_everything(
    pool: CandidatePool, objective: Objective, experiment: Experiment, progress: Progress | None = None
) -> Answers:
    """Run the experiment on every candidate of the pool. Meant for tables, where that costs nothing."""
    target = single_target(objective)
    return _collect(target, tuple(objective.outcomes), _results(pool, experiment, progress), len(pool))


def answers_from_frame(pool: CandidatePool, objective: Objective, frame: pd.DataFrame) -> Answers:
    """From a table with the pool's id, the target, what else is constrained, and optionally `status` and `reason`.

    Every candidate of the pool must have one row; further rows are ignored. InvalidInput names what is missing or doubled.
    """
    target = single_target(objective)
    problems = [
        Problem(
            "the answers lack this column", column=column, way_out=f"there are: {', '.join(map(str, frame.columns))}"
        )
        for column in (pool.id, *objective.names)
        if column not in frame.columns
    ]
    if problems:
        raise InvalidInput("table of answers", problems)
    ids = frame[pool.id].astype(str).to_numpy(dtype=str)
    problems += [
        Problem("two answers for one candidate", column=pool.id, value=str(twice), way_out="keep one row of each")
        for twice in _repeated(ids)
    ]
    missing = sorted(set(pool.ids.tolist()) - set(ids.tolist()))
    for lost in missing[:5]:
        close = difflib.get_close_matches(lost, ids.tolist(), n=1)
        hint = f"{len(missing)} of {len(pool)} are missing" + (f"; the nearest id is {close[0]!r}" if close else "")
        problems.append(Problem("no answer for this candidate", column=pool.id, value=lost, way_out=hint))
    if problems:
        raise InvalidInput("table of answers", problems)

    order = np.argsort(ids)
    rows = frame.iloc[order[np.searchsorted(ids[order], pool.ids)]]
    values = rows[target.name].to_numpy(dtype=np.float64, na_value=np.nan)
    finite = np.isfinite(values)
    status = rows["status"].to_numpy(dtype=str) if "status" in rows else np.where(finite, "measured", "failed")
    status = np.where((status == "measured") & ~finite, "failed", status)
    reason = rows["reason"].fillna("").to_numpy(dtype=str) if "reason" in rows else np.full(len(rows), "", dtype=str)
    values = np.where(status == "measured", values, np.nan)
    others = {name: rows[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in objective.outcomes}
    return Answers(
        target, values, np.full(len(rows), np.nan), np.zeros(len(rows), dtype=np.int64), status, reason, others
    )


def _repeated(ids: NDArray[np.str_]) -> list[Any]:
    known, counts = np.unique(ids, return_counts=True)
    return known[counts > 1][:5].tolist()


def _results(pool: CandidatePool, experiment: Experiment, progress: Progress | None) -> Iterator[Result]:
    """Of every candidate in the order of the pool."""
    from discover.experiment.table import TableLookup

    # A table reads the id alone; structures of a large pool are then better left on disk.
    whole = None if isinstance(experiment, TableLookup) else pool.candidates(np.arange(len(pool)))
    for row, candidate_id in enumerate(pool.ids):
        candidate = whole[row] if whole is not None else None
        proposal = Proposal(str(candidate_id), policy="backtest", reason="every answer", candidate=candidate)
        try:
            yield experiment.run(proposal)
        except ExperimentFailed as failure:
            yield Result("failed", reason=str(failure))
        if progress is not None:
            progress(row + 1, len(pool))


def _collect(target: Target, outcomes: Sequence[str], results: Iterator[Result], count: int) -> Answers:
    """So many results as columns; of each result nothing more is kept."""
    values, stds, bounds = np.full(count, np.nan), np.full(count, np.nan), np.zeros(count, dtype=np.int64)
    others = {name: np.full(count, np.nan) for name in outcomes}
    status, reason = list[str](), list[str]()
    for row, result in enumerate(results):
        if (found := result.values.get(target.name)) is not None:
            values[row], stds[row] = found.value, np.nan if found.std is None else found.std
            bounds[row] = 0 if found.bound is None else _SIDES[found.bound]
        for name, exact in others.items():
            if (found := result.values.get(name)) is not None and found.bound is None:
                exact[row] = found.value
        status.append(result.status)
        reason.append(result.reason)
    return Answers(target, values, stds, bounds, np.array(status, dtype=str), np.array(reason, dtype=str), others)
