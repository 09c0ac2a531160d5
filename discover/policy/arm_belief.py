"""What is believed of arms: conjugate posteriors of what each is worth, from the rewards that were seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from discover.policy.arms import Goal, Tally
from discover.protocols import FloatArray

Prior = Literal["beta", "gaussian"]
ALIKE = 0.25
"""Standard deviation of rewards between 0 and 1 that is taken for granted with the weight of one observation."""
LEAST = 0.02
"""The least deviation of arms from each other that is believed possible."""


@dataclass(frozen=True)
class ArmBelief:
    """Posterior of each arm's mean reward over its scope, [A]: beta (a, b), or normal (mean, deviation).

    spread: the deviation of a single reward about its arm's mean. goal, tally: what is asked of them, and what was seen.
    """

    prior: Prior
    first: FloatArray
    second: FloatArray
    spread: float
    goal: Goal
    tally: Tally

    @property
    def mean(self) -> FloatArray:
        """Posterior means [A] of the arms' mean reward."""
        return self.first / (self.first + self.second) if self.prior == "beta" else self.first

    @property
    def deviation(self) -> FloatArray:
        """Posterior deviations [A] of the arms' mean reward."""
        if self.prior == "gaussian":
            return self.second
        total = self.first + self.second
        return np.sqrt(self.first * self.second / (np.square(total) * (total + 1.0)))

    def draws(self, n: int, generator: np.random.Generator) -> FloatArray:
        """n draws of what the arms are worth: [n, A]."""
        shape = (n, len(self.first))
        if self.prior == "beta":
            drawn = generator.beta(self.first, self.second, size=shape)
        else:
            drawn = self.first + self.second * generator.standard_normal(shape)
        return self._least(drawn, generator) if self.goal == "minimum" else drawn

    def quantile(self, q: float, generator: np.random.Generator) -> FloatArray:
        """The q-quantile of what each arm is worth: [A]."""
        from scipy.stats import beta, norm

        if self.goal == "minimum":
            return np.asarray(np.quantile(self.draws(2048, generator), q, axis=0))
        if self.prior == "beta":
            return np.asarray(beta.ppf(q, self.first, self.second))
        return np.asarray(norm.ppf(q, self.first, self.second))

    def _least(self, drawn: FloatArray, generator: np.random.Generator) -> FloatArray:
        """The smallest reward over the whole scope: of what was seen, and of what is drawn for what was not.

        The least of k normal rewards is drawn in one: its distribution is that of the least of k uniform numbers, turned
        through the normal quantiles.
        """
        from scipy.stats import norm

        left = np.maximum(self.tally.sizes - self.tally.counts, 0.0)
        uniform = generator.random(drawn.shape)
        lowest = -np.expm1(np.log1p(-uniform) / np.maximum(left, 1.0))
        unseen = np.clip(drawn + self.spread * norm.ppf(np.clip(lowest, 1e-12, 1.0 - 1e-12)), 0.0, 1.0)
        return np.minimum(np.where(left > 0, unseen, np.inf), self.tally.least)


def believe(tally: Tally, prior: Prior, goal: Goal) -> ArmBelief:
    """Beta: a uniform prior, a reward r between 0 and 1 counting as r of a success (Wang et al., Nature 626, 1025 (2024)).

    Gaussian: rewards vary about their arm's mean, and arms about a common one; both deviations and the common mean are
    estimated from all arms together (empirical Bayes), so that a few good rewards do not yet make an arm the best.
    """
    counts, means = tally.counts, np.nan_to_num(tally.means)
    inside = float((counts * np.nan_to_num(tally.variances)).sum())
    freedom = float(np.maximum(counts - 1.0, 0.0).sum())
    spread = float(np.sqrt((inside + ALIKE**2) / (freedom + 1.0)))
    if prior == "beta":
        return ArmBelief(prior, 1.0 + counts * means, 1.0 + counts * (1.0 - means), spread, goal, tally)
    centre, between = _common(counts, means, spread)
    precision = counts / spread**2 + 1.0 / between**2
    mean = (counts * means / spread**2 + centre / between**2) / precision
    return ArmBelief(prior, mean, 1.0 / np.sqrt(precision), spread, goal, tally)


def _common(counts: FloatArray, means: FloatArray, spread: float) -> tuple[float, float]:
    """Mean and deviation of the arms' mean rewards, by the method of moments; one arm more at 0.5 ± ALIKE keeps both sane."""
    seen = counts > 0
    centre = (0.5 + float(means[seen].sum())) / (1.0 + seen.sum())
    excess = np.square(means[seen] - centre) - spread**2 / counts[seen]
    variance = (ALIKE**2 + float(excess.sum())) / (1.0 + seen.sum())
    return float(centre), float(np.sqrt(max(variance, LEAST**2)))
