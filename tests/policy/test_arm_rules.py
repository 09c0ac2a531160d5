"""Rules of bandits against textbooks, numerical integration and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

from discover.policy.bandit.arms import Tally
from discover.policy.bandit.belief import believe
from discover.policy.bandit.rules import Turn, bounds, chances
from tests.policy.arm_views import tally_of


def turn_of(
    tally: Tally,
    *,
    goal: str = "mean",
    prior: str = "beta",
    past: np.ndarray | None = None,
    epsilon: float = 0.1,
    draws: int = 8,
) -> Turn:
    belief = believe(tally, prior, goal)  # type: ignore[arg-type]
    k = len(tally.sizes)
    drawn = belief.draws(draws, np.random.default_rng(0))
    zeros = np.zeros(k)
    return Turn(
        tally, belief, goal, zeros, np.ones(k, dtype=bool), zeros if past is None else past, epsilon, 0.05, drawn
    )  # type: ignore[arg-type]


SEEN = [[0.3, 0.5, 0.1], [0.6, 0.9], [0.7], [0.2, 0.2, 0.3, 0.4]]


def test_upper_limits_are_the_textbooks() -> None:
    t = sum(map(len, SEEN))
    ucb1, tuned = [], []
    for told in SEEN:
        n, mean = len(told), sum(told) / len(told)
        ucb1.append(mean + math.sqrt(2 * math.log(t) / n))
        v = sum(r * r for r in told) / n - mean**2 + math.sqrt(2 * math.log(t) / n)
        tuned.append(mean + math.sqrt(math.log(t) / n * min(0.25, v)))
    quantiles = [stats.beta.ppf(1 - 1 / t, 1 + sum(told), 1 + len(told) - sum(told)) for told in SEEN]
    turn, generator = turn_of(tally_of(SEEN)), np.random.default_rng(0)
    for rule, wanted in (("ucb1", ucb1), ("ucb1-tuned", tuned), ("bayes-ucb", quantiles)):
        odds = chances(rule, turn, generator)  # type: ignore[arg-type]
        assert odds.argmax() == int(np.argmax(wanted))
        assert odds.max() == 1.0
    np.testing.assert_allclose(turn.belief.quantile(1 - 1 / t, generator), quantiles)


def test_thompson_is_the_probability_to_be_the_best() -> None:
    """P(arm i is best) by quadrature over the beta densities."""
    betas = [stats.beta(1 + sum(told), 1 + len(told) - sum(told)) for told in SEEN]
    exact = [
        integrate.quad(lambda x, i=i, b=b: b.pdf(x) * math.prod(o.cdf(x) for j, o in enumerate(betas) if j != i), 0, 1)[
            0
        ]
        for i, b in enumerate(betas)
    ]
    odds = chances("thompson", turn_of(tally_of(SEEN), draws=4096), np.random.default_rng(0))
    np.testing.assert_allclose(odds, exact, atol=0.03)


def test_epsilon_greedy_and_exp3_are_distributions_of_the_textbook() -> None:
    odds = chances("epsilon-greedy", turn_of(tally_of(SEEN), epsilon=0.2), np.random.default_rng(0))
    np.testing.assert_allclose(odds, [0.05, 0.85, 0.05, 0.05])
    past, gamma = np.array([3.0, 9.0, 1.0, 0.0]), 0.3
    weights = [math.exp(gamma * g / 4) for g in past]
    wanted = [(1 - gamma) * w / sum(weights) + gamma / 4 for w in weights]
    odds = chances("exp3", turn_of(tally_of(SEEN), past=past, epsilon=gamma), np.random.default_rng(0))
    np.testing.assert_allclose(odds, wanted)


@pytest.mark.parametrize("size", [8, 40])
def test_bounds_without_replacement_hold_at_all_times(size: int) -> None:
    """In 200 campaigns of three arms no bound may miss more often than 1 in 20; an arm that was tried whole is known."""
    generator, misses = np.random.default_rng(0), 0
    for _ in range(200):
        scope = generator.random((3, size)) < generator.random((3, 1))
        order = np.stack([generator.permutation(row) for row in scope.astype(float)])
        missed = False
        for n in range(1, size + 1, 4):
            low, high = bounds(turn_of(tally_of(order[:, :n].tolist(), size)))
            missed |= bool(((scope.mean(axis=1) < low - 1e-9) | (scope.mean(axis=1) > high + 1e-9)).any())
        misses += missed
    assert misses <= 10
    low, high = bounds(turn_of(tally_of(order.tolist(), size)))
    np.testing.assert_allclose(low, high)
    np.testing.assert_allclose(low, scope.mean(axis=1))


def test_bounds_are_those_of_bardenet_and_maillard() -> None:
    """Hoeffding and Serfling's radius for draws without replacement, on either side of half of the scope, with the share of
    the risk that falls to one of two arms, one of its two sides, and its n-th trial."""
    counts, size, risk = (60, 150), 200, 0.05
    low, high = bounds(turn_of(tally_of([[0.4, 0.6] * (n // 2) for n in counts], size)))
    for arm, (n, left) in enumerate(zip(counts, (1.0 - 59 / 200, (1.0 - 150 / 200) * (1.0 + 1.0 / 150)), strict=True)):
        share = risk / (2 * 2) * 6.0 / (np.pi**2 * n**2)
        radius = np.sqrt(left * np.log(1.0 / share) / (2.0 * n))
        assert (low[arm], high[arm]) == pytest.approx((0.5 - radius, 0.5 + radius))


def test_the_minimum_is_at_most_what_was_seen() -> None:
    low, high = bounds(turn_of(tally_of([[0.3, 0.6], [0.7] * 20, []]), goal="minimum"))
    np.testing.assert_allclose(low, [0.0, 0.7, 0.0])
    np.testing.assert_allclose(high, [0.3, 0.7, 1.0])
