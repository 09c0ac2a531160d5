"""Scores that costs and probabilities weigh: what is found through bounds is what exhaustive search finds."""

from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from discover.acquisition import refined, sweep
from discover.acquisition.bounded import Improvement, Uncertainty
from discover.acquisition.sweep import best_rows
from discover.acquisition.weights import Weights
from discover.surrogate.gaussian.weighted import Weighted
from tests.acquisition.beliefs import pool_of, posterior, rows_of, scaled

ROUNDING = 1e-5


def test_a_score_is_lowered_by_the_logarithm_of_a_cost_and_of_one_over_a_chance():
    costs, chances = np.array([1.0, 10.0, 0.1]), np.array([0.5, 1.0, 0.2])
    weights, rows = Weights(lambda rows: np.log(chances[rows]), costs), np.array([2, 0])
    np.testing.assert_allclose(np.exp(3.0 + weights.at(rows)), np.exp(3.0) * chances[rows] / costs[rows])
    np.testing.assert_allclose(np.exp(weights.above(rows)), 1.0 / costs[rows])
    assert not Weights().at(rows).any()


def exhaustive(held, pool, score, weights):
    rows = np.arange(len(pool.values))
    told = [part.mean_deviation(pool.scaled(rows)) for part in held.components]
    means, deviations = (torch.stack([pair[i] for pair in told]) for i in range(2))
    plain = score(means, deviations, torch.tensor(held.weights, dtype=torch.float64)).numpy()
    return np.where(pool.blocked, -np.inf, plain + weights.at(rows))


def weights_of(sort, rng, count, leading):
    """Costs of all sizes; chances that are small where the plain score is great, or anywhere; both."""
    chance = np.where(leading, 1e-3, 1.0) if sort == "hostile" else rng.uniform(1e-6, 1.0, size=count)
    return Weights(
        None if sort == "costs" else lambda rows: np.log(chance[rows]),
        None if sort in ("chances", "hostile") else np.exp(4.0 * rng.normal(size=count)),
    )


@settings(deadline=None, max_examples=60)
@given(
    pool_sort=st.sampled_from(["random", "crowded", "repeated", "line", "far"]),
    sort=st.sampled_from(["costs", "chances", "both", "hostile"]),
    kind=st.sampled_from(["improvement", "uncertainty"]),
    mixed=st.booleans(),
    sign=st.sampled_from([1.0, -1.0]),
    k=st.integers(1, 30),
    seed=st.integers(0, 2**16),
)
def test_the_best_weighed_rows_are_those_of_exhaustive_search(pool_sort, sort, kind, mixed, sign, k, seed):
    rng = np.random.default_rng(seed)
    data = rng.random((60, 3))
    pool = rows_of(pool_of(pool_sort, rng, 1500, 3, data), blocked=rng.random(1500) < 0.1)
    held = posterior(scaled(pool, data), np.sin(5 * data.sum(axis=1)) + 0.1 * rng.normal(size=60), noise=1e-3)
    if mixed:
        held = Weighted((held, posterior(scaled(pool, data), held.y, length=0.3, noise=1e-3)), (0.7, 0.3), ("a", "b"))
    incumbent = float((sign * held.mean_variance(held.X)[0]).max())
    score = Uncertainty() if kind == "uncertainty" else Improvement(incumbent, sign)
    plain = exhaustive(held, pool, score, Weights())
    weights = weights_of(sort, rng, 1500, plain > np.quantile(plain, 0.9))
    scores = exhaustive(held, pool, score, weights)
    found = best_rows(held, pool, k, score, weights=weights, subset=32)
    best = np.sort(scores)[::-1][:k]
    np.testing.assert_allclose(found.score, best, rtol=ROUNDING, atol=ROUNDING)
    assert set(np.flatnonzero(scores > best[-1] + ROUNDING * (1.0 + abs(best[-1])))) <= set(found.rows.tolist())
    assert len(set(found.rows.tolist())) == k
    assert not pool.blocked[found.rows].any()


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**16), sort=st.sampled_from(["costs", "chances", "both"]))
def test_what_is_said_of_all_rows_is_never_below_what_is_said_of_each(seed, sort):
    rng = np.random.default_rng(seed)
    weights, rows = weights_of(sort, rng, 200, None), rng.permutation(200)
    assert (weights.above(rows) >= weights.at(rows)).all()
    assert (weights.at(rows[:7]) == weights.at(rows)[:7]).all()
    assert (weights.above(rows) == weights.at(rows)).all() == (sort == "costs")


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**16), kind=st.sampled_from(["improvement", "uncertainty"]), wild=st.booleans())
def test_what_is_carried_serves_weighed_scores_too(seed, kind, wild, tmp_path_factory):
    rng, folder = np.random.default_rng(seed), tmp_path_factory.mktemp("carried")
    data = rng.random((60, 3))
    pool = rows_of(rng.random((1200, 3)), hash="a pool")
    held = posterior(scaled(pool, data), np.sin(5 * data.sum(axis=1)), noise=1e-3)
    for _ in range(3):
        weights = weights_of("both", rng, 1200, None)  # they may change from one iteration to the next
        score = Uncertainty() if kind == "uncertainty" else Improvement(float(held.mean_variance(held.X)[0].max()))
        with mock.patch.object(sweep, "WORTH", 1), mock.patch.object(refined, "SIZES", (4, 16, 40)):
            carried = best_rows(held, pool, 12, score, weights=weights, carry=folder)
        alone = best_rows(held, pool, 12, score, weights=weights)
        assert carried.rows.tolist() == alone.rows.tolist()
        assert carried.score.tobytes() == alone.score.tobytes()
        X = np.vstack([held.X.numpy(), scaled(pool, pool.values[carried.rows[:4]])])
        y = np.concatenate([held.y.numpy(), rng.normal(size=4) * (30.0 if wild else 1.0)])
        held = posterior(X, y, noise=1e-3, like=held)


@pytest.mark.parametrize("kind", ["costs", "chances"])
def test_probabilities_are_worked_out_of_few_rows(kind):
    rng = np.random.default_rng(0)
    pool = rows_of(rng.random((30_000, 3)))
    held = posterior(scaled(pool, rng.random((200, 3))), rng.normal(size=200), noise=1e-2)
    asked = []

    def log_chance(rows):
        asked.append(len(rows))
        return np.log(0.2 + 0.8 * pool.values[rows, 0])

    weights = Weights(log_chance, None) if kind == "chances" else Weights(log_chance, 1.0 + rng.random(30_000))
    score = Improvement(float(held.mean_variance(held.X)[0].max()))
    found = best_rows(held, pool, 10, score, weights=weights)
    assert sum(asked) < 0.2 * len(pool.values)
    assert found.rows[0] == exhaustive(held, pool, score, weights).argmax()
