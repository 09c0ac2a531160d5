"""Observations that their neighbours contradict: found by evidence, named, and left out of the fit.

Every value is predicted from the others. One counts as gross error where a broad density, that of a value which tells
nothing of its candidate, explains it better than the model of the others does, by more than the odds against a gross
error: the contaminated normal model of Box and Tiao (Biometrika 1968), point by point on leave-one-out densities, and
once more for all of them together, with the hyperparameters fitted without them (compare Ament et al., Robust Gaussian
processes via relevance pursuit, NeurIPS 2024).

A needle's point is no error. What is looked for may stand far above everything else, and neighbours that know nothing of
it will contradict; so a value among the best is never left out on their word. It is named as one to measure again, and
only its own replicates can overrule it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from discover.surrogate.diagnostics import leave_one_out
from discover.surrogate.gaussian.process import fit_arrays
from discover.surrogate.targets.shape import REFERENCE
from discover.values import BoolArray, FloatArray, IntArray

FEWEST = 12
"""Observations below which nothing is called an outlier."""
MOST = 0.1
"""Share of the observations that may be."""
ODDS = math.log(99.0)
"""Nats against a gross error: one in a hundred."""
GAIN = 3.0
"""Nats, for each, by which leaving them out must explain the data better."""
FAR = 4.0
"""Deviations from what the others say, below which nothing is suspected."""
INFORMED = 0.5
"""A value is contradicted only where the others leave less than this share of the target's variance."""
BEST = 0.25
"""Share of the observations, the best by the objective, that only replicates can overrule."""
REPLICATES = 3
ROUNDS = 4


@dataclass(frozen=True)
class Outliers:
    """positions: left out, ascending. doubted: among the best and contradicted, kept. gain: nats, per one left out.

    expected: [n], what the others say of each value; NaN where there was nothing to ask.
    """

    positions: IntArray
    doubted: IntArray
    gain: float
    expected: FloatArray


def find_outliers(X: FloatArray, y: FloatArray, noise: FloatArray, rows: IntArray, merit: FloatArray) -> Outliers:
    """Gross errors among values [n] at scaled features [n, d] with noise variances [n] (NaN where unknown).

    rows [n]: the candidate of each. merit [n]: how good each value is by the objective, large is good. One cheap fit
    where nothing is suspected.
    """
    n = len(y)
    nothing = np.array([], dtype=np.int64)
    if n < FEWEST or len(np.unique(y)) < FEWEST:
        return Outliers(nothing, nothing, 0.0, np.full(n, math.nan))
    broad = _broad(y)
    whole = _told(X, y, noise, nothing)
    odd, told = nothing, whole
    for step in range(ROUNDS):
        # gross errors pass for noise at first, so what lies far off among the residuals goes on trial
        off = _residual(whole, y) if not step else broad - told.density
        found = _worst(off > FAR if not step else _suspect(told, broad), off, int(MOST * n))
        if np.array_equal(found, odd):
            break
        odd, told = found, _told(X, y, noise, found)
    kept = _shielded(rows, merit)[odd]
    doubted, out = odd[kept], odd[~kept]
    if not len(out):
        return Outliers(nothing, doubted, 0.0, told.expected)
    before = _told(X, y, noise, doubted) if len(doubted) else whole
    left = np.setdiff1d(np.arange(n), odd)
    after = told.density[left].sum() + broad[out].sum() - ODDS * len(out)
    gain = float(after - np.delete(before.density, doubted).sum()) / len(out)
    if gain < GAIN:
        return Outliers(nothing, doubted, 0.0, before.expected)
    return Outliers(out, doubted, gain, told.expected)


@dataclass(frozen=True)
class _Told:
    """What the others (but those left out) say of n values: log density, deviations off, mean, share of the variance left."""

    density: FloatArray
    far: FloatArray
    expected: FloatArray
    share: FloatArray


def _told(X: FloatArray, y: FloatArray, noise: FloatArray, out: IntArray) -> _Told:
    left = np.setdiff1d(np.arange(len(y)), out)
    posterior = fit_arrays(REFERENCE, X[left], y[left], np.sqrt(noise[left]), None)
    loo = leave_one_out(posterior, np.arange(len(left), dtype=np.int64))
    mean, deviation = np.empty(len(y)), np.empty(len(y))
    mean[left], deviation[left] = loo.means, loo.stds
    if len(out):
        at, wide = posterior.mean_deviation(torch.from_numpy(np.ascontiguousarray(X[out])))
        mean[out], deviation[out] = at.numpy(), np.hypot(wide.numpy(), math.sqrt(posterior.noise_variance))
    far = (y - mean) / deviation
    density = -0.5 * far**2 - np.log(deviation) - 0.5 * math.log(2 * math.pi)
    return _Told(density, np.abs(far), mean, np.square(deviation / posterior.standard.scale))


def _suspect(told: _Told, broad: FloatArray) -> BoolArray:
    found: BoolArray = (told.far > FAR) & (told.share < INFORMED) & (told.density < broad - ODDS)
    return found


def _residual(told: _Told, y: FloatArray) -> FloatArray:
    """How far [n] values lie from what the others say, in robust deviations of all."""
    off = np.abs(y - told.expected)
    found: FloatArray = off / max(1.4826 * float(np.median(off)), 1e-300)
    return found


def _worst(odd: BoolArray, oddness: FloatArray, most: int) -> IntArray:
    """Positions of the oddest of those that are odd, at most so many, ascending."""
    positions = np.flatnonzero(odd)
    return np.sort(positions[np.argsort(-oddness[positions], kind="stable")[:most]]).astype(np.int64)


def _shielded(rows: IntArray, merit: FloatArray) -> BoolArray:
    """Values among the best, of candidates with too few replicates to overrule them."""
    _, which, counts = np.unique(rows, return_inverse=True, return_counts=True)
    found: BoolArray = (merit >= np.quantile(merit, 1.0 - BEST)) & (counts[which] < REPLICATES)
    return found


def _broad(y: FloatArray) -> FloatArray:
    """Log density [n] of values that tell nothing of their candidates: Cauchy's, as wide as the values are."""
    middle = float(np.median(y))
    width = 1.4826 * float(np.median(np.abs(y - middle))) or float(np.std(y))
    found: FloatArray = -np.log(math.pi * width * (1.0 + ((y - middle) / width) ** 2))
    return found
