"""Values and failures of one trial exclude each other, whichever way it is named; corrections exchange them."""

import pandas as pd
import pytest

from discover.errors import InvalidInput


def tell(campaign, named, **columns):
    return campaign.tell(pd.DataFrame({**{k: [v] for k, v in named.items()}, **{k: [v] for k, v in columns.items()}}))


def correct(campaign, named, **columns):
    frame = pd.DataFrame({**{k: [v] for k, v in named.items()}, **{k: [v] for k, v in columns.items()}})
    return campaign.correct(frame, reason="a leak")["became"].tolist()


@pytest.fixture(params=["proposal, named by it", "proposal, named by the candidate", "elsewhere"])
def named(request, campaign):
    """How to name one trial, before and after."""
    if request.param == "elsewhere":
        return {"material_id": "m07"}, {"material_id": "m07"}
    batch = campaign.ask(1)
    by_proposal, by_candidate = {"proposal_id": batch["proposal_id"][0]}, {"material_id": batch["material_id"][0]}
    return by_proposal, by_candidate if "candidate" in request.param else by_proposal


def test_a_failure_after_a_value_is_a_conflict_until_it_is_corrected(campaign, named):
    first, then = named
    tell(campaign, first, **{"yield": 5.0}, cost=2.0)
    with pytest.raises(InvalidInput, match="already told as measured, now failed"):
        tell(campaign, then, status="failed")
    assert correct(campaign, then, status="failed") == ["corrected"]
    assert len(campaign.view().training["yield"]) == 0
    assert campaign.best().empty
    assert campaign.observations["status"].tolist() == ["failed"]
    assert correct(campaign, then, **{"yield": 6.0}) == ["corrected"]
    assert campaign.observations["status"].tolist() == ["measured"]
    assert campaign.best()["yield"].tolist() == [6.0]


def test_a_value_after_a_failure_is_a_conflict_until_it_is_corrected(campaign, named):
    first, then = named
    tell(campaign, first, status="infeasible")
    assert len(campaign.view().infeasible) == 1
    with pytest.raises(InvalidInput, match="already told as infeasible"):
        tell(campaign, then, **{"yield": 3.0})
    assert correct(campaign, then, **{"yield": 3.0}) == ["corrected"]
    assert len(campaign.view().infeasible) == 0
    assert campaign.view().training["yield"].values.tolist() == [3.0]
    states = set(campaign.proposals["state"])
    assert states <= {"measured"}


def test_both_in_one_frame_are_a_conflict(campaign):
    frame = pd.DataFrame({"material_id": ["m01", "m01"], "yield": [None, 2.0], "status": ["failed", ""]})
    with pytest.raises(InvalidInput, match="already told as failed"):
        campaign.tell(frame)
    assert campaign.observations.empty


def test_one_kind_of_failure_becomes_another_by_correction(campaign, named):
    first, then = named
    tell(campaign, first, status="failed")
    assert tell(campaign, then, status="failed")["became"].tolist() == ["already known"]
    assert correct(campaign, then, status="infeasible") == ["corrected"]
    assert campaign.observations["status"].tolist() == ["infeasible"]


def test_a_failure_of_another_replicate_or_fidelity_is_another_failure(campaign):
    for columns in ({}, {"replicate": 1}, {"fidelity": "coarse"}, {"context": '{"reactor": "A"}'}):
        assert tell(campaign, {"material_id": "m01"}, status="failed", **columns)["became"].tolist() == ["failed"]
    assert len(campaign.observations) == 4


def test_costs_are_counted_once(campaign, named):
    first, then = named
    tell(campaign, first, **{"yield": 5.0}, cost=5.0)
    correct(campaign, then, **{"yield": 6.0}, cost=7.0)
    assert campaign.spending.cost == 7.0
    correct(campaign, then, **{"yield": 6.5})
    assert campaign.spending.cost == 7.0
    correct(campaign, then, status="failed", cost=1.0)
    assert campaign.spending.cost == 1.0
    correct(campaign, then, **{"yield": 7.0}, cost=4.0)
    assert campaign.spending.cost == 4.0


def test_correcting_with_nothing_changes_nothing(campaign, named):
    first, then = named
    tell(campaign, first, **{"yield": 5.0})
    before = campaign.ledger.seq
    assert correct(campaign, then, **{"yield": None}) == ["unchanged"]
    assert campaign.ledger.seq == before


def test_the_log_folds_to_the_same_after_corrections(campaign, named, url):
    from discover import Campaign

    first, then = named
    tell(campaign, first, **{"yield": 5.0})
    correct(campaign, then, status="failed")
    correct(campaign, then, **{"yield": 4.0})
    again = Campaign.open("c", store=url)
    pd.testing.assert_frame_equal(again.observations, campaign.observations)
    pd.testing.assert_frame_equal(again.proposals, campaign.proposals)


def test_telling_an_old_sheet_again_does_not_fulfil_a_new_proposal(campaign):
    filled = campaign.ask(1).assign(**{"yield": [1.0]})
    campaign.tell(filled)
    campaign.propose(filled["material_id"][0], reason="again")
    assert campaign.tell(filled[["material_id", "yield"]])["became"].tolist() == ["already known"]
    assert len(campaign.pending) == 1
