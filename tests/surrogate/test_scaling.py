"""Features on one scale over the whole pool."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from discover.errors import InvalidInput
from discover.surrogate.inputs.scaling import Scaling
from discover.values import FeatureTable


def test_a_uniform_feature_gets_length_one() -> None:
    grid = np.linspace(-3.0, 7.0, 1001)[:, None]
    scaled = Scaling.over(grid).apply(grid)
    assert np.ptp(scaled) == pytest.approx(1.0, rel=2e-3)
    assert scaled.mean() == pytest.approx(0.0, abs=1e-12)


def test_the_scale_is_the_pools_and_not_that_of_the_rows_at_hand() -> None:
    pool = np.random.default_rng(0).normal(size=(50, 3))
    scaling = Scaling.over(pool)
    assert np.array_equal(scaling.apply(pool[:4]), scaling.apply(pool)[:4])


def test_constant_features_are_left_out_and_none_left_is_one_column_of_zeros() -> None:
    pool = np.column_stack([np.full(6, 0.1), np.arange(6.0)])
    assert Scaling.over(pool).apply(pool).shape == (6, 1)
    nothing = Scaling.over(np.full((6, 2), 0.3))
    assert nothing.width == 1
    assert np.array_equal(nothing.apply(np.ones((3, 2))), np.zeros((3, 1)))


def test_not_finite_empty_and_misshapen_features_are_refused() -> None:
    with pytest.raises(InvalidInput, match="row 1"):
        Scaling.over(np.array([[0.0], [np.nan]]))
    with pytest.raises(InvalidInput, match="empty"):
        Scaling.over(np.zeros((0, 2)))
    with pytest.raises(InvalidInput, match="3 features where the pool has 2"):
        Scaling.over(np.zeros((4, 2))).apply(np.zeros((1, 3)))


@given(
    arrays(np.float64, (7, 3), elements=st.floats(-1e6, 1e6, width=32)),
    st.floats(1e-150, 1e150),
)
def test_the_unit_of_a_feature_does_not_matter(pool: np.ndarray, unit: float) -> None:
    once, again = Scaling.over(pool), Scaling.over(pool * unit)
    assert np.isfinite(again.apply(pool * unit)).all()
    if np.array_equal(once.kept, again.kept):
        assert np.allclose(once.apply(pool), again.apply(pool * unit), rtol=1e-6, atol=1e-6)


def test_a_table_too_large_for_a_copy_is_scaled_alike(monkeypatch):
    from discover import sizes
    from discover.surrogate.inputs import extent

    values = np.random.default_rng(0).normal(size=(5000, 4)) * [1.0, 1e-6, 1e12, 0.0] + [0.0, 1.0, 1e12, 3.0]
    whole = Scaling.over(values)
    monkeypatch.setattr(sizes, "CELLS", 100)
    monkeypatch.setattr(extent, "ROWS", 77)
    monkeypatch.setattr(extent, "SHARE", 10 * 77)
    parts = Scaling.over(values)
    assert whole.kept.tolist() == parts.kept.tolist()
    np.testing.assert_allclose(parts.apply(values), whole.apply(values), rtol=1e-7, atol=1e-8)


def test_a_few_rows_far_from_the_rest_do_not_get_a_world_of_their_own() -> None:
    pool = np.append(np.random.default_rng(0).normal(size=500), [40.0, 41.0])[:, None]
    scaled = Scaling.over(pool).apply(pool)
    assert np.ptp(scaled) == pytest.approx(1.0)


def test_a_large_table_is_scaled_by_one_look_as_a_small_one_is(monkeypatch, tmp_path):
    from discover import sizes

    rng = np.random.default_rng(0)
    values = np.hstack(
        [rng.normal(size=(150_000, 3)) * [1e-160, 1.0, 1e160] + [0.0, 5.0, 0.0], np.full((150_000, 1), 7.0)]
    )
    whole = Scaling.over(values)
    monkeypatch.setattr(sizes, "CELLS", 1000)
    np.save(tmp_path / "table.npy", values)
    mapped = np.load(tmp_path / "table.npy", mmap_mode="r")
    for table in (values, mapped, mapped):
        parts = Scaling.over(table)
        assert parts.kept.tolist() == whole.kept.tolist() == [True, True, True, False]
        np.testing.assert_allclose(parts.spread, whole.spread, rtol=1e-12)
        np.testing.assert_array_equal(parts.least, whole.least)
        np.testing.assert_allclose(parts.centre / parts.spread, whole.centre / whole.spread, atol=1e-10)
    values[140_000, 2] = np.inf
    with pytest.raises(InvalidInput, match="row 140000, column '2'"):
        Scaling.over(values)


@pytest.mark.parametrize("rows", [3, 700])
def test_a_feature_whose_width_is_no_number_is_named(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if rows > 3:
        monkeypatch.setattr("discover.sizes.large", lambda *shape: True)
    X = np.zeros((rows, 2))
    X[:, 1] = np.where(np.arange(rows) % 2, 1.7e308, -1.7e308)
    with pytest.raises(InvalidInput, match=r"column 'energy': the width of this feature is no number.*larger unit"):
        Scaling.of(FeatureTable(("a", "energy"), X, "hash"))
    half = Scaling.of(FeatureTable(("a", "energy"), X / 2.1, "hash"))
    assert np.ptp(half.apply(X / 2.1)[:, 0]) == pytest.approx(1.0)


def test_a_large_table_of_numbers_far_below_zero_has_a_finite_mean(monkeypatch) -> None:
    """Sums of such numbers overflow, whichever of their ends is the large one."""
    from discover import sizes

    values = np.column_stack([np.where(np.arange(2000) % 7, -1e306, 0.0), np.linspace(0.0, 1.0, 2000)])
    whole = Scaling.over(values)
    monkeypatch.setattr(sizes, "CELLS", 100)
    parts = Scaling.over(values)
    np.testing.assert_allclose(parts.centre, whole.centre, rtol=1e-12)
    assert np.isfinite(parts.apply(values)).all()
