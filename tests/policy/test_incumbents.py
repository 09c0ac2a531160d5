"""From which value improvements are counted."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import norm

from discover.acquisition.batch import greedy_batch
from discover.acquisition.goal import Goal
from discover.objective import Objective, Target
from discover.policy.bayesian import Bayesian
from discover.policy.bayesian.incumbents import measured_best
from discover.protocols import View
from discover.surrogate.gaussian.process import GaussianProcess
from tests.policy.policy_views import features_of, view_of

X = features_of(120)


def goal_of(objective: Objective) -> Goal:
    return Goal(objective, dict.fromkeys(objective.names, 2.0), spans=(2.0,))


def told(view: View, **changes: object) -> View:
    name = view.objective.names[0]
    return replace(view, training={**view.training, name: replace(view.training[name], **changes)})


@pytest.mark.parametrize(("direction", "sign"), [("maximize", 1.0), ("minimize", -1.0)])
def test_it_is_the_best_candidate_by_the_mean_of_its_measurements(direction: str, sign: float) -> None:
    objective = Objective("strength", direction)  # type: ignore[arg-type]
    view = view_of(X, range(4), objective=objective)
    rows = np.array([0, 1, 1, 2])
    values = sign * np.array([3.0, 9.0, 1.0, 4.0])  # one lucky replicate does not make the best
    view = told(view, rows=rows, values=values, stds=np.full(4, np.nan), bounds=np.zeros(4, dtype=np.int64))
    assert measured_best(view, goal_of(objective)) == pytest.approx(5.0 / 2.0)


def test_where_a_single_measurement_is_not_to_be_trusted_there_is_none() -> None:
    objective = Objective("strength", "maximize")
    view, goal = view_of(X, range(6)), goal_of(objective)
    assert measured_best(view, goal) is not None
    one_deviation = np.where(np.arange(6) == 2, 0.1, np.nan)
    assert measured_best(told(view, stds=one_deviation), goal) is None
    assert measured_best(told(view, bounds=np.array([0, 0, 1, 0, 0, 0])), goal) is None
    assert measured_best(view, goal_of(Objective("strength", "maximize", constraints=["strength <= 4"]))) is None
    two = Objective([Target("strength"), Target("cost")])
    assert measured_best(view_of(X, range(6), objective=two), goal_of(two)) is None


def test_with_a_certain_floor_the_first_pick_is_that_of_the_exact_expected_improvement() -> None:
    generator = np.random.default_rng(1)
    A = torch.from_numpy(generator.uniform(size=(25, 3)))
    y = torch.from_numpy(np.sin(4 * A[:, 0].numpy()) + 0.3 * generator.standard_normal(25))
    posterior = GaussianProcess().fit(A, y)
    B = torch.from_numpy(generator.uniform(size=(40, 3)))
    scale = posterior.standard.scale
    goal = Goal(Objective("y", "maximize"), {"y": scale}, spans=(scale,))
    floor = float(y.max()) / scale
    picks = greedy_batch(goal, {"y": posterior}, B, B[:0], 3, draws=4096, seed=0, floor=floor)
    mean, deviation = (part.numpy() / scale for part in posterior.mean_deviation(B))
    u = (mean - floor) / deviation
    exact = deviation * (norm.pdf(u) + u * norm.cdf(u))
    assert picks[0].position == int(exact.argmax())
    assert math.exp(picks[0].value) == pytest.approx(exact.max(), rel=0.1)
    few = greedy_batch(goal, {"y": posterior}, B, B[:0], 3, draws=2, seed=0, floor=floor, first=torch.from_numpy(exact))
    assert few[0].position == int(exact.argmax())
    # With rows that are pending the floor still holds: the hope above both is less than that above either.
    pending = greedy_batch(goal, {"y": posterior}, B, B[[int(exact.argmax())]], 1, draws=4096, seed=0, floor=floor)
    assert pending[0].value < picks[0].value


@pytest.mark.parametrize("seed", range(2))
def test_a_batch_begins_with_the_best_score_however_few_its_draws(seed: int) -> None:
    view = view_of(X, range(20))
    policy = Bayesian(model="single", draws=2)
    ranks = [p.rank for p in policy.propose(view, 4, np.random.default_rng(seed)).proposals]
    assert ranks[0] == 1
    assert sorted(ranks) != [1, 2, 3, 4]  # the others are what joint draws say


def test_where_scores_are_not_what_the_first_of_a_batch_adds_joint_draws_decide() -> None:
    view, policy = view_of(X, range(20)), Bayesian(model="single", draws=2)
    waiting = replace(view, pending=np.array([30]), blocked=view.blocked | (np.arange(len(view.ids)) == 30))
    matched = view_of(X, range(20), objective=Objective("strength", "match", value=0.5))
    for other in (waiting, matched):
        firsts = [policy.propose(other, 1, np.random.default_rng(k)).proposals[0].rank for k in range(4)]
        assert set(firsts) != {1}


def test_the_record_says_which_incumbent_it_was() -> None:
    view = view_of(X, range(20))
    best = view.training["strength"].values.max()
    measured = Bayesian(model="single").propose(view, 2, np.random.default_rng(0)).proposals[0].details
    assert measured["incumbent"] == "measured"
    assert measured["batch"] == "sequential greedy qLogEI"
    scale = measured["models"]["strength"]["deviation"]
    assert measured["incumbent_utility"] == pytest.approx(best / scale)
    believed = Bayesian(incumbent="believed").propose(view, 2, np.random.default_rng(0)).proposals[0].details
    assert believed["incumbent"] == "believed"
    assert believed["batch"] == "sequential greedy qLogNEI"
