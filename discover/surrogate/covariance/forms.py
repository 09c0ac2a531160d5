"""The shapes that a prior covariance can have, all fitted alike: leaves over some features, and their sums and products.

A form is a structure without numbers. Its numbers are two vectors: `lengths`, length-scales in scaled features, and `shares`,
which weigh the terms of sums. What looks at many rows at once (`across`) and what a fit differentiates (`Prepared`) are
made from the same parts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import torch

from discover.surrogate.covariance.kernels import Kernel, correlation, slope, squared_distances

if TYPE_CHECKING:
    from torch import Tensor

FEW = 4
"""Lengths up to which squared distances are kept apart by length, rather than worked out anew at every step."""


class Prepared(Protocol):
    """A form over the rows of a fit: the covariance at some numbers, and what a change of it is worth."""

    def value(self, lengths: Tensor, shares: Tensor) -> Tensor:
        """lengths [p], shares [q] to the covariance [n, n]."""
        ...

    def slope(self, worth: Tensor) -> tuple[Tensor, Tensor]:
        """From d objective / d covariance [n, n], symmetric, at the last numbers: by log lengths [p] and by logits [q]."""
        ...


class Form(Protocol):
    """What a prior covariance looks like."""

    @property
    def title(self) -> str:
        """In words."""
        ...

    @property
    def dimensions(self) -> tuple[int, ...]:
        """For each length-scale, of how many dimensions its prior is."""
        ...

    @property
    def shares(self) -> int:
        """Number of shares."""
        ...

    @property
    def sums(self) -> tuple[int, ...]:
        """How many of the shares belong to each sum, in order."""
        ...

    def across(self, lengths: Tensor, shares: Tensor, A: Tensor, B: Tensor) -> Tensor:
        """A [m, d], B [n, d] to prior covariances [m, n]; lengths [p], shares [q] that sum to one in every sum."""
        ...

    def diagonal(self, lengths: Tensor, shares: Tensor, A: Tensor) -> Tensor:
        """Prior variances [m] of A [m, d]."""
        ...

    def prepared(self, X: Tensor) -> Prepared:
        """The form over the rows of a fit, X [n, d]."""
        ...


class Unshared:
    """A form without sums, so that there is nothing to have shares of."""

    @property
    def shares(self) -> int:
        """None."""
        return 0

    @property
    def sums(self) -> tuple[int, ...]:
        """None."""
        return ()


@dataclass(frozen=True)
class Radial(Unshared):
    """A stationary kernel of the distance in some features; features of one group share a length-scale.

    columns: positions among the d features. groups: for each of them which length it has. weights: fixed factors on the
    columns, () for ones. dimension: what the priors on the lengths grow with. width: d, where the columns do not tell.

    With raw one-hot columns, one group a category column, and kernel rbf this is the Hamming kernel: the logarithm falls
    by a share for each mismatch.
    """

    kernel: Kernel
    columns: tuple[int, ...]
    groups: tuple[int, ...]
    weights: tuple[float, ...] = ()
    dimension: int = 0
    width: int = 0
    name: str = ""

    @classmethod
    def over(cls, kernel: Kernel, columns: Sequence[int], *, each: bool, width: int = 0, name: str = "") -> Radial:
        """Over some columns of `width`, with a length-scale for each of them or one for all."""
        groups = tuple(range(len(columns))) if each else (0,) * len(columns)
        return cls(kernel, tuple(columns), groups, width=width, name=name)

    @classmethod
    def whole(cls, kernel: Kernel, d: int, *, each: bool) -> Radial:
        """Over all of d features."""
        return cls.over(kernel, range(d), each=each)

    @property
    def title(self) -> str:
        """In words."""
        many = len(self.dimensions) > 1
        of = f" of {self.name}" if self.name else ""
        return f"{self.kernel} kernel{of} with one length-scale{' a feature' if many else ''}"

    @property
    def dimensions(self) -> tuple[int, ...]:
        """For each length-scale the number of features, which the prior grows with."""
        return (self.dimension or len(self.columns),) * (max(self.groups) + 1)

    def scaling(self, lengths: Tensor) -> Tensor:
        """What each of the columns is multiplied with."""
        factor = 1.0 / lengths[self._groups]
        return factor * torch.tensor(self.weights, dtype=factor.dtype) if self.weights else factor

    def taken(self, A: Tensor) -> Tensor:
        """The columns of this kernel, of A [m, d]."""
        return A if self.columns == tuple(range(A.shape[1])) else A[:, self._columns]

    @cached_property
    def _groups(self) -> Tensor:
        return torch.tensor(self.groups, dtype=torch.int64)

    @cached_property
    def _columns(self) -> Tensor:
        return torch.tensor(self.columns, dtype=torch.int64)

    def across(self, lengths: Tensor, shares: Tensor, A: Tensor, B: Tensor) -> Tensor:
        """Prior correlations [m, n]."""
        factor = self.scaling(lengths)
        return correlation(self.kernel, squared_distances(self.taken(A) * factor, self.taken(B) * factor))

    def diagonal(self, lengths: Tensor, shares: Tensor, A: Tensor) -> Tensor:
        """One."""
        return torch.ones(len(A), dtype=A.dtype)

    def prepared(self, X: Tensor) -> Prepared:
        """Over the rows of a fit."""
        columns = self.taken(X) * self.scaling(torch.ones(len(self.dimensions), dtype=X.dtype))
        if len(self.dimensions) <= min(FEW, len(self.columns) - 1):
            return _Kept(self, columns)
        return _Anew(self, columns - columns.mean(dim=0))


class _Kept:
    """A radial kernel of few lengths: squared distances by length are worked out once."""

    def __init__(self, form: Radial, X: Tensor):
        self.kernel = form.kernel
        count = len(form.dimensions)
        parts = [X[:, form._groups == group] for group in range(count)]
        self.squared = torch.stack([squared_distances(part, part) for part in parts])

    def value(self, lengths: Tensor, shares: Tensor) -> Tensor:
        self.scaled = self.squared / lengths.square()[:, None, None]
        self.total = self.scaled.sum(dim=0)
        return correlation(self.kernel, self.total)

    def slope(self, worth: Tensor) -> tuple[Tensor, Tensor]:
        by_distance = worth * slope(self.kernel, self.total)
        return -2.0 * (self.scaled * by_distance).sum(dim=(1, 2)), worth.new_empty(0)


class _Anew:
    """A radial kernel of many lengths: two matrix products a step, none of them larger than [n, n] or [n, d]."""

    def __init__(self, form: Radial, X: Tensor):
        self.kernel, self.X, self.groups = form.kernel, X, form._groups
        self.count = len(form.dimensions)

    def value(self, lengths: Tensor, shares: Tensor) -> Tensor:
        self.Z = self.X / lengths[self.groups]
        self.total = squared_distances(self.Z, self.Z)
        return correlation(self.kernel, self.total)

    def slope(self, worth: Tensor) -> tuple[Tensor, Tensor]:
        # Σ_ij H_ij (z_i - z_j)² = 2 Σ_i h_i z_i² - 2 Σ_i z_i (H z)_i with h the row sums of H
        by_distance = worth * slope(self.kernel, self.total)
        rows = by_distance.sum(dim=1)
        columns = 2.0 * (rows @ self.Z.square() - (self.Z * (by_distance @ self.Z)).sum(dim=0))
        return worth.new_zeros(self.count).index_add_(0, self.groups, -2.0 * columns), worth.new_empty(0)


class _Plain(Unshared):
    """A form that nothing is fitted of."""

    @property
    def dimensions(self) -> tuple[int, ...]:
        """No length-scales."""
        return ()


@dataclass(frozen=True)
class Linear(_Plain):
    """A plane through the origin of scaled features, a·b over their variance, summed: so its own is one over the pool.

    variance: that sum; without it the features count as uniform ones of length 1, of d/12.
    """

    columns: tuple[int, ...]
    variance: float = 0.0
    name: str = ""

    @property
    def title(self) -> str:
        """In words."""
        return f"linear in {self.name or 'all features'}"

    def _taken(self, A: Tensor) -> Tensor:
        part = A if self.columns == tuple(range(A.shape[1])) else A[:, list(self.columns)]
        return part / math.sqrt(self.variance if self.variance > 0 else len(self.columns) / 12.0)

    def across(self, lengths: Tensor, shares: Tensor, A: Tensor, B: Tensor) -> Tensor:
        """Prior covariances [m, n]."""
        return self._taken(A) @ self._taken(B).T

    def diagonal(self, lengths: Tensor, shares: Tensor, A: Tensor) -> Tensor:
        """Prior variances [m]."""
        return self._taken(A).square().sum(dim=1)

    def prepared(self, X: Tensor) -> Prepared:
        """Over the rows of a fit."""
        return _Fixed(self.across(X.new_empty(0), X.new_empty(0), X, X))


@dataclass(frozen=True)
class Tanimoto(_Plain):
    """What two fingerprints share over all that they have: a·b / (|a|² + |b|² - a·b) of their raw bits or counts.

    spread, centre: for each column, how scaled features become raw ones again: raw = spread·scaled + centre. constant: sum
    of squares of the columns that are the same everywhere and were left out. Two empty fingerprints are alike.
    Ralaivola et al., Neural Networks 18, 1093 (2005).
    """

    columns: tuple[int, ...]
    spread: tuple[float, ...]
    centre: tuple[float, ...]
    constant: float = 0.0
    name: str = ""

    @property
    def title(self) -> str:
        """In words."""
        return f"Tanimoto kernel of {self.name or 'the fingerprint'}"

    @cached_property
    def _scale(self) -> tuple[Tensor, Tensor, Tensor]:
        spread, centre = (torch.tensor(part, dtype=torch.float64) for part in (self.spread, self.centre))
        return torch.tensor(self.columns, dtype=torch.int64), spread, centre

    def _raw(self, A: Tensor) -> Tensor:
        columns, spread, centre = self._scale
        return A[:, columns] * spread.to(A.dtype) + centre.to(A.dtype)

    def across(self, lengths: Tensor, shares: Tensor, A: Tensor, B: Tensor) -> Tensor:
        """Prior correlations [m, n]."""
        a, b = self._raw(A), self._raw(B)
        both = a @ b.T + self.constant
        either = a.square().sum(dim=1)[:, None] + b.square().sum(dim=1) + 2.0 * self.constant - both
        return torch.where(either > 1e-9, both / either.clamp_min(1e-9), 1.0)

    def diagonal(self, lengths: Tensor, shares: Tensor, A: Tensor) -> Tensor:
        """One."""
        return torch.ones(len(A), dtype=A.dtype)

    def prepared(self, X: Tensor) -> Prepared:
        """Over the rows of a fit."""
        return _Fixed(self.across(X.new_empty(0), X.new_empty(0), X, X))


class _Fixed:
    """A covariance without numbers to fit."""

    def __init__(self, K: Tensor):
        self.K = K

    def value(self, lengths: Tensor, shares: Tensor) -> Tensor:
        return self.K

    def slope(self, worth: Tensor) -> tuple[Tensor, Tensor]:
        return worth.new_empty(0), worth.new_empty(0)
