"""Batches in a space of fine steps: no crowd around one point, whatever is sought, and they promise no less for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from discover import Continuous, Objective, SearchSpace, Target
from discover.policy import in_space
from discover.policy.bayesian import Bayesian
from discover.policy.bayesian.believing import belief_of
from tests.policy.test_in_space import view_of

SPACE = SearchSpace([Continuous(name, 0, 10, step=0.01) for name in "xyz"])
BAND = Objective([Target("y", "match", band=(55.0, 65.0))])
CASES = {
    "probability": (Objective("y"), {"acquisition": "probability-of-improvement"}),
    "least": (Objective("y", "minimize"), {"acquisition": "probability-of-improvement"}),
    "top": (Objective("y"), {"acquisition": "top", "top": 5}),
    "band": (BAND, {}),
    "hits in a band": (BAND, {"acquisition": "hits"}),
    "hits": (Objective("y"), {"acquisition": "hits", "threshold": 80.0}),
}


def truth(codes):
    at = SPACE.numbers(codes) / 10
    hill = 100 * np.exp(-3 * ((at - [0.63, 0.31, 0.5]) ** 2).sum(axis=1))
    return hill + 15 * np.sin(9 * at[:, 0]) * np.cos(7 * at[:, 1])


def seen(objective, seed=0, n=30):
    codes = SPACE.region().draw(n, np.random.default_rng(seed))
    return replace(view_of(SPACE, codes, truth(codes) + np.random.default_rng(seed + 100).normal(0, 1, n)), objective=objective)  # fmt: skip


def features(batch):
    return SPACE.encode(SPACE.numbers(np.array([SPACE.codes_of(p.candidate.values) for p in batch])))


def distances(batch):
    at = np.array([[p.candidate.values[name] for name in "xyz"] for p in batch]) / 10
    apart = np.linalg.norm(at[:, None] - at[None], axis=2)
    return apart[np.triu_indices(len(at), 1)]


def hits(view, policy, batch):
    """Whether joint draws [s, n] are what is sought."""
    told, target = belief_of(policy, view), view.objective.targets[0]
    drawn = told.posteriors["y"].sample(told.scaled(features(batch)), 4000, np.random.default_rng(0)).numpy()
    if target.band is not None:
        return (drawn >= target.band[0]) & (drawn <= target.band[1])
    if policy.threshold is not None:
        return drawn >= policy.threshold
    values = view.training["y"].values
    return drawn > values.max() if target.direction == "maximize" else drawn < values.min()


def crowd_of(batch):
    """As many points a step or two from the first."""
    first = np.array(SPACE.codes_of(batch.proposals[0].candidate.values))
    steps = np.eye(3, dtype=int)[[0, 0, 1, 1, 2, 2, 0, 1]] * np.array([1, -1, 1, -1, 1, -1, 2, 2])[:, None]
    return [replace(batch.proposals[0], candidate=one) for one in SPACE.candidates(np.clip(first + steps, 0, 1000))]


@pytest.mark.parametrize("case", CASES)
def test_no_two_wells_are_copies_and_a_crowd_would_promise_less(case):
    objective, options = CASES[case]
    view, policy = seen(objective), Bayesian(start=5, model="single", **options)
    batch = in_space.propose(policy, view, 8, np.random.default_rng(0))
    assert distances(batch).min() > 0.003
    some, few = hits(view, policy, batch).any(axis=1).mean(), hits(view, policy, crowd_of(batch)).any(axis=1).mean()
    assert some >= few
    assert some > 0.7


def test_a_match_to_a_value_promises_to_come_nearer_than_copies_do():
    view, policy = seen(Objective([Target("y", "match", value=60.0)])), Bayesian(start=5, model="single")
    batch = in_space.propose(policy, view, 8, np.random.default_rng(0))
    told, before = belief_of(policy, view), abs(view.training["y"].values - 60.0).min()

    def nearer(proposals):
        at = told.scaled(features(proposals))
        drawn = told.posteriors["y"].sample(at, 4000, np.random.default_rng(0)).numpy()
        return np.clip(before - abs(drawn - 60.0).min(axis=1), 0, None).mean()

    assert nearer(batch) > nearer(crowd_of(batch)) + 0.1


def test_what_is_wanted_in_one_small_region_only_is_tried_there():
    """Nothing forces wells apart: where the model knows that no hit lies elsewhere, they stay where hits may be."""
    rng = np.random.default_rng(0)
    codes = np.unique(np.concatenate([SPACE.region().draw(120, rng), 500 + rng.integers(-60, 60, (12, 3))]), axis=0)
    at = SPACE.numbers(codes) / 10
    values = 100 * np.exp(-40 * ((at - 0.5) ** 2).sum(axis=1))
    view = replace(view_of(SPACE, codes, values), objective=Objective([Target("y", "match", band=(97.0, 200.0))]))
    batch = in_space.propose(Bayesian(start=5), view, 6, np.random.default_rng(0))
    found = np.array([[p.candidate.values[name] for name in "xyz"] for p in batch]) / 10
    assert np.linalg.norm(found - 0.5, axis=1).max() < 0.15


@pytest.mark.parametrize("case", ["probability", "band"])
def test_what_is_under_trial_is_not_tried_again_beside_itself(case):
    objective, options = CASES[case]
    view, policy = seen(objective), Bayesian(start=5, model="single", **options)
    first = in_space.propose(policy, view, 1, np.random.default_rng(0))
    codes = np.array([SPACE.codes_of(first.proposals[0].candidate.values)])
    whole, rows = in_space.grown(view, codes)
    blocked = whole.blocked.copy()
    blocked[rows] = True
    then = in_space.propose(policy, replace(whole, pending=rows, blocked=blocked), 1, np.random.default_rng(0))
    assert distances([*first, *then]).min() > 0.01
    again = in_space.propose(policy, view, 1, np.random.default_rng(0))
    assert again == first


@pytest.mark.parametrize("case", ["probability", "band"])
def test_the_rest_of_an_objective_is_heeded_beside_it(case):
    objective, options = CASES[case]
    target = objective.targets[0]
    limited = Objective([target], constraints=["cost <= 5"], outcomes={"cost": "EUR"})
    view, policy = seen(limited), Bayesian(start=5, model="single", **options)
    told = view.training["y"]
    costs = replace(told, values=SPACE.numbers(view.ground.codes[told.rows])[:, 0])
    view = replace(view, training={"y": told, "cost": costs})
    batch = in_space.propose(policy, view, 5, np.random.default_rng(0))
    assert len(batch) == 5
    assert np.mean([p.candidate.values["x"] for p in batch]) < 6.0
    assert np.median(distances(batch)) > 0.02
