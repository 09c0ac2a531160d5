"""The stopping rules of a campaign: refused where they are wrong, and asked about all that could still be tried."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from discover import Campaign, CandidatePool, Continuous, Objective, SearchSpace, Target
from discover.campaign.unattended.iterating import advise
from discover.errors import InvalidInput

POOL = CandidatePool.from_frame(pd.DataFrame({"id": list("abcdef"), "x": range(6)}), id="id", features=["x"])
POLICY = {"kind": "bayesian", "start": 3, "model": "single"}


@pytest.mark.parametrize(
    ("stop", "words"),
    [
        ([{"kind": "regret"}], r"column 'stop\[0\].kind', value 'regret': no stopping rule of kind 'regret'"),
        ([{"kind": "regret-below"}], r"column 'stop\[0\].value': is required"),
        ([{"kind": "hits-below"}], "needs a threshold"),
        ([{"kind": "regret-below", "value": -1.0}, "hits-below"], r"2 problems(?s:.)*stop\[1\](?s:.)*needs a kind"),
        ({"kind": "regret-below", "value": 1.0}, "must be a list of rules"),
    ],
)
def test_wrong_rules_are_refused_when_the_campaign_is_made(stop, words, tmp_path):
    url = f"sqlite:///{tmp_path / 'c.db'}"
    with pytest.raises(InvalidInput, match=words):
        Campaign.create("c", objective=Objective("y"), candidates=POOL, store=url, stop=stop)
    assert not (tmp_path / "c.db").exists()


def test_a_rule_that_cannot_tell_about_the_objective_is_refused(tmp_path):
    two = Objective([Target("y"), Target("z")])
    rules = [{"kind": "no-improvement", "experiments": 5}]
    with pytest.raises(InvalidInput, match="needs one target"):
        Campaign.create("c", objective=two, candidates=POOL, store=f"sqlite:///{tmp_path / 'c.db'}", stop=rules)


def begun(tmp_path, step: float | None, rule: dict[str, object]) -> Campaign:
    """A campaign over a space of two numbers, of which the poorer corner is known and one proposal was withdrawn."""
    space = SearchSpace([Continuous("t", 0, 10, step=step), Continuous("u", 0, 10, step=step)])
    campaign = Campaign.create(
        "c", objective=Objective("y"), candidates=space, store=f"sqlite:///{tmp_path / 'c.db'}", policy=POLICY, stop=[rule]
    )  # fmt: skip
    known = pd.DataFrame([(t, u) for t in (0.0, 2.0, 4.0) for u in (0.0, 2.0, 4.0)], columns=["t", "u"])
    campaign.tell(known.assign(y=known["t"] + known["u"]))
    batch = campaign.propose(pd.DataFrame({"t": [0.0], "u": [1.0]}), reason="poor")
    campaign.withdraw(batch["proposal_id"].tolist(), reason="poor")
    return campaign


@pytest.mark.parametrize(
    "rule",
    [{"kind": "improvement-below", "value": 0.5}, {"kind": "regret-below", "value": 1.0},
     {"kind": "hits-below", "threshold": 9.0}],
)  # fmt: skip
def test_rules_look_at_every_point_of_a_space_and_not_at_those_that_were_proposed(rule, tmp_path):
    campaign = begun(tmp_path, 1.0, rule)
    advice = advise(campaign)
    assert not advice.stop, advice.evidence
    promised = max(advice.numbers.get(name, 0.0) for name in ("largest", "bound", "expected"))
    assert promised > advice.numbers["limit"]
    if "tries" in advice.numbers:
        assert advice.numbers["tries"] == 121 - 9


def test_a_space_that_cannot_be_listed_is_no_ground_to_stop(tmp_path):
    campaign = begun(tmp_path, None, {"kind": "hits-below", "threshold": 9.0})
    advice = advise(campaign)
    assert (advice.stop, dict(advice.numbers)) == (False, {})
    assert "more points than can be listed" in advice.evidence


def test_rules_of_the_best_value_need_no_candidates(tmp_path):
    campaign = begun(tmp_path, None, {"kind": "target-reached", "value": 8.0})
    assert advise(campaign).stop
    assert np.isclose(advise(campaign).numbers["best"], 8.0)
