"""Asking: what comes back, what is committed, what keys mean, and who may not be proposed."""

import math
import subprocess
import sys

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discover import Campaign, Objective, Target
from discover.campaign.asking.choosing import FewerProposals
from discover.errors import (
    CampaignExists,
    CampaignNotFound,
    Conflict,
    DefinitionChanged,
    InvalidInput,
    StoreError,
    UnknownCandidate,
    UnknownKind,
)
from discover.store.database.places import files_of


def test_ask_returns_the_promised_columns_and_commits(campaign, url):
    batch = campaign.ask(3)
    assert list(batch.columns) == [
        *("proposal_id", "material_id", "a", "b", "solvent"),
        *("predicted_mean", "predicted_std", "acquisition", "reason"),
    ]
    assert batch["predicted_mean"].isna().all()
    assert batch["reason"].str.len().gt(0).all()
    again = Campaign.open("c", store=url)
    assert list(again.pending["proposal_id"]) == list(batch["proposal_id"])


def test_the_columns_are_the_candidates_own(campaign, frame):
    batch = campaign.ask(5).set_index("material_id")
    truth = frame.set_index("material_id").loc[batch.index]
    pd.testing.assert_frame_equal(batch[["a", "b"]], truth[["a", "b"]], check_exact=True)
    assert list(batch["solvent"]) == list(truth["solvent"])


def test_two_asks_are_two_requests(campaign):
    first, second = campaign.ask(5), campaign.ask(3)
    assert not set(first["material_id"]) & set(second["material_id"])
    assert len(campaign.pending) == 8


def test_a_key_fixes_the_batch(campaign, url):
    first = campaign.ask(5, key="monday")
    other = Campaign.open("c", store=url).ask(5, key="monday")
    pd.testing.assert_frame_equal(first, other)
    with pytest.raises(Conflict, match="'monday' was used to ask for 5, now for 4"):
        campaign.ask(4, key="monday")
    assert len(campaign.pending) == 5


def test_the_pool_runs_dry_with_a_reason(campaign):
    campaign.ask(38)
    with pytest.warns(FewerProposals, match="2 of 5"):
        batch = campaign.ask(5)
    assert len(batch) == 2
    assert batch.attrs["shortage"]
    with pytest.warns(FewerProposals):
        assert len(campaign.ask(1)) == 0


def test_the_same_campaign_proposes_the_same(pool, tmp_path):
    batches = []
    for name in ("one", "two"):
        url = f"sqlite:///{tmp_path / name}.db"
        objective = Objective("yield", "maximize", unit="%")
        campaign = Campaign.create("c", objective=objective, candidates=pool, policy="space-filling", store=url, seed=3)
        batch = campaign.ask(4)
        campaign.tell(batch.assign(**{"yield": [1.0, 2.0, 3.0, 4.0]}))
        batches.append(pd.concat([batch, campaign.ask(4)]))
    pd.testing.assert_frame_equal(*batches)


def test_arrival_order_cannot_be_told_from_the_next_batch(pool, tmp_path):
    chosen = []
    for number, order in enumerate(([0, 1, 2, 3], [3, 1, 0, 2])):
        objective = Objective("yield", "maximize", unit="%")
        campaign = Campaign.create("c", objective=objective, candidates=pool, policy={"kind": "bayesian", "start": 4},
                                   store=f"sqlite:///{tmp_path / str(number)}.db")  # fmt: skip
        batch = campaign.ask(4).assign(**{"yield": [1.0, 5.0, 3.0, 2.0]})
        for place in order:
            campaign.tell(batch.iloc[[place]])
        chosen.append(list(campaign.ask(3)["material_id"]))
    assert chosen[0] == chosen[1]


def test_ask_for_nothing_or_nonsense(campaign):
    for n in (0, -1, 1.5, "3", True):
        with pytest.raises(InvalidInput, match="whole number"):
            campaign.ask(n)
    assert len(campaign.proposals) == 0


def test_a_persons_proposal_has_the_same_books(campaign):
    batch = campaign.propose(["m07", "m03"], reason="a hunch")
    assert list(batch["material_id"]) == ["m07", "m03"]
    row = campaign.proposals.iloc[0]
    assert (row["policy"], row["reason"], row["state"]) == ("person", "a hunch", "proposed")
    with pytest.raises(InvalidInput, match="is pending as"):
        campaign.propose("m07", reason="again")
    with pytest.raises(UnknownCandidate, match="m99"):
        campaign.propose("m99", reason="no")


