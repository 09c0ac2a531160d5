"""Approving, withdrawing, retracting, proposing and excluding, as a person types it."""

import pytest

from discover.definition import load
from discover.errors import IllegalTransition, InvalidInput
from tests.dyes import GOOD


def ids_of(folder, state=None):
    frame = load(folder / "dyes.yaml").open(create=False).proposals
    return list(frame["proposal_id"] if state is None else frame.query("state == @state")["proposal_id"])


@pytest.fixture
def approving(folder):
    (folder / "dyes.yaml").write_text(GOOD.replace("kind: random", "kind: random, require_approval: true"))
    assert "require_approval" in (folder / "dyes.yaml").read_text()


def test_nothing_runs_before_a_person_lets_it_pass(cli, folder, approving):
    cli("ask", "dyes.yaml", "-n", "3")
    definition = load(folder / "dyes.yaml")
    campaign = definition.open(create=False)
    runner = definition.runner(campaign.files)
    assert campaign.run_pending(runner) == 0
    first, second, third = ids_of(folder)
    assert "1 approved" in cli("approve", "dyes.yaml", first).output
    assert "cannot approve: the proposal is approved" in cli("approve", "dyes.yaml", first, code=1).output
    assert campaign.run_pending(runner) == 1
    cli("withdraw", "dyes.yaml", second, "--reason", "no")
    assert "1 approved" in cli("approve", "dyes.yaml", "--all").output
    assert "no proposal waits" in cli("approve", "dyes.yaml", "--all").output
    assert campaign.run_pending(runner) == 1
    states = campaign.proposals.set_index("proposal_id")["state"]
    assert states[second] == "withdrawn"
    assert {states[first], states[third]} <= {"measured", "failed", "infeasible", "censored"}
    cli("approve", "dyes.yaml", code=1)


def test_approval_is_refused_where_none_is_asked_for(cli, folder):
    cli("ask", "dyes.yaml")
    (pid,) = ids_of(folder)
    assert "needs no approval" in cli("approve", "dyes.yaml", pid, code=1).output


def test_a_result_is_taken_back_and_put_back(cli, folder):
    cli("propose", "dyes.yaml", "d3", "--reason", "the reference")
    (pid,) = ids_of(folder)
    campaign = load(folder / "dyes.yaml").open(create=False)
    with pytest.raises(IllegalTransition, match="cannot retract: the proposal is proposed"):
        campaign.retract(pid, reason="none")
    batch = campaign.pending[["proposal_id"]].assign(absorbance=0.5)
    target = campaign.objective.names[0]
    batch = batch.rename(columns={"absorbance": target})
    campaign.tell(batch)
    assert "retracted" in cli("retract", "dyes.yaml", pid, "--reason", "contaminated").output
    assert ids_of(folder, "retracted") == [pid]
    assert campaign.best().empty
    with pytest.raises(InvalidInput, match="this value was retracted: contaminated"):
        campaign.tell(batch)
    campaign.correct(batch, reason="it was clean after all")
    assert ids_of(folder, "measured") == [pid]
    assert campaign.best(1)[target].tolist() == [0.5]


def test_excluding_and_noting(cli, folder):
    cli("ask", "dyes.yaml")
    campaign = load(folder / "dyes.yaml").open(create=False)
    free = next(i for i in campaign.pool.ids if i not in campaign.ledger.blocked())
    assert "1 excluded" in cli("exclude", "dyes.yaml", free, "--reason", "toxic").output
    assert campaign.ledger.excluded == {free: "toxic"}
    cli("readmit", "dyes.yaml", free)
    assert campaign.ledger.excluded == {}
    cli("note", "dyes.yaml", "a new lamp")
    assert campaign.notes["text"].tolist() == ["a new lamp"]
    cli("exclude", "dyes.yaml", free, code=2)
