"""Proposals in a worker's hand: nobody else gets them, what is lost is kept beside, and tables show who has what."""

import time

import pandas as pd
import pytest

from discover import Campaign
from discover.errors import InvalidInput
from discover.objective import Objective, Target


@pytest.fixture
def other(campaign, url):
    """The same campaign, as another process sees it."""
    return Campaign.open("c", store=url)


def test_what_is_claimed_is_nobody_elses(campaign, other):
    campaign.ask(5)
    with campaign.claim(3, worker="furnace 2") as mine:
        assert len(mine) == 3
        theirs = other.claim(9)
        assert len(theirs) == 2
        assert not set(mine.proposal_ids) & set(theirs.proposal_ids)
        assert not len(other.claim(1))
        states = other.proposals.set_index("proposal_id")
        assert set(states["state"]) == {"claimed"}
        assert set(states.loc[mine.proposal_ids, "worker"]) == {"furnace 2"}
        assert other.pending["state"].tolist() == ["claimed"] * 5
        status = other.status()
        assert status.in_hand == 5
        assert "furnace 2" in str(status)
    theirs.release(theirs.proposal_ids[0])
    assert sorted(other.pending["state"]) == ["claimed"] + ["proposed"] * 4
    theirs.release()
    assert other.status().workers == []


def test_claims_are_worth_reading(campaign):
    campaign.ask(2)
    claims = campaign.claim(2, worker="<b>")
    assert "2 of 'c' in hand of <b>" in repr(claims)
    assert claims.proposal_ids[0] in repr(claims)
    assert "&lt;b&gt;" in claims._repr_html_()
    assert list(claims.frame.columns) == list(campaign.pending.columns[:-2])
    claims.release()
    assert repr(claims) == "nothing of 'c' is in hand"


def test_telling_what_is_in_hand_ends_the_claim(campaign, other):
    campaign.ask(3)
    claims = campaign.claim(3)
    results = claims.frame.assign(**{"yield": [1.0, 2.0, None]})
    became = claims.tell(results)
    assert became["became"].tolist() == ["measured", "measured", "not measured yet"]
    assert claims.proposal_ids == results["proposal_id"].tolist()[2:]
    failed = claims.frame[["material_id"]].assign(status="failed", note="the tube broke")
    assert claims.tell(failed)["became"].tolist() == ["failed"]
    assert not len(claims)
    assert other.status().measured == 2
    assert other.spending.experiments == 3


def test_everything_is_checked_before_anything_is_told(campaign):
    campaign.ask(4)
    claims = campaign.claim(2)
    foreign = next(i for i in campaign.pending["proposal_id"] if i not in claims.proposal_ids)
    results = pd.DataFrame({"proposal_id": [*claims.proposal_ids, foreign], "yield": [1.0, "abc", 3.0]})
    with pytest.raises(InvalidInput, match="is not in hand") as error:
        claims.tell(results)
    assert len(error.value.problems) == 2
    assert campaign.status().measured == 0
    assert len(claims) == 2
    claims.release()


def test_what_is_told_after_the_lease_was_lost_is_kept_beside(campaign, other):
    campaign.ask(2)
    slept = campaign.claim(1, worker="laptop", seconds=0.4)
    slept._beat.end()  # a machine that sleeps gives no sign of life
    time.sleep(0.5)
    taker = other.claim(1, worker="cluster")
    assert taker.proposal_ids == slept.proposal_ids == slept.lost
    assert slept.renew() == slept.lost
    became = slept.tell(slept.frame.assign(**{"yield": 7.0}))
    assert became["became"].tolist() == ["kept beside"]
    assert "taken over" in became["remark"][0]
    assert taker.tell(taker.frame.assign(**{"yield": 8.0}))["became"].tolist() == ["measured"]
    found = other.observations
    assert sorted(found["yield"]) == [7.0, 8.0]
    assert pd.isna(found.set_index("yield").loc[7.0, "proposal_id"])
    assert "laptop" in found.set_index("yield").loc[7.0, "source"]
    assert other.view().training["yield"].values.tolist() == [7.0, 8.0]
    assert other.notes["text"].str.contains("its worker had lost the lease").sum() == 1
    assert not len(slept)


