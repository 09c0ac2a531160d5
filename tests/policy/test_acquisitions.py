"""Every acquisition function of the Bayesian policy: legal, repeatable, and good for what it is for."""

from dataclasses import replace

import numpy as np
import pytest

from discover.errors import InvalidInput, Unsupported
from discover.objective import Objective, Target
from discover.policy.bayesian import Bayesian
from tests.policy.policy_views import answers_of, features_of, rows_of, view_of

X = features_of(400, seed=5)
ANSWERS = answers_of(X)
START = list(range(0, 400, 20))
FINDERS = (
    "upper-confidence",
    "probability-of-improvement",
    "max-value-entropy",
    "thompson",
    "knowledge-gradient",
    "top",
)
EVERY = (*FINDERS, "uncertainty", "integrated-variance", "straddle", "hits", "hits-ahead")


def policy_of(acquisition, **options):
    threshold = {"straddle": 110.0, "hits": 140.0, "hits-ahead": 140.0}.get(acquisition)
    return Bayesian(acquisition=acquisition, threshold=threshold, **options)


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize("acquisition", EVERY)
def test_batches_are_legal_repeatable_and_say_why(acquisition, direction):
    objective = Objective("strength", direction, unit="GPa")
    view = view_of(X, START, objective=objective, pending=[1, 2], excluded=[3])
    policy = policy_of(acquisition)
    first, again = (policy.propose(view, 7, np.random.default_rng(1)) for _ in range(2))
    rows = rows_of(first)
    assert rows == rows_of(again)
    assert len(set(rows)) == 7
    assert not set(rows) & {*START, 1, 2, 3}
    for proposal in first:
        assert "strength" in proposal.predicted
        assert "rank" in proposal.reason
        if acquisition == "thompson":
            assert 0 < proposal.probability <= 1
    assert first.learned["verdict"]


@pytest.mark.parametrize("acquisition", FINDERS)
def test_they_find_the_best(acquisition):
    view = view_of(X, START)
    chosen = rows_of(policy_of(acquisition).propose(view, 20, np.random.default_rng(0)))
    left = np.setdiff1d(np.arange(400), START)
    top = set(left[np.argsort(-ANSWERS[left])[:20]].tolist())
    assert len(top & set(chosen)) >= 4, "twenty at random find one"


def test_straddling_surrounds_the_threshold():
    chosen = rows_of(policy_of("straddle").propose(view_of(X, START), 20, np.random.default_rng(0)))
    left = np.setdiff1d(np.arange(400), START)
    assert np.abs(ANSWERS[chosen] - 110).mean() < 0.7 * np.abs(ANSWERS[left] - 110).mean()


@pytest.mark.parametrize("acquisition", ["hits", "hits-ahead"])
def test_the_search_for_hits_finds_them(acquisition):
    chosen = rows_of(policy_of(acquisition).propose(view_of(X, START), 20, np.random.default_rng(0)))
    left = np.setdiff1d(np.arange(400), START)
    assert (ANSWERS[chosen] >= 140).mean() > 3 * (ANSWERS[left] >= 140).mean()
    low = Bayesian(acquisition=acquisition, threshold=95.0)
    view = view_of(X, START, objective=Objective("strength", "minimize"))
    chosen = rows_of(low.propose(view, 20, np.random.default_rng(0)))
    assert (ANSWERS[chosen] <= 95).mean() > (ANSWERS[left] <= 95).mean()


def test_uncertainty_learns_the_whole_better_than_its_neighbourhood():
    chosen = rows_of(policy_of("uncertainty").propose(view_of(X, START), 10, np.random.default_rng(0)))
    near = [np.linalg.norm(X[START] - X[row], axis=1).min() for row in chosen]
    every = [np.linalg.norm(X[START] - X[row], axis=1).min() for row in range(400) if row not in START]
    assert np.mean(near) > 1.3 * np.mean(every)


@pytest.mark.parametrize("acquisition", ["hits", "hits-ahead"])
def test_hits_may_lie_in_a_band(acquisition):
    view = view_of(X, START, objective=Objective("strength", "match", band=(105.0, 115.0)))
    chosen = rows_of(Bayesian(acquisition=acquisition).propose(view, 20, np.random.default_rng(0)))
    left = np.setdiff1d(np.arange(400), START)
    inside = (ANSWERS >= 105) & (ANSWERS <= 115)
    assert inside[chosen].mean() > 2 * inside[left].mean()


