"""Gross errors are found and named, an optimum far above everything else is not one, and clean data lose nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from discover.surrogate.targets.outliers import MOST, find_outliers
from tests.surrogate.test_shape import smooth


def unknown(n: int) -> np.ndarray:
    return np.full(n, math.nan)


@pytest.mark.parametrize("size", [6.0, 30.0, 1e6])
def test_gross_errors_are_found_however_large_and_nothing_else_is(size: float) -> None:
    hit = false = 0
    for seed in range(6):
        X, y = smooth(40, seed)
        bad = np.random.default_rng(seed).choice(40, 2, replace=False)
        y[bad] -= size
        found = set(find_outliers(X, y, unknown(40), np.arange(40), y).positions.tolist())
        hit += len(found & set(bad.tolist()))
        false += len(found - set(bad.tolist()))
    assert hit >= 11
    assert false <= 1


def test_clean_data_lose_nothing() -> None:
    for seed in range(6):
        for values in (smooth(40, seed, noise=0.3)[1], np.exp(2 * smooth(40, seed)[1])):
            X = smooth(40, seed)[0]
            found = find_outliers(X, values, unknown(40), np.arange(40), values)
            assert len(found.positions) == 0, seed
            assert found.gain == 0.0


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_true_optimum_far_above_the_rest_is_kept_and_named_as_one_to_measure_again(sign: float) -> None:
    for seed in range(6):
        X, y = smooth(40, seed)
        y = sign * y
        best = int(np.argmax(sign * y))
        y[best] += sign * 25
        found = find_outliers(X, y, unknown(40), np.arange(40), sign * y)
        assert best not in found.positions
        assert best in found.doubted


def test_its_own_replicates_can_overrule_even_the_best() -> None:
    X, y = smooth(40, 0)
    rows = np.arange(40)
    X[1:4], y[1:4], rows[1:4] = X[0], y[0] + np.array([0.02, -0.03, 25.0]), 0
    found = find_outliers(X, y, unknown(40), rows, y)
    assert found.positions.tolist() == [3]
    assert found.gain > 3
    assert found.expected[3] == pytest.approx(y[0], abs=0.5)


def test_few_values_and_values_without_neighbours_are_not_doubted() -> None:
    X, y = smooth(10, 0)
    y[3] -= 100
    assert len(find_outliers(X, y, unknown(10), np.arange(10), y).positions) == 0
    rng = np.random.default_rng(0)
    noise = rng.standard_cauchy(size=60)
    found = find_outliers(rng.uniform(size=(60, 4)), noise, unknown(60), np.arange(60), noise)
    assert len(found.positions) <= MOST * 60
    assert int(np.argmax(noise)) not in found.positions
