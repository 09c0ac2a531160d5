"""Observations of another fidelity or context tell what they have to tell, and predictions are for one of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from discover.objective import Objective
from discover.policy.bayesian import Bayesian
from discover.protocols import View
from discover.surrogate.belief import belief
from discover.surrogate.covariance import fitting
from discover.surrogate.evidence.conditions import LEVELS, Conditions
from discover.surrogate.evidence.evidence import Evidence
from discover.surrogate.gaussian.process import GaussianProcess
from discover.surrogate.inputs.layout import Layout
from discover.values import FeatureTable, Training

RNG = np.random.default_rng(0)
X = RNG.uniform(size=(200, 2))
HIGH = np.sin(5 * X[:, 0]) + X[:, 1]
LOW = 0.8 * HIGH + 1.5 + 0.3 * np.cos(3 * X[:, 1])


def view_of(told: Sequence[tuple[int, float, Mapping[str, Any]]], **more: Any) -> View:
    rows = np.array([row for row, _, _ in told], dtype=np.int64)
    blank = np.full(len(rows), np.nan)
    conditions = tuple(said for _, _, said in told)
    values = np.array([value for _, value, _ in told])
    training = Training(rows, values, blank, np.zeros(len(rows), dtype=np.int64), conditions if any(conditions) else ())
    return View(
        objective=Objective("y", "maximize"),
        ids=np.array([f"c{i:03d}" for i in range(200)]),
        features=FeatureTable(("a", "b"), X, "hash"),
        training={"y": training},
        blocked=np.isin(np.arange(200), rows),
        pending=np.array([], dtype=np.int64),
        infeasible=np.array([], dtype=np.int64),
        **more,
    )


def two_fidelities(high: int = 6, low: int = 40) -> list[tuple[int, float, dict[str, Any]]]:
    cheap = [(i, LOW[i], {"fidelity": "low"}) for i in range(low)]
    return [*cheap, *((i, HIGH[i], {"fidelity": "high"}) for i in range(low, low + high))]


def error(view: View, model: Any, truth: np.ndarray) -> float:
    mean = belief(view, model, judge=False).predict(X[100:])["y"][0]
    return float(np.sqrt(np.mean(np.square(mean - truth[100:]))))


@pytest.mark.parametrize(("asked", "strange"), [("1", False), ("x", False), ("2", True)])
def test_what_is_asked_about_was_observed_whether_it_was_told_as_text_or_as_a_number(asked: str, strange: bool) -> None:
    told = view_of([(0, 1.0, {"reactor": 1}), (1, 2.0, {"reactor": "x"})]).training["y"]
    found = Conditions.of(told, {"reactor": asked})
    assert ("never observed" in found.words) == strange
    assert set(found.record["conditions"]["seen"]["reactor"]) == {"1", "x"}


@pytest.mark.parametrize("model", [GaussianProcess(), GaussianProcess(lengths="one"), Evidence(starts=1)])
def test_a_cheap_fidelity_tells_of_the_expensive_one(model: Any) -> None:
    told = two_fidelities()
    both = error(view_of(told, at={"fidelity": "high"}), model, HIGH)
    alone = error(view_of([one for one in told if one[2]["fidelity"] == "high"]), model, HIGH)
    mixed = error(view_of([(row, value, {}) for row, value, _ in told]), model, HIGH)
    assert both < 0.7 * alone
    assert both < 0.2 * mixed


def test_predictions_are_for_what_is_asked_or_what_most_were_made_under() -> None:
    told = two_fidelities()
    usual, low, high = (view_of(told, at=at) for at in ({}, {"fidelity": "low"}, {"fidelity": "high"}))
    means = [belief(view, judge=False).predict(X[100:])["y"][0] for view in (usual, low, high)]
    assert np.array_equal(means[0], means[1])
    assert np.mean(means[0] - means[2]) == pytest.approx(np.mean(LOW - HIGH), abs=0.4)
    record = belief(usual).learned["y"]
    assert record["conditions"] == {"asked": {"fidelity": "low"}, "seen": {"fidelity": ["high", "low"]}}
    json.dumps(record, allow_nan=False)


def test_a_number_in_the_context_is_an_input() -> None:
    told = [(i, HIGH[i] + 0.02 * t, {"temperature": t}) for i, t in zip(range(60), np.resize([20.0, 60.0, 90.0], 60))]
    at = {"temperature": 75.0}
    assert error(view_of(told, at=at), GaussianProcess(), HIGH + 0.02 * 75) < 0.2
    assert belief(view_of(told, at=at)).learned["y"]["conditions"]["seen"] == {"temperature": [20.0, 90.0]}


def test_where_nothing_differs_nothing_changes() -> None:
    plain = view_of([(i, HIGH[i], {}) for i in range(20)])
    said = view_of([(i, HIGH[i], {"fidelity": "high", "reactor": "A"}) for i in range(20)])
    assert belief(plain).learned == belief(said).learned
    assert np.array_equal(belief(plain).predict(X)["y"][0], belief(said).predict(X)["y"][0])


def test_remarks_are_no_conditions_and_gaps_are_what_is_asked() -> None:
    said = [{"note": f"n{i}", "reactor": "A" if i % 2 else None} for i in range(LEVELS + 2)]
    rows = np.arange(len(said))
    training = Training(rows, HIGH[rows], np.full(len(rows), np.nan), np.zeros(len(rows), dtype=np.int64), tuple(said))
    found = Conditions.of(training, {})
    assert not found
    assert found.record == {"conditions_left_out": {"note": f"{LEVELS + 2} different texts"}}
    other = Conditions.of(training, {"reactor": "B"})
    assert [column.name for column in other.columns] == ["reactor"]
    told = other.scaled(training.conditions)
    assert told.shape == (len(said), 2)
    assert np.array_equal(told[0], other.asked)
    assert not np.array_equal(told[1], other.asked)


@pytest.mark.parametrize("model", ["single", "evidence"])
def test_a_batch_is_chosen_for_the_fidelity_that_is_asked(model: Any) -> None:
    view = view_of(two_fidelities(10, 30))
    policy = Bayesian(model=model, at={"fidelity": "high"})
    first, again = (policy.propose(view, 3, np.random.default_rng(1)) for _ in range(2))
    assert len(first) == 3
    assert [p.candidate_id for p in first] == [p.candidate_id for p in again]
    assert first.learned["targets"]["y"]["conditions"]["asked"] == {"fidelity": "high"}
    chosen = [int(p.candidate_id[1:]) for p in first]
    assert HIGH[chosen].mean() > np.quantile(HIGH, 0.75)
    warm = replace(view, memory=json.loads(json.dumps(first.learned["memory"])))
    assert len(policy.propose(warm, 3, np.random.default_rng(1))) == 3


@pytest.mark.parametrize("values", [[1.0] * 4, [1.0, 1e12, -1e12, 0.0], [1.0]])
def test_hopeless_data_with_conditions_are_answered(values: list[float]) -> None:
    told = [(0, value, {"fidelity": "low" if k % 2 else "high", "t": k}) for k, value in enumerate(values)]
    for model in (GaussianProcess(), Evidence(starts=1)):
        mean, deviation = belief(view_of(told), model).predict(X)["y"]
        assert np.isfinite(mean).all()
        assert (deviation > 0).all()


def test_the_next_simpler_fit_still_tells_conditions_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    conditions = Conditions.of(view_of(two_fidelities()).training["y"], {})
    rows = torch.rand(12, 2 + conditions.width, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    model = conditions.told(GaussianProcess(), Layout.plain(2))
    assert isinstance(model, GaussianProcess)
    optimise = fitting.optimise

    def breaks(form: Any, *parts: Any, **more: Any) -> Any:
        if form == model.form:
            raise fitting.NotDefinite("broken for the test")
        return optimise(form, *parts, **more)

    monkeypatch.setattr(fitting, "optimise", breaks)
    posterior = model.fit(rows, rows[:, 0])
    assert posterior.found is not None
    assert posterior.found.kernel == "matern"
    assert "broken for the test" in posterior.notes[0]
    mean, covariance = posterior.joint(rows[:, :2])
    asked = torch.cat([rows[:, :2], torch.tensor(conditions.asked, dtype=torch.float64).expand(12, -1)], dim=1)
    assert torch.allclose(posterior.mean_deviation(asked)[0], mean)
    assert covariance.shape == (12, 12)


def test_a_number_that_is_asked_for_is_the_text_that_tells_it() -> None:
    training = view_of([(0, 1.0, {"fidelity": "1"}), (1, 2.0, {"fidelity": "2"})]).training["y"]
    asked = Conditions.of(training, {"fidelity": 1.0}).record["conditions"]
    assert asked == {"asked": {"fidelity": "1"}, "seen": {"fidelity": ["1", "2"]}}


def test_what_is_asked_for_and_was_never_observed_is_said() -> None:
    training = view_of(two_fidelities()).training["y"]
    found = Conditions.of(training, {"fidelity": "hihg", "reactor": "A"})
    assert found.words == "fidelity hihg (never observed)"
    assert found.record["conditions"]["seen"] == {"fidelity": ["high", "low"]}
    assert found.record["conditions_left_out"] == {"reactor": "asked for, and no observation tells it"}
