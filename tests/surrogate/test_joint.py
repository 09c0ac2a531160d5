"""Targets that are correlated tell of one another, each candidate measured in any of them."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from discover.objective import Objective, Target
from discover.policy.bayesian import Bayesian
from discover.protocols import View
from discover.surrogate.belief import belief
from discover.surrogate.diagnostics import groups_of
from discover.surrogate.evidence.before import JOINT
from discover.surrogate.evidence.evidence import Evidence
from discover.surrogate.evidence.joint import JointPosterior, JointProcess, Told, _sense, held_out_with
from discover.surrogate.gaussian.process import GaussianProcess
from discover.values import FeatureTable, Training

RNG = np.random.default_rng(3)
X = RNG.uniform(size=(160, 2))
FIRST = np.sin(6 * X[:, 0]) + np.cos(5 * X[:, 1])
SECOND = 50 - 8 * FIRST + 0.5 * X[:, 0]
QUICK = Evidence(starts=1, evaluations=40, again=10)


def training(rows: np.ndarray, values: np.ndarray) -> Training:
    return Training(rows, values[rows], np.full(len(rows), np.nan), np.zeros(len(rows), dtype=np.int64))


def view(few: int = 8, many: int = 50, second: np.ndarray = SECOND) -> View:
    """Few candidates measured in the first target, many in the second, some in both."""
    told = {"a": training(np.arange(few), FIRST), "b": training(np.arange(2, 2 + many), second)}
    return View(
        objective=Objective([Target("a"), Target("b", "minimize")]),
        ids=np.array([f"c{i:03d}" for i in range(160)]),
        features=FeatureTable(("x", "z"), X, "hash"),
        training=told,
        blocked=np.arange(160) < 2 + many,
        pending=np.array([], dtype=np.int64),
        infeasible=np.array([], dtype=np.int64),
    )


def told_of(one: Training) -> Told:
    blank = torch.full((len(one),), torch.nan, dtype=torch.float64)
    return Told(torch.from_numpy(X[one.rows] - 0.5), torch.from_numpy(one.values), blank, one.rows)


def error(held, name: str, truth: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(held.predict(X[60:])[name][0] - truth[60:]))))


def test_a_target_measured_often_tells_of_one_measured_seldom() -> None:
    """Though it falls where the other rises."""
    both = belief(view(), QUICK)
    alone = belief(replace(view(), objective=Objective("a")), QUICK)
    assert JOINT in both.learned["a"]["weights"]
    assert error(both, "a", FIRST) < 0.6 * error(alone, "a", FIRST)
    json.dumps([both.learned, both.memory], allow_nan=False)


def test_a_target_that_has_nothing_to_do_with_it_is_hardly_listened_to() -> None:
    noise = np.random.default_rng(0).normal(size=160)
    both, alone = belief(view(20, 50, noise), QUICK), belief(replace(view(20), objective=Objective("a")), QUICK)
    assert error(both, "a", FIRST) < 1.3 * error(alone, "a", FIRST)


@pytest.mark.filterwarnings("error")
def test_a_target_that_never_changed_tells_no_direction() -> None:
    rising = torch.arange(8, dtype=torch.float64)
    other = Told(rising[:, None], torch.ones(8, dtype=torch.float64), torch.zeros(8, dtype=torch.float64), np.arange(8))
    assert _sense(np.arange(8), rising, other) == 1.0


def test_the_joint_belief_is_that_of_one_dense_covariance() -> None:
    told = view().training
    own, other = told_of(told["a"]), told_of(told["b"])
    model = JointProcess.of(GaussianProcess(evaluations=30), 2, [other], own.rows)
    posterior = model.fit(own.X, own.y, own.noise)
    assert isinstance(posterior, JointPosterior)
    whole = posterior.whole
    assert len(whole.y) == len(own.y) + len(other.y)
    assert whole.state is not None
    new = torch.from_numpy(X[100:110] - 0.5)
    y = whole.standard.apply(whole.y)
    K = whole.covariance.across(whole.X, whole.X) + torch.diag(torch.full_like(y, whole.found.noise))  # type: ignore[union-attr]
    across = whole.covariance.across(new, whole.X)
    expected = whole.state.mean + across @ torch.linalg.solve(K, y - whole.state.mean)
    mean, deviation = posterior.mean_deviation(new)
    assert torch.allclose(mean, whole.standard.shift + whole.standard.scale * expected, rtol=1e-6)
    joint_mean, covariance = posterior.joint(new)
    assert torch.allclose(joint_mean, mean)
    assert torch.allclose(covariance.diagonal().sqrt(), deviation, rtol=1e-5)
    draws = posterior.sample(new, 20_000, np.random.default_rng(0))
    assert torch.allclose(draws.mean(dim=0), mean, atol=0.05 * float(deviation.max()))
    assert posterior.noise_variance > 0


def test_a_candidate_is_left_out_in_every_target() -> None:
    told = view(12, 20).training
    own, other = told_of(told["a"]), told_of(told["b"])
    model = JointProcess.of(GaussianProcess(evaluations=30), 2, [other], own.rows)
    posterior = model.fit(own.X, own.y, own.noise)
    assert isinstance(posterior, JointPosterior)
    fixed = replace(model, evaluations=1)
    mean, variance = held_out_with(posterior, groups_of(own.rows), fixed, own.rows, 12)
    whole, n = posterior.whole, len(own.y)
    for i in (0, 5, 11):
        same = np.flatnonzero(other.rows == own.rows[i])
        keep = np.setdiff1d(np.arange(len(whole.y)), [i, *(n + same)])
        left = GaussianProcess(form=model.form, name=model.name, starts=0, evaluations=1).fit(
            whole.X[keep], whole.y[keep], memory=posterior.memory()
        )
        told_mean, told_deviation = left.mean_deviation(own.X[i : i + 1])
        scale = posterior.standard.scale
        assert float(posterior.standard.shift + scale * mean[i]) == pytest.approx(float(told_mean), abs=0.15 * scale)
        assert float(scale * variance[i].sqrt()) >= 0.5 * float(told_deviation)


def test_where_the_joint_model_alone_has_weight_it_is_still_made_from_the_best_of_the_others() -> None:
    """Between iterations in which all models are compared, those of little weight are not: with such weights none was left."""
    told = view(45, 60).training
    own, other = told_of(told["a"]), told_of(told["b"])
    weights = {"one": 0.01, "each": 0.01, "plane": 0.005, "terms": 0.005, JOINT: 0.97}
    memory = {"weights": weights, "models": {}, "age": 0}
    found, worth = replace(QUICK, evaluations=5, again=5).compare(
        own.X, own.y, own.noise, own.rows, memory, others=[other]
    )
    assert JOINT in found.names
    assert set(found.record["log_density_per_observation"]) == set(weights)
    assert worth is not None


def test_a_batch_for_several_targets_is_chosen_with_it() -> None:
    policy = Bayesian(model="evidence", start=5)
    first = policy.propose(view(), 3, np.random.default_rng(0))
    again = policy.propose(view(), 3, np.random.default_rng(0))
    assert [p.candidate_id for p in first] == [p.candidate_id for p in again]
    assert len(first) == 3
    warm = replace(view(), memory=json.loads(json.dumps(first.learned["memory"])))
    assert len(policy.propose(warm, 3, np.random.default_rng(0))) == 3
