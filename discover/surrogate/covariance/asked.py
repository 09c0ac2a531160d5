"""A covariance of rows that carry more than features: observations say under which conditions they were made, questions do not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import torch

from discover.surrogate.covariance.composite import Product, Sum
from discover.surrogate.covariance.forms import Form, Prepared, Radial

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Asked:
    """features × conditions + conditions: what rows under two conditions share, and by how much these are apart throughout.

    features: a form over `width` features. conditions: one over the columns after them. values: of these columns, for rows
    that have none and are asked about.
    """

    features: Form
    conditions: Form
    width: int
    values: tuple[float, ...]
    words: str = ""

    @cached_property
    def form(self) -> Form:
        """Of rows with their conditions."""
        return Sum((Product((self.features, self.conditions)), self.conditions))

    @property
    def title(self) -> str:
        """In words."""
        return f"{self.features.title}, asked at {self.words}"

    @property
    def dimensions(self) -> tuple[int, ...]:
        """Those of the form."""
        return self.form.dimensions

    @property
    def shares(self) -> int:
        """Those of the form."""
        return self.form.shares

    @property
    def sums(self) -> tuple[int, ...]:
        """Those of the form."""
        return self.form.sums

    @cached_property
    def _values(self) -> Tensor:
        return torch.tensor(self.values, dtype=torch.float64)

    def whole(self, A: Tensor) -> Tensor:
        """Rows [m, width] with the conditions asked about, [m, width + e]; rows that have conditions as they are."""
        if A.shape[1] > self.width:
            return A
        return torch.cat([A, self._values.to(A.dtype).expand(len(A), -1)], dim=1)

    def across(self, lengths: Tensor, shares: Tensor, A: Tensor, B: Tensor) -> Tensor:
        """Prior covariances [m, n]."""
        return self.form.across(lengths, shares, self.whole(A), self.whole(B))

    def diagonal(self, lengths: Tensor, shares: Tensor, A: Tensor) -> Tensor:
        """Prior variances [m]."""
        return self.form.diagonal(lengths, shares, self.whole(A))

    def prepared(self, X: Tensor) -> Prepared:
        """Over the rows of a fit."""
        return self.form.prepared(self.whole(X))


def simplest(form: Form | None) -> Form | None:
    """What a fit of a form falls back to: one kernel over all features, None, but for conditions that must be told still."""
    if not isinstance(form, Asked):
        return None
    return replace(form, features=Radial.whole("matern", form.width, each=False))
