"""The search that leaves out exact variances finds what exhaustive search finds."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from discover.acquisition.bounded import Chance, Confidence, Improvement, Straddle, Uncertainty
from discover.acquisition.sweep import PoolRows, best_rows, scores_above
from discover.acquisition.tiles import Tiler
from discover.objective import Objective
from discover.surrogate.gaussian.subset import pivots
from discover.surrogate.gaussian.weighted import Weighted
from discover.surrogate.inputs.scaling import Scaling
from tests.acquisition.beliefs import pool_of, posterior, rows_of, scaled


def exhaustive(held, pool, score):
    X = pool.scaled(np.arange(len(pool.values)))
    told = [part.mean_deviation(X) for part in held.components]
    means, deviations = (torch.stack([pair[i] for pair in told]) for i in range(2))
    return score(means, deviations, torch.tensor(held.weights, dtype=torch.float64)).numpy()


@settings(deadline=None, max_examples=60)
@given(
    sort=st.sampled_from(["random", "crowded", "repeated", "line", "far"]),
    kernel=st.sampled_from(["matern", "rbf"]),
    n=st.integers(2, 220),
    d=st.integers(1, 12),
    k=st.integers(1, 40),
    noise=st.sampled_from([1e-8, 1e-4, 1e-1]),
    kind=st.sampled_from(["improvement", "pooled", "confidence", "uncertainty", "straddle", "chance"]),
    mixed=st.booleans(),
    sign=st.sampled_from([1.0, -1.0]),
    seed=st.integers(0, 2**16),
)
def test_the_best_are_those_of_exhaustive_search(sort, kernel, n, d, k, noise, kind, mixed, sign, seed):
    rng = np.random.default_rng(seed)
    data = rng.random((n, d))
    pool = rows_of(pool_of(sort, rng, 1500, d, data), blocked=rng.random(1500) < 0.1)
    y = np.sin(5 * data.sum(axis=1)) + 0.1 * rng.normal(size=n)
    held = posterior(scaled(pool, data), y, kernel=kernel, noise=noise)
    if mixed:
        held = Weighted((held, posterior(scaled(pool, data), y, length=0.3, noise=noise)), (0.7, 0.3), ("a", "b"))
    incumbent = float((sign * held.mean_variance(held.X)[0]).max())
    score = {
        "confidence": Confidence(4.0, sign),
        "uncertainty": Uncertainty(),
        "pooled": Improvement(incumbent, sign, pooled=True),
        "straddle": Straddle((0.2, 0.6), sign),
        "chance": Chance(low=0.9) if sign > 0 else Chance(-0.3, 0.1),
    }.get(kind, Improvement(incumbent, sign))
    found = best_rows(held, pool, k, score, subset=32)
    scores = np.where(pool.blocked, -np.inf, exhaustive(held, pool, score))
    best = np.sort(scores)[::-1][: len(found.rows)]
    rounding = {1e-8: 1e-2, 1e-4: 1e-5, 1e-1: 1e-6}[noise]  # of the exact scores themselves: covariances near singular
    np.testing.assert_allclose(found.score, best, rtol=rounding, atol=rounding)
    clear = scores > best[-1] + rounding * (1.0 + abs(best[-1]))
    assert set(np.flatnonzero(clear)) <= set(found.rows.tolist())
    assert len(set(found.rows.tolist())) == min(k, int((~pool.blocked).sum()))
    assert not pool.blocked[found.rows].any()


@settings(deadline=None, max_examples=40)
@given(n=st.integers(2, 120), m=st.integers(1, 60), seed=st.integers(0, 2**16), noise=st.sampled_from([1e-6, 1e-2]))
def test_the_variance_given_a_part_is_never_below_that_given_all(n, m, seed, noise):
    rng = np.random.default_rng(seed)
    pool = rows_of(rng.random((200, 3)))
    held = posterior(scaled(pool, rng.random((n, 3))), rng.normal(size=n), noise=noise)
    mean, bound = Tiler.of(held, pool.scaling, subset=m).bound(pool.values)
    exact_mean, exact = held._marginals(pool.scaled(np.arange(200)))
    assert (bound >= exact.numpy() - 1e-9).all()
    np.testing.assert_allclose(mean, exact_mean.numpy(), rtol=1e-7, atol=1e-7)
    taken = pivots(held, min(m, n))
    assert sorted([*taken.chosen.tolist(), *taken.rest.tolist()]) == list(range(n))


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**16),
    kind=st.sampled_from(["improvement", "pooled", "confidence", "uncertainty", "straddle", "chance", "band"]),
)
def test_no_belief_within_the_bounds_scores_above_the_upper_score(seed, kind):
    rng = np.random.default_rng(seed)
    score = {
        "improvement": Improvement(0.3, -1.0),
        "pooled": Improvement(0.3, -1.0, pooled=True),
        "confidence": Confidence(2.0),
        "uncertainty": Uncertainty(),
        "straddle": Straddle((0.1, 0.9)),
        "chance": Chance(high=-0.4),
        "band": Chance(0.2, 0.5),
    }[kind]
    mean, slack = torch.from_numpy(rng.normal(size=(3, 500))), torch.from_numpy(rng.exponential(size=(3, 500)))
    deviation = torch.from_numpy(rng.exponential(size=(3, 500)) + 1e-3)
    weights = torch.from_numpy(rng.dirichlet(np.ones(3)))
    upper = score.upper(mean, slack, deviation, weights)
    off = torch.from_numpy(rng.choice([-1.0, 1.0, 0.3], size=(3, 500)))
    narrow = torch.from_numpy(rng.choice([1.0, 0.5, 1e-3], size=(3, 500)))
    inside = score(mean + off * slack, narrow * deviation, weights)
    assert bool((inside <= upper + 1e-9 * (1.0 + upper.abs())).all())


@settings(deadline=None, max_examples=30)
@given(
    sort=st.sampled_from(["random", "crowded", "repeated", "line", "far"]),
    mixed=st.booleans(),
    kind=st.sampled_from(["chance", "band", "confidence"]),
    share=st.sampled_from([0.0, 0.5, 0.99]),
    seed=st.integers(0, 2**16),
)
def test_no_score_above_a_level_is_left_out(sort, mixed, kind, share, seed):
    rng = np.random.default_rng(seed)
    data = rng.random((80, 3))
    pool = rows_of(pool_of(sort, rng, 900, 3, data), blocked=rng.random(900) < 0.1)
    held = posterior(scaled(pool, data), np.sin(5 * data.sum(axis=1)), noise=1e-2)
    if mixed:
        other = posterior(scaled(pool, data), held.y.numpy(), length=0.3, noise=1e-1)
        held = Weighted((held, other), (0.7, 0.3), ("a", "b"))
    score = {"chance": Chance(low=0.9), "band": Chance(0.2, 0.4), "confidence": Confidence(4.0)}[kind]
    exact = np.sort(exhaustive(held, pool, score)[~pool.blocked])[::-1]
    level = float(np.quantile(exact, share))
    found = np.sort(scores_above(held, pool, score, level, subset=16))[::-1]
    wanted = exact[exact > level + 1e-6 * (1.0 + abs(level))]
    np.testing.assert_allclose(found[: len(wanted)], wanted, rtol=1e-6, atol=1e-6)
    assert len(scores_above(held, pool, score, -np.inf)) == len(exact)


def test_most_scores_below_a_level_are_never_worked_out():
    rng = np.random.default_rng(0)
    pool = rows_of(rng.random((20_000, 4)))
    data = rng.random((300, 4))
    held = posterior(scaled(pool, data), np.sin(6 * data[:, 0]) + data[:, 1], noise=1e-3)
    found = scores_above(held, pool, Chance(low=1.9), np.log(1e-6))
    assert 0 < len(found) < 0.2 * len(pool.values)


def test_most_variances_are_never_worked_out():
    rng = np.random.default_rng(0)
    pool = rows_of(rng.random((40_000, 4)))
    data = rng.random((300, 4))
    held = posterior(scaled(pool, data), np.sin(6 * data[:, 0]) + data[:, 1], noise=1e-3)
    score = Improvement(float(held.mean_variance(held.X)[0].max()))
    found = best_rows(held, pool, 20, score)
    assert found.precision == "single"
    assert found.solved < 0.1 * len(pool.values)
    assert np.isclose(found.score[0], exhaustive(held, pool, score).max(), rtol=1e-9)


def test_a_form_that_is_not_stationary_is_swept_too():
    from discover.surrogate.covariance.fitting import Hyperparameters
    from discover.surrogate.covariance.forms import Linear
    from discover.surrogate.gaussian.posterior import GaussianPosterior
    from discover.surrogate.gaussian.standard import Standard
    from discover.surrogate.gaussian.state import State

    rng = np.random.default_rng(1)
    pool = rows_of(rng.random((3000, 5)))
    X = scaled(pool, rng.random((40, 5)))
    y = torch.from_numpy(X.sum(axis=1) + 0.01 * rng.normal(size=40))
    X = torch.from_numpy(X)
    form, found = Linear(tuple(range(5))), Hyperparameters("linear", (), 1e-2)
    standard, known = Standard.of(y), torch.full_like(y, torch.nan)
    state = State.of(X, standard.apply(y), known, found, form)
    held = GaussianPosterior(X, y, standard, known, found, state, 512, form=form)
    score = Improvement(float(y.max()))
    best = best_rows(held, pool, 10, score)
    assert set(best.rows.tolist()) == set(np.argsort(-exhaustive(held, pool, score), kind="stable")[:10].tolist())


def test_features_that_are_the_same_everywhere_are_left_out():
    rng = np.random.default_rng(2)
    for values in (np.full((300, 3), 4.0), np.hstack([np.full((300, 1), 4.0), rng.random((300, 2))])):
        scaling = Scaling.over(values)
        pool = PoolRows(values, scaling, np.zeros(300, dtype=bool))
        held = posterior(scaling.apply(values[:20]), rng.normal(size=20), noise=1e-2)
        score = Improvement(1.0)
        best = best_rows(held, pool, 5, score)
        np.testing.assert_allclose(best.score, np.sort(exhaustive(held, pool, score))[::-1][:5], rtol=1e-6)
    assert best.rows.tolist() == np.argsort(-exhaustive(held, pool, score), kind="stable")[:5].tolist()


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize("model", ["single", "evidence"])
def test_a_campaigns_batch_does_not_depend_on_how_the_pool_is_searched(direction, model, monkeypatch):
    from discover.policy.bayesian import Bayesian, pool_search
    from tests.policy.policy_views import features_of, view_of

    view = view_of(features_of(900), range(0, 900, 30), objective=Objective("strength", direction))
    batches = []
    for limit in (10**12, 1):
        monkeypatch.setattr(pool_search, "LARGE", limit)
        batches.append(Bayesian(start=5, model=model).propose(view, 6, np.random.default_rng(3)))
    whole, swept = batches
    assert [p.candidate_id for p in whole] == [p.candidate_id for p in swept]
    assert [p.acquisition for p in whole] == pytest.approx([p.acquisition for p in swept])
    assert whole.proposals[0].details["sweep"]["bounds"] is False
    assert swept.proposals[0].details["sweep"]["bounds"] is True
