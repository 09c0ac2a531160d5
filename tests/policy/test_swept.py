"""A batch is the same whether its leading candidates are found through bounds or by the score of every one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from discover.limits import Limits
from discover.objective import Objective
from discover.policy.bayesian import Bayesian, pool_search
from tests.policy.policy_views import answers_of, features_of, rows_of, view_of

X = features_of(700, seed=2)
VALUES = {"strength": answers_of(X), "price": 1.0 + X[:, 0]}
COSTS = np.exp(np.random.default_rng(0).normal(size=len(X)))


def situation(what: str, direction: str):
    """A view on a pool of which every 25th candidate was tried."""
    constraints, outcomes = (["price <= 1.2"], {"price": "EUR"}) if "constraints" in what else ([], {})
    objective = Objective("strength", direction, constraints=constraints, outcomes=outcomes)
    tried = np.arange(0, 700, 12)
    failed = tried[X[tried, 1] > 0.3] if "failures" in what else tried[:0]
    view = view_of(X, np.setdiff1d(tried, failed), objective=objective, values=VALUES, excluded=failed, pending=[1, 2])
    view = replace(view, infeasible=failed)
    return replace(view, limits=Limits(costs=COSTS)) if "costs" in what else view


def batches(policy: Bayesian, view, monkeypatch):
    """By the score of every candidate, and through bounds."""
    found = []
    for limit in (10**12, 1):
        monkeypatch.setattr(pool_search, "LARGE", limit)
        found.append(policy.propose(view, 5, np.random.default_rng(3)))
    return found


def alike(whole, through, bounds: bool = True):
    assert rows_of(whole) == rows_of(through)
    assert [p.acquisition for p in whole] == pytest.approx([p.acquisition for p in through], rel=1e-6)
    assert [p.rank for p in whole] == [p.rank for p in through]
    for one, other in zip(whole, through, strict=True):
        assert one.predicted.keys() == other.predicted.keys()
        assert all(one.predicted[k].mean == pytest.approx(other.predicted[k].mean) for k in one.predicted)
    assert whole.learned["score"] == through.learned["score"]
    assert whole.learned["sweep"]["bounds"] is False
    assert through.learned["sweep"]["bounds"] is bounds


@pytest.mark.parametrize(
    ("acquisition", "direction", "what"),
    [
        ("expected-improvement", "maximize", "costs"),
        ("expected-improvement", "minimize", "failures"),
        ("expected-improvement", "maximize", "constraints"),
        ("expected-improvement", "minimize", "costs failures constraints"),
        ("uncertainty", "maximize", "costs failures constraints"),
        ("top", "minimize", "costs failures constraints"),
        ("probability-of-improvement", "maximize", "costs failures constraints"),
        ("hits", "minimize", "costs failures constraints"),
    ],
)
def test_weighed_scores(what, acquisition, direction, monkeypatch):
    threshold = 110.0 if acquisition == "hits" else None
    policy = Bayesian(acquisition=acquisition, threshold=threshold, model="single", draws=64)
    alike(*batches(policy, situation(what, direction), monkeypatch))


@pytest.mark.parametrize(
    ("acquisition", "model"),
    [
        ("upper-confidence", "evidence"),
        ("straddle", "single"),
        ("uncertainty", "single"),
        ("top", "evidence"),
        ("probability-of-improvement", "evidence"),
        ("hits", "evidence"),
    ],
)
def test_other_scores_than_the_expected_improvement(acquisition, model, monkeypatch):
    threshold = {"straddle": 110.0, "hits": 80.0}.get(acquisition)  # certain hits would be alike but for rounding
    policy = Bayesian(acquisition=acquisition, threshold=threshold, model=model)
    alike(*batches(policy, situation("", "minimize"), monkeypatch))


@pytest.mark.parametrize(("acquisition", "band"), [("straddle", (105.0, 125.0)), ("hits", (118.0, 118.5))])
def test_a_level_set_between_two_ends_and_hits_between_them(acquisition, band, monkeypatch):
    objective = Objective("strength", "match", band=band)
    view = replace(situation("", "maximize"), objective=objective)
    alike(*batches(Bayesian(acquisition=acquisition, model="single"), view, monkeypatch))


@pytest.mark.parametrize("scale", ["logarithm"])
def test_on_another_scale_constraints_are_carried_over(scale, monkeypatch):
    values = {"strength": np.exp(answers_of(X) / 25.0), "price": VALUES["price"]}
    objective = Objective("strength", constraints=["price <= 1.2", "strength <= 400"], outcomes={"price": "EUR"})
    view = view_of(X, np.arange(0, 700, 12), objective=objective, values=values)
    whole, through = batches(Bayesian(scale="evidence", model="single", draws=64), view, monkeypatch)
    assert whole.learned["targets"]["strength"]["scale"] == scale
    alike(whole, through)


@pytest.mark.parametrize("acquisition", ["upper-confidence", "straddle"])
def test_what_has_no_zero_is_not_bounded_where_it_is_weighed(acquisition, monkeypatch):
    threshold = 110.0 if acquisition == "straddle" else None
    policy = Bayesian(acquisition=acquisition, threshold=threshold, model="single")
    alike(*batches(policy, situation("failures", "maximize"), monkeypatch), bounds=False)


@pytest.mark.parametrize("acquisition", ["max-value-entropy", "thompson"])
def test_what_has_no_bound_is_scored_row_by_row(acquisition, monkeypatch):
    policy = Bayesian(acquisition=acquisition, model="single")
    alike(*batches(policy, situation("", "maximize"), monkeypatch), bounds=False)


@pytest.mark.parametrize("acquisition", ["expected-improvement", "upper-confidence", "uncertainty", "straddle", "top"])
def test_what_the_last_iteration_left_serves_every_bounded_score(acquisition, monkeypatch, tmp_path):
    threshold = 110.0 if acquisition == "straddle" else None
    policy = Bayesian(acquisition=acquisition, threshold=threshold, refit=0.5, model="single")
    monkeypatch.setattr(pool_search, "LARGE", 1)
    view, left = situation("", "maximize"), []
    for cache in (tmp_path, None):
        tried, memory = np.arange(0, 700, 12), {}
        for _ in range(3):
            view = replace(view_of(X, tried, values=VALUES, memory=memory), cache=cache)
            batch = policy.propose(view, 4, np.random.default_rng(1))
            memory, tried = batch.learned["memory"], np.union1d(tried, rows_of(batch))
        left.append(tried.tolist())
        assert "hyperparameters kept" in str(batch.learned["targets"]["strength"]["notes"])
    assert left[0] == left[1]
    assert [path.name.startswith("sweep-") for path in tmp_path.iterdir()] == [True]
