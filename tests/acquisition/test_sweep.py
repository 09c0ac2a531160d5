"""The search that leaves out exact variances finds what exhaustive search finds."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from discover.acquisition.improvement import log_expected_improvement
from discover.acquisition.sweep import _Search, best_by_improvement
from discover.objective import Objective
from discover.surrogate.fitting import Hyperparameters
from discover.surrogate.gaussian_process import GaussianPosterior, Standard, State
from discover.surrogate.subset import pivots


def posterior(X, y, *, kernel="matern", length=0.7, noise=1e-4):
    """A posterior with given hyperparameters: what is tested holds for all of them."""
    X, y = torch.as_tensor(X, dtype=torch.float64), torch.as_tensor(y, dtype=torch.float64)
    found = Hyperparameters(kernel, (length,) * X.shape[1], noise, 0.0)
    standard = Standard.of(y)
    known = torch.full_like(y, torch.nan)
    state = State.of(X, standard.apply(y), known, found)
    return GaussianPosterior(X, y, standard, known, found, state, 512)


def pool_of(sort, rng, count, d, data):
    """Random rows; rows crowded around the data; rows that stand many times; rows on a line; rows far from everything."""
    if sort == "crowded":
        return data[rng.integers(len(data), size=count)] + 1e-4 * rng.normal(size=(count, d))
    if sort == "repeated":
        return np.repeat(rng.random((max(1, count // 50), d)), 50, axis=0)[:count]
    if sort == "line":
        return np.linspace(0, 1, count)[:, None] * np.ones(d)
    if sort == "far":
        return 50 + rng.random((count, d))
    return rng.random((count, d))


def exhaustive(held, X, incumbent, sign):
    mean, deviation = held.mean_deviation(torch.from_numpy(X))
    return log_expected_improvement(sign * mean, deviation, incumbent).numpy()


@settings(deadline=None, max_examples=60)
@given(
    sort=st.sampled_from(["random", "crowded", "repeated", "line", "far"]),
    kernel=st.sampled_from(["matern", "rbf"]),
    n=st.integers(2, 220),
    d=st.integers(1, 12),
    k=st.integers(1, 40),
    noise=st.sampled_from([1e-8, 1e-4, 1e-1]),
    sign=st.sampled_from([1.0, -1.0]),
    seed=st.integers(0, 2**16),
)
def test_the_best_are_those_of_exhaustive_search(sort, kernel, n, d, k, noise, sign, seed):
    rng = np.random.default_rng(seed)
    data = rng.random((n, d))
    held = posterior(data, np.sin(5 * data.sum(axis=1)) + 0.1 * rng.normal(size=n), kernel=kernel, noise=noise)
    X = pool_of(sort, rng, 1500, d, data)
    incumbent = float((sign * held.mean_variance(torch.from_numpy(data))[0]).max())
    found = best_by_improvement(
        held, lambda at: torch.from_numpy(X[at]), len(X), k, incumbent, sign=sign, subset=32, chunk=256
    )
    scores = exhaustive(held, X, incumbent, sign)
    best = np.sort(scores)[::-1][: len(found.rows)]
    rounding = {1e-8: 1e-2, 1e-4: 1e-5, 1e-1: 1e-6}[noise]  # of the exact scores themselves: covariances near singular
    np.testing.assert_allclose(found.score, best, rtol=rounding, atol=rounding)
    clear = scores > best[-1] + rounding * (1.0 + abs(best[-1]))
    assert set(np.flatnonzero(clear)) <= set(found.rows.tolist())
    assert len(set(found.rows.tolist())) == min(k, len(X))


@settings(deadline=None, max_examples=40)
@given(n=st.integers(2, 120), m=st.integers(1, 60), seed=st.integers(0, 2**16), noise=st.sampled_from([1e-6, 1e-2]))
def test_the_variance_given_a_part_is_never_below_that_given_all(n, m, seed, noise):
    rng = np.random.default_rng(seed)
    data = rng.random((n, 3))
    held = posterior(data, rng.normal(size=n), noise=noise)
    X = torch.from_numpy(rng.random((200, 3)))
    search = _Search(held, lambda at: X[at], 200, 0.0, 1.0, m, 64)
    mean, bound = search._sweep(torch.float64)
    exact_mean, exact = held._marginals(X)
    assert bool((bound >= exact - 1e-9).all())
    torch.testing.assert_close(mean, exact_mean, rtol=1e-7, atol=1e-7)
    taken = pivots(held, min(m, n))
    assert sorted([*taken.chosen.tolist(), *taken.rest.tolist()]) == list(range(n))


def test_most_variances_are_never_worked_out():
    rng = np.random.default_rng(0)
    data = rng.random((300, 4))
    held = posterior(data, np.sin(6 * data[:, 0]) + data[:, 1], noise=1e-3)
    X = rng.random((40_000, 4))
    incumbent = float(held.mean_variance(torch.from_numpy(data))[0].max())
    found = best_by_improvement(held, lambda at: torch.from_numpy(X[at]), len(X), 20, incumbent)
    assert found.precision == "single"
    assert found.solved < 0.1 * len(X)
    assert np.isclose(found.score[0], exhaustive(held, X, incumbent, 1.0).max(), rtol=1e-9)


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_a_campaigns_batch_does_not_depend_on_how_the_pool_is_searched(direction, monkeypatch):
    from discover.policy import bayesian_batch
    from discover.policy.bayesian import Bayesian
    from tests.policy.policy_views import features_of, view_of

    view = view_of(features_of(900), range(0, 900, 30), objective=Objective("strength", direction))
    batches = []
    for limit in (10**12, 1):
        monkeypatch.setattr(bayesian_batch, "LARGE", limit)
        batches.append(Bayesian(start=5).propose(view, 6, np.random.default_rng(3)))
    whole, swept = batches
    assert [p.candidate_id for p in whole] == [p.candidate_id for p in swept]
    assert [p.acquisition for p in whole] == pytest.approx([p.acquisition for p in swept])
    assert swept.proposals[0].details["sweep"]["precision"] in ("single", "double")
