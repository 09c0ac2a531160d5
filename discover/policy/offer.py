"""What is found in a search space, for a policy to choose among."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from discover.values import IntArray

if TYPE_CHECKING:
    from discover.surrogate.belief import Belief


@dataclass(frozen=True)
class Offer:
    """Codes [m, slots] of the points that a policy may choose among, and how they were found, as JSON.

    share: of all points of the region, where that is known: the chance of each to be offered. held: the belief that they were
    found by; the policy chooses by the same one, so that it is fitted once.
    """

    codes: IntArray
    how: dict[str, Any]
    share: float | None = None
    held: Belief | None = None
