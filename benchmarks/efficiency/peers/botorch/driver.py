"""BoTorch by hand, as its documentation leads to, with its defaults: SingleTaskGP, Normalize, Standardize, fit_gpytorch_mll.

One at a time: LogExpectedImprovement over every free row, its moments taken in joint chunks of 512 rows (a row a t-batch
gives the same numbers, slower). Several: optimize_acqf_discrete with qLogExpectedImprovement over the `short` free rows
of largest LogExpectedImprovement, or over all where there are fewer.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from botorch.acquisition.analytic import _log_ei_helper
from botorch.acquisition.logei import qLogExpectedImprovement
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.models.transforms import Normalize, Standardize
from botorch.optim import optimize_acqf_discrete
from gpytorch.mlls import ExactMarginalLogLikelihood
from speaking import Table, serve

CHUNK = 512


class BoTorch:
    """Float64 on one encoding."""

    def begin(self, table: Table, encoding: str, q: int, seed: int, options: dict[str, Any]) -> None:
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        self.short = int(options.get("short", 1000))
        self.X = torch.from_numpy(table.common())
        self.rows: list[int] = []
        self.values: list[float] = []

    def step(self, rows: Sequence[int], values: Sequence[float], n: int) -> list[int]:
        self.rows += rows
        self.values += values
        X, y = self.X[self.rows], torch.tensor(self.values, dtype=torch.float64)[:, None]
        model = self.fitted(X, y)
        taken = torch.zeros(len(self.X), dtype=torch.bool)
        taken[self.rows] = True
        free = (~taken).nonzero().ravel()
        scores = log_improvement(model, self.X[free], y.max())
        if n == 1:
            return [int(free[scores.argmax()])]
        best = free[scores.argsort(descending=True, stable=True)[: self.short]]
        if len(best) <= n:
            return [int(row) for row in best]
        score = qLogExpectedImprovement(model, best_f=y.max())
        chosen, _ = optimize_acqf_discrete(score, q=n, choices=self.X[best], max_batch_size=CHUNK, unique=True)
        return _places(chosen, self.X[best], best)

    def fitted(self, X: Any, y: Any) -> Any:
        """SingleTaskGP with its defaults; bounds are the pool's."""
        bounds = torch.stack([self.X.amin(dim=0), self.X.amax(dim=0)])
        normalise = Normalize(X.shape[1], bounds=bounds)
        model = SingleTaskGP(X, y, input_transform=normalise, outcome_transform=Standardize(1))
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        return model


def log_improvement(model: Any, X: Any, best: Any, chunk: int = CHUNK) -> Any:
    """LogExpectedImprovement [m] at rows X [m, d], from the joint posterior of a chunk of rows at a time."""
    found = []
    with torch.no_grad():
        for part in X.split(chunk):
            posterior = model.posterior(part)
            mean, std = posterior.mean.ravel(), posterior.variance.ravel().clamp_min(1e-12).sqrt()
            found.append(_log_ei_helper((mean - best) / std) + std.log())
    return torch.cat(found)


def _places(chosen: Any, choices: Any, rows: Any) -> list[int]:
    """Rows of the chosen points; where two rows are the same point, the first that is not taken yet."""
    places: list[int] = []
    for point in chosen:
        same = (choices == point).all(dim=1).nonzero().ravel().tolist()
        places.append(next(int(rows[k]) for k in same if int(rows[k]) not in places))
    return places


if __name__ == "__main__":
    serve(BoTorch, ("botorch", "gpytorch", "torch", "numpy"))
