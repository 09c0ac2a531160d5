"""Metrics by hand, and their values under random choice, which are known exactly."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover.backtest.metrics import (
    Interval,
    Scale,
    acceleration,
    area,
    best_so_far,
    bootstrap,
    enhancement,
    first_crossing,
    top_found,
    top_set,
)

NAN = np.nan


def test_best_so_far_waits_on_the_floor_through_failures() -> None:
    assert best_so_far([NAN, 2.0, 1.0, NAN, 5.0], floor=1.0).tolist() == [1.0, 2.0, 2.0, 2.0, 5.0]


def test_scale_is_zero_at_the_worst_and_one_at_the_best_of_the_pool() -> None:
    scale = Scale.of([NAN, -3.0, 1.0, 5.0])
    assert scale.normalised([-3.0, 1.0, 5.0]).tolist() == [0.0, 0.5, 1.0]
    assert Scale.of([2.0, 2.0]).normalised([2.0, NAN])[0] == 1.0


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40))
def test_normalised_curve_rises_within_zero_and_one(values: list[float]) -> None:
    scale = Scale.of(values)
    curve = scale.normalised(best_so_far(values, scale.worst))
    assert np.all(np.diff(curve) >= 0)
    assert curve[0] >= 0
    assert curve[-1] == 1.0
    assert 0 <= area(curve) <= 1


def test_top_set_counts_the_whole_pool_and_keeps_ties() -> None:
    utilities = np.arange(40.0)
    assert np.flatnonzero(top_set(utilities)).tolist() == [38, 39]
    utilities[37] = 38.0
    assert np.flatnonzero(top_set(utilities)).tolist() == [37, 38, 39]
    # Failures belong to the pool's size, and never to its top.
    assert top_set([NAN] * 38 + [1.0, 2.0]).sum() == 2
    assert top_set([NAN, NAN, 1.0]).tolist() == [False, False, True]


def test_top_found_and_enhancement_by_hand() -> None:
    top = top_set(np.arange(20.0), percent=10)
    found = top_found([0, 19, 5, 18], top)
    assert found.tolist() == [0.0, 0.5, 0.5, 1.0]
    assert enhancement(found, 20).tolist() == pytest.approx([0.0, 5.0, 0.5 / 0.15, 5.0])


def test_top_found_under_random_choice_is_exactly_linear() -> None:
    """Averaged over all rotations of the pool, each row is i-th equally often: Top%(i) is i/N."""
    size = 24
    top = top_set(np.arange(float(size)), percent=10)
    curves = [top_found(np.roll(np.arange(size), shift), top) for shift in range(size)]
    line = np.arange(1, size + 1) / size
    assert np.mean(curves, axis=0) == pytest.approx(line)
    assert enhancement(line, size) == pytest.approx(np.ones(size))


def test_acceleration_is_a_ratio_of_first_crossings() -> None:
    random_curve = np.arange(1, 101) / 100
    policy = np.minimum(1.0, np.arange(1, 61) / 20)
    assert first_crossing(policy, 0.5) == 10
    assert acceleration(policy, random_curve, 0.5) == 5.0
    assert acceleration(random_curve, random_curve, 0.5) == 1.0
    assert math.isinf(first_crossing([0.1, 0.2], 0.5))
    assert math.isnan(acceleration([0.1, 0.2], random_curve, 0.5))


def test_bootstrap_is_seeded_and_says_nothing_on_one_value() -> None:
    values = np.random.default_rng(0).normal(0.2, 1.0, size=50)
    interval = bootstrap(values)
    assert interval == bootstrap(values)
    assert interval.low < interval.mean < interval.high
    half = 1.96 * values.std() / np.sqrt(50)
    assert interval.high - interval.low == pytest.approx(2 * half, rel=0.1)
    alone = bootstrap([0.3])
    assert alone.sign == 0
    assert math.isinf(alone.low)


def test_bootstrap_covers_the_truth() -> None:
    generator = np.random.default_rng(3)
    hits = 0
    for _ in range(300):
        interval = bootstrap(generator.normal(1.0, 0.5, size=50), resamples=800)
        hits += interval.low <= 1.0 <= interval.high
    assert 0.90 <= hits / 300 <= 0.99


def test_sign_of_an_interval() -> None:
    assert Interval(0.2, 0.1, 0.3).sign == 1
    assert Interval(-0.2, -0.3, -0.1).sign == -1
    assert Interval(0.0, -0.1, 0.1).sign == 0
