"""Where experiments fail: a classifier on those that gave a number and those that could not."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from discover.protocols import View
from discover.surrogate.covariance.fitting import evenly
from discover.surrogate.failing.words import failure_words
from discover.surrogate.inputs.scaling import Scaling
from discover.values import BoolArray, FeatureTable, FloatArray, IntArray

LEAST = 3
"""Candidates that failed, and as many that did not, before anything is learned."""
MOST = 600
"""Candidates that a classifier is fitted to at most: all failures have precedence, the others are thinned evenly."""
FOLDS = 5
"""Parts of the data that are predicted from the others, to judge what the classifier is worth."""
FLOOR = 1e-3
"""The least chance of success: no candidate is ruled out by a model."""
CHUNK = 8192
"""Rows that are classified together."""


@dataclass(frozen=True)
class Feasibility:
    """How likely experiments are to give a number. record: plain JSON, with `words` of what tells failures apart.

    model: a fitted classifier; None where it does not predict failures better than their share does, by more than one
    standard error: then it weighs nothing. weights: what scaled features are multiplied by before it sees them.
    """

    scaling: Scaling
    weights: FloatArray
    model: Any
    record: Mapping[str, Any]

    @property
    def useful(self) -> bool:
        """Whether there is anything to weigh by."""
        return self.model is not None

    @property
    def words(self) -> list[str]:
        """Where experiments fail, in one or two sentences; [] where nothing that was learned is of use."""
        return self.record["words"][:2] if self.useful else []

    def chance(self, X: FloatArray) -> FloatArray:
        """Raw features [m, d] to the probability [m] that an experiment gives a number."""
        found = np.ones(len(X))
        for start in range(0, len(X) if self.useful else 0, CHUNK):
            part = slice(start, start + CHUNK)
            found[part] = self.model.predict_proba(self.scaling.apply(X[part]) * self.weights)[:, 1]
        return np.maximum(found, FLOOR)


def feasibility(view: View) -> Feasibility | None:
    """What the view's experiments tell of failures; None before there are `LEAST` of either sort.

    A Gaussian process classifier under Laplace's approximation (Rasmussen and Williams 2006, chapter 3; scikit-learn), Matérn
    5/2 over all features and a constant, so that far from the data it returns to the share of successes. Every block of
    features counts alike. Its probability weighs an acquisition function as in Gelbart et al., UAI 2014. Deterministic.
    """
    rows, worked = outcomes(view)
    if min(int(worked.sum()), int((~worked).sum())) < LEAST:
        return None
    words = failure_words(view.features, rows, worked)
    record: dict[str, Any] = {"succeeded": int(worked.sum()), "failed": int((~worked).sum()), "words": words}
    rows, worked = _thinned(rows, worked)
    record["fitted_to"] = len(rows)
    scaling = Scaling.of(view.features)
    weights = _weights(view.features, scaling)
    X = scaling.apply(view.features.values[rows]) * weights
    model = _fitted(X, worked)
    own, plain = _losses(model, X, worked)
    gain = plain - own
    used = bool(gain.mean() > gain.std(ddof=1) / math.sqrt(len(gain)))
    told = {"log_loss": float(own.mean()), "log_loss_of_share": float(plain.mean()), "used": used}
    return Feasibility(scaling, weights, model if used else None, record | {"kernel": str(model.kernel_)} | told)


def outcomes(view: View) -> tuple[IntArray, BoolArray]:
    """Rows [k] that were tried to the end, ascending, and whether they gave a number, be it a limit."""
    measured = [t.rows for t in view.training.values()]
    worked = np.unique(np.concatenate(measured)) if measured else np.empty(0, dtype=np.int64)
    failed = np.setdiff1d(view.infeasible, worked)
    rows = np.concatenate([worked, failed])
    order = np.argsort(rows, kind="stable")
    return rows[order].astype(np.int64), (np.arange(len(rows)) < len(worked))[order]


def _thinned(rows: IntArray, worked: BoolArray) -> tuple[IntArray, BoolArray]:
    """At most `MOST` of the data; of either sort up to half, and what the other sort leaves."""
    if len(rows) <= MOST:
        return rows, worked
    kept = []
    for own, other in ((worked, ~worked), (~worked, worked)):
        places = np.flatnonzero(own)
        room = max(MOST // 2, MOST - int(other.sum()))
        kept.append(places if len(places) <= room else places[evenly(len(places), room)])
    chosen = np.sort(np.concatenate(kept))
    return rows[chosen], worked[chosen]


def _weights(features: FeatureTable, scaling: Scaling) -> FloatArray:
    """What scaled features [k] are multiplied by, so that each number, and each block that is none, counts alike."""
    found = np.ones(len(features.names))
    for block in features.blocks:
        if block.kind != "numbers":
            found[block.start : block.stop] = 1.0 / math.sqrt(max(1, int(scaling.kept[block.start : block.stop].sum())))
    return found[scaling.kept] if scaling.kept.any() else np.ones(1)


def _fitted(X: FloatArray, worked: BoolArray) -> Any:
    from sklearn.gaussian_process import GaussianProcessClassifier
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern

    size = float(np.sqrt(np.square(X - X.mean(axis=0)).sum(axis=1).mean())) or 1.0  # how far apart the data lie
    smooth = Matern(length_scale=size, length_scale_bounds=(0.2 * size, 20.0 * size), nu=2.5)
    kernel = ConstantKernel(2.0, (0.1, 30.0)) * smooth + ConstantKernel(1.0, (0.01, 10.0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a hyperparameter at its bound is no matter
        return GaussianProcessClassifier(kernel, n_restarts_optimizer=0, random_state=0).fit(X, worked)


def _losses(model: Any, X: FloatArray, worked: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Log loss [n] of each candidate predicted from other folds, by the classifier and by the share of successes."""
    from sklearn.gaussian_process import GaussianProcessClassifier

    fold = np.empty(len(worked), dtype=np.int64)
    for own in (worked, ~worked):
        fold[own] = np.arange(own.sum()) % FOLDS
    told, share = np.empty(len(worked)), np.empty(len(worked))
    for k in range(FOLDS):
        out, rest = fold == k, fold != k
        if out.any():
            part = GaussianProcessClassifier(model.kernel_, optimizer=None).fit(X[rest], worked[rest])
            told[out] = part.predict_proba(X[out])[:, 1]
            share[out] = (worked[rest].sum() + 1.0) / (rest.sum() + 2.0)
    return _log_loss(told, worked), _log_loss(share, worked)


def _log_loss(chance: FloatArray, worked: BoolArray) -> FloatArray:
    chance = np.clip(chance, FLOOR, 1.0 - FLOOR)
    return -np.where(worked, np.log(chance), np.log1p(-chance))
