"""Covariances between rows: stationary kernels of unit variance, and the scaled distances that they are made from."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import torch

if TYPE_CHECKING:
    from torch import Tensor

Kernel = Literal["matern", "rbf"]
TINIEST = 1e-30
"""Squared distances are held above this, because the square root has no gradient at zero."""


def squared_distances(A: Tensor, B: Tensor) -> Tensor:
    """Squared Euclidean distances between rows: A [m, d] and B [n, d] to [m, n], never negative."""
    centre = B.mean(dim=0)  # near the origin less is lost to cancellation
    A, B = A - centre, B - centre
    lengths = A.square().sum(dim=1, keepdim=True) + B.square().sum(dim=1)
    return torch.addmm(lengths, A, B.T, alpha=-2.0).clamp_min(0.0)


def correlation(kernel: Kernel, squared: Tensor) -> Tensor:
    """Prior correlation at squared distances in units of the length-scale, of the same shape.

    matern: Matérn with smoothness 5/2, (1 + √5 r + 5 r²/3) exp(-√5 r). rbf: exp(-r²/2).
    Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), section 4.2.
    """
    if kernel == "rbf":
        return torch.exp(-0.5 * squared)
    scaled = math.sqrt(5.0) * squared.clamp_min(TINIEST).sqrt()
    return (1.0 + scaled + scaled.square() / 3.0) * torch.exp(-scaled)


def correlate_(kernel: str, squared: Tensor) -> Tensor:
    """`correlation` of squared distances, worked out in place of them and in fewer passes; no gradients."""
    if kernel == "rbf":
        return squared.clamp_min_(0.0).mul_(-0.5).exp_()
    scaled = squared.clamp_min_(0.0).mul_(5.0).sqrt_()
    polynomial = scaled.mul(1.0 / 3.0).add_(1.0).mul_(scaled).add_(1.0)
    return polynomial.mul_(scaled.neg_().exp_())


def slope(kernel: Kernel, squared: Tensor) -> Tensor:
    """Derivative of `correlation` by the squared distance, of the same shape."""
    if kernel == "rbf":
        return torch.exp(-0.5 * squared).mul_(-0.5)
    scaled = squared.mul(5.0).sqrt_()
    return (1.0 + scaled).mul_(scaled.neg_().exp_()).mul_(-5.0 / 6.0)