def test_excluded_candidates_are_not_proposed_until_readmitted(campaign):
    ids = [f"m{i:02d}" for i in range(39)]
    campaign.exclude(ids, reason="toxic")
    with pytest.warns(FewerProposals):
        assert list(campaign.ask(5)["material_id"]) == ["m39"]
    with pytest.raises(InvalidInput, match="is excluded: toxic"):
        campaign.propose("m00", reason="still")
    campaign.readmit("m00")
    assert list(campaign.ask(1)["material_id"]) == ["m00"]
    with pytest.raises(InvalidInput, match="not excluded"):
        campaign.readmit("m00")


def test_withdrawn_candidates_are_free_again_and_a_late_result_is_accepted(campaign):
    batch = campaign.ask(1)
    pid, candidate = batch.loc[0, ["proposal_id", "material_id"]]
    campaign.withdraw(pid, reason="spilt")
    assert campaign.pending.empty
    with pytest.raises(InvalidInput, match="cannot withdraw: the proposal is"):
        campaign.withdraw(pid, reason="again")
    told = campaign.tell(pd.DataFrame({"proposal_id": [pid], "yield": [5.0]}))
    assert told["became"].tolist() == ["measured"]
    assert campaign.best(1)["material_id"].tolist() == [candidate]


def test_creating_twice(make):
    make()
    with pytest.raises(CampaignExists):
        make()
    assert make(if_exists="open").name == "c"
    with pytest.raises(DefinitionChanged, match="seed: 0 → 1") as error:
        make(if_exists="open", seed=1)
    assert "another name" in str(error.value)
    with pytest.raises(DefinitionChanged, match="budget"):
        make(if_exists="open", budget={"experiments": 7})
    assert make(if_exists="open", budget={"experiments": 7}, accept_changes=True).budget == 7
    with pytest.raises(InvalidInput, match="'error' or 'open'"):
        make(if_exists="opn")


def test_another_pool_is_another_campaign(make, frame, url):
    from discover import CandidatePool

    make()
    other = CandidatePool.from_frame(frame.head(10), id="material_id", features=["a", "b"], categorical=["solvent"])
    with pytest.raises(DefinitionChanged, match="candidates"):
        Campaign.create("c", objective=Objective("yield", "maximize", unit="%"), candidates=other, policy="random",
                        store=url, if_exists="open")  # fmt: skip


def test_names_and_targets_that_would_collide(make):
    for name in ("../x", "", "a/b", "x" * 101):
        with pytest.raises(InvalidInput, match="campaign's name"):
            make(name=name)
    with pytest.raises(InvalidInput, match="name of a target"):
        make(objective=Objective("a"))
    with pytest.raises(InvalidInput, match="reserved"):
        make(objective=Objective("status"))
    with pytest.raises(UnknownKind, match="did you mean 'bayesian'"):
        make(policy="baysian")
    with pytest.raises(InvalidInput, match="strat"):
        make(policy={"kind": "bayesian", "strat": 3})


def test_opening_what_is_not_there(url, make):
    make(name="alpha")
    with pytest.raises(CampaignNotFound, match="did you mean 'alpha'"):
        Campaign.open("alpa", store=url)
    assert list(Campaign.list(url)["campaign"]) == ["alpha"]


def test_several_targets_have_a_prediction_each(make):
    campaign = make(
        Objective([Target("yield"), Target("cost_of_it", "minimize")]), policy={"kind": "bayesian", "start": 4}
    )
    batch = campaign.ask(6)
    campaign.tell(batch.assign(**{"yield": [1.0, 2, 3, 4, 5, 6], "cost_of_it": [6.0, 5, 4, 3, 2, 1]}))
    batch = campaign.ask(2)
    for name in (
        "predicted_mean_yield",
        "predicted_std_yield",
        "predicted_mean_cost_of_it",
        "predicted_std_cost_of_it",
    ):
        assert batch[name].map(math.isfinite).all()


def test_processes_that_ask_at_once_never_share_a_candidate(campaign, url):
    code = f"from discover import Campaign\nprint(*Campaign.open('c', store={url!r}).ask(5)['material_id'])"
    processes = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    chosen = [word for process in processes for word in process.communicate()[0].split()]
    assert len(chosen) == 20
    assert len(set(chosen)) == 20
    assert set(campaign.pending["material_id"]) == set(chosen)


