"""The leading candidates of a pool under some score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from discover.values import FloatArray, IntArray

Chosen = list[tuple[int, float | None]]
"""Places in a ranking, with the score that each had when it was chosen."""


@dataclass(frozen=True)
class Ranking:
    """The leading free rows, best first; ties by row. rows: [k] of the pool. values: [k] scores. predicted: [k], by target.

    count: free rows in all. joint: whether a batch has more to gain from joint draws. sweep: how the pool was searched.
    batch: how a batch is made of it. probability: [k], the chance of each to be chosen, where the choice is a draw.
    """

    rows: IntArray
    values: FloatArray
    predicted: dict[str, tuple[FloatArray, FloatArray]]
    count: int
    kind: str
    joint: bool
    sweep: dict[str, Any]
    batch: str = "best scores"
    probability: FloatArray | None = None


def room(shortlist: int, n: int) -> int:
    """How many candidates compete for a batch of n: the short list, and at least two for each place."""
    return max(shortlist, 2 * n)
