"""Reasons that a chemist understands."""

from __future__ import annotations

import re

import pytest

from discover.acquisition.goal import Goal
from discover.objective import Objective
from discover.policy import words
from discover.values import Prediction
from tests.policy.policy_views import features_of, view_of

X = features_of(10)


@pytest.mark.parametrize(
    ("mean", "std", "text"),
    [
        (298.3, 41.2, "298 ± 41 GPa"),
        (2.3456, 0.0123, "2.346 ± 0.012 GPa"),
        (1234567.0, 2500.0, "1234567 ± 2500 GPa"),
        (1e-9, 3e-10, "1e-09 ± 3e-10 GPa"),
    ],
)
def test_a_prediction_is_written_to_the_place_of_its_deviation(mean: float, std: float, text: str) -> None:
    assert words.spread(Prediction(mean, std), "GPa") == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(312.4, "312 GPa"), (1432.0, "1432 GPa"), (0.05, "0.05 GPa"), (2.5e9, "2.5e+09 GPa"), (0.0, "0 GPa")],
)
def test_an_amount_is_short_and_plain(value: float, text: str) -> None:
    assert words.amount(value, "GPa") == text


@pytest.mark.parametrize(
    ("objective", "prediction", "pattern"),
    [
        (Objective("y", "maximize", unit="GPa"), Prediction(3.0, 2.0), r"exceed the best so far \(5 GPa\) with probability 0\.16: predicted 3\.0 ± 2\.0 GPa; rank 3 of 1,432 by log"),
        (Objective("y", "minimize"), Prediction(1.0, 1.0), r"fall below the best so far \(1\) with probability 0\.50"),
        (Objective("y", "match", value=4.5, unit="eV"), Prediction(4.5, 0.5), r"nearer to 4\.5 eV than the best so far \(4 eV\) with probability 0\.68"),
        (Objective("y", "match", band=(6.0, 8.0)), Prediction(7.0, 0.1), r"nearer to the band 6 to 8 than the best so far \(5\) with probability 1\.00"),
        (Objective("y", "match", band=(3.5, 4.5), unit="eV"), Prediction(9.0, 1.0), r"lie between 3\.5 and 4\.5 eV with probability below 0\.01"),
        (Objective("y", constraints=["y <= 0"]), Prediction(9.0, 1.0), r"nothing measured keeps the constraints yet"),
        (Objective("y", "maximize"), Prediction(6.0, 0.0), r"exceed the best so far \(5\) with probability 1\.00"),
        (Objective("y", "minimize"), Prediction(6.0, 0.0), r"fall below the best so far \(1\) with probability below 0\.01"),
        (Objective("y", constraints=["y < 4"]), Prediction(3.0, 1.0), r"exceed the best so far \(3\) with probability 0\.50"),
    ],
)  # fmt: skip
def test_the_hope_and_its_probability(objective: Objective, prediction: Prediction, pattern: str) -> None:
    import numpy as np

    view = view_of(X, range(5), objective=objective, values={"y": np.arange(1.0, 11.0)})
    text = words.reason(view, {"y": prediction}, 3, 1432, "log expected improvement", Goal(objective, {"y": 1.0}))
    assert re.search(pattern, text), text
