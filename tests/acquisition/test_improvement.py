"""Closed forms against BoTorch, against many digits and against plain integration."""

from __future__ import annotations

import math
from itertools import pairwise

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from discover.acquisition.improvement import (
    log_expected_approach,
    log_expected_improvement,
    log_h,
    log_probability_between,
)
from discover.surrogate.gaussian.process import GaussianProcess


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("maximize", [True, False])
def test_scores_are_botorchs_log_expected_improvement(maximize: bool) -> None:
    from botorch.acquisition.analytic import LogExpectedImprovement

    generator = torch.Generator().manual_seed(0)
    X = torch.rand(20, 3, generator=generator, dtype=torch.float64)
    y = 40 * torch.sin(5 * X[:, 0]) + 7
    posterior = GaussianProcess().fit(X, y)
    pool = torch.rand(200, 3, generator=generator, dtype=torch.float64)
    best = float(y.max() if maximize else y.min())
    with torch.no_grad():
        theirs = LogExpectedImprovement(posterior.model(), best, maximize=maximize)(pool[:, None])
    mean, deviation = posterior.mean_deviation(pool)
    sign = 1 if maximize else -1
    ours = log_expected_improvement(sign * mean, deviation, sign * best)
    assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-4)
    assert int(ours.argmax()) == int(theirs.argmax())


@pytest.mark.parametrize("u", [8.0, 0.3, -0.99, -1.01, -7.0, -30.0, -199.9, -200.1, -1e4, -1e7])
def test_the_logarithm_is_right_to_many_digits(u: float) -> None:
    with mpmath.workdps(60):
        z = mpmath.mpf(u)
        if u > -1e3:
            exact = mpmath.log(mpmath.npdf(z) + z * mpmath.ncdf(z))
        else:
            exact = -z * z / 2 - mpmath.log(2 * mpmath.pi) / 2 - 2 * mpmath.log(-z) + mpmath.log(1 - 3 / z**2)
    assert float(log_h(tensor(u))[0]) == pytest.approx(float(exact), rel=1e-11, abs=1e-13)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=8).map(sorted))
def test_a_better_mean_never_scores_less(means: list[float]) -> None:
    values = log_expected_improvement(tensor(*means), torch.ones(len(means), dtype=torch.float64), 0.0)
    assert not bool(torch.isnan(values).any())
    assert bool((values.diff() >= -1e-12 * values[:-1].abs()).all())


@pytest.mark.parametrize("deviation", [0.01, 0.3, 2.0, 50.0])
@pytest.mark.parametrize("mean", [-1.0, 1.3, 1.5, 4.0])
@pytest.mark.parametrize(("low", "high", "distance"), [(1.4, 1.4, 0.2), (1.1, 1.6, 0.5), (0.0, 3.0, 1e-3)])
def test_the_expected_approach_is_its_integral(
    mean: float, deviation: float, low: float, high: float, distance: float
) -> None:
    def integrand(y: float) -> float:
        return max(0.0, distance - max(low - y, y - high, 0.0)) * norm.pdf(y, mean, deviation)

    spans = [
        low - distance,
        low,
        high,
        high + distance,
        *np.clip([mean, mean - 5 * deviation, mean + 5 * deviation], low - distance, high + distance),
    ]
    edges = sorted(set(spans))
    exact = sum(quad(integrand, a, b, epsabs=0, epsrel=1e-10)[0] for a, b in pairwise(edges))
    ours = float(log_expected_approach(tensor(mean), tensor(deviation), low, high, distance)[0])
    if exact > 1e-280:
        assert ours == pytest.approx(math.log(exact), abs=1e-3)
    else:
        assert ours < -600


def test_far_from_the_band_the_nearer_still_scores_more() -> None:
    values = log_expected_approach(tensor(1e6, 1e5, 1e4, 100.0), tensor(1.0, 1.0, 1.0, 1.0), 0.0, 1.0, 0.1)
    assert bool(torch.isfinite(values).all())
    assert bool((values.diff() > 0).all())


@given(
    st.floats(-50, 50),
    st.floats(1e-3, 1e3),
    st.floats(-60, 60),
    st.one_of(st.just(math.inf), st.floats(1e-6, 100)),
)
def test_the_probability_between_two_limits(mean: float, deviation: float, low: float, width: float) -> None:
    high = low + width
    ours = float(log_probability_between(tensor(mean), tensor(deviation), low, high)[0])
    a, b = (low - mean) / deviation, (high - mean) / deviation
    exact = norm.cdf(b) - norm.cdf(a) if a < 0 else norm.sf(a) - norm.sf(b)
    assert not math.isnan(ours)
    if exact > 1e-8:
        assert math.exp(ours) == pytest.approx(exact, rel=1e-4)


def test_probabilities_of_half_lines_and_of_hopeless_candidates_keep_an_order() -> None:
    mean, one = tensor(0.0, 0.0), tensor(1.0, 1.0)
    assert torch.allclose(log_probability_between(mean, one, -math.inf, 0.0).exp(), tensor(0.5, 0.5))
    assert torch.allclose(log_probability_between(mean, one, -math.inf, math.inf).exp(), tensor(1.0, 1.0))
    far = log_probability_between(tensor(-1e5, -1e3), one, 0.0, math.inf)
    assert bool(torch.isfinite(far).all())
    assert far[1] > far[0]
