"""Who plays the tasks of `targets.py`: ours, BoTorch by hand over the whole pool, and random choice."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from learning_tasks import by_hand
from target_tasks import Task

from discover.policy.bayesian import Bayesian
from discover.protocols import FeatureTable, IntArray, Training, View

Chooser = Callable[[IntArray, int], IntArray]
"""Rows that were tried [k], and how many more; to as many further rows."""
LEARNING_KINDS = ("hits", "level", "whole")
"""Tasks that seek no single best."""
CHUNK = 128
"""Rows that BoTorch looks at together."""


def chooser(task: Task, policy: str, seed: int) -> Chooser:
    """A policy at the beginning of a run. KeyError for one that the task has not."""
    if policy == "random":
        return _random(task, seed)
    if policy == "botorch":
        return by_hand(task, seed) if task.kind in LEARNING_KINDS else _botorch(task, seed)
    return _ours(task, dict(task.policies[policy]), seed)


def policies_of(task: Task) -> list[str]:
    """All that play a task."""
    return [*task.policies, "botorch", "random"]


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


def _botorch(task: Task, seed: int) -> Chooser:
    """SingleTaskGP of each outcome with its defaults; qLogNEHVI, or qLogNEI with constraints, greedily over the whole pool."""
    import torch
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import ModelListGP, SingleTaskGP
    from botorch.models.transforms import Normalize, Standardize
    from botorch.optim import optimize_acqf_discrete
    from gpytorch.mlls import ExactMarginalLogLikelihood

    X = torch.from_numpy(task.X)
    bounds = torch.stack([X.amin(dim=0), X.amax(dim=0)])
    names = task.objective.names
    torch.manual_seed(seed)

    def fitted(tried: IntArray) -> Any:
        models = []
        for name in names:
            y = torch.from_numpy(task.values[name][tried])[:, None]
            normalise = Normalize(X.shape[1], bounds=bounds)
            model = SingleTaskGP(X[tried], y, input_transform=normalise, outcome_transform=Standardize(1))
            fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
            models.append(model)
        return ModelListGP(*models)

    def choose(tried: IntArray, n: int) -> IntArray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            function = _acquisition(task, fitted(tried), X[tried])
            free = np.setdiff1d(np.arange(len(task)), tried)
            chosen, _ = optimize_acqf_discrete(function, q=n, choices=X[free], max_batch_size=CHUNK, unique=True)
        rows: list[int] = []
        for point in chosen:
            same = free[(X[free] == point).all(dim=1).numpy()].tolist()
            rows.append(next(row for row in same if row not in rows))
        return np.array(rows, dtype=np.int64)

    return choose


def _acquisition(task: Task, model: Any, baseline: Any) -> Any:
    """What BoTorch maximises; outcomes that are to be small are turned."""
    import torch
    from botorch.acquisition.logei import qLogNoisyExpectedImprovement
    from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
    from botorch.acquisition.multi_objective.objective import GenericMCMultiOutputObjective
    from botorch.acquisition.objective import GenericMCObjective

    objective = task.objective
    signs = torch.tensor([-1.0 if t.direction == "minimize" else 1.0 for t in objective.targets], dtype=torch.float64)
    k = len(signs)
    limits = [
        function
        for c in objective.constraints
        for place in [objective.names.index(c.target)]
        for function in (
            *([lambda Y, p=place, e=c.high: Y[..., p] - e] if np.isfinite(c.high) else []),
            *([lambda Y, p=place, e=c.low: e - Y[..., p]] if np.isfinite(c.low) else []),
        )
    ]
    if k > 1:
        assert task.reference is not None
        low = [float(s) * task.reference[t.name] for s, t in zip(signs, objective.targets, strict=True)]
        turned = GenericMCMultiOutputObjective(lambda Y, X=None: Y[..., :k] * signs)
        return qLogNoisyExpectedHypervolumeImprovement(
            model, low, baseline, objective=turned, constraints=limits or None, prune_baseline=True
        )
    first = GenericMCObjective(lambda Y, X=None: Y[..., 0] * signs[0])
    return qLogNoisyExpectedImprovement(model, baseline, objective=first, constraints=limits or None)
