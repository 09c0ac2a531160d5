"""Quasi-random normal numbers and the smoothed improvement that Monte Carlo acquisition functions are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

SMOOTHING = 1e-6
"""Temperature of the softened improvement, in units of the utility; BoTorch's choice (Ament et al., NeurIPS 2023)."""


def normal_draws(n: int, dimensions: int, seed: int) -> Tensor:
    """Standard normal numbers [n, dimensions] from a scrambled Sobol sequence with its own seed.

    Beyond the dimensions that the sequence has, plain normal numbers take its place.
    """
    if dimensions > torch.quasirandom.SobolEngine.MAXDIM:
        return torch.randn(n, dimensions, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    uniform = torch.quasirandom.SobolEngine(dimensions, scramble=True, seed=seed).draw(n, dtype=torch.float64)
    edge = torch.finfo(torch.float64).eps
    return torch.special.ndtri(uniform.clamp(edge, 1.0 - edge))


def fat_log_improvement(utilities: Tensor, best: Tensor) -> Tensor:
    """log max(utility - best, 0), softened so that hopeless draws keep an order; best is broadcast.

    Ament et al., NeurIPS 2023, with the fat tail of BoTorch.
    """
    from botorch.utils.safe_math import log_fatplus

    return log_fatplus(utilities - best, tau=SMOOTHING)
