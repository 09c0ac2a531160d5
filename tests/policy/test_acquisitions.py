"""Every acquisition function of the Bayesian policy: legal, repeatable, and good for what it is for."""

import numpy as np
import pytest

from discover.errors import InvalidInput, Unsupported
from discover.objective import Objective, Target
from discover.policy.bayesian import Bayesian
from tests.policy.policy_views import answers_of, features_of, rows_of, view_of

X = features_of(400, seed=5)
ANSWERS = answers_of(X)
START = list(range(0, 400, 20))
FINDERS = ("upper-confidence", "probability-of-improvement", "max-value-entropy", "thompson")
EVERY = (*FINDERS, "uncertainty", "straddle", "hits")


def policy_of(acquisition, **options):
    threshold = {"straddle": 110.0, "hits": 140.0}.get(acquisition)
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


def test_the_search_for_hits_finds_them():
    chosen = rows_of(policy_of("hits").propose(view_of(X, START), 20, np.random.default_rng(0)))
    left = np.setdiff1d(np.arange(400), START)
    assert (ANSWERS[chosen] >= 140).mean() > 3 * (ANSWERS[left] >= 140).mean()
    low = Bayesian(acquisition="hits", threshold=95.0)
    view = view_of(X, START, objective=Objective("strength", "minimize"))
    chosen = rows_of(low.propose(view, 20, np.random.default_rng(0)))
    assert (ANSWERS[chosen] <= 95).mean() > (ANSWERS[left] <= 95).mean()


def test_uncertainty_learns_the_whole_better_than_its_neighbourhood():
    chosen = rows_of(policy_of("uncertainty").propose(view_of(X, START), 10, np.random.default_rng(0)))
    near = [np.linalg.norm(X[START] - X[row], axis=1).min() for row in chosen]
    every = [np.linalg.norm(X[START] - X[row], axis=1).min() for row in range(400) if row not in START]
    assert np.mean(near) > 1.3 * np.mean(every)


def test_what_needs_a_threshold_says_so_and_what_cannot_be_pursued_is_refused():
    with pytest.raises(InvalidInput, match="threshold"):
        Bayesian(acquisition="straddle")
    with pytest.raises(InvalidInput, match="belongs to straddle and hits"):
        Bayesian(threshold=3.0)
    with pytest.raises(InvalidInput, match="beta"):
        Bayesian(beta=0.0)
    for objective in (Objective([Target("a"), Target("b")]), Objective("a", "match", value=3.0)):
        Bayesian().check(objective)
        with pytest.raises(Unsupported):
            Bayesian(acquisition="thompson").check(objective)
