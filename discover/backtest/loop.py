"""One campaign on a known table, in memory: propose, look up, learn, until the budget is spent.

It speaks to policies through the same `View` as a stored campaign, and leaves the books out: thousands of iterations then
cost little more than the policies' own thinking.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from discover.backtest.answers import Answers
from discover.errors import DiscoverError
from discover.objective import Objective
from discover.protocols import Policy, View
from discover.values import Batch, FeatureTable, FloatArray, IntArray, Training


@dataclass(frozen=True)
class Retrospective:
    """A pool whose answers are all known: ids [N], features [N, d], answers [N]; columns [N] that policies read as they stand."""

    objective: Objective
    ids: NDArray[np.str_]
    features: FeatureTable
    answers: Answers
    columns: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)


@dataclass(frozen=True)
class Trace:
    """What one policy did with one seed: rows of the pool in the order of trial, and the seconds that choosing took."""

    rows: IntArray
    seconds: float


def view_of(table: Retrospective, rows: IntArray, iteration: int, memory: Mapping[str, Any]) -> View:
    """All that a policy may know after the candidates in `rows` were tried; no answer of any other gets in."""
    blocked = np.zeros(len(table.ids), dtype=bool)
    blocked[rows] = True
    done = np.sort(rows)
    status = table.answers.status[done]
    answers, told = table.answers, done[np.isin(status, ("measured", "censored"))]
    trained = told[np.isfinite(answers.values[told])]
    training = Training(trained, answers.values[trained], answers.stds[trained], answers.bounds[trained])
    seen = hashlib.sha256(done.tobytes() + training.values.tobytes()).hexdigest()
    others = {name: _plain(told, values) for name, values in answers.outcomes.items()}
    return View(
        objective=table.objective,
        ids=table.ids,
        features=table.features,
        training={answers.target.name: training, **others},
        blocked=blocked,
        pending=np.empty(0, dtype=np.int64),
        infeasible=done[np.isin(status, ("infeasible", "failed"))],
        iteration=iteration,
        seen=seen,
        memory=memory,
        columns=table.columns,
    )


def _plain(rows: IntArray, values: FloatArray) -> Training:
    """What some rows gave of an outcome, values [N], each without a deviation or a bound."""
    known = rows[np.isfinite(values[rows])]
    return Training(known, values[known], np.full(len(known), np.nan), np.zeros(len(known), dtype=np.int64))


def play(
    table: Retrospective,
    policy: Policy,
    *,
    seed: int,
    budget: int,
    batch: int,
    start: IntArray | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Trace:
    """Run one policy until `budget` experiments, in batches of `batch`, or until it has nothing left to propose.

    The generator of an iteration comes from seed, iteration and the data seen, and not from the policy: policies that
    begin alike begin with the very same candidates, which makes their comparison a paired one. `start`: rows that were
    tried before the policy is asked for the first time; they count.
    """
    row_of = {str(name): row for row, name in enumerate(table.ids)}
    rows = np.empty(0, dtype=np.int64) if start is None else np.asarray(start, dtype=np.int64)
    memory: Mapping[str, Any] = {}
    seconds = 0.0
    iteration = 0
    while len(rows) < budget:
        view = replace(view_of(table, rows, iteration, memory), remaining=budget - len(rows))
        wanted = min(batch, budget - len(rows))
        begun = clock()
        proposed = policy.propose(view, wanted, _generator(seed, view))
        seconds += clock() - begun
        chosen = _checked(proposed, view, row_of, wanted)
        if not len(chosen):
            break
        memory = proposed.learned.get("memory", {})
        rows = np.concatenate([rows, chosen])
        iteration += 1
    return Trace(rows, seconds)


def _generator(seed: int, view: View) -> np.random.Generator:
    text = f"{seed}\0{view.iteration}\0{view.seen}"
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big"))


def _checked(proposed: Batch, view: View, row_of: Mapping[str, int], wanted: int) -> IntArray:
    rows = np.array([row_of[proposal.candidate_id] for proposal in proposed], dtype=np.int64)
    if len(rows) > wanted or len(np.unique(rows)) < len(rows) or view.blocked[rows].any():
        raise DiscoverError(
            f"a policy broke its promise in iteration {view.iteration}: asked for {wanted}, it proposed rows {rows.tolist()} "
            "(too many, one twice, or one that is blocked)"
        )
    return rows
