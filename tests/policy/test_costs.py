"""Costs that nobody knows beforehand are learned from what was told, and divide scores as known ones do."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from discover import Campaign, CandidatePool, Objective
from discover.candidates.space import SearchSpace
from discover.candidates.space.parameters.numbers import Continuous
from discover.errors import Unsupported
from discover.limits import Limits
from discover.policy.bayesian import Bayesian
from discover.policy.costs import FEWEST, learn, with_learned_costs
from discover.protocols import View
from discover.provenance.replay import replay
from discover.values import Training
from tests.policy.policy_views import features_of, view_of

X = features_of(120)
COSTS = np.exp(3.0 * X[:, 0] + 1.0)
POLICY = Bayesian(model="single")


def told(rows: list[int], values: np.ndarray) -> Training:
    blank = np.full(len(rows), np.nan)
    return Training(np.array(rows), np.asarray(values, dtype=float), blank, np.zeros(len(rows), dtype=np.int64))


def chosen(view: View, n: int = 4) -> list[str]:
    return [p.candidate_id for p in POLICY.propose(view, n, np.random.default_rng(0)).proposals]


def test_what_similar_candidates_cost_is_learned() -> None:
    rows = list(range(25))
    found = learn(view_of(X, rows), told(rows, COSTS[rows]))
    assert np.corrcoef(np.log(found.values), np.log(COSTS))[0, 1] > 0.95
    assert bool((found.values > 0).all())
    free = learn(view_of(X, rows), told([*rows, 30], [*COSTS[rows], 0.0]))
    assert free.record["left_out"] == 1
    np.testing.assert_array_equal(free.values, found.values)
    json.dumps(found.record, allow_nan=False)


def test_scores_are_divided_by_them_as_by_costs_that_are_known() -> None:
    rows = list(range(25))
    plain, costs = view_of(X, rows), told(rows, COSTS[rows])
    learning = replace(plain, costs=costs)
    known = replace(plain, limits=Limits(costs=learn(plain, costs).values))
    assert chosen(learning) == chosen(known)
    assert chosen(learning) != chosen(plain)
    batch = POLICY.propose(learning, 4, np.random.default_rng(0))
    assert "per cost" in batch.proposals[0].details["score"]
    assert batch.proposals[0].details["cost"] > 0
    assert batch.learned["costs"]["told"] == 25


def test_until_a_few_are_told_nothing_changes_and_that_is_said() -> None:
    rows = list(range(25))
    plain = view_of(X, rows)
    few = replace(plain, costs=told([0, *range(FEWEST - 1)], [7.0, *COSTS[: FEWEST - 1]]))
    assert chosen(few) == chosen(plain)
    learned = POLICY.propose(few, 2, np.random.default_rng(0)).learned
    assert learned["costs"] == {"verdict": "no costs yet: 4 of 5 candidates"}
    assert "costs" not in POLICY.propose(plain, 2, np.random.default_rng(0)).learned


def test_what_is_under_trial_is_set_aside_from_the_budget() -> None:
    rows = list(range(25))
    pending = np.array([40, 41])
    view = replace(view_of(X, rows), costs=told(rows, COSTS[rows]), limits=Limits(funds=100.0), pending=pending)
    after, _ = with_learned_costs(view)
    assert after.limits.costs is not None
    assert after.limits.funds == pytest.approx(100.0 - after.limits.costs[pending].sum())
    assert after.limits.binding


FRAME = pd.DataFrame({"dye": [f"d{i:02d}" for i in range(40)], "a": np.linspace(0, 1, 40)})


def campaign_of(tmp_path, policy, **more):
    pool = CandidatePool.from_frame(FRAME, id="dye", features=["a"])
    url = f"sqlite:///{tmp_path / 'c.db'}"
    return Campaign.create("c", objective=Objective("yield"), candidates=pool, store=url, policy=policy, **more)


def measured(campaign, batch):
    """Tells yields and costs: whatever has a large `a` costs a hundred times as much; one of each batch fails."""
    a = FRAME.set_index("dye")["a"][batch["dye"]].to_numpy()
    results = batch[["proposal_id"]].assign(**{"yield": np.sin(3 * a), "cost": 100.0**a, "status": "measured"})
    results.loc[results.index[-1], ["yield", "status"]] = [np.nan, "infeasible"]
    campaign.tell(results)


@pytest.mark.filterwarnings("ignore::discover.campaign.asking.choosing.FewerProposals")
def test_a_campaign_learns_what_was_told_of_costs_failures_included(tmp_path):
    policy = {"kind": "bayesian", "start": 6, "model": "single", "cost": "learned"}
    campaign = campaign_of(tmp_path, policy, budget={"cost": 600.0})
    for _ in range(2):
        measured(campaign, campaign.ask(4))
    view = campaign.view()
    assert view.costs is not None
    assert len(view.costs) == 8
    assert view.limits.costs is None
    assert view.limits.funds == pytest.approx(600.0 - campaign.spending.cost)
    batch = campaign.ask(8)
    told_costs = [trial.proposal.details["cost"] for trial in campaign.trials()[-len(batch) :]]
    truth = 100.0 ** FRAME.set_index("dye")["a"][batch["dye"]].to_numpy()
    assert np.abs(np.log(told_costs / truth)).max() < 1.0
    assert sum(told_costs) <= view.limits.funds * (1 + 1e-9)
    for number in (1, 3):
        assert replay(campaign, number).identical
    again = Campaign.open("c", store=f"sqlite:///{tmp_path / 'c.db'}")
    assert again.view().costs is not None


def test_who_cannot_learn_costs_is_refused(tmp_path):
    with pytest.raises(Unsupported, match="Random learns no costs"):
        campaign_of(tmp_path, {"kind": "random", "cost": "learned"})
    with pytest.raises(Unsupported, match="cannot be divided"):
        campaign_of(tmp_path, {"kind": "bayesian", "acquisition": "straddle", "threshold": 1.0, "cost": "learned"})
    space = SearchSpace([Continuous("t", 0, 10)])
    with pytest.raises(Unsupported, match="over a search space"):
        Campaign.create(
            "s",
            objective=Objective("yield"),
            candidates=space,
            store="sqlite://",
            policy={"kind": "bayesian", "cost": "learned"},
        )
