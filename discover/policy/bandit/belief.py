"""What is believed of arms: posteriors of what each is worth, from the rewards that were seen."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from discover.policy.bandit.arms import Goal, Tally
from discover.policy.bandit.normal import ALIKE, NormalBelief
from discover.policy.bandit.worth import ArmBelief
from discover.values import FloatArray

Prior = Literal["beta", "gaussian"]


@dataclass(frozen=True)
class BetaBelief(ArmBelief):
    """Beta posteriors. spread: the deviation of a single reward about its arm's mean.

    The mean reward is that of endless trials, however small the scope is.
    """

    spread: float

    @classmethod
    def of(cls, tally: Tally, goal: Goal) -> BetaBelief:
        """A uniform prior; a reward r between 0 and 1 counts as r of a success (Wang et al., Nature 626, 1025 (2024))."""
        inside = float((tally.counts * np.nan_to_num(tally.variances)).sum())
        freedom = float(np.maximum(tally.counts - 1.0, 0.0).sum())
        spread = float(np.sqrt((inside + ALIKE**2) / (freedom + 1.0)))
        return cls(goal, tally, np.zeros(len(tally.sizes)), spread)

    @cached_property
    def total(self) -> FloatArray:
        """Trials [A], with those under way and the two of the prior."""
        return self.tally.counts + self.extra + 2.0

    @cached_property
    def mean(self) -> FloatArray:
        return (1.0 + self.tally.counts * np.nan_to_num(self.tally.means)) / (self.tally.counts + 2.0)

    @property
    def deviation(self) -> FloatArray:
        return np.sqrt(self.mean * (1.0 - self.mean) / (self.total + 1.0))

    @property
    def single(self) -> tuple[FloatArray, FloatArray]:
        return self.mean, np.hypot(self.deviation, self.spread)

    def long_run(self, n: int, generator: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        return self.averages(n, generator), np.full((n, 1), self.spread)

    def averages(self, n: int, generator: np.random.Generator) -> FloatArray:
        won = self.total * self.mean
        return generator.beta(won, self.total - won, size=(n, len(won)))

    def average_quantile(self, q: float) -> FloatArray:
        from scipy.stats import beta

        won = self.total * self.mean
        return np.asarray(beta.ppf(q, won, self.total - won))


def believe(tally: Tally, prior: Prior, goal: Goal) -> ArmBelief:
    """The belief after a tally, with nothing under way."""
    return BetaBelief.of(tally, goal) if prior == "beta" else NormalBelief.of(tally, goal)
