"""Views on a table of conditions by substrates, and tallies of rewards, for the tests of policies over arms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from discover.limits import Limits
from discover.objective import Objective
from discover.policy.bandit.arms import Tally
from discover.protocols import View
from discover.values import FeatureTable, Training

YIELD = Objective("yield", "maximize", unit="%")


def tally_of(rewards: Sequence[Sequence[float]], size: int = 20) -> Tally:
    """Rewards of each arm, which have a scope of one size."""
    arm = np.array([a for a, told in enumerate(rewards) for _ in told], dtype=np.int64)
    values = np.array([r for told in rewards for r in told], dtype=np.float64)
    return Tally(np.arange(len(arm)), arm, values, np.full(len(rewards), size, dtype=np.int64))


def table_of(arms: int = 4, scope: int = 6, seed: int = 0) -> np.ndarray:
    """Yields [arms, scope] in per cent: an effect of each, and noise."""
    generator = np.random.default_rng(seed)
    base = np.linspace(20.0, 70.0, arms)[:, None] + generator.normal(0.0, 10.0, scope)
    return np.clip(base + generator.normal(0.0, 5.0, (arms, scope)), 0.0, 100.0)


def view_of(
    table: np.ndarray,
    observed: Sequence[int] = (),
    *,
    pending: Sequence[int] = (),
    infeasible: Sequence[int] = (),
    objective: Objective = YIELD,
    memory: Mapping[str, Any] | None = None,
    limits: Limits | None = None,
) -> View:
    """Row a·scope + s is arm a on substrate s; features are one-hot of both."""
    arms, scope = table.shape
    n = arms * scope
    arm, member = np.divmod(np.arange(n), scope)
    X = np.concatenate([np.eye(arms)[arm], np.eye(scope)[member]], axis=1)
    rows = np.array(sorted(observed), dtype=np.int64)
    blocked = np.zeros(n, dtype=bool)
    blocked[[*rows, *pending, *infeasible]] = True
    training = Training(rows, table.reshape(-1)[rows], np.full(len(rows), np.nan), np.zeros(len(rows), dtype=np.int64))
    return View(
        objective=objective,
        ids=np.array([f"c{i:05d}" for i in range(n)]),
        features=FeatureTable(tuple(f"f{k}" for k in range(X.shape[1])), X, "hash"),
        training={objective.targets[0].name: training},
        blocked=blocked,
        pending=np.array(sorted(pending), dtype=np.int64),
        infeasible=np.array(sorted(infeasible), dtype=np.int64),
        memory=memory or {},
        limits=limits or Limits(),
        columns={
            "ligand": np.array([f"L{a:02d}" for a in arm]),
            "substrate": np.array([f"s{m:02d}" for m in member]),
        },
    )
