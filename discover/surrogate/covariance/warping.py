"""Features bent before a kernel sees them, where a target changes faster at one end of a feature than at the other.

Each feature is taken over the pool to u from 0 to 1, and then to the distribution function of Kumaraswamy, 1 - (1 - uᵃ)ᵇ:
straight with a = b = 1, else steeper at either end or at both. The exponents are fitted with the length-scales. Snoek,
Swersky, Zemel and Adams, Input warping for Bayesian optimization of non-stationary functions, ICML 2014.

With its exponents held a warp is one more fixed map of the features: whatever holds of the kernel over features holds of it
over bent ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch

from discover.surrogate.covariance.fitting import EXPONENT
from discover.surrogate.covariance.forms import Prepared, Radial, Unshared
from discover.surrogate.covariance.kernels import correlation, slope, squared_distances

if TYPE_CHECKING:
    from torch import Tensor

EDGE = 1e-7
"""How near to 0 and 1 features may come, as in BoTorch: at the ends themselves a bend may have no slope."""


@dataclass(frozen=True)
class Warp:
    """The bend of scaled features. lows [d]: their least values over the pool; they span 1. a, b: [d], the exponents."""

    lows: Tensor
    a: Tensor
    b: Tensor

    def __call__(self, A: Tensor) -> Tensor:
        """Scaled features [m, d] to bent ones [m, d] between 0 and 1, in that of A's and the exponents' precisions which is the higher;
        beyond the pool flat."""
        return -torch.expm1(self.b * self._log_rest(self._log_unit(A)))

    def slopes(self, A: Tensor) -> tuple[Tensor, Tensor]:
        """Derivatives [m, d] of the bent features by log a and by log b."""
        log_unit = self._log_unit(A)
        log_rest = self._log_rest(log_unit)
        above = (self.b * log_rest).exp()
        by_a = self.a * self.b * log_unit * (self.a * log_unit + (self.b - 1.0) * log_rest).exp()
        return by_a, -self.b * log_rest * above

    def _log_unit(self, A: Tensor) -> Tensor:
        """Logarithms of the features on the scale from 0 to 1."""
        unit = (A - self.lows.to(A.dtype)) * (1.0 - 2.0 * EDGE) + EDGE
        return unit.clamp(EDGE, 1.0 - EDGE).log()

    def _log_rest(self, log_unit: Tensor) -> Tensor:
        """log(1 - uᵃ) from log u."""
        return (-torch.expm1(self.a * log_unit)).log()


@dataclass(frozen=True)
class Warped(Unshared):
    """A Matérn kernel of bent features, with a length-scale for each. lows: [d], least scaled features over the pool.

    Its numbers are d length-scales, then d exponents a, then d exponents b.
    """

    lows: tuple[float, ...]

    @property
    def title(self) -> str:
        """In words."""
        return f"{self.kernel.title}, of features that are bent"

    @cached_property
    def kernel(self) -> Radial:
        """The kernel of what has been bent."""
        return Radial.whole("matern", len(self.lows), each=True)

    @property
    def dimensions(self) -> tuple[int, ...]:
        """Those of the kernel, and EXPONENT for each exponent."""
        return self.kernel.dimensions + (EXPONENT,) * (2 * len(self.lows))

    def parts(self, numbers: Tensor) -> tuple[Warp, Tensor]:
        """The bend and the length-scales [d] among the numbers [3 d]."""
        lengths, a, b = numbers.split(len(self.lows))
        return Warp(torch.tensor(self.lows, dtype=numbers.dtype), a, b), lengths

    def across(self, lengths: Tensor, shares: Tensor, A: Tensor, B: Tensor) -> Tensor:
        """Prior correlations [m, n]."""
        warp, own = self.parts(lengths)
        return self.kernel.across(own, shares, warp(A), warp(B))

    def diagonal(self, lengths: Tensor, shares: Tensor, A: Tensor) -> Tensor:
        """One."""
        return torch.ones(len(A), dtype=A.dtype)

    def prepared(self, X: Tensor) -> Prepared:
        """Over the rows of a fit."""
        return _Bent(self, X)


class _Bent:
    """A warped kernel over the rows of a fit."""

    def __init__(self, form: Warped, X: Tensor):
        self.form, self.X = form, X

    def value(self, lengths: Tensor, shares: Tensor) -> Tensor:
        self.warp, self.lengths = self.form.parts(lengths)
        bent = self.warp(self.X)
        self.Z = (bent - bent.mean(dim=0)) / self.lengths
        self.total = squared_distances(self.Z, self.Z)
        return correlation(self.form.kernel.kernel, self.total)

    def slope(self, worth: Tensor) -> tuple[Tensor, Tensor]:
        # With H the worth of squared distances, d Σ_ij H_ij (z_i - z_j)² / d z_i = 4 (z_i Σ_j H_ij - Σ_j H_ij z_j).
        by_distance = worth * slope(self.form.kernel.kernel, self.total)
        by_row = 4.0 * (by_distance.sum(dim=1, keepdim=True) * self.Z - by_distance @ self.Z)
        by_a, by_b = ((by_row * bend).sum(dim=0) / self.lengths for bend in self.warp.slopes(self.X))
        return torch.cat([-(by_row * self.Z).sum(dim=0), by_a, by_b]), worth.new_empty(0)
