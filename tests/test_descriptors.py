"""Descriptors that say something of their own, by what must hold of them."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from discover.descriptors import CORRELATED, decorrelated

Table = NDArray[np.float64]


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Descriptors of a few things: some free, some constant, some copies on another scale with a little noise, some of few values."""
    generator = np.random.default_rng(draw(st.integers(0, 10_000)))
    rows, columns = draw(st.integers(1, 9)), []
    for kind in draw(st.lists(st.sampled_from("fccn12"), min_size=1, max_size=8)):
        if kind == "c" and columns:
            noise = draw(st.sampled_from([0.0, 0.05])) * generator.normal(size=rows)
            columns.append(-3.0 * (columns[int(generator.integers(len(columns)))] + noise) + 7.0)
        elif kind in "12":
            columns.append(generator.integers(int(kind) + 1, size=rows).astype(float))
        else:
            columns.append(np.full(rows, 4.2) if kind == "n" else generator.normal(size=rows))
    return np.stack(columns, axis=1)


def correlation(values: Table, one: int, other: int) -> float:
    return abs(float(np.corrcoef(values[:, one], values[:, other])[0, 1]))


@settings(max_examples=300, deadline=None)
@given(values=tables())
def test_each_column_is_kept_or_told_by_an_earlier_one(values: Table) -> None:
    kept, standard = decorrelated(values)
    assert (np.diff(kept) > 0).all()
    for place in set(range(values.shape[1])) - set(kept.tolist()):
        earlier = [k for k in kept if k < place]
        same = np.ptp(values[:, place]) <= 1e-8
        assert same or any(correlation(values, place, k) > CORRELATED - 1e-9 for k in earlier)
    for place, one in enumerate(kept):
        for other in kept[:place]:
            if correlation(values, one, other) > CORRELATED + 1e-9:
                without = np.delete(kept, place)
                assert len(np.unique(values[:, without], axis=0)) < len(np.unique(values[:, kept], axis=0))
    np.testing.assert_allclose(standard.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(standard.std(axis=0), 1)


@settings(max_examples=300, deadline=None)
@given(values=tables())
def test_what_differs_still_differs(values: Table) -> None:
    kept, _ = decorrelated(values)
    same = (values[:, None] == values[None]).all(axis=2)
    found = values[:, kept]
    np.testing.assert_array_equal((found[:, None] == found[None]).all(axis=2), same)


def test_copies_and_constants_go_and_the_first_one_stays() -> None:
    bite = np.array([90.0, 95.0, 110.0, 100.0])
    charge = np.array([0.1, -0.2, 0.15, 0.4])
    kept, standard = decorrelated(np.stack([np.full(4, 1.0), bite, 2 * bite - 5, charge, -charge], axis=1))
    assert kept.tolist() == [1, 3]
    np.testing.assert_allclose(standard[:, 0], (bite - bite.mean()) / bite.std())


def test_two_things_that_only_a_dropped_column_tells_apart_get_it_back() -> None:
    size = np.array([0.0, 0.0, 10.0, 20.0, 30.0, 40.0])
    nearly = size + np.array([0.0, 0.1, 0.0, 0.0, 0.0, 0.0])
    assert abs(np.corrcoef(size, nearly)[0, 1]) > CORRELATED
    assert decorrelated(np.stack([size, nearly], axis=1))[0].tolist() == [0, 1]
    assert decorrelated(np.stack([size, 2 * size], axis=1))[0].tolist() == [0], "these two are alike in everything"


def test_numbers_in_small_units_are_told_and_numbers_that_are_rounding_are_not() -> None:
    values = np.array([[1.52e-10, 4.2, 1e-17], [1.80e-10, 4.2, 0.0], [1.95e-10, 4.2, -1e-17]])
    assert decorrelated(values[:, :2])[0].tolist() == [0]
    assert decorrelated(values, least=1.0)[0].tolist() == []
