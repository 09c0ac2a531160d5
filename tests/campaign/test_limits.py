"""Limits of a batch and a budget in cost, in campaigns as people run them."""

import warnings

import numpy as np
import pandas as pd
import pytest

from discover import Campaign, CandidatePool, Objective
from discover.campaign.asking.choosing import OverBudget
from discover.campaign.unattended.iterating import advise, propose_next, room
from discover.definition import load
from discover.definition.checks import check
from discover.errors import InvalidInput, Unsupported
from discover.provenance.replay import replay
from tests.dyes import GOOD, problems

SHORT = pytest.mark.filterwarnings("ignore::discover.campaign.asking.choosing.FewerProposals")
FRAME = pd.DataFrame(
    {
        "dye": [f"d{i:02d}" for i in range(30)],
        "a": np.random.default_rng(0).random(30),
        "solvent": ["DMF", "THF", "water"] * 10,
        "plate": ["hot"] * 20 + ["cold"] * 10,
        "amount": np.linspace(1.0, 4.0, 30),
    }
)


def campaign_of(tmp_path, policy, **more):
    pool = CandidatePool.from_frame(FRAME, id="dye", features=["a"])
    return Campaign.create(
        "c",
        objective=Objective("yield"),
        candidates=pool,
        policy=policy,
        store=f"sqlite:///{tmp_path / 'c.db'}",
        **more,
    )


def told(campaign, batch, cost=None):
    results = batch[["proposal_id"]].assign(**{"yield": np.linspace(0, 1, len(batch))})
    campaign.tell(results if cost is None else results.assign(cost=cost))


@SHORT
@pytest.mark.parametrize("kind", ["random", "space-filling", "bayesian"])
@pytest.mark.parametrize("explore", [0.0, 0.5])
def test_limits_hold_in_every_batch_also_for_what_is_drawn_at_random(tmp_path, kind, explore):
    policy = {"kind": kind, "explore": explore, "at_most": {"solvent": 2}, "same": ["plate"]}
    campaign = campaign_of(tmp_path, policy | ({"start": 4} if kind == "bayesian" else {}))
    columns = FRAME.set_index("dye")
    for n in (5, 4, 9):
        batch = campaign.ask(n)
        chosen = columns.loc[batch["dye"]]
        assert len(batch) == min(n, 6)
        assert chosen["solvent"].value_counts().max() <= 2
        assert len(set(chosen["plate"])) == 1
        told(campaign, batch)
    assert "at most 2 of the same solvent" in campaign.ledger.iterations[-1].shortage
    for number in (1, 2, 3):
        assert replay(campaign, number).identical


def test_an_explored_choice_says_its_chance_among_those_that_may_join(tmp_path):
    campaign = campaign_of(tmp_path, {"kind": "random", "explore": 1.0, "same": "plate"})
    campaign.ask(1)
    (trial,) = campaign.trials()
    assert trial.proposal.probability == pytest.approx(1 / 30)


@SHORT
def test_a_batch_stays_within_the_budget_in_cost_and_the_campaign_stops_there(tmp_path):
    campaign = campaign_of(tmp_path, {"kind": "random", "batch": 3, "cost": {"amount": 10.0}}, budget={"cost": 100.0})
    price = 10.0 * FRAME.set_index("dye")["amount"]
    spent = 0.0
    while (iteration := propose_next(campaign)) is not None and iteration.proposal_ids:
        batch = campaign.pending
        spent += price[batch["dye"]].sum()
        assert spent <= 100.0 + 1e-6
        told(campaign, batch)
        assert campaign.spending.cost == pytest.approx(spent)
    assert advise(campaign).stop
    assert "of the budget in cost" in campaign.ledger.iterations[-1].shortage
    assert "cost" in str(campaign.status())
    assert campaign.status().cost_budget == 100.0


