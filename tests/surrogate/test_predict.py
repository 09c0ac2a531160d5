"""Predictions from a view, target by target."""

from __future__ import annotations

import numpy as np
import pytest

from discover.objective import Objective, Target
from discover.protocols import View
from discover.surrogate.belief import belief
from discover.surrogate.gaussian.process import GaussianProcess
from discover.surrogate.predict import predict
from discover.values import FeatureTable, Training


def view(bounds: np.ndarray | None = None) -> View:
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, size=(60, 2))
    rows = np.arange(0, 40, 2)
    y = 100 + 30 * np.sin(X[rows, 0])
    training = Training(rows, y, np.full(20, np.nan), np.zeros(20, dtype=np.int64) if bounds is None else bounds)
    return View(
        objective=Objective([Target("strength", unit="GPa"), Target("cost", "minimize")]),
        ids=np.array([f"c{i:02d}" for i in range(60)]),
        features=FeatureTable(("a", "b"), X, "hash"),
        training={"strength": training},
        blocked=np.zeros(60, dtype=bool),
        pending=np.array([], dtype=np.int64),
        infeasible=np.array([], dtype=np.int64),
    )


def test_a_target_with_observations_is_predicted_in_its_unit_and_another_is_nan() -> None:
    v = view()
    X = v.features.values[41:]
    found = predict(v, X)
    mean, std = found["strength"]
    assert np.abs(mean - (100 + 30 * np.sin(X[:, 0]))).mean() < 3.0
    assert (std > 0).all()
    assert np.isnan(found["cost"]).all()
    assert found["cost"][0].shape == (19,)


def test_one_row_is_enough_and_may_be_given_flat() -> None:
    v = view()
    one = predict(v, v.features.values[3])["strength"]
    many = predict(v, v.features.values[:5])["strength"]
    assert one[0][0] == pytest.approx(many[0][3])


def test_censored_observations_are_counted_and_their_treatment_named() -> None:
    bounds = np.zeros(20, dtype=np.int64)
    bounds[:3] = 1
    learned = belief(view(bounds)).learned["strength"]
    assert learned["censored"] == 3
    assert learned["censored_treatment"].startswith("as a limit, by expectation propagation")
    assert "censored" not in belief(view()).learned["strength"]


def test_the_features_along_which_the_target_changes_are_named() -> None:
    telling = belief(view()).learned["strength"]["telling_features"]
    assert list(telling) == ["a", "b"]
    assert telling["a"] < 0.3 * telling["b"]
    assert "telling_features" not in belief(view(), GaussianProcess(lengths="one")).learned["strength"]
