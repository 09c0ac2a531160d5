"""Closed forms of what one candidate may bring, as logarithms, so that tiny hopes still have an order."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from discover.objective import Target

if TYPE_CHECKING:
    from torch import Tensor

NODES = 64
"""Points of the Gauss–Legendre rule on each straight piece of a `match` utility."""
FAR = 1e100
"""Deviations beyond which all is the same, so that squares stay finite."""
REACH = 10.0
"""Deviations beyond which a normal density no longer counts."""


def log_expected_improvement(mean: Tensor, deviation: Tensor, incumbent: float) -> Tensor:
    """Logarithm of the expected improvement over ``incumbent``, stable where the improvement is tiny.

    mean, deviation: [n], in the target's unit, deviation > 0; large is good. Returns [n].
    Ament et al., NeurIPS 2023.
    """
    return deviation.log() + log_h((mean - incumbent) / deviation)


def log_h(u: Tensor) -> Tensor:
    """log(φ(u) + u Φ(u)) of the standard normal density φ and distribution Φ, to double precision for any finite u."""
    u = u.clamp(-FAR, FAR)
    upper = u.clamp_min(-1.0)
    plain = (torch.exp(_log_density(upper)) + upper * torch.special.ndtr(upper)).log()
    middle = -u.clamp(-200.0, -1.0)
    ratio = middle * math.sqrt(0.5 * math.pi) * torch.special.erfcx(middle * math.sqrt(0.5))
    below = _log_density(-middle) + torch.log1p(-ratio)
    far = -u.clamp_max(-200.0)
    series = torch.log1p(-3.0 / far.square() + 15.0 / far.square().square())
    tail = _log_density(far) - 2.0 * far.log() + series
    return torch.where(u > -1.0, plain, torch.where(u > -200.0, below, tail))


def log_expected_approach(mean: Tensor, deviation: Tensor, low: float, high: float, distance: float) -> Tensor:
    """Logarithm of the expected decrease of the distance to [low, high] below ``distance`` > 0.

    The outcome is normal with mean [n] and deviation [n] > 0. The gain is zero beyond ``distance`` from the band, rises
    in a straight line towards it and is ``distance`` inside. Each piece is integrated numerically over the part that
    the density reaches, with positive terms only, so nothing cancels. Returns [n].
    """
    pieces = [(low - distance, low), (high, high + distance)]
    if high > low:
        pieces.append((low, high))
    terms = []
    for start, end in pieces:
        y, log_width = _nodes(mean, deviation, start, end)
        outside = (low - y).clamp_min(0.0) + (y - high).clamp_min(0.0)
        gain = (distance - outside).clamp_min(0.0)
        density = _log_density((y - mean[:, None]) / deviation[:, None]) - deviation.log()[:, None]
        terms.append(log_width + gain.log() + density)
    return torch.logsumexp(torch.cat(terms, dim=1), dim=1)


def log_expected_gain(target: Target, mean: Tensor, deviation: Tensor, level: float) -> Tensor:
    """Logarithm of the expected excess of a target's utility over ``level``, in its unit.

    The outcome is normal with mean [n] and deviation [n] > 0. Returns [n], minus infinity where a match is asked for that is
    nearer than possible.
    """
    if target.direction != "match":
        return log_expected_improvement(mean if target.direction == "maximize" else -mean, deviation, level)
    if level >= 0.0:
        return torch.full_like(mean, -math.inf)
    low, high = target.ends
    return log_trapezium(mean, deviation, low, high, -level)


def log_trapezium(mean: Tensor, deviation: Tensor, low: float, high: float, distance: float | Tensor) -> Tensor:
    """As `log_expected_approach`, by a sum of four expected improvements; where these cancel, the nearer side's upper bound.

    mean, deviation and distance of any shapes that are broadcast.
    """
    ends = (low - distance, low, high, high + distance)
    hopes = [log_h((mean - end) / deviation).exp() for end in ends]
    total = hopes[0] - hopes[1] - hopes[2] + hopes[3]
    side = torch.minimum(log_h((mean - ends[0]) / deviation), log_h((ends[3] - mean) / deviation))
    sound = total > 1e-8 * hopes[0].clamp_min(hopes[3])
    return deviation.log() + torch.where(sound, total.clamp_min(1e-300).log(), side)


def log_probability_between(mean: Tensor, deviation: Tensor, low: float | Tensor, high: float | Tensor) -> Tensor:
    """Logarithm of the probability that a normal outcome lies in [low, high]; either end may be infinite. [n] to [n], or any
    shapes that are broadcast."""
    below, above = ((end - mean) / deviation for end in (low, high))
    below, above = below.clamp_max(FAR), above.clamp_min(-FAR)
    flip = below > 0  # both ends on the upper side: use the mirrored, precise tail
    below, above = torch.where(flip, -above, below), torch.where(flip, -below, above)
    log_above, log_below = torch.special.log_ndtr(above), torch.special.log_ndtr(below)
    return log_above + torch.log1p(-torch.exp((log_below - log_above).clamp_max(-1e-15)))


def _nodes(mean: Tensor, deviation: Tensor, start: float, end: float) -> tuple[Tensor, Tensor]:
    """Quadrature points [n, q] and log weights [n, q] on the part of [start, end] that each density reaches."""
    points, weights = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(NODES))
    nearest = mean.clamp(start, end)
    low = (nearest - REACH * deviation).clamp_min(start)[:, None]
    high = (nearest + REACH * deviation).clamp_max(end)[:, None]
    half = 0.5 * (high - low).clamp_min(torch.finfo(torch.float64).tiny)
    return 0.5 * (low + high) + half * points, (half * weights).log()


def _log_density(u: Tensor) -> Tensor:
    return -0.5 * u.square() - 0.5 * math.log(2 * math.pi)
