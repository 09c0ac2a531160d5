"""Sums and products of forms: features that act one by one, blocks that act together, a plane with ripples on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from discover.surrogate.covariance.forms import Form, Prepared

if TYPE_CHECKING:
    from torch import Tensor


def _parts(children: Sequence[Form], lengths: Tensor, shares: Tensor) -> list[tuple[Form, Tensor, Tensor]]:
    """Each child with its own numbers."""
    by_length = lengths.split([len(child.dimensions) for child in children])
    by_share = shares.split([child.shares for child in children])
    return list(zip(children, by_length, by_share, strict=True))


class _Composite:
    """What forms made from children have in common."""

    children: tuple[Form, ...]

    @property
    def dimensions(self) -> tuple[int, ...]:
        """Those of the children, one after the other."""
        return tuple(d for child in self.children for d in child.dimensions)

    @property
    def sums(self) -> tuple[int, ...]:
        """Terms of each sum; here those of the children."""
        return tuple(count for child in self.children for count in child.sums)

    @property
    def shares(self) -> int:
        """The terms of all sums."""
        return sum(self.sums)


@dataclass(frozen=True)
class Sum(_Composite):
    """Σ share · child, with shares that sum to one: of unit variance where the children are. Own shares come first.

    With one child a feature this is the first-order additive kernel (Duvenaud, Nickisch and Rasmussen, NeurIPS 2011).
    """

    children: tuple[Form, ...]

    @property
    def title(self) -> str:
        """In words."""
        return " + ".join(child.title for child in self.children)

    @property
    def sums(self) -> tuple[int, ...]:
        """Its own terms, then those of the children."""
        return (len(self.children), *super().sums)

    def across(self, lengths: Tensor, shares: Tensor, A: Tensor, B: Tensor) -> Tensor:
        """Prior covariances [m, n]."""
        own = len(self.children)
        parts = _parts(self.children, lengths, shares[own:])
        total = A.new_zeros(len(A), len(B))
        for share, (child, some, rest) in zip(shares[:own].tolist(), parts, strict=True):
            total.add_(child.across(some, rest, A, B), alpha=share)
        return total

    def diagonal(self, lengths: Tensor, shares: Tensor, A: Tensor) -> Tensor:
        """Prior variances [m]."""
        own = len(self.children)
        parts = _parts(self.children, lengths, shares[own:])
        total = A.new_zeros(len(A))
        for share, (child, some, rest) in zip(shares[:own].tolist(), parts, strict=True):
            total.add_(child.diagonal(some, rest, A), alpha=share)
        return total

    def prepared(self, X: Tensor) -> Prepared:
        """Over the rows of a fit."""
        return _Summed(self, [child.prepared(X) for child in self.children])


class _Summed:
    def __init__(self, form: Sum, children: list[Prepared]):
        self.form, self.children = form, children

    def value(self, lengths: Tensor, shares: Tensor) -> Tensor:
        own = len(self.children)
        self.own = shares[:own]
        parts = _parts(self.form.children, lengths, shares[own:])
        self.values = [kept.value(some, rest) for kept, (_, some, rest) in zip(self.children, parts, strict=True)]
        return sum((s * K for s, K in zip(self.own.tolist(), self.values, strict=True)), torch.zeros(()))

    def slope(self, worth: Tensor) -> tuple[Tensor, Tensor]:
        found = [kept.slope(s * worth) for kept, s in zip(self.children, self.own.tolist(), strict=True)]
        gains = torch.stack([(worth * K).sum() for K in self.values])
        logits = self.own * (gains - self.own @ gains)
        return torch.cat([some for some, _ in found]), torch.cat([logits, *(rest for _, rest in found)])


@dataclass(frozen=True)
class Product(_Composite):
    """Children that have to agree all at once: numbers times categories."""

    children: tuple[Form, ...]

    @property
    def title(self) -> str:
        """In words."""
        return " × ".join(f"({c.title})" if isinstance(c, Sum) else c.title for c in self.children)

    def across(self, lengths: Tensor, shares: Tensor, A: Tensor, B: Tensor) -> Tensor:
        """Prior covariances [m, n]."""
        total = A.new_ones(len(A), len(B))
        for child, some, rest in _parts(self.children, lengths, shares):
            total.mul_(child.across(some, rest, A, B))
        return total

    def diagonal(self, lengths: Tensor, shares: Tensor, A: Tensor) -> Tensor:
        """Prior variances [m]."""
        total = A.new_ones(len(A))
        for child, some, rest in _parts(self.children, lengths, shares):
            total.mul_(child.diagonal(some, rest, A))
        return total

    def prepared(self, X: Tensor) -> Prepared:
        """Over the rows of a fit."""
        return _Multiplied(self, [child.prepared(X) for child in self.children])


class _Multiplied:
    def __init__(self, form: Product, children: list[Prepared]):
        self.form, self.children = form, children

    def value(self, lengths: Tensor, shares: Tensor) -> Tensor:
        parts = _parts(self.form.children, lengths, shares)
        self.values = [kept.value(some, rest) for kept, (_, some, rest) in zip(self.children, parts, strict=True)]
        return torch.stack(self.values).prod(dim=0)

    def slope(self, worth: Tensor) -> tuple[Tensor, Tensor]:
        found = []
        for k, kept in enumerate(self.children):
            others = [K for j, K in enumerate(self.values) if j != k]
            found.append(kept.slope(torch.stack([worth, *others]).prod(dim=0)))
        return torch.cat([some for some, _ in found]), torch.cat([rest for _, rest in found])
