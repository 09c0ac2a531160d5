"""Many retrospective campaigns at once, in this process or in several; which one does what changes no number."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

import numpy as np
from numpy.typing import NDArray

from discover.backtest.answers import Answers
from discover.backtest.loop import Retrospective, Trace, play
from discover.objective import Objective
from discover.protocols import Policy
from discover.values import FeatureTable, Progress

Key = tuple[str, int]

_worker: dict[str, Retrospective] = {}


def play_all(
    table: Retrospective,
    policies: Mapping[str, Policy],
    seeds: Sequence[int],
    *,
    budget: int,
    batch: int,
    processes: int = 1,
    progress: Progress | None = None,
) -> dict[Key, Trace]:
    """Every policy with every seed: {(policy, seed): trace}, in the order of policies, then seeds."""
    keys = [(name, seed) for name in policies for seed in seeds]
    traces: dict[Key, Trace] = {}

    def note(key: Key, trace: Trace) -> None:
        traces[key] = trace
        if progress is not None:
            progress(len(traces), len(keys))

    if processes <= 1:
        for key in keys:
            note(key, play(table, policies[key[0]], seed=key[1], budget=budget, batch=batch))
        return traces
    # Spawned rather than forked: a fork would inherit the locks of libraries that already run threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_receive, initargs=_sent(table)) as executor:
        jobs = {executor.submit(_play, policies[name], seed, budget, batch): (name, seed) for name, seed in keys}
        for job in as_completed(jobs):
            note(jobs[job], job.result())
    return {key: traces[key] for key in keys}


def _sent(table: Retrospective) -> tuple[Any, ...]:
    """What a worker needs to have the same table; the objective travels as the plain data that it is stored as."""
    return table.objective.to_dict(), table.ids, table.features, table.answers, dict(table.columns)


def _receive(
    objective: Mapping[str, Any],
    ids: NDArray[np.str_],
    features: FeatureTable,
    answers: Answers,
    columns: Mapping[str, NDArray[np.str_]],
) -> None:
    _worker["table"] = Retrospective(Objective.from_dict(objective), ids, features, answers, columns)


def _play(policy: Policy, seed: int, budget: int, batch: int) -> Trace:
    return play(_worker["table"], policy, seed=seed, budget=budget, batch=batch)
