"""Scores against closed forms and simulation; batches that do not ask the same question twice; draws that follow the belief."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm

from discover.acquisition.marginal import Marginal, greedy, maxima, per_cost
from discover.acquisition.paths import Paths
from tests.acquisition.test_sweep import posterior

MEAN = torch.tensor([0.0, 1.0, -2.0, 0.5], dtype=torch.float64)
DEVIATION = torch.tensor([1.0, 0.1, 3.0, 0.5], dtype=torch.float64)


def test_scores_are_those_of_their_papers():
    mean, deviation = MEAN.numpy(), DEVIATION.numpy()
    upper = Marginal("upper-confidence", 0.0, beta=9.0)(MEAN, DEVIATION).numpy()
    np.testing.assert_allclose(upper, mean + 3 * deviation)
    chance = Marginal("probability-of-improvement", 0.7)(MEAN, DEVIATION).numpy()
    np.testing.assert_allclose(np.exp(chance), norm.sf(0.7, mean, deviation))
    hits = Marginal("hits", 0.0, threshold=1.5)(MEAN, DEVIATION).numpy()
    np.testing.assert_allclose(np.exp(hits), norm.sf(1.5, mean, deviation))
    doubt = Marginal("straddle", 0.0, threshold=0.4)(MEAN, DEVIATION).numpy()
    np.testing.assert_allclose(doubt, 1.96 * deviation - np.abs(mean - 0.4))
    assert Marginal("uncertainty", 0.0)(MEAN, DEVIATION).tolist() == DEVIATION.tolist()


def test_max_value_entropy_is_the_entropy_that_truncation_takes():
    top = 1.2
    found = Marginal("max-value-entropy", 0.0, maxima=torch.tensor([top]))(MEAN, DEVIATION).numpy()
    for value, mean, deviation in zip(found, MEAN.tolist(), DEVIATION.tolist(), strict=True):
        grid = np.linspace(mean - 12 * deviation, top, 400_001)
        density = norm.pdf(grid, mean, deviation) / norm.cdf(top, mean, deviation)
        inside = density > 0
        truncated = -np.trapezoid(density[inside] * np.log(density[inside]), grid[inside])
        whole = 0.5 * math.log(2 * math.pi * math.e * deviation**2)
        assert value == pytest.approx(whole - truncated, abs=1e-5)


def test_the_maxima_are_those_of_independent_outcomes():
    rng = np.random.default_rng(0)
    mean, deviation = rng.normal(size=200), rng.uniform(0.2, 1.0, 200)
    drawn = (mean + deviation * rng.normal(size=(20_000, 200))).max(axis=1)
    found = maxima(torch.from_numpy(mean), torch.from_numpy(deviation)).numpy()
    assert found.mean() == pytest.approx(drawn.mean(), abs=0.05)
    assert found.std() == pytest.approx(drawn.std(), rel=0.25)
    assert (np.diff(found) > 0).all()


def test_the_maxima_are_those_of_what_counts():
    rng = np.random.default_rng(1)
    mean, deviation = rng.normal(size=60), rng.uniform(0.2, 1.0, 60)
    chance = np.where(mean > 0.5, 0.02, 0.9)
    drawn = mean + deviation * rng.normal(size=(20_000, 60))
    drawn = np.where(rng.uniform(size=drawn.shape) < chance, drawn, -np.inf).max(axis=1)
    found = maxima(*map(torch.from_numpy, (mean, deviation, chance))).numpy()
    assert found.mean() == pytest.approx(drawn.mean(), abs=0.1)
    assert found.mean() < maxima(torch.from_numpy(mean), torch.from_numpy(deviation)).mean() - 0.5
    none = maxima(torch.from_numpy(mean), torch.from_numpy(deviation), torch.zeros(60, dtype=torch.float64)).numpy()
    assert np.isfinite(none).all()


def test_far_candidates_have_finite_scores():
    mean = torch.tensor([-1e6, 1e6, 0.0], dtype=torch.float64)
    deviation = torch.tensor([1e-3, 1e-3, 1e5], dtype=torch.float64)
    for kind in ("upper-confidence", "probability-of-improvement", "max-value-entropy", "straddle", "hits"):
        score = Marginal(kind, 0.0, threshold=1.0, maxima=torch.tensor([0.0, 10.0], dtype=torch.float64))
        assert not score(mean, deviation).isnan().any(), kind


def test_a_batch_does_not_ask_the_same_question_twice():
    X = torch.tensor([[0.0], [0.001], [1.0], [5.0]], dtype=torch.float64)
    held = posterior(np.array([[3.0], [3.1]]), np.array([0.0, 0.1]))
    mean, covariance = held.joint(X)
    picked = [place for place, _ in greedy(Marginal("uncertainty", 0.0), mean, covariance, 1e-4, 3)]
    assert len(set(picked)) == 3
    assert not {0, 1} <= set(picked[:2])
    under_trial = greedy(Marginal("uncertainty", 0.0), mean, covariance, 1e-4, 1, under_trial=1)
    alone = greedy(Marginal("uncertainty", 0.0), mean[:3], covariance[:3, :3], 1e-4, 1)
    assert under_trial[0][1] <= alone[0][1] + 1e-12
    assert len(greedy(Marginal("uncertainty", 0.0), mean, covariance, 1e-4, 99)) == 4


@pytest.mark.parametrize("kernel", ["matern", "rbf"])
def test_drawn_functions_follow_the_belief(kernel):
    rng = np.random.default_rng(1)
    data = rng.random((15, 2))
    held = posterior(data, np.sin(5 * data[:, 0]), kernel=kernel, length=0.5, noise=1e-3)
    X = torch.from_numpy(rng.random((6, 2)))
    values = torch.stack([Paths.drawn(held, 200, np.random.default_rng(s))(X) for s in range(20)]).reshape(-1, 6)
    mean, covariance = held.joint(X)
    torch.testing.assert_close(
        values.mean(dim=0), mean, atol=4 * float(covariance.diagonal().max().sqrt()) / 60, rtol=0.1
    )
    found = torch.cov(values.T)
    assert float((found - covariance).abs().max()) < 0.15 * float(covariance.diagonal().max())


def test_each_draw_takes_its_own_best_and_none_twice():
    rng = np.random.default_rng(2)
    data = rng.random((20, 2))
    held = posterior(data, data.sum(axis=1), noise=1e-4)
    X = torch.from_numpy(rng.random((500, 2)))
    drawn = Paths.drawn(held, 8, np.random.default_rng(3))
    found = drawn.best(lambda at: X[at], 500, 1.0, chunk=64)
    assert found == drawn.best(lambda at: X[at], 500, 1.0, chunk=500) or [p for p, _ in found] == [
        p for p, _ in drawn.best(lambda at: X[at], 500, 1.0, chunk=500)
    ]
    assert len({place for place, _ in found}) == 8
    values = drawn(X)
    assert found[0][0] == int(values[0].argmax())
    low = drawn.best(lambda at: X[at], 500, -1.0)
    assert low[0][0] == int(values[0].argmin())
    assert len(drawn.best(lambda at: X[at], 3, 1.0)) == 3


def test_max_value_entropy_orders_candidates_as_botorch_does():
    from botorch.acquisition.max_value_entropy_search import qMaxValueEntropy

    rng = np.random.default_rng(4)
    data = rng.random((14, 2))
    held = posterior(data, np.sin(5 * data[:, 0]) + data[:, 1], length=0.5, noise=1e-5)
    X = torch.from_numpy(rng.random((40, 2)))
    mean, deviation = held.mean_deviation(X)
    tops = maxima(mean, deviation)
    torch.manual_seed(0)
    theirs = qMaxValueEntropy(held.model(), X, num_mv_samples=len(tops), num_y_samples=512)
    theirs.posterior_max_values = tops[:, None]
    with torch.no_grad():
        expected = theirs(X[:, None, :])
    ours = Marginal("max-value-entropy", 0.0, maxima=tops)(mean, deviation)
    assert np.corrcoef(ours.numpy(), expected.numpy())[0, 1] > 0.99
    assert int(ours.argmax()) == int(expected.argmax())


def test_the_last_of_the_best_is_what_top_improves_on_and_a_band_has_two_ends():
    top = Marginal("top", 0.3)(MEAN, DEVIATION).exp().numpy()
    u = (MEAN.numpy() - 0.3) / DEVIATION.numpy()
    np.testing.assert_allclose(top, DEVIATION.numpy() * (norm.pdf(u) + u * norm.cdf(u)), rtol=1e-10)
    inside = Marginal("hits", 0.0, threshold=0.4, upper=0.9)(MEAN, DEVIATION).exp().numpy()
    expected = norm.cdf(0.9, MEAN, DEVIATION) - norm.cdf(0.4, MEAN, DEVIATION)
    np.testing.assert_allclose(inside, expected, rtol=1e-8)
    doubt = Marginal("straddle", 0.0, threshold=0.4, upper=0.9)(MEAN, DEVIATION).numpy()
    nearer = np.minimum(np.abs(MEAN.numpy() - 0.4), np.abs(MEAN.numpy() - 0.9))
    np.testing.assert_allclose(doubt, 1.96 * DEVIATION.numpy() - nearer)


def test_scores_per_cost_are_divided_or_lowered():
    costs = torch.tensor([1.0, 2.0, 0.5, 10.0], dtype=torch.float64)
    scores = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)
    assert per_cost("uncertainty", scores, None) is scores
    torch.testing.assert_close(per_cost("uncertainty", scores, costs), scores / costs)
    torch.testing.assert_close(per_cost("hits", scores.log(), costs).exp(), scores / costs)
