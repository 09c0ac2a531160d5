"""Changing over from one experiment to the next costs something: batches, their order, and the budget know it."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from discover import Campaign, CandidatePool, Categorical, Continuous, Mixture, Objective, SearchSpace
from discover.campaign.asking import choosing
from discover.definition import load
from discover.errors import InvalidInput, Unsupported
from discover.provenance.replay import replay
from tests.dyes import GOOD, problems, write

pytestmark = pytest.mark.filterwarnings("ignore::discover.campaign.asking.choosing.FewerProposals")

LEVELS = np.repeat(np.arange(20.0, 121.0, 20.0), 12)
FRAME = pd.DataFrame(
    {
        "run": [f"r{i:02d}" for i in range(len(LEVELS))],
        "temperature": LEVELS,
        "time": np.tile(np.arange(1.0, 13.0), 6),
        "catalyst": ["Pd", "Ni", "Cu"] * (len(LEVELS) // 3),
    }
)
SPACE = SearchSpace(
    [
        Continuous("temperature", 20, 120, step=1),
        Continuous("time", 1, 12, step=0.5),
        Categorical("catalyst", ["Pd", "Ni", "Cu"]),
    ]
)


MODEL = {"kind": "bayesian", "start": 6}
POLICIES = {"bayesian": MODEL, "random": {"kind": "random"}}


def yields(frame):
    return (100 * np.exp(-(((frame["temperature"] - 80) / 30) ** 2) - ((frame["time"] - 6) / 5) ** 2)).to_numpy()


def campaign_of(tmp_path, policy, space=False, **more):
    pool = CandidatePool.from_frame(FRAME, id="run", features=["temperature", "time"], categorical=["catalyst"])
    return Campaign.create(
        "c",
        objective=Objective("yield"),
        candidates=SPACE if space else pool,
        policy=policy,
        store=f"sqlite:///{tmp_path / 'c.db'}",
        **more,
    )


def columns_of(batch):
    return batch if "temperature" in batch else FRAME.set_index("run").loc[batch["run"]]


def told(campaign, batch):
    campaign.tell(batch[["proposal_id"]].assign(**{"yield": yields(columns_of(batch))}))


def steps(campaign, n):
    return [trial.proposal.details["change_over"] for trial in campaign.trials()[-n:]]


def changed(values):
    return sum(one != other for one, other in pairwise(values))


@pytest.mark.parametrize("space", [False, True])
@pytest.mark.parametrize("kind", ["bayesian", "random"])
def test_a_batch_comes_in_an_order_in_which_each_value_is_set_up_once(tmp_path, space, kind):
    policy = POLICIES[kind] | {"change_over": {"temperature": 10}}
    campaign = campaign_of(tmp_path, policy, space)
    last = None
    for _ in range(3):
        batch = campaign.ask(6)
        values = columns_of(batch)["temperature"].tolist()
        assert changed(values) == len(set(values)) - 1
        first = last is not None and last != values[0]
        assert steps(campaign, 6) == [10.0 * first] + [10.0 * (a != b) for a, b in pairwise(values)]
        assert batch["reason"].str.contains("; changing over to it costs 10").tolist() == [
            s > 0 for s in steps(campaign, 6)
        ]
        assert last is None or last not in values or values[0] == last
        last = values[-1]
        told(campaign, batch)
    for number in (1, 2, 3):
        assert replay(campaign, number).identical


@pytest.mark.parametrize("space", [False, True])
def test_where_a_change_is_dear_fewer_values_are_set_up(tmp_path, space):
    found = {}
    for name, price in {"free": 0.0, "dear": 30.0}.items():
        (tmp_path / name).mkdir()
        campaign = campaign_of(
            tmp_path / name, MODEL | {"change_over": {"catalyst": price, "temperature": price}}, space, seed=3
        )
        told(campaign, campaign.ask(6))
        batch = campaign.ask(8)
        values = columns_of(batch)
        found[name] = changed(list(zip(values["temperature"], values["catalyst"], strict=True)))
        told(campaign, batch)
    assert found["dear"] <= 2 < found["free"]


def test_a_change_that_promises_enough_is_paid_for(tmp_path):
    campaign = campaign_of(tmp_path, MODEL | {"change_over": {"temperature": 3}})
    start = FRAME[FRAME["temperature"].isin([20.0, 120.0]) & FRAME["time"].isin([1.0, 6.0, 12.0])]
    campaign.tell(start[["run"]].assign(**{"yield": yields(start)}))
    campaign.propose(["r00"], reason="set up 20 degC")
    batch = columns_of(campaign.ask(8))
    assert set(batch["temperature"]) - {20.0, 120.0}


@pytest.mark.parametrize("kind", ["random", "bayesian"])
def test_the_budget_pays_for_changes(tmp_path, kind):
    policy = POLICIES[kind] | {"change_over": {"temperature": 4.0}}
    campaign = campaign_of(tmp_path, policy, budget={"cost": 40.0})
    price, asked = 0.0, []
    for _ in range(6):
        batch = campaign.ask(5)
        if not len(batch):
            break
        asked += columns_of(batch)["temperature"].tolist()
        price = len(asked) + 4.0 * changed(asked)
        assert price <= 40.0
        told(campaign, batch)
        assert campaign.spending.cost == pytest.approx(price)
    assert price > 35.0
    assert "of 40" in str(campaign.status())


def test_costs_that_are_told_hold_the_change_already(tmp_path):
    campaign = campaign_of(tmp_path, {"kind": "random", "change_over": {"temperature": 4.0}}, budget={"cost": 90.0})
    batch = campaign.propose(["r00", "r20", "r40"], reason="three temperatures")
    results = batch[["proposal_id"]].assign(**{"yield": yields(columns_of(batch))})
    campaign.tell(results.iloc[:1].assign(cost=7.0))
    campaign.tell(results.iloc[1:])
    assert campaign.spending.cost == 7.0 + 2 * (1.0 + 4.0)


def test_what_was_withdrawn_before_it_began_is_not_set_up(tmp_path):
    campaign = campaign_of(tmp_path, {"kind": "random", "change_over": {"temperature": {"fixed": 1, "per_unit": 0.5}}})
    campaign.propose(["r00"], reason="20 degC")
    later = campaign.propose(["r70"], reason="120 degC")
    campaign.withdraw(later["proposal_id"].tolist(), reason="no")
    (found,) = (columns_of(campaign.ask(1))["temperature"],)
    difference = float(abs(found.iloc[0] - 20.0))
    assert steps(campaign, 1) == [pytest.approx((difference > 0) + 0.5 * difference)]


@pytest.mark.parametrize("space", [False, True])
def test_a_persons_own_choice_says_what_its_changes_cost_as_it_stands(tmp_path, space):
    campaign = campaign_of(tmp_path, {"kind": "random", "change_over": {"temperature": 4.0, "time": 1.0}}, space)
    rows = FRAME.iloc[[0, 12, 1]]
    for _ in range(2):
        campaign.propose(rows.drop(columns="run") if space else rows["run"].tolist(), reason="in this order")
        campaign.tell(campaign.pending[["proposal_id"]].assign(**{"yield": 1.0}))
        rows = FRAME.iloc[[13, 2]]
    assert steps(campaign, 5) == [0.0, 4.0, 5.0, 4.0, 5.0]
    assert campaign.spending.cost == 5 + sum(steps(campaign, 5))


@pytest.mark.parametrize("priced", [{"change_over": {"temperature": 4.0}}, {"cost": {"time": 0.25}}])
def test_who_asks_while_another_asks_sees_what_is_left_and_set_up(tmp_path, priced, monkeypatch):
    campaign = campaign_of(tmp_path, {"kind": "random"} | priced, budget={"cost": 12.0})
    other, decided = Campaign.open("c", store=f"sqlite:///{tmp_path / 'c.db'}"), choosing.decide

    def meanwhile(*given):
        decision = decided(*given)
        if not len(other.trials()):
            with monkeypatch.context() as within:
                within.setattr(choosing, "decide", decided)
                other.ask(6, fixed={"catalyst": "Pd"})
        return decision

    monkeypatch.setattr(choosing, "decide", meanwhile)
    campaign.ask(6, fixed={"catalyst": "Ni"})
    found = columns_of(pd.DataFrame({"run": [trial.candidate_id for trial in campaign.trials()]}))
    cost = (found["time"] / 4).sum() if "cost" in priced else len(found) + 4.0 * changed(found["temperature"])
    assert 9.0 < cost <= 12.0
    if "change_over" in priced:
        assert steps(campaign, len(found)) == [0.0] + [4.0 * (a != b) for a, b in pairwise(found["temperature"])]
    assert all(replay(campaign, number).identical for number in (1, 2))


def test_a_mixture_is_changed_once_whatever_of_it_differs(tmp_path):
    space = SearchSpace(
        [Mixture("solvent", ["water", "ethanol", "toluene"], step=0.5), Continuous("time", 1, 3, step=1)]
    )
    store = f"sqlite:///{tmp_path / 'c.db'}"
    policy = {"kind": "random", "change_over": {"solvent": 10}}
    campaign = Campaign.create("c", objective=Objective("yield"), candidates=space, policy=policy, store=store)
    seen = []
    for _ in range(3):
        batch = campaign.ask(4)
        made = batch[["solvent.water", "solvent.ethanol", "solvent.toluene"]].itertuples(index=False, name=None)
        seen += list(made)
        told = [10.0 * (one != other) for one, other in pairwise(seen)]
        assert steps(campaign, len(seen)) == [0.0, *told]
        campaign.tell(batch[["proposal_id"]].assign(**{"yield": 1.0}))
        assert campaign.spending.cost == len(seen) + sum(told)
    priced = policy | {"change_over": {"solvent": {"per_unit": 1}}}
    with pytest.raises(InvalidInput, match="no column of numbers"):
        Campaign.create("d", objective=Objective("yield"), candidates=space, policy=priced, store=store)


WRONG = {
    "a price below zero": ({"temperature": -1}, "change_over"),
    "a word": ({"temperature": "dear"}, "change_over"),
    "an unknown part": ({"temperature": {"each": 2}}, "change_over"),
    "no price": ({"temperature": {}}, "change_over"),
    "a list": (["temperature"], "change_over"),
    "an unknown column": ({"temperatur": 1}, "temperature"),
    "units of words": ({"catalyst": {"per_unit": 2}}, "fixed"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_price_is_refused_with_a_way_out(tmp_path, name):
    given, word = WRONG[name]
    with pytest.raises(InvalidInput, match=word):
        campaign_of(tmp_path, MODEL | {"change_over": given})


def test_learned_costs_hold_changes_already(tmp_path):
    with pytest.raises(InvalidInput, match="hold what changing over cost"):
        campaign_of(tmp_path, MODEL | {"cost": "learned", "change_over": {"temperature": 1}})


def test_a_score_that_cannot_be_divided_refuses_changes(tmp_path):
    with pytest.raises(Unsupported, match="cannot be divided"):
        campaign_of(tmp_path, MODEL | {"acquisition": "upper-confidence", "change_over": {"temperature": 1}})


def test_a_file_may_say_what_changes_cost(tmp_path):
    write(tmp_path)
    text = GOOD.replace("batch: 2", "batch: 2, change_over: {solvent: 5, a: {per_unit: 0.1}}")
    (tmp_path / "x.yaml").write_text(text)
    definition = load(tmp_path / "x.yaml")
    assert definition.policy["change_over"] == {"solvent": 5, "a": {"per_unit": 0.1}}
    (problem,) = problems(tmp_path, text.replace("solvent: 5", "solvent: cheap"))
    assert "change_over" in problem
