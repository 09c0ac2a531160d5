"""Bounds as what they are: 'the truth is at most 5' becomes a normal pseudo-observation that tells just as much.

A limit has the likelihood Φ(±(f - limit)/σ), not a normal density. Expectation propagation replaces each such factor by a
normal one whose moments agree with it in the context of all others; what comes out is a value and a variance for each
limit, and a Gaussian process that is told these with given noise stays exact in everything that comes after.
Minka, UAI 2001; Rasmussen and Williams (2006), sections 3.6 and 5.5; for censored observations Groot and Lucas, 6th
European Workshop on Probabilistic Graphical Models (2012). The factors are log-concave, so every variance is positive and
the iteration settles. Many limits on what is nearly one quantity make it narrower than it is (40 copies: by half): of
several limits of one candidate only the tightest should enter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import log_ndtr

from discover.values import BoolArray, FloatArray, IntArray

SWEEPS = 50
SETTLED = 1e-6
"""Change of a site's natural parameters, in units of its own deviation, at which the iteration ends."""
FAR = -50.0
"""Deviations on the wrong side of its limit beyond which a factor's moments come from their series."""
IDLE = 1e-6
"""A limit that takes away less than this share of a variance tells nothing."""
MEAN_VARIANCE = 1.0
"""Prior variance of the constant mean, in units of the target's variance."""


@dataclass(frozen=True)
class Sites:
    """What c limits tell: values [c] with noise variances [c]. sweeps: what it took; settled: whether it was enough."""

    values: FloatArray
    variances: FloatArray
    sweeps: int
    settled: bool


def bound_sites(
    mean: FloatArray, covariance: FloatArray, limits: FloatArray, sides: IntArray, noise: FloatArray
) -> Sites:
    """Pseudo-observations for c limits of a normal quantity.

    mean [c], covariance [c, c]: of the noiseless quantity, given all else that is known. limits [c]: what a measurement
    with noise variance [c] >= 0 would be at most (sides -1) or at least (sides +1). All in one unit.
    """
    c = len(limits)
    precision, shift = np.zeros(c), np.zeros(c)
    now_mean, now = mean.copy(), covariance.copy()
    sweeps, settled = 0, not c
    while not settled and sweeps < SWEEPS:
        moved = 0.0
        for i in range(c):
            spread = max(now[i, i], 1e-300)
            cavity = 1.0 / max(1.0 / spread - precision[i], 1e-300)
            centre = cavity * (now_mean[i] / spread - shift[i])
            new_precision, new_shift = _site(centre, cavity, limits[i], float(sides[i]), noise[i])
            dp, ds = new_precision - precision[i], new_shift - shift[i]
            moved = max(moved, abs(dp) * spread, abs(ds - dp * now_mean[i]) * spread**0.5)
            precision[i], shift[i] = new_precision, new_shift
            column = now[:, i].copy()
            now_mean = now_mean + column * ((ds - dp * now_mean[i]) / (1.0 + dp * spread))
            now = now - np.outer(column, column * (dp / (1.0 + dp * spread)))
        now_mean, now = _belief(mean, covariance, precision, shift)  # rounding errors of the updates end here
        sweeps += 1
        settled = moved < SETTLED
    idle = precision * covariance.diagonal() < IDLE
    variances = np.where(idle, covariance.diagonal() / IDLE, 1.0 / np.where(idle, 1.0, precision))
    return Sites(np.where(idle, now_mean, shift * variances), variances, sweeps, settled)


def censored_sites(
    prior: FloatArray, values: FloatArray, noise: FloatArray, bounds: IntArray
) -> tuple[FloatArray, FloatArray, Sites]:
    """All n observations as values and noise variances: measured ones as they are, limits as their pseudo-observations.

    prior [n, n]: covariance of the noiseless quantity in units of its variance; its constant mean is uncertain by
    MEAN_VARIANCE around 0. values [n]: standardised. noise [n]: variances. bounds [n]: 0 for a value, -1 where the truth
    is at most it, +1 where it is at least it.
    """
    free = bounds != 0
    whole = prior + MEAN_VARIANCE
    mean, covariance = conditional(whole, values, noise, free)
    sites = bound_sites(mean, covariance, values[free], bounds[free], noise[free])
    told, spread = values.copy(), noise.copy()
    told[free], spread[free] = sites.values, sites.variances
    return told, spread, sites


def conditional(
    prior: FloatArray, values: FloatArray, noise: FloatArray, free: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """Mean [c] and covariance [c, c] of the c `free` rows of n, given noisy values of the others; zero prior mean."""
    across, own = prior[np.ix_(~free, free)], prior[np.ix_(free, free)]
    if free.all():
        return np.zeros(len(own)), own
    factor = cho_factor(prior[np.ix_(~free, ~free)] + np.diag(noise[~free]), lower=True)
    solved = cho_solve(factor, across)
    covariance = own - across.T @ solved
    covariance.flat[:: len(own) + 1] = np.maximum(covariance.diagonal(), 1e-12 * own.diagonal())
    return solved.T @ values[~free], 0.5 * (covariance + covariance.T)


def _site(centre: float, cavity: float, limit: float, side: float, noise: float) -> tuple[float, float]:
    """Natural parameters (precision, precision · value) of the factor that gives a normal cavity the moments it should have.

    Rasmussen and Williams (2006), equation 3.58.
    """
    width = float(np.sqrt(cavity + noise))
    u = side * (centre - limit) / width
    ratio, share = _ratio_and_share(u)
    left = 1.0 - cavity * share / width**2
    precision = share / width**2 / max(left, 1e-12)
    shifted = centre + side * cavity * ratio / width
    return precision, shifted * (precision + 1.0 / cavity) - centre / cavity


def _ratio_and_share(u: float) -> tuple[float, float]:
    """r = φ(u)/Φ(u), and r(u + r), which lies between 0 and 1."""
    if u < FAR:
        return -u - 1.0 / u, 1.0 - 1.0 / u**2
    ratio = float(np.exp(-0.5 * u * u - 0.5 * np.log(2 * np.pi) - log_ndtr(u)))
    return ratio, min(max(ratio * (u + ratio), 0.0), 1.0)


def _belief(
    mean: FloatArray, covariance: FloatArray, precision: FloatArray, shift: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Mean [c] and covariance [c, c] after the sites."""
    root = np.sqrt(precision)
    factor = cho_factor(np.eye(len(mean)) + root[:, None] * covariance * root, lower=True)
    part = root[:, None] * covariance
    after = covariance - part.T @ cho_solve(factor, part)
    return mean + after @ (shift - precision * mean), 0.5 * (after + after.T)
