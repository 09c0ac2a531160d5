"""Observations are read in one order: scale, gross errors, noise, limits; and the record is plain JSON."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discover.objective import Objective, Target
from discover.surrogate.targets import reading
from discover.surrogate.targets.reading import Reader, merits, read, read_as_before
from discover.values import Training
from tests.surrogate.test_shape import smooth

ALL = Reader("evidence", "evidence", "evidence")


def training(values: np.ndarray, bounds: np.ndarray | None = None, rows: np.ndarray | None = None) -> Training:
    n = len(values)
    rows = np.arange(n) if rows is None else rows
    return Training(rows, values, np.full(n, math.nan), np.zeros(n, dtype=np.int64) if bounds is None else bounds)


def test_told_as_it_is_nothing_is_changed() -> None:
    X, y = smooth(20, 0)
    found = read(Reader("told", "keep", "equal"), X, training(y), y)
    assert found.places.tolist() == list(range(20))
    assert np.array_equal(found.values.values, y)
    assert (found.record, found.memory) == ({}, {})


def test_stated_deviations_are_carried_to_the_scale_by_its_slope() -> None:
    X, z = smooth(40, 0)
    y = np.exp(3 * z)
    told = Training(np.arange(40), y, 0.1 * y, np.zeros(40, dtype=np.int64))
    found = read(Reader("evidence"), X, told, y)
    assert found.record["scale"] == "logarithm"
    assert np.allclose(np.sqrt(found.told.noise), 0.1)


def test_a_candidate_under_other_conditions_is_no_replicate() -> None:
    X, y = smooth(30, 0)
    rows = np.repeat(np.arange(15), 2)
    bounds = np.full(30, -1)
    bounds[10:] = 0
    assert len(read(Reader(), X, training(y, bounds, rows), y).places) == 30
    X[1::2] = X[::2]
    assert len(read(Reader(), X, training(y, bounds, rows), y).places) == 25


def test_merit_is_the_objectives_and_all_alike_for_what_is_only_constrained() -> None:
    objective = Objective([Target("a", "minimize"), Target("b", "match", value=2.0)], constraints=["c <= 1"])
    values = np.array([1.0, 3.0])
    assert merits(objective, "a", values).tolist() == [-1.0, -3.0]
    assert merits(objective, "b", values).tolist() == [-1.0, -1.0]
    assert merits(objective, "c", values).tolist() == [0.0, 0.0]


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(1, 30), kind=st.sampled_from(["plain", "constant", "huge", "tiny", "repeated", "outlier"]),
    censored=st.floats(0, 1), seed=st.integers(0, 5),
)  # fmt: skip
def test_whatever_is_told_is_read(n: int, kind: str, censored: float, seed: int) -> None:
    X, y = smooth(n, seed)
    rng = np.random.default_rng(seed)
    rows = np.arange(n)
    if kind == "constant":
        y = np.ones(n)
    if kind in ("huge", "tiny"):
        y = y * {"huge": 1e12, "tiny": 1e-12}[kind]
    if kind == "outlier":
        y[0] = 1e9
    if kind == "repeated":
        rows, X, y = rows // 3, X[rows // 3], np.round(y)
    bounds = np.where(rng.uniform(size=n) < censored, rng.choice([-1, 1], size=n), 0)
    found = read(ALL, X, training(y, bounds, rows), y)
    assert len(found.places)
    assert np.isfinite(found.values.values).all()
    assert not (found.values.noise <= 0).any()
    json.dumps([found.record, found.memory], allow_nan=False)


@pytest.mark.parametrize("growth", [1, 20])
def test_scales_are_compared_again_only_when_there_is_more_to_compare(growth: int) -> None:
    X, z = smooth(60, 1)
    y = np.exp(3 * z)
    first = read(Reader("evidence"), X[:40], training(y[:40]), y[:40])
    more = 40 + growth
    again = read(Reader("evidence"), X[:more], training(y[:more]), y[:more], memory=first.memory)
    assert ("log_density" in again.record) == (growth == 20)
    assert again.record["scale"] == first.record["scale"]


def wrong_at(place: int, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Features, and values of which one in the middle of the others' range is far below what its neighbours say."""
    X, y = smooth(n, 1)
    y = y.copy()
    y[place] -= 40 * y.std()
    return X, y


def test_gross_errors_stay_out_while_nothing_is_looked_for() -> None:
    X, y = wrong_at(5)
    first = read(Reader(), X[:50], training(y[:50]), y[:50])
    assert np.setdiff1d(np.arange(50), first.places).tolist() == [5]
    y[52] = 1e3  # one that a look would find
    again = read_as_before(Reader(), X, training(y), {}, json.loads(json.dumps(first.memory)))
    assert again is not None
    assert np.setdiff1d(np.arange(60), again.places).tolist() == [5]
    assert again.record["left_out"] == first.record["left_out"]
    assert again.memory == first.memory


def test_positions_may_move_and_replicates_are_told_apart() -> None:
    X, y = wrong_at(5)
    first = read(Reader(), X, training(y), y)
    order = np.r_[20:60, 0:20, 5, 5]  # and the wrong value told twice more
    names = {row: f"c{row}" for row in range(60)}
    memory = {"left_out": [{"candidate": "c5", "value": float(y[5])}]}
    assert first.memory["left_out"][0]["value"] == memory["left_out"][0]["value"]
    told = training(y[order], rows=order)
    again = read_as_before(Reader(), X[order], told, names, memory)
    assert again is not None
    assert len(again.places) == 61
    assert order[np.setdiff1d(np.arange(62), again.places)].tolist() == [5]


def test_a_reading_is_not_kept_once_a_gross_error_was_taken_back_or_the_scale_does_not_hold() -> None:
    X, y = wrong_at(5)
    memory = read(Reader(), X, training(y), y).memory
    left = np.delete(np.arange(60), 5)
    assert read_as_before(Reader(), X[left], training(y[left], rows=left), {}, memory) is None
    X, z = smooth(40, 0)
    y = np.exp(3 * z)
    memory = read(Reader("evidence"), X, training(y), y).memory
    assert read_as_before(Reader("evidence"), X, training(y), {}, memory) is not None
    assert read_as_before(Reader("evidence"), X, training(-y), {}, memory) is None


def test_beyond_so_many_that_none_are_looked_for_those_that_were_found_stay_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    X, y = wrong_at(5)
    first = read(Reader(), X[:50], training(y[:50]), y[:50])
    monkeypatch.setattr(reading, "LARGEST", 55)
    more = read(Reader(), X, training(y), y, memory=first.memory)
    assert np.setdiff1d(np.arange(60), more.places).tolist() == [5]
    assert more.memory["left_out"] == first.memory["left_out"]
    left = np.delete(np.arange(60), 5)
    without = read(Reader(), X[left], training(y[left], rows=left), y[left], memory=first.memory)
    assert len(without.places) == 59
    assert "left_out" not in without.memory
