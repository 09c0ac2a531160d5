"""Hyperparameters that are kept while the observations have hardly grown: no fit, and a prior that stays the same.

The scale of the target and the constant mean are kept with them. Beliefs of successive iterations then differ by conditioning
on the new observations alone, which is what bounds between iterations rest on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from discover.surrogate.covariance import fitting
from discover.surrogate.gaussian.state import State, covariance_of

if TYPE_CHECKING:
    from torch import Tensor

    from discover.surrogate.covariance.forms import Form

NAME = "kept"
ROUNDING = 1e-9
"""A tenth of fifty is five."""


@dataclass(frozen=True)
class Kept:
    """The prior of an earlier fit. observations: that it came from. shift, scale: of the target. mean: the constant one."""

    observations: int
    shift: float
    scale: float
    mean: float

    @classmethod
    def of(cls, memory: Mapping[str, Any] | None, share: float, n: int) -> Kept | None:
        """What a memory holds, if n observations are not more than these by `share` or more; else None."""
        told = (memory or {}).get(NAME)
        if not isinstance(told, Mapping) or set(told) != {"observations", "shift", "scale", "mean"}:
            return None
        found = cls(int(told["observations"]), *(float(told[name]) for name in ("shift", "scale", "mean")))
        sound = all(math.isfinite(v) for v in (found.shift, found.scale, found.mean)) and found.scale > 0
        grown = n - found.observations
        return found if sound and grown >= 0 and grown < share * found.observations * (1.0 - ROUNDING) else None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON, exact."""
        return {"observations": self.observations, "shift": self.shift, "scale": self.scale, "mean": self.mean}


def state_about(
    mean: float, X: Tensor, y: Tensor, known: Tensor, found: fitting.Hyperparameters, form: Form | None
) -> State | None:
    """Factors as `State.of` makes them, about a constant mean that is given; None where they do not hold."""
    K = covariance_of(found, X.shape[1], form).across(X, X)
    try:
        factor, jitter = fitting.cholesky(K + torch.diag(fitting.noise_diagonal(known, found.noise)))
    except fitting.NotDefinite:
        return None
    weights = torch.cholesky_solve((y - mean)[:, None], factor)[:, 0]
    return State(factor, weights, mean, jitter) if bool(torch.isfinite(weights).all()) else None
