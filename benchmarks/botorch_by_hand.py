"""The peer of `targets.py`: BoTorch as its tutorials use it, over a whole table.

Each outcome has a SingleTaskGP with its defaults. Several targets: qLogNEHVI; one target, with or without constraints: qLogNEI;
the whole table: qNegIntegratedPosteriorVariance; all three greedily, by optimize_acqf_discrete. For hits, a level and plain
uncertainty BoTorch has no function: there it is its model with the score written down, a batch one after the other as if the
earlier had been observed at their means.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from target_tasks import Task

from discover.values import FloatArray, IntArray

Chooser = Callable[[IntArray, int], IntArray]
"""Rows that were tried [k], and how many more; to as many further rows."""
CHUNK = 128
"""Rows that an acquisition function looks at together."""
ROWS = 512
"""Rows that a model predicts together."""
SHORT = 300
"""Rows of best score among which a batch is thought ahead."""
REFERENCE = 256
"""Rows over which variance is integrated."""


class DefaultModel:
    """A SingleTaskGP of a task's first target, turned so that large is good, after some trials."""

    def __init__(self, task: Task, rows: IntArray):
        self.model = _fitted(task, rows, task.utilities()[rows, 0])
        self.X = _tensor(task.X)

    def marginals(self) -> tuple[FloatArray, FloatArray]:
        """Means and deviations of all rows: [N] each, of what is sought without the noise of its measurement."""
        import torch

        with torch.no_grad():
            parts = [self.model.posterior(some) for some in self.X.split(ROWS)]
            mean = torch.cat([part.mean[:, 0] for part in parts])
            variance = torch.cat([part.variance[:, 0] for part in parts])
        return mean.numpy(), variance.clamp_min(1e-18).sqrt().numpy()

    def covariance(self, rows: IntArray) -> FloatArray:
        """Of some rows: [k, k]."""
        import torch

        with torch.no_grad():
            posterior = self.model.posterior(self.X[rows])
        return np.asarray(posterior.distribution.covariance_matrix.numpy())

    @property
    def noise(self) -> float:
        """The variance of a measurement, in the target's unit."""
        noise = self.model.likelihood.noise.detach().mean()
        return float(noise * self.model.outcome_transform.stdvs.square().mean())


def searcher(task: Task, seed: int) -> Chooser:
    """For the best of one or several targets, with or without constraints."""
    import torch
    from botorch.models import ModelListGP

    X = _tensor(task.X)
    torch.manual_seed(seed)

    def choose(tried: IntArray, n: int) -> IntArray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            models = [_fitted(task, tried, task.values[name][tried]) for name in task.objective.names]
            return _optimised(_acquisition(task, ModelListGP(*models), X[tried]), task, tried, n)

    return choose


def integrator(task: Task, seed: int) -> Chooser:
    """For the whole table: what takes most from the variance over a sample of it."""
    import torch
    from botorch.acquisition.active_learning import qNegIntegratedPosteriorVariance

    torch.manual_seed(seed)
    generator = np.random.default_rng([seed, 3])

    def choose(tried: IntArray, n: int) -> IntArray:
        held = DefaultModel(task, tried)
        sample = generator.choice(len(task), min(REFERENCE, len(task)), replace=False)
        return _optimised(qNegIntegratedPosteriorVariance(held.model, held.X[sample]), task, tried, n)

    return choose


def scorer(task: Task, score: Callable[[FloatArray, FloatArray], FloatArray]) -> Chooser:
    """By a score of means and deviations [k], large being good."""

    def choose(tried: IntArray, n: int) -> IntArray:
        held = DefaultModel(task, tried)
        mean, deviation = held.marginals()
        free = np.setdiff1d(np.arange(len(task)), tried)
        short = free[np.argsort(-score(mean[free], deviation[free]), kind="stable")[:SHORT]]
        covariance, noise = held.covariance(short), held.noise
        chosen: list[int] = []
        for _ in range(n):
            values = score(mean[short], np.sqrt(covariance.diagonal().clip(1e-18)))
            values[chosen] = -np.inf
            chosen.append(int(values.argmax()))
            column = covariance[:, chosen[-1]]
            covariance = covariance - np.outer(column, column) / (column[chosen[-1]] + noise)
        return short[chosen]

    return choose


def _tensor(values: FloatArray) -> Any:
    import torch

    return torch.from_numpy(np.ascontiguousarray(values))


def _fitted(task: Task, rows: IntArray, values: FloatArray) -> Any:
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from botorch.models.transforms import Normalize, Standardize
    from gpytorch.mlls import ExactMarginalLogLikelihood

    X = _tensor(task.X)
    normalise = Normalize(X.shape[1], bounds=_tensor(np.stack([task.X.min(axis=0), task.X.max(axis=0)])))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = SingleTaskGP(
            X[rows], _tensor(values)[:, None], input_transform=normalise, outcome_transform=Standardize(1)
        )
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    return model


def _optimised(function: Any, task: Task, tried: IntArray, n: int) -> IntArray:
    """n rows that were not tried, greedily. Rows with the same features stand for each other."""
    from botorch.optim import optimize_acqf_discrete

    X, free = _tensor(task.X), np.setdiff1d(np.arange(len(task)), tried)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        chosen, _ = optimize_acqf_discrete(function, q=n, choices=X[free], max_batch_size=CHUNK, unique=True)
    rows: list[int] = []
    for point in chosen:
        same = free[(X[free] == point).all(dim=1).numpy()].tolist()
        rows.append(next(row for row in same if row not in rows))
    return np.array(rows, dtype=np.int64)


def _acquisition(task: Task, model: Any, baseline: Any) -> Any:
    """What BoTorch maximises; outcomes that are to be small are turned."""
    import torch
    from botorch.acquisition.logei import qLogNoisyExpectedImprovement
    from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
    from botorch.acquisition.multi_objective.objective import GenericMCMultiOutputObjective
    from botorch.acquisition.objective import GenericMCObjective

    objective = task.objective
    signs = torch.tensor([-1.0 if t.direction == "minimize" else 1.0 for t in objective.targets], dtype=torch.float64)
    k, limits = len(signs), _limits(task)

    def turned(Y: Any, X: Any = None) -> Any:
        return Y[..., :k] * signs

    def first(Y: Any, X: Any = None) -> Any:
        return Y[..., 0] * signs[0]

    if k > 1:
        assert task.reference is not None
        low = [float(s) * task.reference[t.name] for s, t in zip(signs, objective.targets, strict=True)]
        return qLogNoisyExpectedHypervolumeImprovement(
            model,
            low,
            baseline,
            objective=GenericMCMultiOutputObjective(turned),
            constraints=limits or None,
            prune_baseline=True,
        )
    return qLogNoisyExpectedImprovement(
        model, baseline, objective=GenericMCObjective(first), constraints=limits or None
    )


def _limits(task: Task) -> list[Callable[[Any], Any]]:
    """Constraints as BoTorch has them: kept where they are not above 0."""
    found: list[Callable[[Any], Any]] = []
    for c in task.objective.constraints:
        place = task.objective.names.index(c.target)
        if np.isfinite(c.high):
            found.append(functools.partial(_beyond, place=place, end=c.high, sign=1.0))
        if np.isfinite(c.low):
            found.append(functools.partial(_beyond, place=place, end=c.low, sign=-1.0))
    return found


def _beyond(Y: Any, place: int, end: float, sign: float) -> Any:
    """How far an outcome is above an end (sign 1) or below it (sign -1)."""
    return sign * (Y[..., place] - end)
