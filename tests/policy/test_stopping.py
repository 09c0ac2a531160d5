"""Stopping rules speak in words and numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from discover.errors import InvalidInput
from discover.limits import Limits
from discover.policy.stopping import Budget, Exhausted
from discover.protocols import StoppingRule
from discover.values import Spending
from tests.policy.policy_views import features_of, view_of

VIEW = view_of(features_of(5), [0, 1])


def test_a_budget_stops_when_it_is_spent() -> None:
    rule = Budget(experiments=60)
    assert isinstance(rule, StoppingRule)
    within = rule.advise(VIEW, Spending(59))
    assert (within.stop, within.evidence) == (False, "within the budget: 59 of 60 experiments")
    spent = rule.advise(VIEW, Spending(60))
    assert (spent.stop, spent.evidence) == (True, "the budget is spent: 60 of 60 experiments")
    assert spent.numbers == {"experiments": 60.0, "cost": 0.0, "experiments_limit": 60.0}
    assert (rule.left(Spending(57)), rule.left(Spending(70)), Budget().left(Spending(3))) == (3, 0, None)


def test_a_budget_may_count_cost_too() -> None:
    rule = Budget(experiments=60, cost=10.0)
    assert not rule.advise(VIEW, Spending(5, 9.5)).stop
    assert rule.advise(VIEW, Spending(5, 10.0)).stop
    assert not Budget().advise(VIEW, Spending(10**6, 1e9)).stop


def test_a_budget_must_be_positive() -> None:
    with pytest.raises(InvalidInput) as caught:
        Budget(experiments=0, cost=-1.0)
    assert len(caught.value.problems) == 2


def test_an_exhausted_pool_stops_once_nothing_is_under_trial() -> None:
    X = features_of(3)
    assert not Exhausted().advise(view_of(X, [0, 1]), Spending()).stop
    waiting = Exhausted().advise(view_of(X, [0, 1], pending=[2]), Spending())
    assert (waiting.stop, waiting.evidence) == (False, "no candidate is left, but 1 are under trial")
    assert Exhausted().advise(view_of(X, [0, 1], excluded=[2]), Spending()).stop


def test_what_is_left_may_be_too_dear() -> None:
    X = features_of(3)
    dear = Limits(costs=np.array([1.0, 5.0, 6.0]), funds=4.0)
    advice = Exhausted().advise(replace(view_of(X, [0]), limits=dear), Spending())
    assert advice.stop
    assert "4 left of the budget in cost" in advice.evidence
    assert not Exhausted().advise(replace(view_of(X, [], pending=[0]), limits=dear), Spending()).stop
    assert not Exhausted().advise(replace(view_of(X, [1]), limits=dear), Spending()).stop