def test_a_failure_after_the_lease_was_lost_is_a_note(campaign, other):
    campaign.ask(1)
    slept = campaign.claim(1, seconds=0.4)
    slept._beat.end()
    time.sleep(0.5)
    taker = other.claim(1)
    slept.tell(slept.frame.assign(status="failed", note="no power"))
    assert other.notes["text"].str.contains("no power").sum() == 1
    assert other.pending["state"].tolist() == ["claimed"]
    taker.tell(taker.frame.assign(**{"yield": 8.0}))
    assert other.status().measured == 1
    assert other.status().failed == 0


def test_the_heartbeat_holds_on_and_its_end_lets_go(campaign, other):
    campaign.ask(1)
    claims = campaign.claim(1, seconds=0.5)
    time.sleep(0.9)
    assert not len(other.claim(1))
    claims._beat.end()
    time.sleep(0.6)
    assert len(other.claim(1)) == 1


def test_one_target_of_two_stays_in_hand(make, url):
    campaign = make(Objective(targets=[Target("yield", "maximize"), Target("purity", "maximize")]))
    campaign.ask(1)
    claims = campaign.claim(1)
    assert claims.tell(claims.frame.assign(purity=0.9))["became"].tolist() == ["measured in part"]
    assert len(claims) == 1
    assert campaign.pending["state"].tolist() == ["measured in part"]
    claims.tell(claims.frame.assign(**{"yield": 3.0}))
    assert not len(claims)
    assert campaign.status().measured == 1


def test_what_waits_for_approval_or_is_excluded_cannot_be_claimed(make):
    campaign = make(policy={"kind": "random", "require_approval": True})
    batch = campaign.ask(3)
    assert not len(campaign.claim(3))
    campaign.approve(batch["proposal_id"].tolist()[:2])
    campaign.exclude(batch["material_id"][0], reason="toxic")
    assert campaign.claim(3).proposal_ids == batch["proposal_id"].tolist()[1:2]


def test_running_leaves_alone_what_is_in_hand_of_this_process(campaign):
    campaign.ask(3)
    claims = campaign.claim(2)
    assert campaign.run_pending(lambda values: values["a"], wait=True) == 1
    claims.release()
    assert campaign.run_pending(lambda values: values["a"]) == 2


def test_what_somebody_else_has_finished_meanwhile_can_still_be_told(campaign, other):
    """It slept, and another did the work and let go: what it found is kept beside, whatever it tells first."""
    campaign.ask(2)
    slept = campaign.claim(2, worker="laptop", seconds=0.4)
    slept._beat.end()
    time.sleep(0.5)
    taker = other.claim(2)
    taker.tell(taker.frame.assign(**{"yield": 8.0}))
    assert not len(taker)
    found = slept.frame.assign(**{"yield": 7.0})
    assert sorted(slept.lost) == sorted(found["proposal_id"])
    for place in range(2):
        assert slept.tell(found.iloc[[place]])["became"].tolist() == ["kept beside"]
    assert not len(slept)
    assert sorted(other.observations["yield"]) == [7.0, 7.0, 8.0, 8.0]


def test_telling_one_keeps_the_others_in_hand_though_somebody_told_them(campaign, other):
    campaign.ask(2)
    claims = campaign.claim(2)
    first, second = (claims.frame.iloc[[place]].assign(**{"yield": 7.0}) for place in range(2))
    other.tell(second.assign(**{"yield": 8.0}))
    claims.tell(first)
    with pytest.raises(InvalidInput, match="was already told as"):
        claims.tell(second)
    assert claims.tell(second.assign(**{"yield": 8.0}))["became"].tolist() == ["already known"]
    assert not len(claims)
