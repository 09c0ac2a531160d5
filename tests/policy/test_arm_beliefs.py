"""What is believed of arms, against numerical integration and simulated arms whose worth is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from discover.policy.bandit.belief import believe
from discover.policy.bandit.normal import ALIKE, AROUND, CENTRE, LEAST, MOST
from tests.policy.arm_views import tally_of

SEEN = [[0.3, 0.5, 0.1], [0.6, 0.9], [0.7], []]
LEVEL = 0.9


def integrated(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Means and deviations of the arms' means over scopes of a size, by brute force over both deviations and the common mean."""
    centres = np.linspace(CENTRE - 5 * AROUND, CENTRE + 5 * AROUND, 121)
    sums = np.zeros((3, len(SEEN)))
    deviations = np.geomspace(LEAST, MOST, 60)
    for within in deviations:
        for between in deviations:
            logs = stats.norm.logpdf(centres, CENTRE, AROUND) + stats.halfcauchy.logpdf(between, scale=ALIKE)
            logs += stats.invgamma.logpdf(within**2, 0.5, scale=ALIKE**2 / 2) + np.log(within**2 * between)
            parts = []
            for told in SEEN:
                n, x = len(told), np.array(told)
                cov = between**2 * np.ones((n, n)) + within**2 * np.eye(n)
                pull = np.linalg.solve(cov, np.full(n, between**2)) if n else np.empty(0)
                mean = centres + (x[None] - centres[:, None]) @ pull
                left = size - n
                worth = (x.sum() + left * mean) / size
                variance = (left / size) ** 2 * (between**2 * (1 - pull.sum()) + within**2 / left)
                parts.append((worth, np.full(len(centres), variance)))
                if n:
                    logs += stats.multivariate_normal.logpdf(x - centres[:, None], np.zeros(n), cov).reshape(-1)
            weights = np.exp(logs)
            worths, variances = np.array([p[0] for p in parts]), np.array([p[1] for p in parts])
            told = [np.full(len(SEEN), weights.sum()), worths @ weights, (np.square(worths) + variances) @ weights]
            sums += np.array(told)
    mean = sums[1] / sums[0]
    return mean, np.sqrt(sums[2] / sums[0] - mean**2)


def test_gaussian_beliefs_are_the_posterior_over_everything_that_is_unknown() -> None:
    belief = believe(tally_of(SEEN, size=7), "gaussian", "mean")
    mean, deviation = integrated(7)
    np.testing.assert_allclose(belief.mean, mean, atol=0.003)
    np.testing.assert_allclose(belief.deviation, deviation, rtol=0.02)


@pytest.mark.parametrize("prior", ["beta", "gaussian"])
def test_moments_quantiles_and_draws_are_of_one_distribution(prior: str) -> None:
    belief = believe(tally_of(SEEN), prior, "mean").expecting(np.array([0.0, 2.0, 1.0, 0.0]))  # type: ignore[arg-type]
    drawn = belief.draws(40_000, np.random.default_rng(0))
    np.testing.assert_allclose(drawn.mean(axis=0), belief.mean, atol=0.006)
    np.testing.assert_allclose(drawn.std(axis=0), belief.deviation, rtol=0.03)
    for q in (0.05, 0.5, 0.95):
        quantile = belief.quantile(q, np.random.default_rng(1))
        np.testing.assert_allclose((drawn <= quantile).mean(axis=0), q, atol=0.01)


@pytest.mark.parametrize("prior", ["beta", "gaussian"])
def test_what_is_under_way_narrows_a_belief_and_does_not_move_it(prior: str) -> None:
    before = believe(tally_of(SEEN), prior, "mean")  # type: ignore[arg-type]
    after = before.expecting(np.array([0.0, 0.0, 3.0, 0.0]))
    np.testing.assert_allclose(after.mean, before.mean)
    assert after.deviation[2] < 0.9 * before.deviation[2]
    np.testing.assert_allclose(np.delete(after.deviation, 2), np.delete(before.deviation, 2))


def test_an_arm_that_was_tried_on_its_whole_scope_is_known() -> None:
    belief = believe(tally_of([[0.2, 0.4, 0.9], [0.5], []], size=3), "gaussian", "mean")
    assert belief.mean[0] == pytest.approx(0.5)
    assert belief.deviation[0] == pytest.approx(0.0, abs=1e-12)
    assert belief.quantile(0.99, np.random.default_rng(0))[0] == pytest.approx(0.5)
    assert belief.single[1][0] > 0.1


def held(arms: int, size: int, most: int, within: float, between: float, generator: np.random.Generator) -> float:
    """The share of simulated arms, each tried on up to `most` of its scope, whose worth lies within the limits of 90 %."""
    centre = generator.normal(CENTRE, AROUND)
    scope = centre + between * generator.standard_normal((arms, 1)) + within * generator.standard_normal((arms, size))
    rewards = [row[: generator.integers(0, most + 1)].tolist() for row in scope]
    belief = believe(tally_of(rewards, size), "gaussian", "mean")
    low, high = (belief.quantile(q, generator) for q in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    worth = scope.mean(axis=1)
    return float(((low - 1e-9 <= worth) & (worth <= high + 1e-9)).mean())


@pytest.mark.parametrize(("arms", "size", "most"), [(4, 12, 4), (12, 500, 6)])
def test_limits_of_90_per_cent_hold_90_per_cent_of_arms_as_the_prior_has_them(arms: int, size: int, most: int) -> None:
    generator, shares = np.random.default_rng(0), []
    while len(shares) < 250:
        within, between = ALIKE / np.sqrt(generator.chisquare(1)), abs(ALIKE * generator.standard_cauchy())
        if LEAST < within < MOST and LEAST < between < MOST:
            shares.append(held(arms, size, most, within, between, generator))
    error = np.std(shares) / np.sqrt(len(shares))
    assert error < 0.015
    assert np.mean(shares) == pytest.approx(LEVEL, abs=3 * error)


@pytest.mark.parametrize("between", [0.02, 0.1, 0.2])
@pytest.mark.parametrize("within", [0.1, 0.25])
@pytest.mark.parametrize("arms", [4, 24])
def test_they_hold_about_as_many_whatever_the_deviations_are(arms: int, within: float, between: float) -> None:
    """With the best estimates of the deviations in the place of their averages some of these are far below."""
    generator = np.random.default_rng(1)
    shares = [held(arms, 60, 5, within, between, generator) for _ in range(120 if arms == 4 else 40)]
    assert np.mean(shares) >= 0.84


def test_the_least_of_what_is_unseen_is_that_of_as_many_draws() -> None:
    seen = [[0.5, 0.6], [0.9, 0.95, 0.8]]
    belief = believe(tally_of(seen, size=7), "gaussian", "minimum")
    generator = np.random.default_rng(1)
    quick = belief.draws(20_000, generator)
    for arm, told in enumerate(seen):
        means, spread = belief.long_run(20_000, generator)
        rest = means[:, [arm]] + spread * generator.standard_normal((20_000, 7 - len(told)))
        slow = np.minimum(np.clip(rest, 0, 1).min(axis=1), min(told))
        assert stats.ks_2samp(quick[:, arm], slow).statistic < 0.02
