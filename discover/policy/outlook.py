"""What is believed of the candidates that are left, for rules which ask how a campaign stands.

A rule asks for the greatest of some scores, or for those above a level, and not for the belief about every candidate: of a
large pool most of that is never worked out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from discover.acquisition.bounded import Chance
from discover.acquisition.sweep import PoolRows, best_rows, exact_parts, scores_above
from discover.acquisition.weights import NOTHING, Weights
from discover.objective import Objective
from discover.policy.bayesian import pool_search
from discover.policy.bayesian.pool_search import PART, predicted
from discover.protocols import View
from discover.surrogate.belief import Belief
from discover.values import FloatArray, IntArray

if TYPE_CHECKING:
    from discover.acquisition.bounded import Bounded
    from discover.surrogate.posterior import TargetPosterior


class Outlook(Protocol):
    """A belief about the rows of a pool. name: of a target. rows: [m] positions, at least one. weights: what scores that are
    logarithms are weighed by."""

    def at(self, name: str, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        """Mean [m] and standard deviation [m] of the noiseless target, in its unit."""
        ...

    def greatest(self, name: str, score: Bounded, rows: IntArray, weights: Weights = NOTHING) -> float:
        """The greatest score, closer ties than `discover.acquisition.sweep.TIE` aside."""
        ...

    def above(self, name: str, score: Bounded, rows: IntArray, level: float, weights: Weights = NOTHING) -> FloatArray:
        """The scores of all rows that score at least `level`, and maybe of others; in no order."""
        ...


@dataclass(frozen=True)
class Told:
    """As somebody else's model tells it: by target mean [N] and deviation [N] for every row."""

    belief: Mapping[str, tuple[FloatArray, FloatArray]]

    def at(self, name: str, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        """[m] each."""
        mean, deviation = self.belief[name]
        return mean[rows], deviation[rows]

    def greatest(self, name: str, score: Bounded, rows: IntArray, weights: Weights = NOTHING) -> float:
        """By the scores of all."""
        return float(_each(self, name, score, rows, weights).max())

    def above(self, name: str, score: Bounded, rows: IntArray, level: float, weights: Weights = NOTHING) -> FloatArray:
        """The scores of all."""
        return _each(self, name, score, rows, weights)


@dataclass(frozen=True)
class Held:
    """As a belief of our own has it. carry: a folder where sweeps of the pool leave what saves the next one time."""

    view: View
    held: Belief
    carry: Path | None = None

    def at(self, name: str, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        """[m] each, worked out in parts."""
        return predicted(self.held, self.view, rows, name)

    def greatest(self, name: str, score: Bounded, rows: IntArray, weights: Weights = NOTHING) -> float:
        """Through bounds where they hold and pay, see `discover.acquisition.sweep`; else by the scores of all."""
        posterior = self.held.posteriors[name]
        if not self._pays(posterior, rows):
            return float(_each(self, name, score, rows, weights).max())
        return float(best_rows(posterior, self._pool(rows), 1, score, weights=weights, carry=self.carry).score[0])

    def above(self, name: str, score: Bounded, rows: IntArray, level: float, weights: Weights = NOTHING) -> FloatArray:
        """Through bounds where they hold and pay."""
        posterior = self.held.posteriors[name]
        if not self._pays(posterior, rows):
            return _each(self, name, score, rows, weights)
        return scores_above(posterior, self._pool(rows), score, level, weights=weights)

    def _pays(self, posterior: TargetPosterior, rows: IntArray) -> bool:
        return exact_parts(posterior) is not None and len(rows) * len(posterior.y) >= pool_search.LARGE

    def _pool(self, rows: IntArray) -> PoolRows:
        blocked = np.ones(len(self.view.ids), dtype=bool)
        blocked[rows] = False
        return PoolRows(self.view.features.values, self.held.scaling, blocked, self.view.features.hash)


def log_kept(outlook: Outlook, objective: Objective, rows: IntArray) -> FloatArray:
    """The logarithm of the probability [m] that rows keep every constraint, outcomes taken as independent; 0 without any."""
    found = np.zeros(len(rows))
    for name, (low, high) in objective.limits.items():
        found += _each(outlook, name, Chance(low, high), rows)
    return found


def may_keep(outlook: Outlook, objective: Objective, rows: IntArray, wide: float = 0.0) -> IntArray:
    """Those of some rows that keep every constraint somewhere within so many deviations of what is believed of them."""
    for name, (low, high) in objective.limits.items():
        mean, deviation = outlook.at(name, rows)
        rows = rows[(mean + wide * deviation >= low) & (mean - wide * deviation <= high)]
        if not len(rows):
            break
    return rows


def _each(outlook: Outlook, name: str, score: Bounded, rows: IntArray, weights: Weights = NOTHING) -> FloatArray:
    """The scores [m] of all rows, in parts."""
    found, alone = np.empty(len(rows)), torch.ones(1, dtype=torch.float64)
    for start in range(0, len(rows), PART):
        part = slice(start, start + PART)
        mean, deviation = (torch.from_numpy(a)[None] for a in outlook.at(name, rows[part]))
        found[part] = score(mean, deviation, alone).numpy() + weights.at(rows[part])
    return found
