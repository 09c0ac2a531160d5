"""A scale is chosen where it predicts clearly better, and left alone where it does not."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from discover.surrogate.targets.shape import REFERENCE, choose_shape, fit_on, log_densities
from discover.surrogate.targets.transforms import affine, logarithm, yeo_johnson

NO_LIMITS = np.array([])


def smooth(n: int, seed: int, noise: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """Rows [n, 2] and values of a function drawn from a Gaussian process, with noise."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(size=(n, 2))
    squared = ((X[:, None] - X) ** 2).sum(axis=-1)
    return X, np.linalg.cholesky(np.exp(-2 * squared) + noise**2 * np.eye(n)) @ rng.normal(size=n)


def unknown(n: int) -> np.ndarray:
    return np.full(n, math.nan)


@pytest.mark.parametrize(
    ("name", "bend"),
    [
        ("affine", lambda z: 7 + 3 * z),
        ("logarithm", lambda z: np.exp(3 * z)),
        ("yeo-johnson", lambda z: -np.exp(-2 * z)),
    ],
)
def test_the_scale_that_made_the_data_is_mostly_found(name: str, bend: object) -> None:
    found = []
    for seed in range(5):
        X, z = smooth(50, seed)
        found.append(choose_shape(X, bend(z), unknown(50), NO_LIMITS).transform.settings()["kind"])  # type: ignore[operator]
    assert found.count(name) >= 4


def test_a_scale_in_use_is_left_only_for_a_clearly_better_one() -> None:
    X, z = smooth(40, 1)
    first = choose_shape(X, z, unknown(40), NO_LIMITS)
    assert first.transform.settings()["kind"] == "affine"
    kept = choose_shape(X, z, unknown(40), NO_LIMITS, {"kind": "yeo-johnson"})
    assert kept.transform.settings()["kind"] == "yeo-johnson"
    bent = choose_shape(X, np.exp(4 * z), unknown(40), NO_LIMITS, {"kind": "affine"})
    assert bent.transform.settings()["kind"] != "affine"


def test_densities_are_those_of_leaving_out_one_by_one_in_the_targets_unit() -> None:
    X, z = smooth(12, 0)
    y = np.exp(2 * z)
    transform = logarithm(y, NO_LIMITS)
    assert transform is not None
    posterior = fit_on(transform, X, y, unknown(12), REFERENCE)
    assert posterior.state is not None
    K = (posterior.state.factor @ posterior.state.factor.T).numpy() + 1e6  # a constant mean that nothing is known of
    u = posterior.standard.apply(posterior.y).numpy()
    whole = multivariate_normal(np.zeros(12), K).logpdf(u)
    for i in range(12):
        rest = np.delete(np.arange(12), i)
        alone = whole - multivariate_normal(np.zeros(11), K[np.ix_(rest, rest)]).logpdf(u[rest])
        in_unit = alone - math.log(posterior.standard.scale) - math.log(y[i])
        assert log_densities(transform, X, y, unknown(12))[i] == pytest.approx(in_unit, abs=1e-3)


def test_a_change_of_units_changes_nothing_but_the_unit() -> None:
    X, z = smooth(30, 2)
    for make in (affine, yeo_johnson):
        one, other = (log_densities(make(y), X, y, unknown(30)) for y in (z, 1000 * z))
        assert np.allclose(other, one - math.log(1000), atol=1e-3)


def test_few_and_constant_values_are_taken_as_they_are_and_the_record_is_json() -> None:
    X, z = smooth(30, 3)
    for y in (np.ones(30), np.repeat(z[:3], 10)):
        few = choose_shape(X, y, unknown(30), NO_LIMITS)
        assert (few.transform.settings()["kind"], few.record) == ("affine", {})
    shape = choose_shape(X, np.exp(z), unknown(30), NO_LIMITS)
    assert len(json.loads(json.dumps(shape.record, allow_nan=False))["log_density"]) >= 3
