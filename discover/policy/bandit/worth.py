"""What any belief about arms tells: what each is worth over its scope, and what one further trial of it would give."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from discover.policy.bandit.arms import Goal, Tally
from discover.values import FloatArray


@dataclass(frozen=True)
class ArmBelief(ABC):
    """What is believed of A arms after a tally.

    goal: what is asked of an arm. extra: [A], trials under way, which count as if they had given what is expected of them.
    """

    goal: Goal
    tally: Tally
    extra: FloatArray

    def expecting(self, extra: FloatArray) -> Self:
        """The same belief with trials [A] under way: they narrow it, do not move it, and tell nothing of deviations."""
        return replace(self, extra=extra)

    @property
    @abstractmethod
    def mean(self) -> FloatArray:
        """Posterior means [A] of the arms' mean reward."""

    @property
    @abstractmethod
    def deviation(self) -> FloatArray:
        """Posterior deviations [A] of the arms' mean reward."""

    @property
    @abstractmethod
    def single(self) -> tuple[FloatArray, FloatArray]:
        """Mean [A] and deviation [A] of the reward of one further trial of each arm."""

    @abstractmethod
    def long_run(self, n: int, generator: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """n draws [n, A] of what the arms give on average in endless trials, and [n, 1] of how rewards deviate from that."""

    @abstractmethod
    def averages(self, n: int, generator: np.random.Generator) -> FloatArray:
        """n draws of the arms' mean rewards: [n, A]."""

    @abstractmethod
    def average_quantile(self, q: float) -> FloatArray:
        """The q-quantile [A] of each arm's mean reward."""

    def draws(self, n: int, generator: np.random.Generator) -> FloatArray:
        """n draws of what the arms are worth: [n, A]."""
        return self._least(n, generator) if self.goal == "minimum" else self.averages(n, generator)

    def quantile(self, q: float, generator: np.random.Generator) -> FloatArray:
        """The q-quantile of what each arm is worth: [A]."""
        if self.goal == "minimum":
            return np.asarray(np.quantile(self.draws(2048, generator), q, axis=0))
        return self.average_quantile(q)

    @property
    def left(self) -> FloatArray:
        """Members of each arm's scope [A] that were neither tried nor are under trial."""
        return np.maximum(self.tally.sizes - self.tally.counts - self.extra, 0.0)

    def _least(self, n: int, generator: np.random.Generator) -> FloatArray:
        """The smallest reward over the whole scope: of what was seen, and of what is drawn for what was not.

        The least of k normal rewards is drawn in one: its distribution is that of the least of k uniform numbers, turned
        through the normal quantiles.
        """
        from scipy.stats import norm

        drawn, spread = self.long_run(n, generator)
        left = self.left
        lowest = -np.expm1(np.log1p(-generator.random(drawn.shape)) / np.maximum(left, 1.0))
        unseen = np.clip(drawn + spread * norm.ppf(np.clip(lowest, 1e-12, 1.0 - 1e-12)), 0.0, 1.0)
        expected = np.where(self.extra > 0, self.single[0], np.inf)
        return np.minimum(np.where(left > 0, unseen, np.inf), np.minimum(self.tally.least, expected))
