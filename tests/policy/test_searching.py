"""What the search in a space makes large is what the policy itself then chooses by: the same belief, the same score."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from discover import Categorical, Continuous, Objective, SearchSpace, Target
from discover.acquisition.space_search import Search
from discover.candidates.space.ground import Ground
from discover.limits import Limits
from discover.policy import in_space
from discover.policy.bayesian import Bayesian, believing, search_scores, searching
from discover.policy.bayesian.believing import belief_of
from discover.values import Training
from tests.policy.test_in_space import view_of

SPACE = SearchSpace(
    [Continuous("x", 0, 10, step=0.01), Continuous("y", 0, 10, step=0.01), Categorical("c", ["p", "q"])]
)


def truth(codes):
    x, y, c = SPACE.numbers(codes).T
    return np.exp(4.0 - 0.05 * (x - 6.3) ** 2 - 0.1 * (y - 3.1) ** 2 + c)


def seen(n=24, **more):
    codes = SPACE.region().draw(n, np.random.default_rng(0))
    return replace(view_of(SPACE, codes, truth(codes)), **more)


@pytest.fixture
def recorded(monkeypatch):
    """What `acquired` was asked for and gave, one entry a search."""
    found = []

    def spy(policy, view, held, generator):
        found.append((search_scores.acquired(policy, view, held, generator), held, view))
        return found[-1][0]

    monkeypatch.setattr(searching, "acquired", spy)
    return found


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"incumbent": "believed"},
        {"scale": "evidence"},
        {"scale": "evidence", "noise": "evidence", "incumbent": "believed"},
        {"model": "evidence"},
        {"acquisition": "probability-of-improvement"},
        {"acquisition": "top", "top": 3},
        {"acquisition": "hits", "threshold": 60.0},
        {"acquisition": "upper-confidence"},
        {"acquisition": "straddle", "threshold": 60.0},
    ],
    ids=str,
)
def test_points_are_searched_by_the_score_that_the_policy_chooses_by(recorded, options):
    policy, view = Bayesian(start=5, **options), seen()
    batch = in_space.propose(policy, view, 3, np.random.default_rng(0))
    score, held, _ = recorded[0]
    chosen = np.array([SPACE.codes_of(p.candidate.values) for p in batch])
    features = SPACE.encode(SPACE.numbers(chosen))
    assert score(features, features[:0]) == pytest.approx([p.acquisition for p in batch], abs=1e-6)
    assert batch.learned["targets"]["y"].get("scale") == held.learned["y"].get("scale")
    assert ("scale" in options) == (held.learned["y"].get("scale") == "logarithm")


@pytest.mark.parametrize("kind", ["expected-improvement", "top", "uncertainty"])
def test_constraints_weigh_a_search_as_they_weigh_the_choice(recorded, kind):
    view = seen(objective=Objective("y", "maximize", constraints=["y <= 80"]))
    batch = in_space.propose(Bayesian(start=5, acquisition=kind), view, 3, np.random.default_rng(0))
    chosen = np.array([SPACE.codes_of(p.candidate.values) for p in batch])
    features = SPACE.encode(SPACE.numbers(chosen))
    found = recorded[0][0](features, features[:0])
    expected = np.array([p.acquisition for p in batch])
    assert found == pytest.approx(np.log(expected) if kind == "uncertainty" else expected, abs=1e-6)


def test_observations_are_read_and_asked_about_as_the_policy_says(recorded):
    view = seen()
    told = view.training["y"]
    fidelity = tuple({"fidelity": "low" if k % 2 else "high"} for k in range(len(told)))
    values = np.where([one["fidelity"] == "low" for one in fidelity], -told.values, told.values)
    view = replace(view, training={"y": replace(told, values=values, conditions=fidelity)})
    in_space.propose(Bayesian(start=5, at={"fidelity": "low"}), view, 2, np.random.default_rng(0))
    in_space.propose(Bayesian(start=5, at={"fidelity": "high"}), view, 2, np.random.default_rng(0))
    means = [held.predict(view.features.values)["y"][0] for _, held, _ in recorded]
    assert np.corrcoef(means[0], means[1])[0, 1] < 0.0


@pytest.mark.parametrize("options", [{}, {"model": "evidence"}, {"acquisition": "upper-confidence"}], ids=str)
@pytest.mark.parametrize("failing", [False, True])
def test_a_belief_is_fitted_once_and_the_choice_is_that_of_one_fitted_anew(monkeypatch, options, failing):
    space = SearchSpace(SPACE.parameters, batch_constraints=["at most 1 x"])  # a batch may come in portions
    codes = space.region().draw(24, np.random.default_rng(0))
    view = view_of(space, codes, truth(codes))
    told = view.training["y"]
    if failing:
        some = Training(told.rows[:15], told.values[:15], told.stds[:15], told.bounds[:15])
        view = replace(view, training={"y": some}, infeasible=told.rows[15:])
    fits, fit = [], believing.belief
    monkeypatch.setattr(believing, "belief", lambda *a, **k: fits.append(1) or fit(*a, **k))
    policy = Bayesian(start=5, **options)
    once = in_space.propose(policy, view, 4, np.random.default_rng(0))
    assert len(fits) == 1
    plain = Bayesian.propose
    monkeypatch.setattr(Bayesian, "propose", lambda *a, held=None: plain(*a))
    anew = in_space.propose(policy, view, 4, np.random.default_rng(0))
    assert len(fits) > 2
    assert once == anew


def test_nothing_is_judged_for_a_batch_that_no_model_chooses(monkeypatch):
    asked, fit = [], believing.belief
    monkeypatch.setattr(believing, "belief", lambda *a, judge, **k: asked.append(judge) or fit(*a, judge=judge, **k))
    for n in (2, 10):
        in_space.propose(Bayesian(start=30), seen(), n, np.random.default_rng(0))
    assert asked == [False, True]


def test_what_is_under_trial_counts_as_observed():
    view, policy = seen(), Bayesian(start=5)
    codes = view.ground.codes
    some = searching.searched(policy, view, 1, np.random.default_rng(0)).codes[:1]
    whole, rows = in_space.grown(view, some)
    pending = replace(whole, pending=rows)
    held = belief_of(policy, view)
    at = SPACE.encode(SPACE.numbers(some))
    free = search_scores.acquired(policy, whole, held, np.random.default_rng(0))
    busy = search_scores.acquired(policy, pending, held, np.random.default_rng(0))
    assert len(codes) == 24
    assert busy(at, at[:0])[0] == pytest.approx(free(at, at)[0])
    assert busy(at, at[:0])[0] < free(at, at[:0])[0] - 0.1


def test_several_targets_are_searched_by_hypervolume(recorded):
    view = seen()
    told = view.training["y"]
    other = replace(told, values=SPACE.numbers(view.ground.codes[told.rows])[:, 0])
    objective = Objective([Target("y", "maximize"), Target("z", "minimize")])
    view = replace(view, objective=objective, training={"y": told, "z": other})
    batch = in_space.propose(Bayesian(start=5), view, 3, np.random.default_rng(0))
    score, _, _ = recorded[0]
    chosen = np.array([SPACE.codes_of(p.candidate.values) for p in batch])
    features = SPACE.encode(SPACE.numbers(chosen))
    assert score(features, features[:0]) == pytest.approx([p.acquisition for p in batch], abs=1e-6)


def test_costs_are_searched_for(recorded):
    """A label that costs out of all proportion is not offered, though the best points have it."""
    view = seen()
    space = view.ground.region.space

    def dear(points):
        codes = np.array([space.codes_of(points.candidate(row).values) for row in range(len(points))]).reshape(-1, 3)
        return Limits(costs=np.where(codes[:, 2] == 1, 1e15, 1.0))

    free = searching.searched(Bayesian(start=5), view, 1, np.random.default_rng(0))
    view = replace(view, ground=Ground(view.ground.region, view.ground.known, dear))
    paid = searching.searched(Bayesian(start=5), view, 1, np.random.default_rng(0))
    ignored = searching.searched(Bayesian(start=5, per_cost=False), view, 1, np.random.default_rng(0))
    share = [float((offer.codes[:, 2] == 1).mean()) for offer in (free, paid, ignored)]
    assert share[0] > 0.9
    assert share[1] < 0.1
    assert share[2] == share[0]


def test_a_handicap_is_taken_off_whatever_counts_as_observed():
    region = SPACE.region()
    plain = lambda X, ahead: X[:, 0] - len(ahead)  # noqa: E731
    taken = lambda codes: np.zeros(len(codes), dtype=bool)  # noqa: E731
    search = Search(region, plain, np.random.default_rng(0), taken, lambda codes: codes[:, 1].astype(float))
    places = search.visit(region.draw(50, np.random.default_rng(1)))
    expected = search.features(places)[:, 0] - search.codes[places, 1]
    assert search.scores[places] == pytest.approx(expected)
    best = search.best(places, search.features([0, 1]), 50)
    assert (np.diff(expected[np.argsort(places)][best]) <= 1e-9).all()


@pytest.mark.parametrize("seed", range(2))
def test_a_batch_in_a_fine_space_is_no_crowd_around_one_point(seed):
    """It promises what a batch does that is chosen from a coarse list of the same space, whose points lie apart by themselves."""
    space = SearchSpace([Continuous(name, 0, 10, step=0.001) for name in "abcdef"])
    codes = space.region().draw(20, np.random.default_rng(seed))
    value = lambda codes: -np.square(space.numbers(codes) - 6.0).sum(axis=1)  # noqa: E731
    view, policy = view_of(space, codes, value(codes)), Bayesian(start=5)
    apart = np.random.default_rng([seed, 1]).integers(0, 6, (3_000, 6)) * 2_000
    coarse, _ = in_space.grown(view, np.unique(apart, axis=0))
    listed = policy.propose(replace(coarse, ground=None), 8, np.random.default_rng(seed))
    rows = [int(np.flatnonzero(coarse.ids == proposal.candidate_id)[0]) for proposal in listed]
    fine = in_space.propose(policy, view, 8, np.random.default_rng(seed))
    features = space.encode(space.numbers(np.array([space.codes_of(p.candidate.values) for p in fine])))
    assert promise(policy, view, features) > promise(policy, view, coarse.features.values[rows])


def promise(policy, view, features):
    """The expected improvement of the best of some points over the best that was measured, by joint draws."""
    held = belief_of(policy, view)
    normal = torch.from_numpy(np.random.default_rng(0).standard_normal((4_096, len(features))))
    drawn = held.posteriors["y"].draw(held.scaled(features), normal).amax(dim=1)
    return float((drawn - view.training["y"].values.max()).clamp_min(0.0).mean())
