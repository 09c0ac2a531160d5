"""The exact random line against hand cases, brute force over every draw, and Monte Carlo."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discover.backtest.random_line import random_line
from discover.errors import InvalidInput

NAN = np.nan


def brute_force(utilities: list[float], k: int, floor: float) -> np.ndarray:
    """The best of every one of the C(N, k) draws."""
    draws = combinations(utilities, k)
    return np.array([max([floor, *(value for value in draw if not np.isnan(value))]) for draw in draws])


def test_two_values_by_hand() -> None:
    line = random_line([0.0, 1.0], 2)
    assert line.mean.tolist() == [0.5, 1.0]
    assert line.none.tolist() == [0.0, 0.0]


def test_one_hit_among_failures_by_hand() -> None:
    """One value among four candidates is found after k draws with chance k/4."""
    line = random_line([NAN, 7.0, NAN, NAN], 4, floor=0.0)
    assert line.mean == pytest.approx([7 / 4, 14 / 4, 21 / 4, 7.0])
    assert line.none == pytest.approx([3 / 4, 2 / 4, 1 / 4, 0.0])


def test_first_draw_is_the_mean_and_the_last_is_the_best() -> None:
    values = np.random.default_rng(1).normal(size=50)
    line = random_line(values, 50)
    assert line.mean[0] == pytest.approx(values.mean())
    assert line.mean[-1] == pytest.approx(values.max())
    assert line.low[-1] == line.high[-1] == values.max()


def test_more_draws_than_candidates_change_nothing() -> None:
    line = random_line([3.0, NAN, 1.0, 2.0], 9)
    assert np.all(line.mean[3:] == 3.0)
    assert np.all(line.low[3:] == 3.0)
    assert len(line) == 9


def test_all_equal() -> None:
    line = random_line([2.0] * 6, 4)
    assert np.all(line.mean == 2.0)
    assert np.all(line.low == line.high)


cells = st.one_of(st.just(NAN), st.integers(-4, 4).map(float))


@settings(max_examples=150, deadline=None)
@given(st.lists(cells, min_size=1, max_size=8).filter(lambda u: not all(np.isnan(u))), st.floats(0.5, 0.95))
def test_exact_against_every_draw(utilities: list[float], level: float) -> None:
    """Ties, failures and all: mean and quantiles are those of the full enumeration."""
    floor = float(np.nanmin(utilities))
    line = random_line(utilities, len(utilities), level=level)
    for k in range(1, len(utilities) + 1):
        outcomes = brute_force(utilities, k, floor)
        assert line.mean[k - 1] == pytest.approx(outcomes.mean(), abs=1e-12)
        for bound, tail in ((line.low[k - 1], (1 - level) / 2), (line.high[k - 1], (1 + level) / 2)):
            # The quantile is the smallest outcome that at least `tail` of all draws do not exceed.
            assert np.mean(outcomes <= bound) >= tail - 1e-9
            assert np.mean(outcomes < bound) < tail + 1e-9


@settings(max_examples=60, deadline=None)
@given(
    st.lists(cells, min_size=1, max_size=30).filter(lambda u: not all(np.isnan(u))), st.integers(1, 40), st.randoms()
)
def test_invariants(utilities: list[float], experiments: int, shuffler) -> None:  # type: ignore[no-untyped-def]
    line = random_line(utilities, experiments)
    assert np.all(np.diff(line.mean) >= -1e-12)
    assert np.all(line.low <= line.high)
    assert np.all((line.none >= 0) & (line.none <= 1))
    shuffled = list(utilities)
    shuffler.shuffle(shuffled)
    assert np.array_equal(random_line(shuffled, experiments).mean, line.mean)
    shifted = random_line([3 + 2 * u for u in utilities], experiments)
    assert shifted.mean == pytest.approx(3 + 2 * line.mean)


def test_against_monte_carlo() -> None:
    generator = np.random.default_rng(0)
    utilities = np.where(generator.random(400) < 0.2, NAN, generator.lognormal(size=400))
    line = random_line(utilities, 60, level=0.9)
    filled = np.where(np.isnan(utilities), np.nanmin(utilities), utilities)
    draws = np.array([generator.permutation(filled)[:60] for _ in range(8000)])
    curves = np.maximum.accumulate(draws, axis=1)
    error = curves.std(axis=0) / np.sqrt(len(curves))
    assert np.all(np.abs(curves.mean(axis=0) - line.mean) < 5 * error + 1e-12)
    inside = np.mean((curves >= line.low) & (curves <= line.high), axis=0)
    # A discrete band holds at least its level; 4.5 standard errors below is out of the question.
    assert np.all(inside > 0.9 - 4.5 * np.sqrt(0.09 / len(curves)))


def test_large_pool_is_quick_and_accurate() -> None:
    """At N = 100,000 the closed form for the uniform ranks holds: E[max of k of 1..N] = k (N + 1) / (k + 1)."""
    size = 100_000
    line = random_line(np.arange(1, size + 1), 60)
    k = np.arange(1, 61)
    assert line.mean == pytest.approx(k * (size + 1) / (k + 1), rel=1e-12)


def test_refusals_name_everything_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        random_line([NAN, NAN], 0, level=1.5)
    assert len(caught.value.problems) == 3
    with pytest.raises(InvalidInput, match="row 1"):
        random_line([1.0, np.inf], 3)
