"""How noisy each observation is, where the data tell: from replicates of its own, or growing with the value.

Stated deviations are believed. Where some candidates were measured repeatedly and scatter differently, each gets its own
variance, drawn towards the common one by as much as the variances agree (Smyth, Stat. Appl. Genet. Mol. Biol. 3, 3 (2004)).
Where large values scatter more than small ones, the variance is a + b·m² of what the others say of a value, m: with the
value itself, whatever came out low by chance would count for more. Either is taken only where values are then predicted
better from the others, by leave-one-out density.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from discover.surrogate.diagnostics import LeaveOneOut, leave_one_out
from discover.surrogate.gaussian.process import fit_arrays
from discover.surrogate.targets.shape import GAIN, REFERENCE
from discover.values import FloatArray, IntArray

FEWEST = 20
"""Observations below which all are taken to be equally noisy."""
FREEDOM = 8
"""Degrees of freedom that replicates must have in all, for them to tell how scatter differs."""
FLOOR = 1e-3
"""The least variance of replicates, as a share of the common one: identical values were seen by chance."""


@dataclass(frozen=True)
class Noise:
    """variances [n]: NaN where a fit is to find them. record: in what was learned; empty where all are alike."""

    variances: FloatArray
    record: dict[str, Any]


def choose_noise(X: FloatArray, y: FloatArray, noise: FloatArray, rows: IntArray) -> Noise:
    """For values [n] of candidates [n] at scaled features [n, d], with stated noise variances [n] (NaN where unknown)."""
    unknown = ~np.isfinite(noise)
    if unknown.sum() < FEWEST or len(np.unique(rows)) < FEWEST // 2:
        return Noise(noise, {})
    plain = _told(X, y, noise)
    own, growing = moderated(y, rows), _growing(plain, noise, X, y)
    offered = {"by_replicates": own, "with_the_value": None if growing is None else (growing, growing)}
    best, gained = Noise(noise, {}), 0.0
    for how, variances in offered.items():
        if variances is None:
            continue
        tried, honest = (np.where(unknown, v, noise) for v in variances)
        difference = _densities(_told(X, y, tried), honest - tried) - _densities(plain)
        gain = float(difference.sum())
        if gain > max(GAIN + float(difference.std(ddof=1)) * math.sqrt(len(y)), gained):
            spread = [float(np.sqrt(v)) for v in np.nanquantile(tried, [0.05, 0.95])]
            best, gained = Noise(tried, {"noise": how, "noise_gain": gain, "noise_stds": spread}), gain
    return best


def moderated(y: FloatArray, rows: IntArray) -> tuple[FloatArray, FloatArray] | None:
    """Variances [n] of the values of candidates with replicates, NaN for others; None where they tell no differences.

    The second are made without the value itself, for a judgement of it.
    """
    from scipy.special import digamma, polygamma

    _, which, counts = np.unique(rows, return_inverse=True, return_counts=True)
    means = np.bincount(which, weights=y) / counts
    off = (y - means[which]) ** 2
    squares, freedom = np.asarray(np.bincount(which, weights=off), dtype=np.float64), (counts - 1).astype(np.float64)
    told = freedom > 0
    if freedom.sum() < FREEDOM or told.sum() < 3 or squares.sum() <= 0:
        return None
    pooled = squares.sum() / freedom.sum()
    d = freedom[told]
    logs = np.log(np.maximum(squares[told] / d, FLOOR * pooled)) - digamma(d / 2) + np.log(d / 2)
    excess = float(logs.var(ddof=1) - polygamma(1, d / 2).mean())
    if excess <= 0:
        return None
    prior = 2.0 * _trigamma_inverse(excess)
    common = float(np.exp(logs.mean() + digamma(prior / 2) - np.log(prior / 2)))
    several, count = told[which], counts[which]
    less = np.where(several, off * count / np.maximum(count - 1, 1), 0.0)  # what one value adds to the squares

    def shrunk(square: FloatArray, free: FloatArray) -> FloatArray:
        found: FloatArray = np.where(several, (prior * common + square) / (prior + free), math.nan)
        return np.maximum(found, FLOOR * pooled)

    whole, free = squares[which], freedom[which]
    return shrunk(whole, free), shrunk(np.maximum(whole - less, 0.0), free - 1.0)


def _trigamma_inverse(value: float) -> float:
    """x > 0 with ψ'(x) = value > 0; trigamma falls steadily."""
    from scipy.optimize import brentq
    from scipy.special import polygamma

    return float(np.exp(brentq(lambda t: math.log(float(polygamma(1, math.exp(t)))) - math.log(value), -20.0, 20.0)))


def _growing(plain: LeaveOneOut, noise: FloatArray, X: FloatArray, y: FloatArray) -> FloatArray | None:
    """a + b·m² [n] with the a and b under which what the others say is most likely; None where nothing grows."""
    from scipy.optimize import minimize

    fit = fit_arrays(REFERENCE, X, y, np.sqrt(noise), None)
    if fit.found is None:
        return None
    level = fit.noise_variance
    latent = np.maximum(np.square(plain.stds) - np.where(np.isfinite(noise), noise, level), 1e-6 * level)
    size = np.square(plain.means) / max(float(np.square(plain.means).mean()), 1e-300)
    residual = np.square(plain.values - plain.means)

    def negative(parameters: FloatArray) -> float:
        a, b = np.exp(parameters)
        variance = latent + level * (a + b * size)
        return float(0.5 * (residual / variance + np.log(variance)).sum())

    found = minimize(negative, [-0.7, -0.7], method="Nelder-Mead", options={"maxiter": 200})
    a, b = np.exp(np.clip(found.x, -12.0, 6.0))
    if b < 0.1 * a:
        return None
    variances: FloatArray = level * (a + b * size)
    return variances


def _told(X: FloatArray, y: FloatArray, noise: FloatArray) -> LeaveOneOut:
    return leave_one_out(fit_arrays(REFERENCE, X, y, np.sqrt(noise), None), np.arange(len(y), dtype=np.int64))


def _densities(told: LeaveOneOut, more: FloatArray | float = 0.0) -> FloatArray:
    """Log density [n] of each value, predicted from the others, with so much more noise variance of its own (NaN for none)."""
    variance = np.maximum(np.square(told.stds) + np.nan_to_num(more, nan=0.0), 1e-6 * np.square(told.stds))
    found: FloatArray = -0.5 * (np.square(told.values - told.means) / variance + np.log(2 * math.pi * variance))
    return found
