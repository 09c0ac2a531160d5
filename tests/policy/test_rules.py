"""Stopping rules against cases worked out by hand, and against the truth of simulated pools."""

import math

import numpy as np
import pytest

from discover import registry
from discover.errors import InvalidInput, Unsupported
from discover.objective import Objective, Target
from discover.policy.bayesian import Bayesian
from discover.policy.rules import HitsBelow, ImprovementBelow, NoImprovement, RegretBelow, Standing, TargetReached
from tests.policy.policy_views import answers_of, features_of, view_of

X = features_of(300)
RULES = (TargetReached(1.0), NoImprovement(3), ImprovementBelow(1.0), RegretBelow(1.0), HitsBelow(1.0))


def believing(view):
    features = view.features.values
    return lambda: Bayesian().predict(view, features)


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
        assert not rule.advise(early, Standing(believe=believing(early))).stop, rule
    order = np.argsort(-answers)
    found = view_of(X, sorted({*range(0, 300, 2), *order[:30].tolist()}))
    for rule in (ImprovementBelow(2.0), RegretBelow(20.0), HitsBelow(answers[order[5]])):
        assert rule.advise(found, Standing(believe=believing(found))).stop, rule


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
        bound = RegretBelow(1e-9).advise(view, Standing(believe=believing(view))).numbers["bound"]
        free = np.setdiff1d(np.arange(150), rows)
        regret = (sign * truth[free]).max() - (sign * truth[rows]).max()
        broken += regret > bound
    assert broken <= 1


def test_the_expected_improvement_is_that_of_the_acquisition_function():
    import torch

    from discover.acquisition.improvement import log_expected_improvement

    view = view_of(X, range(0, 300, 10))
    found = ImprovementBelow(1.0).advise(view, Standing(believe=believing(view))).numbers["largest"]
    mean, deviation = (torch.from_numpy(a) for a in believing(view)()["strength"])
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