@SHORT
def test_what_is_proposed_and_not_begun_is_set_aside_from_the_budget_in_cost(tmp_path):
    campaign = campaign_of(tmp_path, {"kind": "random", "cost": {"amount": 10.0}}, budget={"cost": 100.0})
    price = 10.0 * FRAME.set_index("dye")["amount"]
    for _ in range(4):
        campaign.ask(3)
    assert campaign.spending.cost == 0.0
    assert 50.0 < price[campaign.pending["dye"]].sum() <= 100.0 + 1e-6


@SHORT
def test_what_was_told_of_costs_counts_before_what_was_known(tmp_path):
    campaign = campaign_of(tmp_path, {"kind": "random", "cost": "amount"}, budget={"cost": 50.0})
    told(campaign, campaign.ask(2), cost=24.0)
    assert campaign.spending.cost == 48.0
    assert room(campaign) is None
    assert len(campaign.ask(5)) <= 2


def test_without_known_costs_a_campaign_stops_once_they_are_spent(tmp_path):
    campaign = campaign_of(tmp_path, {"kind": "random", "batch": 2}, budget={"cost": 10.0, "experiments": 20})
    told(campaign, campaign.ask(2), cost=4.0)
    assert not advise(campaign).stop
    assert room(campaign) == 18
    told(campaign, campaign.ask(2), cost=4.0)
    advice = advise(campaign)
    assert advice.stop
    assert "16 of 10 in cost" in advice.evidence
    assert (room(campaign), propose_next(campaign)) == (0, None)


def test_a_policy_knows_what_the_budget_leaves(tmp_path):
    campaign = campaign_of(tmp_path, "random", budget={"experiments": 10})
    campaign.ask(3)
    assert campaign.view().remaining == 7
    told(campaign, campaign.pending)
    assert campaign.view().remaining == 7
    assert campaign_of(tmp_path / "other", "random").view().remaining is None


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ({"at_most": {"solvant": 2}}, "did you mean 'solvent'"),
        ({"at_most": {"solvent": 0}}, "whole numbers of at least 1"),
        ({"same": 3}, "list of columns"),
        ({"cost": {"solvent": 3.0}}, "no column of numbers"),
        ({"cost": {"solvent": {"DMF": 1.0, "THF": 2.0}}}, "has no price"),
        ({"cost": {"amount": -1.0}}, "above 0"),
        ({"cost": {"amount": True}}, "prices by column"),
    ],
)
def test_terms_that_the_candidates_do_not_bear_out_are_refused(tmp_path, terms, message):
    with pytest.raises(InvalidInput, match=message):
        campaign_of(tmp_path, {"kind": "random", **terms})


def test_scores_that_no_cost_divides_are_refused_before_the_campaign_begins(tmp_path):
    policy = {"kind": "bayesian", "acquisition": "upper-confidence", "cost": "amount"}
    with pytest.raises(Unsupported, match="per_cost: false"):
        campaign_of(tmp_path, policy)
    campaign_of(tmp_path, policy | {"per_cost": False})


def test_prices_of_several_columns_are_added_up(tmp_path):
    prices = {"amount": 2.0, "solvent": {"DMF": 1.0, "THF": 2.0, "water": 0.5}}
    costs = campaign_of(tmp_path, {"kind": "random", "cost": prices}).view().limits.costs
    expected = 2.0 * FRAME["amount"] + FRAME["solvent"].map(prices["solvent"])
    np.testing.assert_allclose(costs, expected)


@pytest.mark.parametrize(
    "terms",
    [
        {"same": "plate", "different": ["plate"]},
        {"same": ["plate"], "at_most": {"plate": 1}},
        {"same": ["plate"], "at_most": {"plate": 3}, "batch": 4},
    ],
)
def test_what_a_whole_batch_shares_cannot_be_different_in_it(tmp_path, folder, terms):
    with pytest.raises(InvalidInput, match="all of a batch have the same plate, and at most"):
        campaign_of(tmp_path, {"kind": "random", **terms})
    fine = {"kind": "random", "batch": 3, "same": ["plate"], "at_most": {"plate": 3}}
    assert len(campaign_of(tmp_path, fine).ask(3)) == 3
    text = GOOD.replace("batch: 2}", "batch: 2, same: [solvent], at_most: {solvent: 1}}")
    assert "have the same solvent" in problems(folder, text)[0]


