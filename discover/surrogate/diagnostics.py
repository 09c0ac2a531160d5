"""What a surrogate is worth on its own data: every candidate predicted from all others, in closed form."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from discover.surrogate.covariance import fitting
from discover.surrogate.gaussian.posterior import GaussianPosterior
from discover.surrogate.gaussian.process import GaussianProcess
from discover.surrogate.gaussian.state import State
from discover.surrogate.gaussian.threads import one_thread
from discover.surrogate.gaussian.weighted import Weighted, moments
from discover.values import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from torch import Tensor

INTERVAL = 0.9
ONE_SIDED = 1.6448536269514722
"""Deviations that chance exceeds in one of twenty cases; Spearman's coefficient of n has deviation 1/√(n - 1)."""
FOLDS = 5
"""Groups of candidates that the hyperparameters do without in turn."""
LOST = 1e-10
"""The share of a value's precision below which what the others tell of it is rounding."""
ENOUGH = 5
"""Candidates below which nothing is said of the model's worth."""


@dataclass(frozen=True)
class LeaveOneOut:
    """Predictions of each observation from the other candidates alone, by the model and by their plain mean.

    values, means, stds: [n] in the target's unit; stds are those of a measured value, noise included.
    density_gain: log predictive density above that of the mean-only model, per observation, and its standard error.
    coverage: share of values inside their 90 % intervals. rank_correlation: Spearman's, NaN where undefined.
    """

    values: FloatArray
    means: FloatArray
    stds: FloatArray
    candidates: int
    density_gain: float
    density_gain_error: float
    coverage: float
    rank_correlation: float

    @property
    def verdict(self) -> str:
        """The model's worth in words."""
        if self.candidates < ENOUGH:
            return f"too few candidates to judge the model ({self.candidates})"
        if not math.isfinite(self.rank_correlation):
            return "no better than the mean yet: there is no order to predict"
        gain, error = self.density_gain, self.density_gain_error
        known = f"rank correlation {self.rank_correlation:.2f}"
        if gain <= 0 or self.rank_correlation <= 0:
            return "no better than the mean yet"
        if gain < 2 * error or self.rank_correlation < ONE_SIDED / math.sqrt(self.candidates - 1):
            return f"not clearly better than the mean yet ({known})"
        words = "better than the mean" if self.rank_correlation < 0.6 else "clearly better than the mean"
        narrow = f"; its bands are too narrow, 90 % hold {self.coverage:.0%}" if self.coverage < 0.75 else ""
        return f"{words} ({known}{narrow})"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; what is undefined is null."""
        numbers = {
            "density_gain": self.density_gain,
            "density_gain_error": self.density_gain_error,
            "coverage_90": self.coverage,
            "rank_correlation": self.rank_correlation,
        }
        clean = {name: (value if math.isfinite(value) else None) for name, value in numbers.items()}
        return {**clean, "candidates": self.candidates, "verdict": self.verdict}


def leave_one_out(
    posterior: GaussianPosterior | Weighted,
    rows: IntArray,
    model: GaussianProcess | None = None,
    measured: BoolArray | None = None,
) -> LeaveOneOut:
    """Every candidate predicted from all others, in closed form, with hyperparameters that have not seen it.

    rows: [n], the candidate of each observation; replicates of one candidate are left out together. model: how to fit
    the hyperparameters again without each of FOLDS groups of candidates; without it those of the posterior are held
    fixed, which flatters a model of many hyperparameters, even on noise. With no starts of its own it starts from the
    posterior's hyperparameters. A mixture is judged by its mixed predictions. measured: [n], those that are judged; limits
    of censored observations are left to be known by the others.
    Rasmussen and Williams (2006), section 5.4.2; for groups Ginsbourger and Schärer, JCGS 2024.
    """
    groups = groups_of(rows)
    told = [held_out(part, groups, model) for part in posterior.components]
    return judged(posterior, groups, told, posterior.weights, measured)


def groups_of(rows: IntArray) -> list[IntArray]:
    """The observations of each candidate, rows [n]."""
    return [np.flatnonzero(rows == row) for row in np.unique(rows)]


def held_out(
    posterior: GaussianPosterior, groups: list[IntArray], model: GaussianProcess | None, folds: int = FOLDS
) -> tuple[Tensor, Tensor]:
    """Standardised mean [n] and variance [n] of each value from the other candidates alone; see `leave_one_out`."""
    y = posterior.standard.apply(posterior.y)
    mean, variance = _without_model(y, groups)
    with one_thread():
        for judge, those in _judges(posterior, groups, model, folds):
            if judge is not None:
                held_mean, held_variance = _with_model(judge, y, those)
                told = torch.from_numpy(np.concatenate(those))
                told = told[held_variance[told].isfinite()]
                mean[told], variance[told] = held_mean[told], held_variance[told]
    return mean, variance


def judged(
    posterior: GaussianPosterior | Weighted,
    groups: list[IntArray],
    told: Sequence[tuple[Tensor, Tensor]],
    weights: Sequence[float],
    measured: BoolArray | None = None,
) -> LeaveOneOut:
    """What predictions of the components of a mixture, as `held_out` gives them, are worth together for those measured."""
    y = posterior.standard.apply(posterior.y)
    plain_mean, plain_variance = _without_model(y, groups)
    share = torch.tensor(list(weights), dtype=torch.float64)[:, None]
    means, variances = torch.stack([m for m, _ in told]), torch.stack([v for _, v in told])
    density = torch.logsumexp(log_density(y, means, variances) + share.log(), dim=0)
    gains = (density - log_density(y, plain_mean, plain_variance)).numpy()
    below = (share * torch.special.ndtr((y - means) / variances.sqrt())).sum(dim=0)
    mean, deviation = moments(means, variances.sqrt(), share[:, 0])
    told_of = np.ones(len(gains), dtype=bool) if measured is None else measured
    gains, n = gains[told_of], int(told_of.sum())
    scale = posterior.standard.scale
    return LeaveOneOut(
        values=posterior.y.numpy()[told_of],
        means=(posterior.standard.shift + scale * mean).numpy()[told_of],
        stds=(scale * deviation).numpy()[told_of],
        candidates=sum(bool(told_of[group].any()) for group in groups),
        density_gain=float(gains.mean()) if n else math.nan,
        density_gain_error=float(gains.std(ddof=1) / math.sqrt(n)) if n > 1 else math.nan,
        coverage=float(((below - 0.5).abs() <= INTERVAL / 2).double().numpy()[told_of].mean()) if n else math.nan,
        rank_correlation=_spearman(y.numpy()[told_of], mean.numpy()[told_of]) if n else math.nan,
    )


def _judges(
    posterior: GaussianPosterior, groups: list[IntArray], model: GaussianProcess | None, folds: int
) -> Iterator[tuple[State | None, list[IntArray]]]:
    """Factors over all observations, and the groups that may be predicted with them; None where only the mean is left."""
    if posterior.found is None or len(groups) < 2:
        yield None, groups
        return
    if model is None:
        yield posterior.state, groups
        return
    folds = min(folds, len(groups))
    memory = posterior.memory() if not model.starts else None
    quick = replace(model, starts=min(model.starts, 1))
    for fold in range(folds):
        those = groups[fold::folds]
        keep = np.setdiff1d(np.arange(len(posterior.y)), np.concatenate(those))
        noise = posterior.noise * posterior.standard.scale * posterior.standard.scale
        found = quick.fit(posterior.X[keep], posterior.y[keep], noise[keep], memory=memory).found
        simpler = found is not None and posterior.form is not None and found.kernel != model.name
        yield (None if found is None or simpler else posterior.state_with(found)), those


def _with_model(state: State, y: Tensor, groups: list[IntArray]) -> tuple[Tensor, Tensor]:
    """Standardised mean [n] and variance [n] of values, each of these groups predicted from all others.

    The constant mean is estimated anew from the others too: otherwise the left-out values would speak through it. Variances
    are infinite where the others are so much less certain that what they tell is lost in rounding.
    """
    precision = torch.cholesky_inverse(state.factor)
    onto_mean, alone = precision.sum(dim=1), precision.diagonal().clone()
    precision = precision - torch.outer(onto_mean, onto_mean) / onto_mean.sum()
    weights = precision @ y
    mean, variance = torch.zeros_like(y), torch.ones_like(y)
    single = torch.from_numpy(np.array([g[0] for g in groups if len(g) == 1], dtype=np.int64))
    diagonal = precision.diagonal()[single]
    mean[single], variance[single] = y[single] - weights[single] / diagonal, 1.0 / diagonal
    for group in (torch.from_numpy(g) for g in groups if len(g) > 1):
        covariance = torch.linalg.pinv(precision[group][:, group], hermitian=True)
        mean[group], variance[group] = y[group] - covariance @ weights[group], covariance.diagonal()
    variance[precision.diagonal() < LOST * alone] = math.inf
    return mean, variance.clamp_min(fitting.SMALLEST_NOISE)


def _without_model(y: Tensor, groups: list[IntArray]) -> tuple[Tensor, Tensor]:
    """The same for the model that knows only the mean and the spread of the other candidates' values."""
    sizes = np.array([*(len(group) for group in groups), len(y)])  # the last: what belongs to none of them
    which = np.full(len(y), len(groups))
    which[np.concatenate(groups)] = np.repeat(np.arange(len(groups)), sizes[:-1])
    owner, left = torch.from_numpy(which), torch.from_numpy(len(y) - sizes).double()
    sums, squares = (torch.zeros_like(left).index_add_(0, owner, part) for part in (y, y.square()))
    others = (y.sum() - sums) / left
    spread = ((y.square().sum() - squares) / left - others.square()) * left / (left - 1.0)
    spread = torch.where(left > 1, spread, 1.0).clamp_min(1e-3) * (1.0 + 1.0 / left)
    known = left > 0
    return torch.where(known, others, 0.0)[owner], torch.where(known, spread, 1.0)[owner]


def log_density(y: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """Of values under normal distributions, element by element."""
    return -0.5 * ((y - mean).square() / variance + variance.log() + math.log(2 * math.pi))


def _spearman(a: FloatArray, b: FloatArray) -> float:
    """Rank correlation with mid-ranks for ties; NaN where one of them is constant."""
    from scipy.stats import rankdata

    ranks_a, ranks_b = rankdata(a), rankdata(b)
    if len(a) < 2 or np.ptp(ranks_a) == 0 or np.ptp(ranks_b) == 0:
        return math.nan
    return float(np.corrcoef(ranks_a, ranks_b)[0, 1])
