"""Tasks of `targets.py` that seek no single best: all hits, a level set, the whole table.

Hits are the best twentieth of a table; the measure is the share of them that was found.
A level set is measured by the balanced accuracy with which all rows are told to lie above or below the level, 0 for a guess; the
whole table by 1 − root mean square error ÷ deviation, 0 for the mean. Both come from one and the same model for all policies,
BoTorch's default, fitted to the trials after each batch.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from target_tasks import Task

from discover.objective import Direction, Objective
from discover.protocols import FloatArray, IntArray

SHARE = 0.05
"""Of a table that counts as hits."""
HITS = {"hits": {"acquisition": "hits"}, "hits-ahead": {"acquisition": "hits-ahead"}, "best": {}}
LEVEL = {"straddle": {"acquisition": "straddle"}, "uncertainty": {"acquisition": "uncertainty"}}
WHOLE = {"integrated-variance": {"acquisition": "integrated-variance"}, "uncertainty": {"acquisition": "uncertainty"}}


def share_of_hits(task: Task, rows: IntArray) -> FloatArray:
    """Hits found, as a share of all that the budget could find: [k]."""
    hits = task.utilities()[:, 0] >= _turned(task)
    return np.asarray(np.cumsum(hits[rows]) / min(task.budget, int(hits.sum())), dtype=np.float64)


def side_of_level(task: Task, rows: IntArray) -> FloatArray:
    """Balanced accuracy over all rows, 0 for a guess and 1 for no error: [k], after each batch."""
    above = task.utilities()[:, 0] >= _turned(task)

    def score(mean: FloatArray) -> float:
        told = mean >= _turned(task)
        return float((told[above]).mean() + (~told[~above]).mean() - 1.0)

    return _after_each_batch(task, rows, score)


def whole_table(task: Task, rows: IntArray) -> FloatArray:
    """1 − root mean square error over all rows ÷ their deviation, at least 0: [k], after each batch."""
    truth = task.utilities()[:, 0]
    return _after_each_batch(task, rows, lambda mean: 1.0 - float(np.sqrt(np.mean((mean - truth) ** 2)) / truth.std()))


def _after_each_batch(task: Task, rows: IntArray, score: Callable[[FloatArray], float]) -> FloatArray:
    curve, last = np.zeros(len(rows)), 0.0
    for k in range(task.start, len(rows) + 1):
        if (k - task.start) % task.batch == 0 or k == len(rows):
            last = max(0.0, score(DefaultModel(task, rows[:k]).posterior_mean()))
        curve[k - 1] = last
    return curve


class DefaultModel:
    """BoTorch's default model of a task's first target, turned so that large is good, after some trials."""

    def __init__(self, task: Task, rows: IntArray):
        import torch
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import SingleTaskGP
        from botorch.models.transforms import Normalize, Standardize
        from gpytorch.mlls import ExactMarginalLogLikelihood

        self.X = torch.from_numpy(task.X)
        bounds = torch.stack([self.X.amin(dim=0), self.X.amax(dim=0)])
        y = torch.from_numpy(task.utilities()[rows, :1])
        normalise = Normalize(self.X.shape[1], bounds=bounds)
        self.model = SingleTaskGP(self.X[rows], y, input_transform=normalise, outcome_transform=Standardize(1))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit_gpytorch_mll(ExactMarginalLogLikelihood(self.model.likelihood, self.model))

    def posterior_mean(self) -> FloatArray:
        """Means of all rows: [N]."""
        return self.marginals()[0]

    def marginals(self) -> tuple[FloatArray, FloatArray]:
        """Means and deviations of all rows: [N] each."""
        import torch

        with torch.no_grad():
            posterior = self.model.posterior(self.X[:, None, :])
            mean, variance = posterior.mean[:, 0, 0], posterior.variance[:, 0, 0]
        return mean.numpy(), variance.clamp_min(1e-18).sqrt().numpy()


def by_hand(task: Task, seed: int) -> Callable[[IntArray, int], IntArray]:
    """What BoTorch offers for a task: the best by probability of a hit, by straddle, or by integrated variance."""
    import torch
    from scipy.stats import norm

    torch.manual_seed(seed)
    generator = np.random.default_rng([seed, 3])

    def choose(tried: IntArray, n: int) -> IntArray:
        free = np.setdiff1d(np.arange(len(task)), tried)
        model = DefaultModel(task, tried)
        if task.kind == "whole":
            return _integrated(model, free, n, generator)
        mean, deviation = (part[free] for part in model.marginals())
        if task.kind == "level":
            scores = 1.96 * deviation - np.abs(mean - _turned(task))
        else:
            scores = norm.logsf((_turned(task) - mean) / deviation)
        return free[np.argsort(-scores, kind="stable")[:n]]

    return choose


def _integrated(model: DefaultModel, free: IntArray, n: int, generator: np.random.Generator) -> IntArray:
    from botorch.acquisition.active_learning import qNegIntegratedPosteriorVariance
    from botorch.optim import optimize_acqf_discrete

    sample = generator.choice(len(model.X), min(256, len(model.X)), replace=False)
    function: Any = qNegIntegratedPosteriorVariance(model.model, model.X[sample])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        chosen, _ = optimize_acqf_discrete(function, q=n, choices=model.X[free], max_batch_size=128, unique=True)
    rows: list[int] = []
    for point in chosen:
        same = free[(model.X[free] == point).all(dim=1).numpy()].tolist()
        rows.append(next(row for row in same if row not in rows))
    return np.array(rows, dtype=np.int64)


def _turned(task: Task) -> float:
    """The threshold, turned so that large is good."""
    threshold = next(float(str(options["threshold"])) for options in task.policies.values() if "threshold" in options)
    return float(task.objective.targets[0].utility(np.float64(threshold)))


def _at(threshold: float, policies: Mapping[str, Mapping[str, object]]) -> dict[str, dict[str, object]]:
    """The policies with the threshold, for those that know one."""
    knowing = ("hits", "hits-ahead", "straddle")
    return {
        name: {**options, **({"threshold": threshold} if options.get("acquisition") in knowing else {})}
        for name, options in policies.items()
    }


def _hits(name: str, X: FloatArray, values: FloatArray, direction: Direction = "maximize") -> Task:
    threshold = float(np.quantile(values, SHARE if direction == "minimize" else 1.0 - SHARE))
    objective, played = Objective("y", direction), _at(threshold, HITS)
    return Task(name, "hits", objective, X, {"y": values}, share_of_hits, played, budget=90)


def _level(name: str, X: FloatArray, values: FloatArray, level: float) -> Task:
    return Task(name, "level", Objective("y"), X, {"y": values}, side_of_level, _at(level, LEVEL))


def _whole(name: str, X: FloatArray, values: FloatArray) -> Task:
    return Task(name, "whole", Objective("y"), X, {"y": values}, whole_table, WHOLE)


def _olympus(data: Path, name: str) -> tuple[FloatArray, FloatArray]:
    frame = pd.read_csv(data / name / "data.csv", header=None)
    inputs = frame.iloc[:, :-1]
    text = [column for column in inputs if not pd.api.types.is_numeric_dtype(inputs[column])]
    hot = pd.get_dummies(inputs[text]) if text else pd.DataFrame(index=frame.index)
    X = np.hstack([inputs.drop(columns=text).to_numpy(float), hot.to_numpy(float)])
    return np.ascontiguousarray(X), frame.iloc[:, -1].to_numpy(float)


def _liquidus(data: Path, system: str) -> tuple[FloatArray, FloatArray]:
    frame = pd.read_csv(data / "nimo_liquidus" / f"{system}_352.csv")
    return np.ascontiguousarray(frame.iloc[:, :-1].to_numpy(float)), frame.iloc[:, -1].to_numpy(float)


def _feconi(data: Path, column: str) -> tuple[FloatArray, FloatArray]:
    frame = pd.read_csv(data / "nist_feconi" / "feconi_table.csv").dropna()
    frame = frame.groupby(["Co", "Fe", "Ni"], as_index=False, sort=False).mean()
    return np.ascontiguousarray(frame[["Co", "Fe", "Ni"]].to_numpy(float)), frame[column].to_numpy(float)


def _toy() -> tuple[FloatArray, FloatArray]:
    X = np.random.default_rng(1).random((60, 2))
    return X, np.sin(4 * X[:, 0]) + X[:, 1]


LEARNING: dict[str, Callable[[Path], Task]] = {
    "stable-blends": lambda data: _hits("stable-blends", *_olympus(data, "olympus_photo_wf3"), "minimize"),
    "good-couplings": lambda data: _hits("good-couplings", *_olympus(data, "olympus_buchwald_a")),
    "bright-alloys": lambda data: _hits("bright-alloys", *_feconi(data, "Kerr_mrad")),
    "molten-at-900-K": lambda data: _level("molten-at-900-K", *_liquidus(data, "cu-mg-zn"), 900.0),
    "hard-magnets": lambda data: _level("hard-magnets", *_feconi(data, "Coer_mT"), 3.0),
    "liquidus": lambda data: _whole("liquidus", *_liquidus(data, "al-si-zn")),
    "coercivity": lambda data: _whole("coercivity", *_feconi(data, "Coer_mT")),
}
"""Development tables of `efficiency/split.json`, and tables outside of it."""
LEARNING_TOYS: dict[str, Callable[[Path], Task]] = {
    "toy-hits": lambda data: replace(_hits("toy-hits", *_toy()), budget=18),
    "toy-level": lambda data: replace(_level("toy-level", *_toy(), 0.5), budget=18),
    "toy-whole": lambda data: replace(_whole("toy-whole", *_toy()), budget=18),
}
