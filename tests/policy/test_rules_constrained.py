"""Stopping rules where outcomes are constrained: what breaks a constraint is neither the best nor a promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from discover.objective import Objective
from discover.policy.bayesian import Bayesian, pool_search
from discover.policy.outlook import Held, Told
from discover.policy.rules import SLIP, HitsBelow, ImprovementBelow, RegretBelow, Standing
from tests.policy.policy_views import features_of, view_of

X = features_of(240)
TRUTH = {"strength": 10.0 * X[:, 0], "hull": X[:, 0] + 0.2 * X[:, 1]}
GOAL = Objective("strength", constraints=["hull <= -0.4", "hull >= -5"])


def seen(*, kept: int, broken: int) -> list[int]:
    """Rows of which so many keep the constraint, poor ones, and so many break it, the best of all among them."""
    fine = TRUTH["hull"] <= -0.4
    order = np.argsort(TRUTH["strength"])
    return [*order[fine[order]][:kept].tolist(), *order[~fine[order]][::-3][:broken].tolist()]


def told(view):
    return lambda: Told(Bayesian(model="single").predict(view, X))


@pytest.mark.parametrize("rule", [ImprovementBelow(0.5), RegretBelow(1.0)])
def test_what_breaks_a_constraint_is_no_best_value(rule):
    view = view_of(X, seen(kept=6, broken=25), objective=GOAL, values=TRUTH)
    advice = rule.advise(view, Standing(outlook=told(view)))
    free = np.flatnonzero(~view.blocked & (TRUTH["hull"] <= -0.4))
    gain = TRUTH["strength"][free].max() - TRUTH["strength"][seen(kept=6, broken=0)].max()
    assert gain > 2.0
    assert not advice.stop, advice.evidence
    assert "keeps the constraints" in advice.evidence
    everything = [*np.flatnonzero(TRUTH["hull"] <= -0.4).tolist(), *seen(kept=0, broken=25)]
    done = view_of(X, everything, objective=GOAL, values=TRUTH)
    assert rule.advise(done, Standing(outlook=told(done))).stop


def test_nothing_is_advised_before_anything_keeps_them():
    view = view_of(X, seen(kept=0, broken=25), objective=GOAL, values=TRUTH)
    for rule in (ImprovementBelow(1e9), RegretBelow(1e9)):
        advice = rule.advise(view, Standing(outlook=told(view)))
        assert (advice.stop, advice.evidence) == (False, "nothing that was measured keeps the constraints yet")


def test_numbers_are_those_of_the_belief_row_by_row():
    view = view_of(X, seen(kept=12, broken=12), objective=GOAL, values=TRUTH)
    standing, free = Standing(outlook=told(view)), ~view.blocked
    belief = told(view)().belief
    (mean, deviation), (hull, wide) = ((a[free] for a in belief[name]) for name in ("strength", "hull"))
    chance = norm.cdf(-0.4, hull, wide) - norm.cdf(-5.0, hull, wide)
    hits = HitsBelow(-6.0).advise(view, standing)
    assert hits.numbers["expected"] == pytest.approx((norm.sf(-6.0, mean, deviation) * chance).sum())
    assert "hits that keep the constraints" in hits.evidence
    rows = np.array(sorted(seen(kept=12, broken=12)))
    kept = belief["hull"][0][rows] <= -0.4
    best = belief["strength"][0][rows][kept].max()
    z = (mean - best) / deviation
    improvement = deviation * (z * norm.cdf(z) + norm.pdf(z)) * chance
    largest = ImprovementBelow(1.0).advise(view, standing).numbers["largest"]
    assert largest == pytest.approx(improvement.max())


def test_a_pool_that_is_searched_through_bounds_tells_the_same(monkeypatch):
    view, policy = view_of(X, seen(kept=12, broken=12), objective=GOAL, values=TRUTH), Bayesian(model="single")
    found = []
    for limit in (10**12, 1):
        monkeypatch.setattr(pool_search, "LARGE", limit)
        standing = Standing(outlook=lambda: Held(view, policy.believe(view)))
        rules = (ImprovementBelow(1.0), RegretBelow(1.0), HitsBelow(-6.0))
        found.append([rule.advise(view, standing).numbers for rule in rules])
    whole, bounded = found
    assert whole[0]["largest"] == pytest.approx(bounded[0]["largest"], rel=1e-6)
    assert whole[1]["bound"] == pytest.approx(bounded[1]["bound"], rel=1e-6)
    assert math.isclose(whole[2]["expected"], bounded[2]["expected"], abs_tol=SLIP)


def test_the_regret_ends_where_nothing_left_can_keep_them():
    fine = np.flatnonzero(TRUTH["hull"] <= -0.4)
    goal = Objective("strength", constraints=["hull <= -0.4"])
    values = {"strength": TRUTH["strength"], "hull": np.where(TRUTH["hull"] <= -0.4, -1.0, 1.0)}
    view = view_of(X, [*fine.tolist(), *np.setdiff1d(np.arange(len(X)), fine)[::2].tolist()], objective=goal)
    belief = {name: (values[name], np.full(len(X), 1e-3)) for name in values}
    advice = RegretBelow(0.1).advise(view, Standing(outlook=lambda: Told(belief)))
    assert advice.stop
    assert advice.evidence == "with 95% confidence no candidate that is left keeps the constraints"
