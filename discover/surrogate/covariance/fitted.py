"""The prior covariance that a fit arrived at: a form and its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from discover.surrogate.covariance.forms import Form, Radial
from discover.surrogate.covariance.warping import Warp, Warped

if TYPE_CHECKING:
    from torch import Tensor

    from discover.surrogate.covariance.kernels import Kernel


@dataclass(frozen=True)
class Covariance:
    """Prior covariance of the standardised target between rows of scaled features. lengths, shares: as `form` has them."""

    form: Form
    lengths: tuple[float, ...]
    shares: tuple[float, ...] = ()

    def across(self, A: Tensor, B: Tensor) -> Tensor:
        """A [m, d], B [n, d] to [m, n], in the precision of A."""
        return self.form.across(*self._numbers(A), A, B)

    def diagonal(self, A: Tensor) -> Tensor:
        """Variances [m] of A [m, d]; one for all rows where the form is stationary."""
        return self.form.diagonal(*self._numbers(A), A)

    @property
    def stationary(self) -> tuple[Kernel, tuple[float, ...]] | None:
        """Kernel and a length-scale for each of the d features, infinite where a feature has no say; None for other forms.

        Then `across` is `correlation(kernel, squared_distances(A / lengths, B / lengths))`.
        """
        if not isinstance(self.form, Radial):
            return None
        factor = self.form.scaling(torch.tensor(self.lengths, dtype=torch.float64))
        whole = torch.full((max(self.form.width, max(self.form.columns) + 1),), float("inf"), dtype=torch.float64)
        whole[list(self.form.columns)] = 1.0 / factor
        return self.form.kernel, tuple(whole.tolist())

    @property
    def warp(self) -> Warp | None:
        """How scaled features are bent before all else; None where they are not."""
        if not isinstance(self.form, Warped):
            return None
        return self.form.parts(torch.tensor(self.lengths, dtype=torch.float64))[0]

    def bent(self, A: Tensor) -> Tensor:
        """Scaled features [m, d] as the kernel sees them."""
        return A if (warp := self.warp) is None else warp(A)

    @property
    def straight(self) -> Covariance:
        """The covariance of features that have been bent; itself where none are."""
        if not isinstance(self.form, Warped):
            return self
        return Covariance(self.form.kernel, self.lengths[: len(self.form.lows)])

    def _numbers(self, like: Tensor) -> tuple[Tensor, Tensor]:
        return torch.tensor(self.lengths, dtype=like.dtype), torch.tensor(self.shares, dtype=like.dtype)
