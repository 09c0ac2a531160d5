"""Stopping rules against cases worked out by hand, and against the truth of simulated pools."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from discover import registry
from discover.errors import InvalidInput, Unsupported
from discover.limits import Limits
from discover.objective import Objective, Target
from discover.policy.bayesian import Bayesian, pool_search
from discover.policy.outlook import Held, Told
from discover.policy.rules import SLIP, HitsBelow, ImprovementBelow, NoImprovement, RegretBelow, Standing, TargetReached
from tests.policy.policy_views import answers_of, features_of, view_of

X = features_of(300)
RULES = (TargetReached(1.0), NoImprovement(3), ImprovementBelow(1.0), RegretBelow(1.0), HitsBelow(1.0))


def believing(view):
    """What a policy believes, told for every candidate."""
    features = view.features.values
    return lambda: Told(Bayesian().predict(view, features))


@pytest.mark.parametrize(("direction", "value", "stop"), [("maximize", 5.0, True), ("maximize", 5.1, False),
                                                          ("minimize", 1.0, True), ("minimize", 0.9, False)])  # fmt: skip
def test_a_target_is_reached_or_not(direction, value, stop):
    view = view_of(X, [0, 1], objective=Objective("strength", direction, unit="GPa"))
    advice = TargetReached(value).advise(view, Standing((1.0, math.nan, 5.0)))
    assert advice.stop is stop
    assert "GPa" in advice.evidence
    assert not TargetReached(value).advise(view, Standing((math.nan,))).stop


@pytest.mark.parametrize(
    ("values", "stop"),
    [
        ((1.0, 2.0, 3.0), False),
        ((1.0, 3.0, 2.0, 2.5, 1.0), True),
        ((1.0, 3.0, 2.0, 2.5, 3.2), False),
        ((math.nan, math.nan, math.nan, math.nan), False),
        ((3.0, math.nan, math.nan, math.nan), True),
    ],
)
def test_no_improvement_looks_back(values, stop):
    assert NoImprovement(3).advise(view_of(X, [0]), Standing(values)).stop is stop
    mirrored = view_of(X, [0], objective=Objective("strength", "minimize"))
    assert NoImprovement(3).advise(mirrored, Standing(tuple(-v for v in values))).stop is stop


def test_a_small_gain_may_count_as_none():
    standing = Standing((1.0, 1.0, 1.0, 1.05))
    assert not NoImprovement(3).advise(view_of(X, [0]), standing).stop
    assert NoImprovement(3, by=0.1).advise(view_of(X, [0]), standing).stop


def test_nothing_is_advised_without_a_model():
    view = view_of(X, [])
    for rule in RULES[2:]:
        advice = rule.advise(view, Standing())
        assert not advice.stop
        assert "no model" in advice.evidence


def test_little_is_promised_once_the_best_is_found_and_much_before():
    answers = answers_of(X)
    early = view_of(X, np.argsort(answers)[:240:7])
    for rule in (ImprovementBelow(2.0), RegretBelow(20.0), HitsBelow(150.0)):
        assert not rule.advise(early, Standing(outlook=believing(early))).stop, rule
    order = np.argsort(-answers)
    found = view_of(X, sorted({*range(0, 300, 2), *order[:30].tolist()}))
    for rule in (ImprovementBelow(2.0), RegretBelow(20.0), HitsBelow(answers[order[5]])):
        assert rule.advise(found, Standing(outlook=believing(found))).stop, rule


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_the_regret_bound_holds_on_simulated_pools(direction):
    sign = 1.0 if direction == "maximize" else -1.0
    broken = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        features = features_of(150, seed=seed)
        truth = np.sin(3 * features @ rng.normal(size=3)) + features[:, 0]
        rows = rng.choice(150, 30, replace=False)
        view = view_of(features, rows, objective=Objective("strength", direction), values={"strength": truth})
        bound = RegretBelow(1e-9).advise(view, Standing(outlook=believing(view))).numbers["bound"]
        free = np.setdiff1d(np.arange(150), rows)
        regret = (sign * truth[free]).max() - (sign * truth[rows]).max()
        broken += regret > bound
    assert broken <= 1


def test_the_expected_improvement_is_that_of_the_acquisition_function():
    import torch

    from discover.acquisition.improvement import log_expected_improvement

    view = view_of(X, range(0, 300, 10))
    found = ImprovementBelow(1.0).advise(view, Standing(outlook=believing(view))).numbers["largest"]
    mean, deviation = (torch.from_numpy(a) for a in believing(view)().belief["strength"])
    free = torch.from_numpy(~view.blocked)
    best = float(mean[torch.from_numpy(view.training["strength"].rows)].max())
    assert found == pytest.approx(float(log_expected_improvement(mean[free], deviation[free], best).exp().max()))


def test_settings_and_objectives_that_make_no_sense_are_refused():
    for make in (lambda: NoImprovement(0), lambda: ImprovementBelow(-1.0), lambda: RegretBelow(1.0, confidence=1.0),
                 lambda: HitsBelow(1.0, count=math.inf)):  # fmt: skip
        with pytest.raises(InvalidInput):
            make()
    several = Objective([Target("a"), Target("b")])
    for rule in RULES:
        rule.check(Objective("a"))
        with pytest.raises(Unsupported):
            rule.check(several)


@pytest.mark.parametrize("option", [{"kind": "target-reached", "value": math.nan}, {"kind": "target-reached", "value": math.inf},
    {"kind": "hits-below", "threshold": -math.inf}, {"kind": "no-improvement", "experiments": 5, "by": math.nan}])  # fmt: skip
def test_numbers_without_end_are_refused(option):
    with pytest.raises(InvalidInput, match="must be a finite number"):
        registry.configure(registry.STOPPING, option)


def test_a_loss_is_no_improvement():
    with pytest.raises(InvalidInput, match="must be at least 0"):
        NoImprovement(5, by=-1.0)


def test_a_match_is_reached_inside_its_band_or_near_enough():
    band = view_of(X, [0], objective=Objective("strength", "match", band=(1.0, 2.0)))
    assert TargetReached(0.0).advise(band, Standing((0.5, 1.5))).stop
    assert not TargetReached(0.0).advise(band, Standing((0.5, 2.1))).stop
    assert TargetReached(0.2).advise(band, Standing((0.5, 2.1))).stop
    with pytest.raises(InvalidInput, match="at least 0"):
        TargetReached(-1.0).check(band.objective)


def test_hits_that_the_budget_cannot_try_do_not_count():
    view = view_of(X, range(0, 300, 10))
    standing = Standing(outlook=believing(view))
    whole = HitsBelow(120.0).advise(view, standing)
    few = HitsBelow(120.0).advise(replace(view, remaining=2), standing)
    assert whole.numbers["expected"] > few.numbers["expected"] > 0
    assert few.numbers["expected"] <= 2
    assert "as many as the budget allows" in few.evidence
    mean, deviation = believing(view)().belief["strength"]
    chances = norm.sf(120.0, mean, deviation)[~view.blocked]
    assert whole.numbers["expected"] == pytest.approx(chances.sum())
    assert few.numbers["expected"] == pytest.approx(np.sort(chances)[-2:].sum())


def test_hits_in_a_band_are_counted():
    view = view_of(X, range(0, 300, 10), objective=Objective("strength", "match", band=(110.0, 120.0)))
    found = HitsBelow().advise(view, Standing(outlook=believing(view))).numbers["expected"]
    mean, deviation = (part[~view.blocked] for part in believing(view)().belief["strength"])
    assert found == pytest.approx((norm.cdf(120.0, mean, deviation) - norm.cdf(110.0, mean, deviation)).sum())
    with pytest.raises(Unsupported, match="threshold"):
        HitsBelow().check(Objective("strength"))
    with pytest.raises(Unsupported, match="threshold"):
        HitsBelow(3.0).check(view.objective)


def test_an_improvement_may_be_held_against_what_a_candidate_costs():
    view = view_of(X, range(0, 300, 10))
    standing, rule = Standing(outlook=believing(view)), ImprovementBelow(1.0, per_cost=True)
    assert "not known" in rule.advise(view, standing).evidence
    plain = ImprovementBelow(1.0).advise(view, standing).numbers["largest"]
    priced = replace(view, limits=Limits(costs=np.full(300, 4.0)))
    advice = rule.advise(priced, standing)
    assert advice.numbers["largest"] == pytest.approx(plain / 4.0)
    assert "per unit of cost" in advice.evidence


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize("model", ["single", "evidence"])
@pytest.mark.parametrize("costly", [False, True])
def test_what_is_asked_through_bounds_is_what_all_candidates_would_tell(
    direction, model, costly, monkeypatch, tmp_path
):
    view = view_of(X, range(0, 300, 7), objective=Objective("strength", direction))
    costs = np.exp(np.random.default_rng(0).normal(size=len(X)))
    view = replace(view, limits=Limits(costs=costs) if costly else Limits(), remaining=20 if costly else None)
    policy = Bayesian(model=model, refit=0.5)
    found = []
    for limit in (10**12, 1):
        monkeypatch.setattr(pool_search, "LARGE", limit)
        standing = Standing(outlook=lambda: Held(view, policy.believe(view), tmp_path))
        found.append(
            [ImprovementBelow(1.0, per_cost=costly).advise(view, standing).numbers["largest"],
             RegretBelow(1.0).advise(view, standing).numbers["bound"],
             HitsBelow(125.0, count=7.0).advise(view, standing).numbers["expected"]]
        )  # fmt: skip
    whole, bounded = found
    assert whole[:2] == pytest.approx(bounded[:2], rel=1e-6, abs=1e-6)
    assert whole[2] - 7.0 * SLIP <= bounded[2] <= whole[2] + 1e-9
    assert list(tmp_path.iterdir()), "the sweep left nothing for the next one"


def test_hits_that_are_left_are_counted_to_the_last_where_that_decides(monkeypatch):
    monkeypatch.setattr(pool_search, "LARGE", 1)
    view, policy = view_of(X, range(0, 300, 7)), Bayesian()
    held = Held(view, policy.believe(view))
    free = np.flatnonzero(~view.blocked)
    mean, deviation = held.at("strength", free)
    exact = float(norm.sf(150.0, mean, deviation).sum())
    rough = HitsBelow(150.0, count=2.0 * exact).advise(view, Standing(outlook=lambda: held)).numbers["expected"]
    assert rough < exact  # what has next to no chance was never worked out
    for count, stop in ((exact * (1 + 1e-9), True), (exact * (1 - 1e-9), False)):
        advice = HitsBelow(150.0, count=count).advise(view, Standing(outlook=lambda: held))
        assert advice.stop is stop
        assert advice.numbers["expected"] == pytest.approx(exact)