@settings(max_examples=15, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 12), min_size=1, max_size=6),
    seed=st.integers(0, 5),
    kind=st.sampled_from(["random", "space-filling"]),
)
@pytest.mark.filterwarnings("ignore::discover.campaign.asking.choosing.FewerProposals")
def test_no_candidate_is_ever_proposed_twice(pool, sizes, seed, kind):
    campaign = Campaign.create(
        "c", objective=Objective("yield"), candidates=pool, policy=kind, store="sqlite://", seed=seed
    )
    chosen = [candidate for n in sizes for candidate in campaign.ask(n)["material_id"]]
    assert len(chosen) == len(set(chosen)) == min(sum(sizes), 40)


def test_reasons_are_needed_and_nobody_is_not_enough(campaign):
    pid = campaign.ask(1)["proposal_id"][0]
    for reason in (None, "", "  ", 3):
        for call in (
            lambda r: campaign.withdraw(pid, reason=r),
            lambda r: campaign.exclude("m01", reason=r),
            lambda r: campaign.propose("m02", reason=r),
        ):
            with pytest.raises(InvalidInput, match="needs a reason"):
                call(reason)
    for call in (campaign.propose, campaign.exclude, campaign.withdraw):
        with pytest.raises(InvalidInput, match="names no"):
            call([], reason="why not")
    assert len(campaign.pending) == 1


def test_whole_numbers_of_every_kind(make):
    import numpy as np

    campaign = make(budget={"experiments": np.int64(7)})
    assert len(campaign.ask(np.int64(2))) == 2
    assert campaign.budget == 7


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"budget": {"experiments": 0}}, "at least 1"),
        ({"budget": {"experimnts": 5}}, "did you mean 'experiments'"),
        ({"budget": 5}, "must be a mapping"),
        ({"policy": 5}, "not a policy"),
        ({"seed": -1}, "at least 0"),
        ({"objective": "yield"}, "must be an Objective"),
    ],
)
def test_what_is_no_campaign(make, argument, message):
    with pytest.raises(InvalidInput, match=message):
        make(**argument)


def test_a_frame_is_not_a_pool(frame, url):
    with pytest.raises(InvalidInput, match="CandidatePool"):
        Campaign.create("c", objective=Objective("y"), candidates=frame, store=url)


@pytest.mark.parametrize("name", ["seq", "iteration", "cached", "extra", "rank", "details", "n", "status"])
def test_targets_that_tables_use_themselves(make, name):
    with pytest.raises(InvalidInput, match="reserved"):
        make(objective=Objective(name))


def test_a_target_called_time(make):
    campaign = make(objective=Objective("time", "minimize", unit="s"))
    batch = campaign.ask(2)
    campaign.tell(batch.assign(time=[3.0, 1.0]))
    assert campaign.proposals["time"].tolist() == [3.0, 1.0]
    assert campaign.best(1)["time"].tolist() == [1.0]


def test_looking_does_not_make_a_store(tmp_path):
    url = f"sqlite:///{tmp_path / 'typo' / 'x.db'}"
    for call in (lambda: Campaign.open("c", store=url), lambda: Campaign.list(url)):
        with pytest.raises(StoreError, match="there is no store"):
            call()
    assert not (tmp_path / "typo").exists()


def test_candidates_that_cannot_be_written_begin_no_campaign(make, url):
    files = files_of(url)
    files.parent.mkdir(parents=True, exist_ok=True)
    files.write_text("a file where a folder should be")
    with pytest.raises(StoreError, match="no campaign was begun"):
        make()
    files.unlink()
    assert make().name == "c"


def test_options_that_a_campaign_began_without_count_as_their_defaults():
    from discover.campaign.settings import differences

    now = {"policy": {"kind": "bayesian", "start": 10, "acquisition": "expected-improvement", "beta": 4.0}}
    before = {"policy": {"kind": "bayesian", "start": 10}}
    assert differences(before, now) == []
    assert differences(before, {"policy": {**now["policy"], "beta": 9.0}}) == ["policy.beta: 4.0 → 9.0"]
    assert differences({"policy": {"kind": "mine:Own", "a": 1}}, {"policy": {"kind": "mine:Own"}}) != []