def test_integrated_variance_teaches_the_whole_more_than_chance_does():
    def error(rows):
        seen = view_of(X, sorted({*START, *rows}))
        mean, _ = Bayesian().predict(seen, X)["strength"]
        return np.sqrt(np.mean((mean - ANSWERS) ** 2))

    chosen = rows_of(
        Bayesian(acquisition="integrated-variance").propose(view_of(X, START), 20, np.random.default_rng(0))
    )
    left = np.setdiff1d(np.arange(400), START)
    blind = [error(np.random.default_rng(s).choice(left, 20, replace=False)) for s in range(5)]
    assert error(chosen) < np.median(blind)


def test_the_search_ahead_counts_what_the_budget_leaves():
    policy = Bayesian(acquisition="hits-ahead", threshold=140.0, horizon=7)
    view = view_of(X, START)
    for remaining, left in ((None, 7), (30, 30), (1, 2)):
        batch = policy.propose(replace(view, remaining=remaining), 2, np.random.default_rng(0))
        assert batch.learned["sweep"]["experiments_left"] == left
        assert batch.proposals[0].acquisition <= left + 1e-9


def test_the_best_of_many_are_sought_where_the_last_of_them_lies():
    view = view_of(X, START)
    first, tenth = (
        Bayesian(acquisition="top", top=k).propose(view, 1, np.random.default_rng(0)).proposals[0] for k in (1, 10)
    )
    assert tenth.acquisition > first.acquisition


def test_draws_follow_a_mixture_of_models():
    view = view_of(X, START)
    batch = Bayesian(acquisition="thompson", model="evidence").propose(view, 5, np.random.default_rng(1))
    assert len(set(rows_of(batch))) == 5


def test_what_needs_a_threshold_says_so_and_what_cannot_be_pursued_is_refused():
    best, band = Objective("strength"), Objective("strength", "match", band=(1.0, 2.0))
    for acquisition in ("straddle", "hits", "hits-ahead"):
        with pytest.raises(Unsupported, match="needs a threshold"):
            Bayesian(acquisition=acquisition).check(best)
        with pytest.raises(Unsupported, match="needs a threshold"):
            Bayesian(acquisition=acquisition).propose(view_of(X, START), 1, np.random.default_rng(0))
        with pytest.raises(Unsupported, match="not both"):
            Bayesian(acquisition=acquisition, threshold=3.0).check(band)
        Bayesian(acquisition=acquisition).check(band)
        Bayesian(acquisition=acquisition, threshold=3.0).check(best)
    with pytest.raises(InvalidInput, match="belongs to straddle, hits"):
        Bayesian(threshold=3.0)
    for wrong in ({"beta": 0.0}, {"top": 0}, {"horizon": 0}, {"reference": 0}, {"reference": 1.5}):
        with pytest.raises(InvalidInput, match=next(iter(wrong))):
            Bayesian(**wrong)
    for objective in (Objective([Target("a"), Target("b")]), Objective("a", "match", value=3.0)):
        Bayesian().check(objective)
        with pytest.raises(Unsupported):
            Bayesian(acquisition="thompson").check(objective)


@pytest.mark.parametrize("acquisition", ["expected-improvement", *EVERY])
def test_a_plate_of_384_wells_is_filled(acquisition):
    large = features_of(500, seed=6)
    view = view_of(large, range(0, 500, 25))
    chosen = rows_of(policy_of(acquisition).propose(view, 384, np.random.default_rng(0)))
    assert len(set(chosen)) == 384


@pytest.mark.parametrize("size", [1e150, 1e-150])
@pytest.mark.parametrize("acquisition", ["uncertainty", "integrated-variance", "probability-of-improvement"])
def test_values_whose_variances_are_no_numbers_are_told_in_words(acquisition, size):
    view = view_of(X, START, objective=Objective("strength"), values={"strength": (ANSWERS - ANSWERS.mean()) * size})
    policy = policy_of(acquisition, model="single")
    with pytest.raises(Unsupported, match="tell 'strength' in another unit or as a logarithm"):
        policy.propose(view, 2, np.random.default_rng(0))
