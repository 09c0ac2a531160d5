"""Stopping rules in a campaign file: checked with the file, followed by unattended runs, changeable."""

import numpy as np
import pandas as pd
import pytest

from discover import Campaign, CandidatePool, Objective
from discover.campaign.unattended.iterating import advise, propose_next
from discover.definition import load
from discover.errors import DefinitionChanged
from tests.dyes import GOOD, problems

RULES = """\
stop:
  - {kind: target-reached, value: 0.7}
  - {kind: no-improvement, experiments: 3}
"""


def written(folder, text):
    (folder / "dyes.yaml").write_text(text)
    return load(folder / "dyes.yaml")


def test_rules_stop_an_unattended_campaign_with_their_evidence(folder):
    definition = written(folder, GOOD.replace("experiments: 6", "experiments: 12") + RULES)
    campaign = definition.open()
    runner = definition.runner(campaign.files)
    advice = advise(campaign)
    while not advice.stop:
        propose_next(campaign)
        campaign.run_pending(runner)
        advice = advise(campaign)
    best = campaign.best(1)["yield"].iloc[0]
    assert ("wanted is 0.7" in advice.evidence and best >= 0.7) or "in the last 3 experiments" in advice.evidence
    assert len(campaign.observations) < 12


def test_no_model_stops_a_campaign_that_its_policy_does_not_choose_by_yet(tmp_path):
    frame = pd.DataFrame({"id": [f"c{i:02d}" for i in range(40)], "x": np.linspace(0.0, 1.0, 40)})
    campaign = Campaign.create(
        "early", objective=Objective("y"), candidates=CandidatePool.from_frame(frame, id="id", features=["x"]),
        policy={"kind": "bayesian", "start": 8}, stop=[{"kind": "hits-below", "threshold": 1e6}],
        store=f"sqlite:///{tmp_path}/early.db",
    )  # fmt: skip
    for known in (4, 8):
        batch = campaign.ask(4)
        campaign.tell(batch.assign(y=range(known, known + 4)))
        advice = advise(campaign)
        assert advice.stop == (known == 8), advice
        assert ("no model yet" in advice.evidence) == (known == 4)


def test_a_file_without_rules_is_the_definition_that_it_was(folder):
    assert "stop" not in load(folder / "dyes.yaml").settings


def test_rules_may_change_in_a_running_campaign_if_the_user_accepts_it(folder):
    load(folder / "dyes.yaml").open()
    changed = written(folder, GOOD + RULES)
    with pytest.raises(DefinitionChanged, match="accept"):
        changed.open()
    campaign = changed.open(changes="accept")
    assert [rule["kind"] for rule in campaign.definition["stop"]] == ["target-reached", "no-improvement"]


def test_every_wrong_rule_is_named_with_its_line(folder):
    text = (
        GOOD
        + """\
stop:
  - {kind: target-reeched, value: 1}
  - {kind: no-improvement, experiment: 3}
  - {value: 3}
  - {kind: regret-below, value: -1}
"""
    )
    told = problems(folder, text)
    assert any("unknown kind" in p and "target-reached" in p and "line 10" in p for p in told)
    assert any("experiment" in p and "unknown key" in p for p in told)
    assert any("needs a kind" in p for p in told)
    assert any("above 0" in p for p in told)


def test_a_rule_that_cannot_be_followed_is_refused_with_the_file(folder):
    text = GOOD.replace(
        '{target: yield, direction: maximize, unit: "%"}', '{target: yield, direction: match, value: 3, unit: "%"}'
    )
    assert any(
        "maximized or minimized" in p
        for p in problems(folder, text + "stop: [{kind: no-improvement, experiments: 3}]\n")
    )
