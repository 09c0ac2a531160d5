"""The nearest of many rows, and Gaussians conditioned on these alone: for every row its own small problem, solved together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from discover.surrogate.covariance import fitting
from discover.surrogate.covariance.kernels import Kernel, correlate_

if TYPE_CHECKING:
    from torch import Tensor

DISTANCES = 1 << 24
"""Distances that are held together, in single precision 64 MB."""
ENTRIES = 1 << 21
"""Entries of small matrices that are factored together."""


def nearest(A: Tensor, B: Tensor, k: int, own: Tensor | None = None, groups: Tensor | None = None) -> Tensor:
    """Positions [m, k] of the k rows of B [n, d] that are nearest to each row of A [m, d], in no order; k < n.

    own: [m] and groups: [n], numbers; rows of B whose number is that of the row of A are not offered to it, unless too few
    others are left. Distances are worked out in single precision, which may exchange neighbours that are equally near.
    """
    centre = B.mean(dim=0)
    near = (B - centre).float()
    lengths = near.square().sum(dim=1)
    rows = max(1, DISTANCES // len(B))
    found = torch.empty(len(A), k, dtype=torch.int64)
    for start in range(0, len(A), rows):
        part = slice(start, start + rows)
        squared = torch.addmm(lengths, (A[part] - centre).float(), near.T, alpha=-2.0)
        if own is not None and groups is not None:
            squared.masked_fill_(own[part, None] == groups, torch.inf)
        found[part] = squared.topk(k, dim=1, largest=False, sorted=False).indices
    return found


def nearest_before(A: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """For each row of A [m, d] the k nearest among the rows before it: positions [m, k], and whether there is one [m, k]."""
    distances = torch.cdist(A, A)
    distances.masked_fill_(torch.ones(len(A), len(A), dtype=torch.bool).triu_(), torch.inf)
    far, places = distances.topk(min(k, len(A)), dim=1, largest=False, sorted=False)
    return places, far.isfinite()


def chunks(m: int, k: int, d: int) -> Iterator[slice]:
    """Parts of m rows whose small problems, k by k from k by d, fit together into fast memory."""
    step = max(1, ENTRIES // (k * max(k, d)))
    for start in range(0, m, step):
        yield slice(start, min(start + step, m))


@dataclass(frozen=True)
class Conditional:
    """c rows given their k neighbours. weights: [c, k], of the neighbours' values less the mean. variance: [c]."""

    weights: Tensor
    variance: Tensor


def conditional(kernel: Kernel, rows: Tensor, near: Tensor, noise: Tensor, there: Tensor | None = None) -> Conditional:
    """Rows [c, d] given what is known at their neighbours [c, k, d], all in units of the length-scales.

    noise: [c, k], variances of what is known, relative to the prior's, which is one. there: [c, k], False where a
    neighbour is only a gap filler. NotDefinite where no jitter helps.
    """
    from_row = near - rows[:, None]  # near the origin nothing is lost to cancellation
    lengths = from_row.square().sum(dim=2)
    squared = torch.baddbmm(lengths[:, :, None] + lengths[:, None], from_row, from_row.transpose(1, 2), alpha=-2.0)
    K, across = correlate_(kernel, squared), correlate_(kernel, lengths)
    if there is not None:
        K = K * there[:, :, None] * there[:, None]
        across = across * there
    K.diagonal(dim1=1, dim2=2).copy_(1.0 + noise)
    weights = torch.cholesky_solve(across[:, :, None], factors(K))[:, :, 0]
    return Conditional(weights, 1.0 - (weights * across).sum(dim=1))


def factors(K: Tensor) -> Tensor:
    """Lower factors of K [c, k, k], each with the least jitter that it takes. NotDefinite where none helps."""
    factor, info = torch.linalg.cholesky_ex(K)
    bad = (info != 0).nonzero()[:, 0]
    for jitter in fitting.JITTERS[1:]:
        if not len(bad):
            break
        some = K[bad]
        some.diagonal(dim1=1, dim2=2).add_(jitter)
        again, info = torch.linalg.cholesky_ex(some)
        factor[bad[info == 0]] = again[info == 0]
        bad = bad[info != 0]
    if len(bad) or not bool(torch.isfinite(factor).all()):
        raise fitting.NotDefinite("the covariance of neighbouring observations is not positive definite")
    return factor
