"""Every policy keeps the limits of a batch, whatever it scores by, and says why it is short."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discover.changes import Changes
from discover.errors import Unsupported
from discover.limits import Limits
from discover.objective import Objective, Target
from discover.policy.bayesian import Bayesian
from discover.policy.bayesian.acquisitions import THRESHOLDED, WITHOUT_COSTS
from discover.policy.choice import free_rows, with_chosen
from discover.policy.limited import together
from discover.policy.random import Random
from discover.policy.ranking import Ranking
from discover.policy.space_filling import SpaceFilling
from tests.policy.policy_views import features_of, rows_of, view_of

OBJECTIVES = [
    Objective("strength"),
    Objective([Target("strength"), Target("price", "minimize")], constraints=["price <= 120"]),
]
KINDS = (
    *("upper-confidence", "probability-of-improvement", "max-value-entropy", "thompson", "knowledge-gradient", "top"),
    *("uncertainty", "integrated-variance", "straddle", "hits", "hits-ahead"),
)


def bayesian(acquisition, **more):
    threshold = 120.0 if acquisition in THRESHOLDED else None
    return Bayesian(start=4, shortlist=6, draws=16, acquisition=acquisition, threshold=threshold, **more)


PLAIN = [Random(), SpaceFilling("farthest"), SpaceFilling("medoids"), Bayesian(start=4, shortlist=6, draws=16)]


def changes_of(codes, rng):
    """Prices of another solvent, and of another plate by its number."""
    values = np.stack([codes["solvent"], codes["plate"]], axis=1)
    standing = (values[0], values[0].astype(float))
    return Changes(
        np.array([rng.choice([0.1, 2.0]), 0.0]), np.array([0.0, 0.5]), values, values.astype(float), standing
    )


@st.composite
def situations(draw):
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    total = draw(st.integers(6, 30))
    codes = {name: rng.integers(draw(st.integers(1, 6)), size=total) for name in ("solvent", "base", "plate")}
    at_most = draw(st.dictionaries(st.sampled_from(["solvent", "base"]), st.integers(1, 3)))
    same = draw(st.sampled_from([(), ("plate",)]))
    funds = draw(st.sampled_from([np.inf, 4.0]))
    limits = Limits(at_most, same, codes, rng.uniform(0.5, 2.0, total) if funds < np.inf else None, funds)
    if draw(st.booleans()):
        limits = replace(limits, costs=rng.uniform(0.5, 2.0, total), changes=changes_of(codes, rng))
    observed = list(range(draw(st.integers(0, 5))))
    return {"limits": limits, "total": total, "observed": observed, "n": draw(st.integers(1, 8))}


def check(policy, situation, objective=OBJECTIVES[0]):
    limits, n = situation["limits"], situation["n"]
    X = features_of(situation["total"], 2, seed=1)
    view = replace(view_of(X, situation["observed"], pending=[5], objective=objective), limits=limits)
    batch = policy.propose(view, n, np.random.default_rng(0))
    rows = np.array(rows_of(batch), dtype=np.int64)
    assert len(set(rows)) == len(rows) <= n
    assert not view.blocked[rows].any()
    assert limits.walk(rows, len(rows)) == list(range(len(rows)))
    left = np.setdiff1d(np.flatnonzero(~view.blocked), rows)
    if len(rows) < n:
        assert batch.shortage
        assert not limits.allowed(left, rows.tolist()).any(), "one more could have joined"
    else:
        assert not batch.shortage
    assert rows_of(policy.propose(view, n, np.random.default_rng(0))) == rows.tolist()


@pytest.mark.parametrize("policy", PLAIN, ids=lambda p: type(p).__name__)
@pytest.mark.parametrize("objective", OBJECTIVES, ids=["one", "several"])
@settings(max_examples=20, deadline=None)
@given(situation=situations())
def test_limits_hold_and_nothing_that_fits_is_left_out(policy, objective, situation):
    check(policy, situation, objective)


@pytest.mark.parametrize("acquisition", KINDS)
@settings(max_examples=6, deadline=None)
@given(situation=situations())
def test_limits_hold_for_every_acquisition_function(acquisition, situation):
    check(bayesian(acquisition, per_cost=acquisition not in WITHOUT_COSTS), situation)


def seen(total=60, observed=20, **limits):
    return replace(view_of(features_of(total), range(observed)), limits=Limits(**limits))


def test_a_batch_that_must_agree_is_filled_and_is_the_best_of_several():
    plates = np.arange(60) % 4
    plates[-1] = 9  # a plate of one
    view = seen(same=("plate",), codes={"plate": plates})
    batch = Bayesian().propose(view, 5, np.random.default_rng(0))
    assert len(batch) == 5
    worth = []
    for plate in range(4):
        blocked = view.blocked | (plates != plate)
        alone = Bayesian().propose(replace(view, blocked=blocked), 5, np.random.default_rng(0))
        worth.append(np.logaddexp.reduce([p.details["log_joint_gain"] for p in alone]))
    found = np.logaddexp.reduce([p.details["log_joint_gain"] for p in batch])
    assert found >= np.sort(worth)[-2], "one of the two best of four plates"


def test_limits_of_a_part_of_the_batch_hold_for_the_rest():
    solvents = np.arange(60) % 3
    view = seen(observed=8, at_most={"solvent": 1}, codes={"solvent": solvents})
    batch = Bayesian(start=10).propose(view, 3, np.random.default_rng(0))
    assert sorted(solvents[rows_of(batch)].tolist()) == [0, 1, 2]
    assert {p.details["phase"] for p in batch} == {"start", "model"}


def test_a_short_batch_says_why():
    view = seen(at_most={"solvent": 1}, codes={"solvent": np.arange(60) % 2})
    batch = Bayesian().propose(view, 5, np.random.default_rng(0))
    assert batch.shortage.startswith("2 of 5 proposed: no further free candidate may be in the batch")
    assert "at most 1 of the same solvent" in batch.shortage
    broke = Bayesian().propose(seen(costs=np.ones(60), funds=0.5), 5, np.random.default_rng(0))
    assert not len(broke)
    assert "0.5 left of the budget" in broke.shortage


@pytest.mark.parametrize("acquisition", ["expected-improvement", *(k for k in KINDS if k not in WITHOUT_COSTS)])
def test_what_a_candidate_promises_is_divided_by_its_cost(acquisition):
    costs = np.random.default_rng(1).uniform(0.1, 10.0, 60)
    plain = bayesian(acquisition).propose(seen(), 40, np.random.default_rng(0))
    frugal = bayesian(acquisition).propose(seen(costs=costs), 40, np.random.default_rng(0))
    alone = {row: p.acquisition for row, p in zip(rows_of(plain), plain, strict=True)}
    for row, proposal in zip(rows_of(frugal), frugal, strict=True):
        logarithm = "log" in proposal.details["score"]
        per_cost = alone[row] - np.log(costs[row]) if logarithm else alone[row] / costs[row]
        assert proposal.acquisition == pytest.approx(per_cost, rel=1e-9, abs=1e-12)
        assert "per cost" in proposal.reason
        assert proposal.details["cost"] == costs[row]
    assert rows_of(frugal) != rows_of(plain)
    ignoring = bayesian(acquisition, per_cost=False).propose(seen(costs=costs), 40, np.random.default_rng(0))
    assert rows_of(ignoring) == rows_of(plain)


def test_one_price_for_all_changes_no_choice():
    plain = Bayesian().propose(seen(), 4, np.random.default_rng(0))
    priced = Bayesian().propose(seen(costs=np.full(60, 7.0)), 4, np.random.default_rng(0))
    assert rows_of(plain) == rows_of(priced)


@pytest.mark.parametrize("acquisition", WITHOUT_COSTS)
def test_scores_that_cannot_be_divided_say_so(acquisition):
    with pytest.raises(Unsupported, match="per_cost: false"):
        bayesian(acquisition).propose(seen(costs=np.ones(60)), 1, np.random.default_rng(0))


def by_value(values):
    """Choose the free rows of the greatest values that may be in a batch together."""

    def once(view, n):
        free = free_rows(view)
        rows = free[np.argsort(-values[free], kind="stable")]
        ranking = Ranking(rows, values[rows], {}, len(rows), "value", False, {})
        return ranking, [(place, None) for place in view.limits.walk(rows, n)]

    return once


def taken(parts):
    return [int(ranking.rows[place]) for ranking, places in parts for place, _ in places]


def test_a_largest_batch_to_which_it_is_too_dear_to_change_over_is_not_taken():
    codes = {"x": np.array([0, 1, 0, 2, 1, 3]), "y": np.array([0, 1, 2, 0, 3, 1])}
    ovens = np.array([[0], [0], [1], [2], [3], [4]])
    changes = Changes(np.array([7.0]), np.zeros(1), ovens, np.full((6, 1), np.nan), (ovens[0], np.full(1, np.nan)))
    limits = Limits({"x": 1, "y": 1}, (), codes, np.ones(6), 9.0, changes=changes)
    view = replace(view_of(features_of(6)), limits=limits)
    assert len(limits.fullest(np.arange(6), 4, np.zeros(6))) == 4, "all of which alone cost no more than there is"
    assert taken(together(view, 4, by_value(np.arange(6.0)[::-1]), per_cost=False)) == [0, 1]


def test_a_change_for_what_was_drawn_at_random_is_paid_for_already():
    ovens = np.array([[0], [1], [1], [1], [2]])
    changes = Changes(np.array([9.0]), np.zeros(1), ovens, np.full((5, 1), np.nan), (ovens[0], np.full(1, np.nan)))
    view = replace(view_of(features_of(5)), limits=Limits(costs=np.ones(5), changes=changes))
    promises = np.array([0.0, 0.0, 2.0, 2.0, 12.0])

    def per_cost(view, n):
        return by_value(promises / view.limits.prices())(view, n)

    drawn = with_chosen(view, np.array([1]))
    assert taken(together(drawn, 2, per_cost)) == [2, 3], "2 + 2 for 2 is more than 12 + 2 for 11"
