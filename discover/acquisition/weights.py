"""What scores are weighed by, row by row: known costs, which divide them, and probabilities, which lower them.

A score s that is a logarithm becomes s + log p - log cost. Where s <= U is all that is known of it, a cost is known of every
row and is taken off exactly, and a probability, which takes a model to work out, is at most one:

    s + log p - log cost <= U - log cost.

So a bound of the plain score is one of the weighed score, and only the rows that it does not rule out need their probability.
A score that is no logarithm and may be negative has no such bound: there a small probability lifts what lies below zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from discover.values import FloatArray, IntArray


@dataclass(frozen=True)
class Weights:
    """log_chance: logarithms [m] of probabilities, of some rows [m]. costs: [N] > 0, of all rows; None where there are none."""

    log_chance: Callable[[IntArray], FloatArray] | None = None
    costs: FloatArray | None = None

    def at(self, rows: IntArray) -> FloatArray:
        """What is added to the scores of some rows: [m]."""
        found = self.above(rows)
        return found if self.log_chance is None else found + self.log_chance(rows)

    def above(self, rows: IntArray) -> FloatArray:
        """At least that, without looking at probabilities: [m]."""
        return np.zeros(len(rows)) if self.costs is None else -np.log(self.costs[rows])


NOTHING = Weights()
"""Scores as they are."""
