"""What a Bayesian policy does where experiments fail: it goes elsewhere, says so, and can be told not to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from discover import Campaign, Continuous, SearchSpace
from discover.objective import Objective, Target
from discover.policy.bayesian import Bayesian
from tests.policy.policy_views import features_of, rows_of, view_of


def failing(X: np.ndarray) -> np.ndarray:
    """Half of the pool fails: a side of it on which the target is as good as on the other."""
    return X[:, 1] > 0.0


def situation(**more):  # type: ignore[no-untyped-def]
    X = features_of(240)
    tried = np.arange(40)
    bad = tried[failing(X[tried])]
    view = view_of(X, tried[~failing(X[tried])], excluded=bad, **more)
    return X, replace(view, infeasible=bad)


@pytest.mark.parametrize(
    "acquisition", ["expected-improvement", "upper-confidence", "thompson", "knowledge-gradient", "integrated-variance"]
)
def test_a_batch_avoids_where_experiments_fail(acquisition):
    X, view = situation()
    shares = {}
    for how in ("learned", "none"):
        policy = Bayesian(model="single", acquisition=acquisition, draws=64, feasibility=how)
        batch = policy.propose(view, 12, np.random.default_rng(0))
        assert len(batch) == 12
        shares[how] = failing(X[rows_of(batch)]).mean()
        assert all(("chance_of_success" in p.details) == (how == "learned") for p in batch)
        assert ("feasibility" in batch.learned) == (how == "learned")
    assert shares["learned"] < shares["none"] or acquisition == "thompson"  # a draw may do without the failing half
    assert shares["learned"] <= 0.25


def test_several_targets_and_constraints_are_weighed_too():
    targets = [Target("strength", "maximize"), Target("price", "minimize")]
    two = Objective(targets, constraints=["strength > 90"])
    X = features_of(240)
    X, view = situation(objective=two, values={"strength": X[:, 0] + 100.0, "price": X[:, 0] ** 2})
    batch = Bayesian(draws=64).propose(view, 8, np.random.default_rng(0))
    assert failing(X[rows_of(batch)]).mean() <= 0.25


def test_the_record_says_in_words_where_experiments_fail():
    _, view = situation()
    learned = Bayesian(draws=64).propose(view, 2, np.random.default_rng(0)).learned
    assert any("f1 >" in sentence for sentence in learned["feasibility"]["words"])
    assert learned["feasibility"]["words"][0] in learned["verdict"]
    assert learned["feasibility"]["failed"] == len(view.infeasible)


def test_without_failures_nothing_changes():
    _, view = situation()
    view = replace(view, infeasible=np.empty(0, dtype=np.int64))
    one, other = (
        Bayesian(draws=64, feasibility=how).propose(view, 6, np.random.default_rng(3)) for how in ("learned", "none")
    )
    assert rows_of(one) == rows_of(other)
    assert len(one) == 6
    assert [p.acquisition for p in one] == [p.acquisition for p in other]


def test_what_failed_for_good_counts_as_what_is_infeasible(tmp_path):
    space = SearchSpace([Continuous("x", 0, 1, step=0.01)])
    store = f"sqlite:///{tmp_path / 'campaigns.db'}"
    campaign = Campaign.create("c", objective=Objective("y"), candidates=space, policy="random", store=store, seed=0)
    batch = campaign.ask(4)
    status = ["failed", "infeasible", "measured", "measured"]
    campaign.tell(batch[["proposal_id"]].assign(y=[None, None, 1.0, 2.0], status=status))
    view = campaign.view()
    key = campaign.pool.id
    assert {str(view.ids[row]) for row in view.infeasible} == set(batch[key].iloc[:2])
