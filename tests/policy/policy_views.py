"""Views on a small campaign whose answers are known, for the tests of policies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from discover.objective import Objective
from discover.protocols import View
from discover.values import FeatureTable, Training


def features_of(n: int, d: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1.0, 1.0, size=(n, d))


def answers_of(X: np.ndarray) -> np.ndarray:
    """A smooth target with its maximum inside: GPa, of order 100."""
    return 100.0 + 60.0 * np.exp(-4.0 * np.square(X[:, 0] - 0.4)) + 20.0 * np.sin(2.0 * X[:, -1])


def view_of(
    X: np.ndarray,
    observed: Sequence[int] = (),
    *,
    objective: Objective | None = None,
    pending: Sequence[int] = (),
    excluded: Sequence[int] = (),
    values: Mapping[str, np.ndarray] | None = None,
    memory: Mapping[str, Any] | None = None,
) -> View:
    objective = objective or Objective("strength", "maximize", unit="GPa")
    answers = values or {name: answers_of(X) for name in objective.names}
    rows = np.array(sorted(observed), dtype=np.int64)
    n = len(rows)
    blocked = np.zeros(len(X), dtype=bool)
    blocked[[*rows, *pending, *excluded]] = True
    return View(
        objective=objective,
        ids=np.array([f"c{i:05d}" for i in range(len(X))]),
        features=FeatureTable(tuple(f"f{k}" for k in range(X.shape[1])), X, "hash"),
        training={
            name: Training(rows, answers[name][rows], np.full(n, np.nan), np.zeros(n, dtype=np.int64))
            for name in objective.names
        },
        blocked=blocked,
        pending=np.array(sorted(pending), dtype=np.int64),
        infeasible=np.array([], dtype=np.int64),
        memory=memory or {},
    )


def rows_of(batch: Any) -> list[int]:
    return [int(p.candidate_id[1:]) for p in batch]
