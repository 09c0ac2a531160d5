"""One target of a view under a belief, turned so that large is good: what the acquisition functions for one target start from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from discover.acquisition.goal import Goal
from discover.policy.bayesian.acquisitions import THRESHOLDED, WITHOUT_CONSTRAINTS, check_objective
from discover.policy.bayesian.failing import log_success
from discover.policy.bayesian.pool_search import PART, predicted
from discover.policy.choice import free_rows
from discover.policy.ranking import Ranking, room
from discover.protocols import View
from discover.surrogate.belief import Belief
from discover.values import FloatArray, IntArray

if TYPE_CHECKING:
    from torch import Tensor

    from discover.policy.bayesian.options import Options
    from discover.surrogate.posterior import TargetPosterior

BY_MEANS = "one after the other, as if the earlier ones had been observed at their means"


@dataclass(frozen=True)
class OneTarget:
    """free: [m], rows that may be proposed. sign: −1 where small is good. best: the best posterior mean of those observed,
    turned."""

    policy: Options
    view: View
    held: Belief
    goal: Goal
    name: str
    sign: float
    free: IntArray
    best: float

    @classmethod
    def of(cls, policy: Options, view: View, held: Belief, goal: Goal, best: float) -> OneTarget:
        """The objective's only target."""
        target = goal.single
        assert target is not None
        sign = -1.0 if target.direction == "minimize" else 1.0
        return cls(policy, view, held, goal, target.name, sign, free_rows(view), best)

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
    def weighed(self) -> bool:
        """Whether scores are weighed by a probability: that rows succeed, that they keep the constraints, or both."""
        return bool(self.view.objective.constraints) or self.success_at(self.free[:1]) is not None

    @cached_property
    def chance(self) -> Tensor | None:
        """The probability [m] that free rows succeed and keep the constraints; None where nothing is known of either."""
        return self.chance_at(self.free) if self.weighed else None

    def log_chance_at(self, rows: IntArray) -> FloatArray:
        """Its logarithm [k] at some rows."""
        found: FloatArray = self.chance_at(rows).clamp_min(1e-300).log().numpy()
        return found

    @property
    def chance_words(self) -> str:
        """What that probability is of."""
        learned = self.success_at(self.free[:1]) is not None
        if not self.view.objective.constraints:
            return "of success"
        return "of success and of keeping the constraints" if learned else "of keeping the constraints"

    def success_at(self, rows: IntArray) -> Tensor | None:
        """The probability [k] that experiments on some rows give a number; None where it is not learned."""
        if self.policy.acquisition in WITHOUT_CONSTRAINTS:
            return None
        logs = log_success(self.held, self.view, rows)
        return None if logs is None else logs.exp()

    def chance_at(self, rows: IntArray) -> Tensor:
        """The probability [k] that some rows of the pool succeed and keep the constraints."""
        success = self.success_at(rows)
        kept = self._kept_at(rows) if self.view.objective.constraints else None
        if success is None or kept is None:
            found = kept if success is None else success
            assert found is not None
            return found
        return success * kept

    def _kept_at(self, rows: IntArray) -> Tensor:
        names = {c.target for c in self.view.objective.constraints}
        parts = []
        for start in range(0, len(rows), PART):
            X = self.scaled(rows[start : start + PART])
            told = {
                name: [
                    (weight, *part.mean_deviation(X))
                    for weight, part in zip(self.held.posteriors[name].weights, self.held.posteriors[name].components)
                ]
                for name in names
            }
            parts.append(self.goal.log_feasibility(told).exp())
        return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.float64)

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
        found = self._observed[np.isfinite(self._observed)]
        return float(np.sort(-found)[min(k, len(found)) - 1] * -1.0)

    @cached_property
    def _observed(self) -> FloatArray:
        """Posterior means of the observed rows, turned; those that break a constraint are the worst."""
        told = self.held.predict(self.view.features.values[self.held.observed])
        means = {name: torch.from_numpy(mean) for name, (mean, _) in told.items()}
        kept = self.goal.feasible(means).numpy()
        return np.where(kept, self.sign * told[self.name][0], -np.inf)

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
        for name in self.view.objective.outcomes:
            leading[name] = predicted(self.held, self.view, self.free[order], name)
        return Ranking(self.free[order], scores[order], leading, len(self.free), words, False, how, batch)
