"""All answers of a known table at once: what every candidate of a pool would give if it were tried."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from discover.errors import ExperimentFailed, InvalidInput, Problem, Unsupported
from discover.objective import Objective, Target
from discover.protocols import STATUSES, BoolArray, Experiment, FloatArray, Progress, Proposal, Result

if TYPE_CHECKING:
    import pandas as pd

    from discover.candidates.pool import CandidatePool

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
    from discover.experiment.table import TableLookup

    target = single_target(objective)
    # A table reads the id alone; structures of a large pool are then better left on disk.
    whole = None if isinstance(experiment, TableLookup) else pool.candidates(np.arange(len(pool)))
    results = []
    for row, candidate_id in enumerate(pool.ids):
        candidate = whole[row] if whole is not None else None
        proposal = Proposal(str(candidate_id), policy="backtest", reason="every answer", candidate=candidate)
        try:
            results.append(experiment.run(proposal))
        except ExperimentFailed as failure:
            results.append(Result("failed", reason=str(failure)))
        if progress is not None:
            progress(row + 1, len(pool))
    return _collect(target, tuple(objective.outcomes), results)


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


def _collect(target: Target, outcomes: Sequence[str], results: list[Result]) -> Answers:
    found = [result.values.get(target.name) for result in results]
    return Answers(
        target,
        np.array([np.nan if v is None else v.value for v in found], dtype=np.float64),
        np.array([np.nan if v is None or v.std is None else v.std for v in found], dtype=np.float64),
        np.array([0 if v is None or v.bound is None else _SIDES[v.bound] for v in found], dtype=np.int64),
        np.array([result.status for result in results], dtype=str),
        np.array([result.reason for result in results], dtype=str),
        {name: _exact(name, results) for name in outcomes},
    )


def _exact(name: str, results: list[Result]) -> FloatArray:
    """What was measured of one outcome [N]; NaN for limits and where it is missing."""
    found = [result.values.get(name) for result in results]
    return np.array([np.nan if v is None or v.bound is not None else v.value for v in found], dtype=np.float64)
