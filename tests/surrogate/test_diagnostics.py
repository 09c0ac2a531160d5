"""Leave-one-out in closed form is what leaving out one by one gives, and its verdict is sober."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from scipy.stats import norm

from discover.surrogate.covariance import fitting
from discover.surrogate.covariance.kernels import correlation, squared_distances
from discover.surrogate.diagnostics import leave_one_out
from discover.surrogate.gaussian.posterior import GaussianPosterior
from discover.surrogate.gaussian.process import GaussianProcess


def fitted(n: int, seed: int = 0, noise: float = 0.2) -> tuple[GaussianPosterior, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows = np.arange(n)
    X = rng.uniform(size=(n, 2))
    y = 50 + 8 * np.sin(4 * X[:, 0]) + noise * rng.normal(size=n)
    return GaussianProcess().fit(torch.from_numpy(X), torch.from_numpy(y)), rows


def without(posterior: GaussianPosterior, left_out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The left-out values predicted from the others, with the same hyperparameters; no closed form."""
    assert posterior.found is not None
    assert posterior.state is not None
    keep = np.setdiff1d(np.arange(len(posterior.y)), left_out)
    y = posterior.standard.apply(posterior.y)
    X = posterior.X / torch.tensor(posterior.found.lengths)
    noise = torch.diag(fitting.noise_diagonal(posterior.noise, posterior.found.noise))
    K = correlation(posterior.found.kernel, squared_distances(X, X)) + noise
    solved = torch.linalg.solve(K[keep][:, keep], K[keep][:, left_out])
    ones = torch.linalg.solve(K[keep][:, keep], torch.ones_like(y[keep]))
    constant = (ones @ y[keep]) / ones.sum()
    mean = constant + solved.T @ (y[keep] - constant)
    variance = (K[left_out][:, left_out] - K[left_out][:, keep] @ solved).diagonal()
    variance = variance + (1 - solved.sum(dim=0)).square() / ones.sum()
    scale = posterior.standard.scale
    return (posterior.standard.shift + scale * mean).numpy(), (scale * variance.sqrt()).numpy()


def test_the_closed_form_is_leaving_out_one_by_one() -> None:
    posterior, rows = fitted(15)
    told = leave_one_out(posterior, rows)
    for i in range(15):
        mean, std = without(posterior, np.array([i]))
        assert told.means[i] == pytest.approx(mean[0], rel=1e-8)
        assert told.stds[i] == pytest.approx(std[0], rel=1e-6)


def test_replicates_of_a_candidate_are_left_out_together() -> None:
    posterior, _ = fitted(12)
    rows = np.array([0, 0, 0, 1, 2, 3, 3, 4, 5, 6, 7, 8])
    told = leave_one_out(posterior, rows)
    for group in (np.array([0, 1, 2]), np.array([5, 6]), np.array([4])):
        mean, std = without(posterior, group)
        assert told.means[group] == pytest.approx(mean, rel=1e-8)
        assert told.stds[group] == pytest.approx(std, rel=1e-6)
    assert told.candidates == 9


def test_the_gain_is_over_the_mean_and_the_spread_of_the_other_candidates() -> None:
    """A normal value of unknown mean varies by the spread of the others, and by how uncertain their mean is."""
    posterior, _ = fitted(12)
    rows = np.array([0, 0, 0, 1, 2, 3, 3, 4, 5, 6, 7, 8])
    told, y = leave_one_out(posterior, rows), posterior.y.numpy()
    plain = []
    for value, row in zip(y, rows, strict=True):
        others = y[rows != row]
        deviation = others.std(ddof=1) * math.sqrt(1.0 + 1.0 / len(others))
        plain.append(float(norm.logpdf(value, others.mean(), deviation)))
    gains = norm.logpdf(y, told.means, told.stds) - plain
    assert told.density_gain == pytest.approx(gains.mean(), rel=1e-8)
    assert told.density_gain_error == pytest.approx(gains.std(ddof=1) / math.sqrt(12), rel=1e-8)
    assert told.coverage == np.mean(np.abs(y - told.means) <= norm.ppf(0.95) * told.stds)


def test_a_clear_trend_is_found_better_and_its_intervals_hold() -> None:
    posterior, rows = fitted(40)
    told = leave_one_out(posterior, rows)
    assert told.density_gain > 0.5
    assert told.rank_correlation > 0.9
    assert 0.75 <= told.coverage <= 1.0
    assert told.verdict.startswith("clearly better than the mean")


@pytest.mark.parametrize(("n", "d"), [(20, 3), (40, 60)])
def test_pure_noise_is_hardly_ever_called_better_however_many_hyperparameters(n: int, d: int) -> None:
    verdicts = []
    model = GaussianProcess(evaluations=40)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X, y = torch.from_numpy(rng.uniform(size=(n, d))), torch.from_numpy(rng.normal(size=n))
        verdicts.append(leave_one_out(model.fit(X, y), np.arange(n), model).verdict)
    assert sum(v.startswith(("better", "clearly better")) for v in verdicts) <= 2
    assert sum(v.startswith("no better than the mean yet") for v in verdicts) >= 10


def test_hyperparameters_that_have_seen_a_value_flatter_its_prediction() -> None:
    rng = np.random.default_rng(0)
    X, y = torch.from_numpy(rng.uniform(size=(40, 60))), torch.from_numpy(rng.normal(size=40))
    posterior = GaussianProcess().fit(X, y)
    fixed, fitted_again = (leave_one_out(posterior, np.arange(40), model) for model in (None, GaussianProcess()))
    assert fixed.density_gain > 0.1
    assert fitted_again.density_gain < 0.1


def test_few_and_constant_observations_are_not_judged() -> None:
    posterior, rows = fitted(3)
    assert leave_one_out(posterior, rows).verdict == "too few candidates to judge the model (3)"
    X = torch.rand(8, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    same = leave_one_out(GaussianProcess().fit(X, torch.ones(8, dtype=torch.float64)), np.arange(8))
    assert same.verdict.startswith("no better than the mean yet")
    one = leave_one_out(GaussianProcess().fit(X[:1], torch.ones(1, dtype=torch.float64)), np.arange(1))
    assert math.isnan(one.rank_correlation)
    assert json.loads(json.dumps(one.to_dict(), allow_nan=False))["rank_correlation"] is None


def test_a_value_beside_which_all_others_are_worthless_is_judged_by_the_mean() -> None:
    X = torch.arange(7, dtype=torch.float64)[:, None] / 7
    y = torch.tensor([-1.0, 2.0, -1.0, 2.0, -1.0, 0.1, -1.0], dtype=torch.float64)
    stds = torch.full_like(y, 1e12)
    stds[5] = 1e3
    posterior = GaussianProcess().fit(X, y, stds.square())
    assert posterior.state is not None
    told = leave_one_out(posterior, np.arange(7))
    assert np.isfinite(told.means).all()
    assert np.isfinite(told.stds).all()
    assert math.isfinite(told.density_gain)
    assert told.stds[0] == pytest.approx(1e12, rel=0.2)
