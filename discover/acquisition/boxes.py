"""What joint draws of outcomes leave undominated, cut into boxes: the gain in hypervolume of any further candidate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from discover.acquisition.sampling import SMOOTHING

if TYPE_CHECKING:
    from torch import Tensor

ELEMENTS = 4_000_000
"""Numbers that are worked on together when gains are summed over boxes: 32 MB."""


@dataclass(frozen=True)
class Boxes:
    """For each of some draws, disjoint boxes that make up all above the origin that no point so far dominates.

    draw: [c], whose box it is. low, high: [c, k]; `high` may be infinite. count: draws in all.
    """

    draw: Tensor
    low: Tensor
    high: Tensor
    count: int

    @classmethod
    def whole(cls, draws: int, k: int) -> Boxes:
        """Nothing is dominated yet: one box for each draw."""
        low = torch.zeros(draws, k, dtype=torch.float64)
        return cls(torch.arange(draws), low, torch.full_like(low, math.inf), draws)

    def without(self, points: Tensor, counts: Tensor) -> Boxes:
        """What is left once one point for each draw [draws, k] stands, where counts [draws] says that it does.

        A box that reaches below the point falls into at most k: what lies beyond it in the first column, what does not but
        lies beyond it in the second, and so on. No box is looked at that the point does not reach.
        """
        points, k = points[self.draw], self.low.shape[1]
        hit = (points > self.low).all(dim=1) & counts[self.draw]
        if not bool(hit.any()):
            return self
        draw, low, high, points = self.draw[hit], self.low[hit], self.high[hit], points[hit]
        draws, lows, highs = [self.draw[~hit]], [self.low[~hit]], [self.high[~hit]]
        for i in range(k):
            left = points[:, i] < high[:, i]
            piece = low[left].clone()
            piece[:, i] = points[left, i]
            draws.append(draw[left])
            lows.append(piece)
            highs.append(high[left].clone())
            high[:, i] = torch.minimum(high[:, i], points[:, i])
        return Boxes(torch.cat(draws), torch.cat(lows), torch.cat(highs), self.count)

    def log_gains(self, points: Tensor, softly: Tensor) -> Tensor:
        """Logarithm of the mean gain in hypervolume over the draws, of points [draws, m, k]: [m].

        softly: [draws, m], logarithm of how far each point counts. A point gains the part of every box that it dominates; each
        side of that part is softened as in log expected improvement, so that hopeless points keep an order (Ament et al.,
        NeurIPS 2023, section 4.3).
        """
        from botorch.utils.safe_math import log_fatplus

        step = max(1, ELEMENTS // max(1, self.low.numel()))
        parts = []
        for i in range(0, points.shape[1], step):
            some = points[:, i : i + step][self.draw]
            sides = torch.minimum(some, self.high[:, None]) - self.low[:, None]
            volumes = log_fatplus(sides, tau=SMOOTHING).sum(dim=-1) + softly[:, i : i + step][self.draw]
            parts.append(torch.logsumexp(volumes, dim=0) - math.log(self.count))
        return torch.cat(parts)
