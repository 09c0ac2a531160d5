"""Who plays the tasks of `targets.py`: ours, BoTorch by hand over the whole table, and random choice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import botorch_by_hand as by_hand
import numpy as np
from botorch_by_hand import Chooser
from target_tasks import Task

import discover
from discover.policy.bayesian import Bayesian
from discover.protocols import View
from discover.values import FeatureTable, FloatArray, IntArray, Training

RANDOM = "random"
ROOMS = (
    "acquisition",
    "features",
    "policy",
    "surrogate",
    "descriptors.py",
    "limits.py",
    "objective.py",
    "pareto.py",
    "protocols.py",
    "values.py",
)
"""What decides which rows ours chooses."""


def _probability(task: Task, mean: FloatArray, deviation: FloatArray) -> FloatArray:
    from scipy.stats import norm

    return np.asarray(norm.logsf((task.level - mean) / deviation))


def _straddle(task: Task, mean: FloatArray, deviation: FloatArray) -> FloatArray:
    return 1.96 * deviation - np.abs(mean - task.level)


def _uncertainty(task: Task, mean: FloatArray, deviation: FloatArray) -> FloatArray:
    return deviation.copy()


def _mean(task: Task, mean: FloatArray, deviation: FloatArray) -> FloatArray:
    return mean.copy()


def _scored(score: Callable[[Task, FloatArray, FloatArray], FloatArray]) -> Callable[[Task, int], Chooser]:
    return lambda task, seed: by_hand.scorer(task, partial(score, task))


PEERS: Mapping[str, Mapping[str, Callable[[Task, int], Chooser]]] = {
    "front": {"botorch": by_hand.searcher},
    "constrained": {"botorch": by_hand.searcher},
    "hits": {"botorch-probability": _scored(_probability)},
    "top": {"botorch": by_hand.searcher, "botorch-mean": _scored(_mean)},
    "level": {"botorch-straddle": _scored(_straddle)},
    "whole": {"botorch-integrated": by_hand.integrator, "botorch-uncertainty": _scored(_uncertainty)},
}
"""By kind of task, the best that BoTorch can do first."""


def chooser(task: Task, policy: str, seed: int) -> Chooser:
    """A policy at the beginning of a run. KeyError for one that the task has not."""
    if policy == RANDOM:
        return _random(task, seed)
    if policy in PEERS[task.kind]:
        return PEERS[task.kind][policy](task, seed)
    return _ours(task, dict(task.policies[policy]), seed)


def policies_of(task: Task) -> list[str]:
    """All that play a task: ours, of which the first is what is compared with all others; the peers, the best first; chance."""
    return [*task.policies, *PEERS[task.kind], RANDOM]


@cache
def library() -> str:
    """A hash over the rooms that decide: after a change there runs of ours are other runs."""
    root = Path(discover.__file__).parent
    digest = hashlib.sha256()
    for room in ROOMS:
        for file in sorted((root / room).rglob("*.py")) if (root / room).is_dir() else [root / room]:
            digest.update(str(file.relative_to(root)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


def _random(task: Task, seed: int) -> Chooser:
    generator = np.random.default_rng([seed, 1])

    def choose(tried: IntArray, n: int) -> IntArray:
        return generator.choice(np.setdiff1d(np.arange(len(task)), tried), n, replace=False)

    return choose


def _ours(task: Task, options: dict[str, Any], seed: int) -> Chooser:
    if options.get("acquisition") == "hypervolume":
        options["reference_point"] = task.reference
    policy = Bayesian(start=task.start, **options)
    names = tuple(f"x{k}" for k in range(task.X.shape[1]))
    features = FeatureTable(names, task.X, hashlib.sha256(task.X.tobytes()).hexdigest())
    ids = np.array([f"r{row:05d}" for row in range(len(task))])
    memory: dict[str, Any] = {}
    generator = np.random.default_rng([seed, 2])
    none = np.zeros(0, dtype=np.int64)

    def choose(tried: IntArray, n: int) -> IntArray:
        rows = np.sort(tried)
        blank, exact = np.full(len(rows), np.nan), np.zeros(len(rows), dtype=np.int64)
        training = {name: Training(rows, task.values[name][rows], blank, exact) for name in task.objective.names}
        left = task.budget - len(tried)
        blocked = np.isin(np.arange(len(task)), rows)
        view = View(task.objective, ids, features, training, blocked, none, none, memory=dict(memory), remaining=left)
        batch = policy.propose(view, n, generator)
        memory.clear()
        memory.update(batch.learned.get("memory", {}))
        return np.array([int(p.candidate_id[1:]) for p in batch], dtype=np.int64)

    return choose
