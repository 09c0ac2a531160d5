"""Noise is uneven only where the data say so, and then as uneven as it was made."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import polygamma

from discover.surrogate.targets.noise import _trigamma_inverse, choose_noise, moderated
from tests.surrogate.test_shape import smooth


def unknown(n: int) -> np.ndarray:
    return np.full(n, math.nan)


def replicated(seed: int, stds: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Three values of each of some candidates, scattering with their own deviations."""
    rows = np.repeat(np.arange(len(stds)), 3)
    X, y = smooth(len(stds), seed, noise=0.001)
    return X[rows], 10 + 4 * y[rows] + stds[rows] * np.random.default_rng(seed).normal(size=len(rows)), rows


def test_equal_noise_is_left_equal() -> None:
    for seed in range(4):
        X, y = smooth(40, seed, noise=0.1)
        assert choose_noise(X, y, unknown(40), np.arange(40)).record == {}
        assert (
            len(choose_noise(*replicated(seed, np.full(15, 0.5))[:2], unknown(45), np.repeat(np.arange(15), 3)).record)
            == 0
        )


def test_noise_that_grows_with_the_value_is_found_and_named() -> None:
    grown = []
    for seed in range(6):
        X, z = smooth(60, seed, noise=0.001)
        y = np.exp(z) * (1 + 0.2 * np.random.default_rng(seed).normal(size=60))
        found = choose_noise(X, y, unknown(60), np.arange(60))
        if found.record:
            grown.append(np.corrcoef(np.sqrt(found.variances), np.exp(z))[0, 1])
    assert len(grown) >= 3
    assert min(grown) > 0.7


def test_replicates_tell_which_candidates_scatter() -> None:
    stds = np.where(np.arange(24) % 2 == 0, 0.1, 1.5)
    taken = 0
    for seed in range(4):
        X, y, rows = replicated(seed, stds)
        found = moderated(y, rows)
        assert found is not None
        variances, honest = found
        assert np.median(variances[stds[rows] > 1]) > 10 * np.median(variances[stds[rows] < 1])
        assert not np.allclose(variances, honest)
        taken += choose_noise(X, y, unknown(72), rows).record.get("noise") == "by_replicates"
    assert taken >= 2


def test_variances_are_drawn_together_as_the_law_asks_that_they_came_from() -> None:
    """Smyth's model: precisions are those of chi-squared numbers of six degrees of freedom about a common one."""
    rng, rows = np.random.default_rng(0), np.repeat(np.arange(3000), 4)
    values = rng.normal(size=(3000, 4)) * np.sqrt(0.25 * 6.0 / rng.chisquare(6.0, size=3000))[:, None]
    found = moderated(values.reshape(-1), rows)
    assert found is not None
    squares = values.var(axis=1) * 4.0
    np.testing.assert_allclose(found[0][::4], (6.0 * 0.25 + squares) / (6.0 + 3.0), rtol=0.12)


def test_a_value_does_not_speak_in_its_own_judgement() -> None:
    _, y, rows = replicated(0, np.where(np.arange(20) % 2 == 0, 0.1, 1.5))
    found = moderated(y, rows)
    assert found is not None
    whole, honest = found

    def squares(positions: np.ndarray) -> float:
        return float(np.square(y[positions] - y[positions].mean()).sum())

    groups = np.arange(60).reshape(20, 3)
    # every variance is (prior · common + squares) / (prior + 2): a straight line in the squares of its group
    slope, level = np.polyfit([squares(g) for g in groups], whole[groups[:, 0]], 1)
    prior, pull = 1 / slope - 2, level / slope
    assert prior > 0
    for i in range(60):
        mates = np.setdiff1d(groups[rows[i]], [i])
        assert honest[i] == pytest.approx((pull + squares(mates)) / (prior + 1), rel=1e-6)


@pytest.mark.parametrize("value", [1e-4, 0.1, 1.0, 30.0])
def test_the_inverse_of_trigamma(value: float) -> None:
    assert float(polygamma(1, _trigamma_inverse(value))) == pytest.approx(value, rel=1e-8)


def test_stated_deviations_are_believed_and_few_data_left_alone() -> None:
    X, y = smooth(30, 0)
    stated = np.full(30, 0.04)
    found = choose_noise(X, y, stated, np.arange(30))
    assert (found.record, found.variances.tolist()) == ({}, stated.tolist())
    assert choose_noise(X[:8], y[:8], unknown(8), np.arange(8)).record == {}
    assert moderated(y, np.arange(30)) is None
