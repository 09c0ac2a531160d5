"""Limits inform a belief as limits: held against draws from the truncated posterior, and worth more than their values."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import ndtr

from discover.surrogate.gaussian.process import GaussianProcess, fit_arrays
from discover.surrogate.targets.censored import LARGEST, Observed, as_values, settle, settled, tightest
from tests.surrogate.test_shape import smooth


def observed(n: int, seed: int, share: float) -> tuple[Observed, np.ndarray]:
    """Noisy values of a smooth function of which all below a quantile are told as 'at most the quantile'; and the truth."""
    X, y = smooth(n, seed)
    limit = np.quantile(y, share)
    below = y < limit
    values = np.where(below, limit, y)
    return Observed(X, values, np.full(n, math.nan), np.where(below, -1, 0)), y


def test_the_belief_after_limits_is_that_of_draws_that_keep_them() -> None:
    told, _ = observed(25, 0, 0.16)
    posterior = fit_arrays(GaussianProcess(lengths="one"), told.X, told.values, told.noise, None)
    assert posterior.found is not None
    after, sites = settle(posterior, told)
    assert sites is not None
    assert sites.settled
    new = torch.from_numpy(smooth(15, 9)[0])
    mean, deviation = after.mean_deviation(new)

    where = torch.cat([torch.from_numpy(told.X), new])
    prior = posterior.covariance.across(where, where).numpy() + 1.0
    u = posterior.standard.apply(torch.from_numpy(told.values)).numpy()
    s2, kept = posterior.found.noise, np.flatnonzero(told.measured)
    rest = np.setdiff1d(np.arange(40), kept)
    gain = np.linalg.solve(prior[np.ix_(kept, kept)] + s2 * np.eye(len(kept)), prior[np.ix_(kept, rest)]).T
    centre, spread = gain @ u[kept], prior[np.ix_(rest, rest)] - gain @ prior[np.ix_(kept, rest)]
    rng = np.random.default_rng(0)
    draws = rng.multivariate_normal(centre, spread, size=200_000, method="eigh")
    c = len(rest) - 15
    weights = ndtr((u[rest[:c]] - draws[:, :c]) / math.sqrt(s2)).prod(axis=1)
    weights /= weights.sum()
    assert 1 / (weights @ weights) > 1_000  # as many draws as this is the weighted sample worth
    exact = weights @ draws[:, c:]
    wide = np.sqrt(weights @ (draws[:, c:] - exact) ** 2) * posterior.standard.scale
    exact = posterior.standard.shift + posterior.standard.scale * exact
    assert np.all(np.abs(mean.numpy() - exact) < 0.25 * wide)
    assert np.allclose(deviation.numpy(), wide, rtol=0.25)


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_limits_predict_what_lies_below_them_better_than_their_values_do(share: float) -> None:
    better = []
    for seed in range(3):
        told, truth = observed(40, seed, share)
        values, how = as_values(told)
        assert how.startswith("as a limit")
        rng = np.random.default_rng(seed)
        low = np.flatnonzero(~told.measured)
        out = rng.choice(low, len(low) // 2, replace=False)
        left = np.setdiff1d(np.arange(40), out)
        values, _ = as_values(told.only(left))
        X = torch.from_numpy(told.X[out])
        limits = settled(
            fit_arrays(GaussianProcess(), values.X, values.values, np.sqrt(values.noise), None), told.only(left)
        )
        plain = fit_arrays(GaussianProcess(), told.X[left], told.values[left], told.noise[left], None)
        errors = [np.abs(p.mean_deviation(X)[0].numpy() - truth[out]).mean() for p in (limits, plain)]
        better.append(errors[0] < errors[1])
    assert sum(better) >= 2


def test_of_several_limits_of_a_candidate_the_tightest_is_told() -> None:
    rows = np.array([0, 0, 0, 1, 1, 2, 2])
    values = np.array([5.0, 3.0, 4.0, 1.0, 2.0, 7.0, 6.0])
    bounds = np.array([-1, -1, 0, 1, 1, -1, 1])
    assert tightest(rows, values, bounds).tolist() == [False, True, True, False, True, True, True]


def test_measured_data_pass_unchanged_and_very_many_limits_are_said_to_be_values() -> None:
    told, _ = observed(20, 1, 0.0)
    assert as_values(told) == (told, "")
    many = Observed(
        np.zeros((LARGEST + 1, 1)), np.zeros(LARGEST + 1), np.zeros(LARGEST + 1), -np.ones(LARGEST + 1, int)
    )
    values, how = as_values(many)
    assert how.startswith("the bound was taken for the value")
    assert values.measured.all()


@pytest.mark.parametrize("n", [1, 2, 3, 12])
def test_nothing_but_limits_is_survived(n: int) -> None:
    X = np.random.default_rng(0).uniform(size=(n, 2))
    told = Observed(X, np.full(n, 5.0), np.full(n, math.nan), np.full(n, -1))
    values, how = as_values(told)
    posterior = settled(fit_arrays(GaussianProcess(), values.X, values.values, np.sqrt(values.noise), None), told)
    mean, deviation = posterior.mean_deviation(torch.from_numpy(X))
    assert how
    assert bool(torch.isfinite(mean).all())
    assert bool((deviation > 0).all())
    assert bool((mean <= 5.0 + deviation).all())


@pytest.mark.parametrize("scale", [1e200, 1e-200])
def test_limits_of_values_whose_squares_are_no_numbers_are_taken_for_values(scale: float) -> None:
    told, _ = observed(25, 0, 0.3)
    values, words = as_values(Observed(told.X, told.values * scale, told.noise, told.bounds))
    assert np.array_equal(values.values, told.values * scale)
    assert not values.bounds.any()
    assert words == "the bound was taken for the value: its variance is no number that a computer holds"
