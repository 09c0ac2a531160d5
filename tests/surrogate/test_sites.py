"""Limits become pseudo-observations that give the moments of numerical integration."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import ndtr
from scipy.stats import norm

from discover.surrogate.targets.sites import bound_sites, censored_sites, conditional


def told(mean: np.ndarray, covariance: np.ndarray, values: np.ndarray, variances: np.ndarray) -> tuple:
    """Moments after normal observations, by the textbook formula."""
    gain = covariance @ np.linalg.inv(covariance + np.diag(variances))
    return mean + gain @ (values - mean), covariance - gain @ covariance


@settings(max_examples=60, deadline=None)
@given(
    mean=st.floats(-3, 3), variance=st.floats(0.05, 4), limit=st.floats(-4, 4), side=st.sampled_from([-1, 1]),
    noise=st.floats(0.001, 1),
)  # fmt: skip
def test_one_limit_gives_the_moments_of_quadrature(
    mean: float, variance: float, limit: float, side: int, noise: float
) -> None:
    found = bound_sites(
        np.array([mean]), np.array([[variance]]), np.array([limit]), np.array([side]), np.array([noise])
    )
    got_mean, got = told(np.array([mean]), np.array([[variance]]), found.values, found.variances)

    deviation = variance**0.5

    def moment(power: int) -> float:
        def part(f: float) -> float:
            return f**power * norm.pdf(f, mean, deviation) * ndtr(side * (f - limit) / noise**0.5)

        ends = (mean - 12 * deviation, mean + 12 * deviation)
        return quad(part, *ends, points=[min(max(limit, ends[0]), ends[1])], limit=400, epsabs=1e-16)[0]

    mass = moment(0)
    if mass < 1e-8:
        return  # quadrature itself is lost there
    exact = moment(1) / mass
    assert found.settled
    assert got_mean[0] == pytest.approx(exact, abs=2e-5 * deviation)
    assert got[0, 0] == pytest.approx(moment(2) / mass - exact**2, abs=2e-4 * variance)


def brute_force(mean: np.ndarray, covariance: np.ndarray, limits: np.ndarray, sides: np.ndarray, noise: float) -> tuple:
    """Moments from a million weighted draws."""
    draws = np.random.default_rng(0).multivariate_normal(mean, covariance, size=1_000_000)
    weights = ndtr(sides * (draws - limits) / noise**0.5).prod(axis=1)
    weights /= weights.sum()
    centre = weights @ draws
    return centre, ((draws - centre) * weights[:, None]).T @ (draws - centre)


def test_limits_that_know_of_each_other_agree_with_a_million_draws() -> None:
    rng = np.random.default_rng(1)
    root = rng.normal(size=(5, 5))
    covariance = root @ root.T / 5 + 0.1 * np.eye(5)
    mean, limits, sides = rng.normal(size=5), rng.normal(size=5) * 0.5, np.array([-1, -1, 1, -1, 1])
    found = bound_sites(mean, covariance, limits, sides, np.full(5, 0.05))
    got_mean, got = told(mean, covariance, found.values, found.variances)
    exact_mean, exact = brute_force(mean, covariance, limits, sides, 0.05)
    spread = np.sqrt(exact.diagonal())
    assert found.settled
    assert np.all(np.abs(got_mean - exact_mean) < 0.05 * spread)
    assert np.allclose(np.sqrt(got.diagonal()), spread, rtol=0.06)


def test_limits_that_are_nearly_one_settle_on_the_right_side_of_the_truth_by_quadrature() -> None:
    covariance = np.ones((40, 40)) + 1e-9 * np.eye(40)
    for copies, factor in ((2, 1.2), (40, 2.0)):  # of many copies expectation propagation makes too much
        some = covariance[:copies, :copies]
        found = bound_sites(np.zeros(copies), some, np.full(copies, -1.0), np.full(copies, -1), np.full(copies, 0.01))
        got_mean, got = told(np.zeros(copies), some, found.values, found.variances)
        f = np.linspace(-8, 2, 200_001)
        log_weights = copies * norm.logcdf((-1.0 - f) / 0.1) - f**2 / 2
        weights = np.exp(log_weights - log_weights.max())
        exact = float(weights @ f / weights.sum())
        spread = float(weights @ (f - exact) ** 2 / weights.sum()) ** 0.5
        assert found.settled
        assert got_mean[0] == pytest.approx(exact, abs=0.03)
        assert spread / factor <= got[0, 0] ** 0.5 <= spread * factor


def test_a_limit_that_is_far_away_tells_nothing_and_one_that_contradicts_tells_all() -> None:
    one = np.array([[1.0]])
    idle = bound_sites(np.zeros(1), one, np.array([30.0]), np.array([-1]), np.array([0.01]))
    assert idle.variances[0] >= 1e5
    for far in (-60.0, -3000.0):
        found = bound_sites(np.zeros(1), one, np.array([far]), np.array([-1]), np.array([1e-4]))
        mean, _ = told(np.zeros(1), one, found.values, found.variances)
        assert np.isfinite(found.values).all()
        assert mean[0] == pytest.approx(far, rel=1e-3)


def test_measured_values_stay_and_limits_are_conditioned_on_them() -> None:
    x = np.linspace(0, 3, 12)
    prior = np.exp(-0.5 * (x[:, None] - x) ** 2)
    values, noise = np.sin(x), np.full(12, 0.01)
    bounds = np.zeros(12, dtype=np.int64)
    bounds[[3, 7]] = (-1, 1)
    got, variances, sites = censored_sites(prior, values, noise, bounds)
    kept = bounds == 0
    assert np.array_equal(got[kept], values[kept])
    assert np.array_equal(variances[kept], noise[kept])
    assert len(sites.values) == 2
    mean, covariance = conditional(prior + 1.0, values, noise, ~kept)
    after = told(mean, covariance, sites.values, sites.variances)
    whole = told(np.zeros(12), prior + 1.0, got, variances)
    assert np.allclose(after[0], whole[0][~kept], atol=1e-6)
    assert np.allclose(after[1], whole[1][np.ix_(~kept, ~kept)], atol=1e-6)


def test_where_everything_is_a_limit_the_belief_lies_on_their_side() -> None:
    prior = np.exp(-np.abs(np.arange(6)[:, None] - np.arange(6)))
    got, variances, sites = censored_sites(prior, np.zeros(6), np.full(6, 0.01), np.full(6, -1))
    mean, _ = told(np.zeros(6), prior + 1.0, got, variances)
    assert sites.settled
    assert np.all(mean < -0.3)