def test_a_person_may_pass_the_budget_of_experiments_and_is_told_so(tmp_path):
    campaign = campaign_of(tmp_path, "random", budget={"experiments": 4})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        told(campaign, campaign.ask(3))
        campaign.ask(1)
    with pytest.warns(OverBudget, match="6 experiments are begun or proposed, and the budget is 4"):
        assert len(campaign.ask(2)) == 2
    with pytest.warns(OverBudget, match="7 experiments"):
        campaign.propose(campaign.pool.ids[~campaign.view().blocked][:1].tolist(), reason="I want it")


@pytest.mark.parametrize("cost", [0, -1, True, "much", float("inf"), float("nan")])
def test_a_budget_in_cost_is_a_number_above_0(tmp_path, cost):
    with pytest.raises(InvalidInput, match="above 0"):
        campaign_of(tmp_path, "random", budget={"cost": cost})


def test_a_campaign_file_names_limits_and_costs(folder):
    text = GOOD.replace("batch: 2}", "batch: 2, at_most: {solvent: 1}, cost: a}").replace(
        "{experiments: 6}", "{experiments: 6, cost: 2.5}"
    )
    (folder / "dyes.yaml").write_text(text)
    definition = load(folder / "dyes.yaml")
    check(definition)
    campaign = definition.open()
    assert sorted(campaign.ask(2)["solvent"]) == ["x", "y"]
    assert (campaign.budget, campaign.cost_budget) == (6, 2.5)
    assert "a list of columns" in problems(folder, text.replace("cost: a", "same: 4"))[0]
    assert "Random learns no costs" in problems(folder, text.replace("cost: a", "cost: learned"))[0]
    (folder / "dyes.yaml").write_text(text.replace("at_most: {solvent: 1}", "at_most: {solvant: 1}"))
    with pytest.raises(InvalidInput, match=r"solvant.*did you mean 'solvent'"):
        check(load(folder / "dyes.yaml"))


def test_a_rule_that_has_a_new_option_is_the_rule_that_it_was(folder):
    (folder / "dyes.yaml").write_text(GOOD + "stop:\n  - {kind: improvement-below, value: 0.1}\n")
    definition = load(folder / "dyes.yaml")
    campaign = definition.open()
    before = dict(campaign.definition) | {"stop": [{"kind": "improvement-below", "value": 0.1}]}
    from discover.campaign.settings import differences

    assert differences(before, definition.settings) == []


@pytest.mark.parametrize(
    "terms", [{"change_over": {"b": 3}}, {"cost": {"b": {"x": 1.0}}}, {"at_most": {"b": 2}}, {"same": ["b"]}]
)
def test_candidates_that_the_terms_cannot_do_with_are_refused(sqlite_url, terms):
    frame = pd.DataFrame({"dye": ["d0", "d1", "d2"], "a": [1.0, 2.0, 3.0], "b": "x"})
    pool = CandidatePool.from_frame(frame, id="dye", features=["a"])
    policy = {"kind": "random", **terms}
    campaign = Campaign.create("c", objective=Objective("y"), candidates=pool, policy=policy, store=sqlite_url)
    fewer = [frame.drop(columns="b")] + ([frame.assign(b=["x", "x", "new"])] if "cost" in terms else [])
    for other in fewer:
        with pytest.raises(InvalidInput, match=r"no such column|has no price"):
            campaign.update_candidates(CandidatePool.from_frame(other, id="dye", features=["a"]))
    assert len(campaign.ask(1)) == 1
    assert "3" in str(campaign.status())
