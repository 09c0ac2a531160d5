"""Arms as draws from one population of arms: a hierarchical normal model, averaged over its two unknown deviations.

The rewards of an arm vary about the arm's mean, and the arms' means about a common one. With both deviations given everything
is in closed form; they are averaged over on a grid, for a belief that takes their best estimates for the truth is too sure of
itself while few arms were tried few times (Gelman et al., Bayesian Data Analysis, 3rd edition, section 5.4). The priors are
weak: a half-Cauchy for the deviation between arms (Gelman, Bayesian Analysis 1, 515 (2006)), and the weight of a single
observation for the deviation of rewards.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from discover.policy.bandit.arms import Goal, Tally
from discover.policy.bandit.worth import ArmBelief
from discover.values import FloatArray

ALIKE = 0.25
"""Deviation of rewards between 0 and 1, and of arms, that the priors have in mind."""
LEAST, MOST = 0.005, 0.5
"""Deviations that are believed possible: numbers between 0 and 1 deviate by half at most."""
CENTRE, AROUND = 0.5, 0.5
"""What the arms' common mean is before anything is seen: mean and deviation."""
POINTS = 24
"""Points of the grid along each deviation."""
NEGLIGIBLE = 1e-4
"""Points with so small a share of the weight of the heaviest are left out."""
HALVINGS = 40


