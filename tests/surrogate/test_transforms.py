"""Every scale is an increasing bijection with the slope that it says, and densities under it are densities."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import trapezoid
from scipy.stats import norm, yeojohnson, yeojohnson_llf

from discover.surrogate.targets.transforms import (
    Transform,
    YeoJohnson,
    affine,
    bandwidth,
    log_slope_without,
    logarithm,
    normal_scores,
    restored,
    yeo_johnson,
)

NO_LIMITS = np.array([])


def skewed(n: int = 40, seed: int = 0) -> np.ndarray:
    return np.exp(2.0 * np.random.default_rng(seed).normal(size=n))


def all_of(y: np.ndarray) -> list[Transform]:
    found = [affine(y), logarithm(y, NO_LIMITS), normal_scores(y), yeo_johnson(y)]
    found += [YeoJohnson(power, 1.0, 2.0, 0.0).reaching(y) for power in (-2.0, 0.0, 1.0, 2.0, 4.0)]
    return [t for t in found if t is not None]


@pytest.mark.parametrize("which", range(9))
def test_there_and_back_is_where_it_was_and_the_slope_is_that_of_finite_differences(which: int) -> None:
    y = skewed()
    transform = all_of(y)[which]
    low = 1e-3 if transform.title == "logarithm" else -50.0
    at = torch.linspace(low, 3 * y.max(), 4001, dtype=torch.float64)
    z = transform.apply(at)
    assert bool((z.diff() > 0).all())
    assert torch.allclose(transform.invert(z), at, rtol=1e-8, atol=1e-8)
    far = torch.linspace(-40, 40, 801, dtype=torch.float64)
    assert bool((transform.invert(far).diff() > 0).all())
    assert bool(torch.isfinite(transform.invert(far)).all())
    measured = torch.from_numpy(np.sort(y)[3:-3])
    step = 1e-6 * measured
    slope = (transform.apply(measured + step) - transform.apply(measured - step)) / (2 * step)
    assert torch.allclose(transform.log_slope(measured).exp(), slope, rtol=1e-4)


@pytest.mark.parametrize("which", range(9))
def test_a_scale_is_remembered_exactly(which: int) -> None:
    y = skewed()
    transform = all_of(y)[which]
    again = restored(json.loads(json.dumps(transform.settings(), allow_nan=False)))
    assert again == transform


@pytest.mark.parametrize("power", [-1.5, 0.0, 0.5, 1.0, 2.0, 3.5])
def test_yeo_johnson_is_scipys_inside_what_was_seen_and_straight_beyond(power: float) -> None:
    u = np.linspace(-3, 3, 61)
    transform = YeoJohnson(power, 0.0, 1.0, 0.0).reaching(u)
    assert np.allclose(transform.apply(torch.from_numpy(u)).numpy(), yeojohnson(u, power), atol=1e-12)
    edge = 3.0 if power < 1.0 else -3.0
    beyond = torch.tensor([edge, 2 * edge, 3 * edge], dtype=torch.float64)
    z = transform.apply(beyond)
    assert float(z[2] - z[1]) == pytest.approx(float(z[1] - z[0]))


def test_its_power_is_the_most_likely_one_and_whitening_by_the_identity_changes_nothing() -> None:
    y = skewed()
    found = yeo_johnson(y)
    u = (y - y.mean()) / y.std()
    best = yeojohnson_llf(found.power, u)
    assert all(best >= yeojohnson_llf(power, u) - 1e-3 for power in np.linspace(-2, 4, 121))
    ones = np.ones((len(y), 1))
    assert yeo_johnson(y, 3.0 * np.eye(len(y))).power == pytest.approx(
        yeo_johnson(y, 3.0 * (np.eye(len(y)) - 1e-9 * ones @ ones.T)).power, abs=0.01
    )


def test_normal_scores_put_the_values_on_normal_quantiles() -> None:
    y = skewed(200)
    transform = normal_scores(y)
    assert transform is not None
    z = np.sort(transform.apply(torch.from_numpy(y)).numpy())
    quantiles = norm.ppf((np.arange(200) + 0.5) / 200)
    assert np.corrcoef(z, quantiles)[0, 1] > 0.94
    assert np.corrcoef(np.sort(y), quantiles)[0, 1] < 0.8


def test_the_honest_slope_makes_a_density_that_integrates_to_one() -> None:
    y = np.random.default_rng(2).normal(size=12)
    width = bandwidth(y)
    grid = np.linspace(y.min() - 8 * width, y.max() + 8 * width, 4001)
    others = y[1:]
    far = (grid[:, None] - others) / width
    density = np.exp(-0.5 * far**2).mean(axis=1) / np.sqrt(2 * np.pi) / width
    assert trapezoid(density, grid) == pytest.approx(1.0, abs=1e-6)
    z = norm.ppf(norm.cdf((y[0] - y) / width).mean())
    at_it = np.interp(y[0], grid, density)
    assert log_slope_without(y)[0] + norm.logpdf(z) == pytest.approx(np.log(at_it), abs=1e-4)


def test_a_logarithm_is_offered_only_where_it_has_a_meaning() -> None:
    assert logarithm(np.array([1.0, 5.0]), NO_LIMITS) is None
    assert logarithm(np.array([0.0, 50.0]), NO_LIMITS) is None
    assert logarithm(np.array([1.0, 50.0]), np.array([0.0])) is None
    assert logarithm(np.array([1.0, 50.0]), np.array([0.5])) is not None
    assert normal_scores(np.array([1.0, 2.0, 3.0])) is None


@settings(max_examples=40, deadline=None)
@given(
    scale=st.sampled_from([1e-300, 1e-12, 1.0, 1e12, 1e300]),
    values=st.lists(st.floats(-1, 1), min_size=12, max_size=30),
)
def test_any_values_give_finite_scales(scale: float, values: list[float]) -> None:
    y = np.array(values) * scale
    for transform in (affine(y), logarithm(y, NO_LIMITS), yeo_johnson(y), normal_scores(y)):
        if transform is None:
            continue
        z = transform.apply(torch.from_numpy(y))
        assert bool(torch.isfinite(z).all()), transform
        assert bool(torch.isfinite(transform.invert(z)).all()), transform
