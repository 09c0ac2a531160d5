"""Experiments that somebody else makes: handed over, collected, retried, refused, and settled by a person."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from discover import Campaign, CandidatePool, Objective
from discover.campaign.experiments.collecting import collect, dispatch, outside, under_way
from discover.campaign.experiments.outside import NotHandedOver
from discover.campaign.unattended.proposing import propose_more
from discover.errors import DiscoverError, ExperimentFailed, IllegalTransition, Unsupported
from discover.values import Handle, Proposal, Result, Value
from tests.campaign.outside_system import Outside, states


@pytest.fixture
def make(store_url: str) -> Callable[..., Campaign]:
    def make(**more: Any) -> Campaign:
        rng = np.random.default_rng(0)
        frame = pd.DataFrame({"sample": [f"s{i:02d}" for i in range(12)], "x": rng.random(12)})
        pool = CandidatePool.from_frame(frame, id="sample", features=["x"])
        options: dict[str, Any] = {"policy": "random", **more}
        return Campaign.create("c", objective=Objective("energy", "minimize", unit="eV"), candidates=pool, store=store_url, **options)  # fmt: skip

    return make


def test_handed_over_collected_and_told_once(make: Callable[..., Campaign]) -> None:
    campaign, there = make(), Outside()
    campaign.ask(3)
    assert dispatch(campaign, there) == 3
    assert dispatch(campaign, there) == 0
    assert [len(keys) for keys in there.asked] == [1, 1, 1]
    assert states(campaign) == {"submitted": 3}
    assert under_way(campaign) == "3 submitted"
    assert collect(campaign, there).results == 0
    keys = sorted(there.has)
    there.finish(*keys[:2])
    assert collect(campaign, there).results == 2
    assert collect(campaign, there).results == 0
    assert len(campaign.observations) == 2
    assert campaign.spending.experiments == 3
    observation = next(iter(campaign.ledger.observations.values()))
    assert observation.raw == {"file": f"{observation.proposal_id}.1"}
    there.finish(keys[2])
    collect(campaign, there)
    assert states(campaign) == {"measured": 3}


def test_how_it_was_found_out_reaches_the_model(make: Callable[..., Campaign]) -> None:
    campaign, there = make(), Outside()
    campaign.ask(3)
    dispatch(campaign, there)
    one, two, three = sorted(there.has)
    there.finish(one, two)
    there.results[one] = replace(there.results[one], fidelity="low", context={"cluster": "A"})
    there.results[three] = Result("failed", reason="spilt", fidelity="low")
    collect(campaign, there)
    observations = {o.proposal_id: o for o in campaign.ledger.observations.values()}
    assert observations[one.removesuffix(".1")].fidelity == "low"
    told = campaign.view().training["energy"].conditions
    assert sorted(told, key=len) == [{}, {"fidelity": "low", "cluster": "A"}]
    assert [failure.fidelity for failure in campaign.ledger.failures()] == ["low"]
    assert collect(campaign, there).results == 0


def test_what_goes_out_together(make: Callable[..., Campaign]) -> None:
    campaign, there = make(), Outside(together=True)
    campaign.ask(4)
    assert dispatch(campaign, there, 3) == 3
    assert [len(keys) for keys in there.asked] == [3]
    assert dispatch(campaign, there, 0) == 0
    assert dispatch(campaign, there) == 1


def test_only_what_may_be_handed_over(make: Callable[..., Campaign]) -> None:
    campaign, there = make(policy={"kind": "random", "require_approval": True}), Outside()
    batch = campaign.ask(3)
    assert dispatch(campaign, there) == 0
    campaign.approve(list(batch["proposal_id"])[:2])
    campaign.exclude(batch["sample"].iloc[0], reason="toxic")
    assert dispatch(campaign, there) == 1
    assert [p.candidate_id for p in there.has.values()] == [batch["sample"].iloc[1]]


def test_what_is_past_its_deadline_is_not_handed_over(make: Callable[..., Campaign]) -> None:
    campaign, there = make(policy={"kind": "random", "deadline_days": 1e-6}), Outside()
    campaign.ask(2)
    time.sleep(0.3)
    assert dispatch(campaign, there) == 0
    assert states(campaign) == {"expired": 2}
    assert not there.asked


def test_a_failure_is_retried_under_a_new_key(make: Callable[..., Campaign]) -> None:
    campaign, there = make(), Outside()
    pid = campaign.ask(1)["proposal_id"].iloc[0]
    for attempt in (1, 2, 3):
        assert dispatch(campaign, there) == 1
        assert list(there.has)[-1] == f"{pid}.{attempt}"
        there.results[f"{pid}.{attempt}"] = Result("failed", reason="node died", retryable=True)
        assert collect(campaign, there).results == 1
    assert states(campaign) == {"failed": 1}
    assert dispatch(campaign, there) == 0
    assert collect(campaign, there).results == 0


def test_a_result_that_cannot_be_kept_keeps_no_other_out(make: Callable[..., Campaign]) -> None:
    campaign, there = make(), Outside()
    campaign.ask(4)
    dispatch(campaign, there)
    keys = sorted(there.has)
    there.finish(*keys)
    there.results[keys[0]] = Result("failed", reason="\ud800")
    there.results[keys[1]] = Result("measured", {"energy": Value(1.0)}, details={"steps": float("inf")})
    there.results[keys[2]] = Result("measured", {"energy": Value(1.0)}, details={"what": object()})
    assert collect(campaign, there).results == 4
    assert states(campaign) == {"measured": 1, "failed": 3}
    assert all(failure.reason.startswith("the result cannot be kept: ") for failure in campaign.ledger.failures())


def test_a_late_result_is_accepted(make: Callable[..., Campaign]) -> None:
    campaign, there = make(), Outside()
    batch = campaign.ask(2)
    dispatch(campaign, there)
    campaign.withdraw(list(batch["proposal_id"]), reason="changed our minds")
    assert states(campaign) == {"withdrawn": 2}
    first, second = sorted(there.has)
    there.finish(first)
    there.results[second] = Result("failed", reason="cancelled", retryable=True)
    assert collect(campaign, there).results == 2
    assert states(campaign)["measured"] == 1
    assert collect(campaign, there).results == 0
    assert dispatch(campaign, there) == 0


def test_a_person_was_quicker(make: Callable[..., Campaign]) -> None:
    campaign, there = make(), Outside()
    batch = campaign.ask(1)
    dispatch(campaign, there)
    campaign.tell(batch.assign(energy=5.0))
    there.finish(*there.has)
    collect(campaign, there)
    assert campaign.observations.set_index("proposal_id")["energy"][batch["proposal_id"].iloc[0]] == 5.0


def test_a_failure_is_kept_beside_what_a_person_told_meanwhile(make: Callable[..., Campaign]) -> None:
    campaign, there = make(), Outside()
    batch = campaign.ask(1)
    dispatch(campaign, there)
    campaign.tell(batch.assign(energy=5.0))
    there.results.update({key: Result("failed", reason="the node died") for key in there.has})
    trial = next(iter(campaign.ledger.trials.values()))
    collect(campaign, there)
    assert states(campaign) == {"measured": 1}
    assert not trial.failures


def test_what_the_outside_refuses_now_keeps_its_key(make: Callable[..., Campaign]) -> None:
    campaign, there = make(), Outside()
    campaign.ask(2)
    there.trouble.extend([ExperimentFailed("queue down", retryable=True)] * 2)
    with pytest.raises(NotHandedOver, match="queue down; the next run tries again"):
        dispatch(campaign, there)
    assert states(campaign) == {"submitted": 2}
    assert dispatch(campaign, there) == 2
    assert sorted(there.has) == sorted({key for keys in there.asked for key in keys})
    assert all(key.endswith(".1") for key in there.has)
    assert campaign.spending.experiments == 2


def test_an_outside_that_knows_nothing_is_written_down_at_once(make: Callable[..., Campaign]) -> None:
    campaign, there = make(), Outside(knows=False)
    campaign.ask(1)
    there.trouble.append(ExperimentFailed("queue down", retryable=True))
    with pytest.raises(NotHandedOver):
        dispatch(campaign, there)
    assert states(campaign) == {"proposed": 1}
    assert campaign.spending.experiments == 0
    assert dispatch(campaign, there) == 1


def test_one_that_cannot_be_handed_over_fails_for_good(make: Callable[..., Campaign]) -> None:
    campaign, there = make(), Outside()
    campaign.ask(2)
    there.trouble.append(ExperimentFailed("id '-rf' would be read as an option"))
    assert dispatch(campaign, there) == 1
    assert states(campaign) == {"failed": 1, "submitted": 1}
    assert "not handed over: id '-rf'" in campaign.ledger.failures()[0].reason


def test_after_some_refusals_the_rest_waits(make: Callable[..., Campaign]) -> None:
    campaign, there = make(), Outside()
    campaign.ask(6)
    there.trouble.extend([ExperimentFailed("queue down", retryable=True)] * 3)
    with pytest.raises(NotHandedOver):
        dispatch(campaign, there)
    assert states(campaign) == {"submitted": 3, "proposed": 3}
    assert dispatch(campaign, there) == 6


def test_nobody_can_say_so_a_person_is_asked(make: Callable[..., Campaign]) -> None:
    campaign, there = make(), Outside(knows=False)
    first, second = campaign.ask(2)["proposal_id"]
    there.trouble.extend([DiscoverError("no answer within 600 s")] * 2)
    with pytest.raises(NotHandedOver, match="it is not known whether"):
        dispatch(campaign, there)
    assert states(campaign) == {"unknown, ask a person": 2}
    seq = campaign.ledger.seq
    assert dispatch(campaign, there) == 0
    assert campaign.ledger.seq == seq  # asked once, and not again every night
    assert len(there.asked) == 2
    assert campaign.status().unknown == [first, second]
    assert f"unknown     {first}, {second}: say what you know" in str(campaign.status())
    campaign.settle(first, submitted=True, reason="seen in the queue")
    assert campaign.spending.experiments == 2
    campaign.settle(second, submitted=False, reason="the queue never had it")
    assert campaign.spending.experiments == 1
    assert states(campaign) == {"submitted": 1, "proposed": 1}
    there.results[f"{first}.1"] = Result("measured", {"energy": Value(1.0)})
    assert collect(campaign, there).results == 1
    assert dispatch(campaign, there) == 1
    assert list(there.has) == [f"{second}.2"]
    with pytest.raises(IllegalTransition):
        campaign.settle(second, submitted=True, reason="no")


def test_an_outside_that_can_say_again_answers_in_the_persons_place(make: Callable[..., Campaign]) -> None:
    campaign, there = make(), Outside(knows=False)
    first, second = campaign.ask(2)["proposal_id"]
    there.trouble.extend([DiscoverError("no answer")] * 2)
    with pytest.raises(NotHandedOver):
        dispatch(campaign, there)
    there.has[f"{first}.1"] = campaign.ledger.trials[first].proposal
    again = Outside(has=there.has, asked=there.asked)
    assert dispatch(campaign, again) == 2
    assert again.asked[-1] == [f"{second}.1"]
    assert states(campaign) == {"submitted": 2}


def test_two_who_hand_over_at_once(make: Callable[..., Campaign], store_url: str) -> None:
    """While one is handing over, another one neither takes the same nor asks whether it arrived."""
    campaign = make()
    campaign.ask(2)
    other = Campaign.open("c", store=store_url)
    seen: list[int] = []

    @dataclass(frozen=True)
    class Slow(Outside):
        def submit(self, work: Mapping[str, Proposal]) -> Mapping[str, Handle]:
            seen.append(dispatch(other, Outside(has=self.has, asked=self.asked)))
            return super().submit(work)

    there = Slow(together=True)
    assert dispatch(campaign, there) == 2
    assert seen == [0]
    assert len(there.asked) == 1


def test_a_limit_holds_though_another_hands_over_at_the_same_time(make: Callable[..., Campaign]) -> None:
    campaign, other = make(), Outside()
    campaign.ask(3)

    class Slow(Outside):
        def submit(self, work: Mapping[str, Proposal]) -> Mapping[str, Handle]:
            if not other.has:
                assert dispatch(Campaign.open("c", store=campaign._journal.log), other) == 1
            return super().submit(work)

    assert dispatch(campaign, there := Slow(), limit=2) == 1
    assert (len(there.has), len(other.has), campaign.spending.experiments) == (1, 1, 2)
    assert states(campaign) == {"submitted": 2, "proposed": 1}


def test_how_much_is_out_at_a_time(make: Callable[..., Campaign]) -> None:
    campaign, there = make(policy={"kind": "random", "batch": 4}, budget={"experiments": 7}), Outside()
    first = propose_more(campaign, there)
    assert first is not None
    assert (first.key, len(first.proposal_ids)) == ("iteration-1", 4)
    assert propose_more(campaign, there) is None
    dispatch(campaign, there)
    there.finish(sorted(there.has)[0])
    collect(campaign, there)
    assert propose_more(campaign, Outside(together=True)) is None  # a sheet for one is not worth it
    second = propose_more(campaign, there)
    assert second is not None
    assert (second.key, len(second.proposal_ids)) == ("iteration-2", 1)
    dispatch(campaign, there)
    there.finish(*there.has)
    collect(campaign, there)
    third = propose_more(campaign, Outside(together=True))
    assert third is not None
    assert len(third.proposal_ids) == 2  # of seven, five were begun
    assert propose_more(campaign, there) is None


def test_experiments_of_other_kinds_are_refused(make: Callable[..., Campaign]) -> None:
    with pytest.raises(Unsupported, match="nothing is handed over"):
        outside(None)
    there = Outside()
    assert outside(there) is there
    campaign = make()
    with pytest.raises(Unsupported, match=r"hand it over with dispatch"):
        campaign.run(there, 1)  # type: ignore[arg-type]
    campaign.ask(1)
    assert campaign.dispatch(there) == 1
    there.finish(*there.has)
    assert campaign.collect(there).results == 1