@dataclass(frozen=True)
class NormalBelief(ArmBelief):
    """weights: [G], summing to one, of the points of the grid. within, between: [G, 1], the deviations there: of rewards about
    their arm's mean, and of arms about the common mean. centre, around: [G, 1], mean and deviation of the common mean.

    What an arm is worth is its mean over its own scope: what was tried of it is known, and only the rest is believed.
    """

    weights: FloatArray
    within: FloatArray
    between: FloatArray
    centre: FloatArray
    around: FloatArray

    @classmethod
    def of(cls, tally: Tally, goal: Goal) -> NormalBelief:
        """The posterior after a tally."""
        weights, within, between = _grid(tally)
        centre, around = _common(tally, within, between)
        return cls(
            goal,
            tally,
            np.zeros(len(tally.sizes)),
            weights,
            *(part[:, None] for part in (within, between, centre, around)),
        )

    @property
    def mean(self) -> FloatArray:
        return self.weights @ self._at[0]

    @property
    def deviation(self) -> FloatArray:
        return self._mixed(*self._at)[1]

    @property
    def single(self) -> tuple[FloatArray, FloatArray]:
        mean, share, rest = self._given
        return self._mixed(mean, np.sqrt(np.square(share * self.around) + np.square(rest) + np.square(self.within)))

    def long_run(self, n: int, generator: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        mean, share, rest = self._given
        point = generator.choice(len(self.weights), size=n, p=self.weights)
        common = self.around[point] * generator.standard_normal((n, 1))
        noise = generator.standard_normal((n, mean.shape[1]))
        return mean[point] + share[point] * common + rest[point] * noise, self.within[point]

    def averages(self, n: int, generator: np.random.Generator) -> FloatArray:
        drawn, within = self.long_run(n, generator)
        noise = generator.standard_normal(drawn.shape)
        return self._over_scope(drawn + within * noise / np.sqrt(np.maximum(self.left, 1.0)))

    def average_quantile(self, q: float) -> FloatArray:
        from scipy.special import ndtr, ndtri

        mean, deviation = self._at
        ends = mean + float(ndtri(q)) * deviation
        low, high = ends.min(axis=0), ends.max(axis=0)
        for _ in range(HALVINGS):  # the quantile of a mixture lies between those of its parts
            middle = (low + high) / 2.0
            below = self.weights @ ndtr((middle - mean) / np.maximum(deviation, 1e-12)) < q
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return (low + high) / 2.0

    @cached_property
    def _given(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Of the arms' means in endless trials, at each point: their mean, the share of the common mean in it, and their
        deviation if that were known; [G, A] each."""
        told, prior = self.tally.counts / np.square(self.within), 1.0 / np.square(self.between)
        seen = np.nan_to_num(self.tally.means)
        mean = (told * seen + prior * self.centre) / (told + prior)
        precision = told + self.extra / np.square(self.within) + prior
        return mean, prior / precision, 1.0 / np.sqrt(precision)

    @cached_property
    def _at(self) -> tuple[FloatArray, FloatArray]:
        """Means and deviations [G, A] of the arms' means over their scopes, at each point."""
        mean, share, rest = self._given
        unseen = np.square(share * self.around) + np.square(rest) + np.square(self.within) / np.maximum(self.left, 1.0)
        return self._over_scope(mean), self.left / self.tally.sizes * np.sqrt(unseen)

    def _over_scope(self, unseen: FloatArray) -> FloatArray:
        """Means over the scopes [., A], if what is left of them gives `unseen` [., A] on average."""
        counts, seen = self.tally.counts, np.nan_to_num(self.tally.means)
        expected = self.extra * (self.weights @ self._given[0])
        return (counts * seen + expected + self.left * unseen) / np.maximum(counts + self.extra + self.left, 1.0)

    def _mixed(self, mean: FloatArray, deviation: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and deviation [A] of the mixture of the points' normals [G, A]."""
        centre = self.weights @ mean
        return centre, np.sqrt(self.weights @ (np.square(deviation) + np.square(mean - centre)))


def _grid(tally: Tally) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Weights [G], and the deviations of rewards and of arms [G]: first everywhere, then closer where the weight is."""
    within = between = np.geomspace(LEAST, MOST, POINTS)
    weights = _weights(tally, within, between)
    for _ in range(2):
        within, between = _closer(within, weights.max(axis=1)), _closer(between, weights.max(axis=0))
        weights = _weights(tally, within, between)
    one, other = np.nonzero(weights > NEGLIGIBLE)
    kept = weights[one, other]
    return kept / kept.sum(), within[one], between[other]


def _closer(points: FloatArray, weights: FloatArray) -> FloatArray:
    """As many points over those with weight and their neighbours."""
    heavy = np.flatnonzero(weights > NEGLIGIBLE)
    first, last = max(heavy[0] - 1, 0), min(heavy[-1] + 1, len(points) - 1)
    return np.geomspace(points[first], points[last], POINTS)


def _weights(tally: Tally, within: FloatArray, between: FloatArray) -> FloatArray:
    """Posterior weights [W, B] of deviations on a logarithmic grid, the heaviest being 1."""
    one, other = (part.reshape(-1) for part in np.meshgrid(within, between, indexing="ij"))
    logs = _log_likelihood(tally, one, other)
    logs += -np.log(one) - ALIKE**2 / (2.0 * np.square(one))  # scaled inverse chi-squared with one degree of freedom
    logs += np.log(other) - np.log1p(np.square(other / ALIKE))  # half-Cauchy
    return np.exp(logs - logs.max()).reshape(len(within), len(between))


def _log_likelihood(tally: Tally, within: FloatArray, between: FloatArray) -> FloatArray:
    """Of the rewards [G], the arms' means and the common mean integrated out; a constant is left out."""
    tried = tally.counts > 0
    counts, means = tally.counts[tried], tally.means[tried]
    inside = float((counts * tally.variances[tried]).sum())
    centre, around = _common(tally, within, between)
    variances = np.square(within)[:, None] / counts + np.square(between)[:, None]
    apart = np.square(means - centre[:, None]) / variances
    found = (
        -0.5 * (np.log(variances) + apart).sum(axis=1) + np.log(around) - 0.5 * np.square((centre - CENTRE) / AROUND)
    )
    return found - (counts - 1.0).sum() * np.log(within) - inside / (2.0 * np.square(within))


def _common(tally: Tally, within: FloatArray, between: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean and deviation [G] of the arms' common mean."""
    tried = tally.counts > 0
    weights = 1.0 / (np.square(within)[:, None] / tally.counts[tried] + np.square(between)[:, None])
    precision = weights.sum(axis=1) + 1.0 / AROUND**2
    return (weights @ tally.means[tried] + CENTRE / AROUND**2) / precision, 1.0 / np.sqrt(precision)
