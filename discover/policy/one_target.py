"""One target of a view under a belief, turned so that large is good: what the acquisition functions for one target start from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from discover.acquisition.goal import Goal
from discover.policy.acquisitions import THRESHOLDED, check_objective
from discover.policy.choice import free_rows
from discover.policy.pool_search import predicted
from discover.policy.ranking import Ranking, room
from discover.protocols import FloatArray, IntArray, View
from discover.surrogate.belief import Belief

if TYPE_CHECKING:
    from torch import Tensor

    from discover.policy.bayesian import Bayesian
    from discover.surrogate.posterior import TargetPosterior

BY_MEANS = "one after the other, as if the earlier ones had been observed at their means"


@dataclass(frozen=True)
class OneTarget:
    """free: [m], rows that may be proposed. sign: −1 where small is good. best: the best posterior mean of those observed,
    turned."""

    policy: Bayesian
    view: View
    held: Belief
    name: str
    sign: float
    free: IntArray
    best: float

    @classmethod
    def of(cls, policy: Bayesian, view: View, held: Belief, goal: Goal, best: float) -> OneTarget:
        """The objective's only target."""
        target = goal.single
        assert target is not None
        sign = -1.0 if target.direction == "minimize" else 1.0
        return cls(policy, view, held, target.name, sign, free_rows(view), best)

    @property
    def posterior(self) -> TargetPosterior:
        """The belief about the target."""
        return self.held.posteriors[self.name]

    @property
    def blind(self) -> bool:
        """Whether there is no model but the mean, so that nothing tells candidates apart."""
        return all(getattr(part, "found", self) is None for part in self.posterior.components)

    @cached_property
    def predicted(self) -> tuple[FloatArray, FloatArray]:
        """Mean [m] and deviation [m] of the free rows, in the target's unit."""
        return predicted(self.held, self.view, self.free, self.name)

    @property
    def mean(self) -> Tensor:
        """Means [m] of the free rows, turned."""
        return torch.from_numpy(self.sign * self.predicted[0])

    @property
    def deviation(self) -> Tensor:
        """Deviations [m] of the free rows."""
        return torch.from_numpy(self.predicted[1])

    @property
    def under_trial(self) -> IntArray:
        """Rows under trial of which nothing is known yet."""
        return np.setdiff1d(self.view.pending, self.held.observed)

    @property
    def hits(self) -> tuple[float, float]:
        """From where to where an outcome is a hit, or on which side of a level, turned; NaN without a threshold."""
        target = self.view.objective.targets[0]
        if target.band is not None:
            return target.band
        threshold = self.policy.threshold
        if threshold is None:
            if self.policy.acquisition in THRESHOLDED:
                check_objective(self.policy, self.view.objective)
            return math.nan, math.inf
        return self.sign * threshold, math.inf

    def top(self, k: int) -> float:
        """The k-th best posterior mean of those observed, turned; of fewer the last."""
        return float(np.sort(-self._observed)[min(k, len(self._observed)) - 1] * -1.0)

    @cached_property
    def _observed(self) -> FloatArray:
        """Posterior means of the observed rows, turned."""
        rows = self.held.observed
        return self.sign * self.held.predict(self.view.features.values[rows])[self.name][0]

    def leading_observed(self, count: int) -> IntArray:
        """Observed rows with the best posterior means, ascending."""
        order = np.argsort(-self._observed, kind="stable")[:count]
        return np.sort(self.held.observed[order])

    def scaled(self, rows: IntArray) -> Tensor:
        """Scaled features of some rows of the pool [k]: [k, d]."""
        return self.held.scaled(self.view.features.values[rows])

    def room(self, n: int) -> int:
        """How many candidates compete for a batch of n."""
        return room(self.policy.shortlist, n)

    def ranking(self, scores: FloatArray, order: IntArray, words: str, batch: str, **more: Any) -> Ranking:
        """Free rows in an order of their places [k], with scores [m]. more: how the pool was searched."""
        how = {"of": len(self.free), "bounds": False, **more}
        mean, deviation = self.predicted
        leading = {self.name: (mean[order], deviation[order])}
        return Ranking(self.free[order], scores[order], leading, len(self.free), words, False, how, batch)
