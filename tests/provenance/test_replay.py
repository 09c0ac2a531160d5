"""An iteration is chosen once more from its recorded events: the same, bit for bit, whatever came in meanwhile."""

from __future__ import annotations

import warnings

import pandas as pd
import pytest

from discover import Campaign, Objective
from discover.campaign.asking import choosing
from discover.errors import InvalidInput
from discover.provenance.archive import export_campaign
from discover.provenance.importing import import_campaign
from discover.provenance.replay import replay
from discover.store.ledger.folds import same
from tests.provenance.conftest import command_line, rich

BAYESIAN = {"kind": "bayesian", "start": 4, "draws": 16}


def measure(campaign: Campaign, batch: pd.DataFrame) -> None:
    values = (batch["a"].astype(float) - 0.3) ** 2 + batch["b"].astype(float)
    campaign.tell(batch[["proposal_id"]].assign(y=values))


@pytest.fixture(scope="module")
def campaign(tmp_path_factory, pool) -> Campaign:
    """Batches by two settings of a policy, at random in part, and by hand."""
    campaign = Campaign.create(
        "c", objective=Objective("y"), candidates=pool, policy=BAYESIAN, seed=3,
        store=f"sqlite:///{tmp_path_factory.mktemp('replay') / 'a.db'}",
    )  # fmt: skip
    for number in (1, 2):
        measure(campaign, campaign.ask(4, key=f"iteration-{number}"))
    settings = {**campaign.definition["policy"], "kernel": "rbf", "explore": 0.5}
    campaign.redefine({**campaign.definition, "policy": settings}, accept=True)
    measure(campaign, campaign.ask(3))
    known = set(campaign.ledger.by_candidate)
    campaign.propose([next(i for i in pool.ids.tolist() if i not in known)], reason="an idea")
    return campaign


def test_every_iteration_is_identical_and_nothing_is_written(campaign):
    before = campaign.ledger.seq
    found = [replay(campaign, number) for number in (1, 2, 3)]
    assert [str(f).split(": ")[1] for f in found] == ["identical"] * 3, found
    assert all(f.identical for f in found)
    assert found[1].basis == campaign.ledger.iterations[1].basis
    assert replay(campaign, "iteration-2").iteration == 2
    assert campaign.ledger.seq == before


def test_a_batch_by_hand_has_nothing_to_replay(campaign):
    found = replay(campaign, 4)
    assert not found.identical
    assert "there is nothing to replay" in str(found)


def test_an_iteration_that_there_is_not_is_refused(campaign):
    for which in (0, 5, "iteration-9", "x"):
        with pytest.raises(InvalidInput, match="no such iteration"):
            replay(campaign, which)


def test_results_that_came_in_between_choice_and_commit_do_not_enter(tmp_path, pool, monkeypatch):
    url = f"sqlite:///{tmp_path / 'a.db'}"
    campaign = Campaign.create("c", objective=Objective("y"), candidates=pool, policy=BAYESIAN, store=url)
    measure(campaign, campaign.ask(5))
    pending = campaign.ask(2)
    other = Campaign.open("c", store=url)
    decide = choosing.decide

    def slowly(*given):
        decision = decide(*given)
        measure(other, pending)
        return decision

    monkeypatch.setattr(choosing, "decide", slowly)
    campaign.ask(2)
    monkeypatch.undo()
    iteration = campaign.ledger.iterations[-1]
    assert iteration.basis == iteration.seq - 3, "two results came between"
    assert replay(campaign, iteration.number).identical


def test_an_iteration_of_an_imported_campaign_is_identical(campaign, tmp_path):
    export_campaign(campaign, tmp_path / "c.zip")
    other = import_campaign(tmp_path / "c.zip", f"sqlite:///{tmp_path / 'b.db'}")
    assert same(other.ledger, campaign.ledger)
    assert replay(other, 3).identical


def test_a_history_of_every_kind_is_replayed(store_url, pool):
    campaign = rich(store_url, pool)
    found = [replay(campaign, i.number) for i in campaign.ledger.iterations]
    assert {str(f).split(":")[1].strip() for f in found} <= {"identical", "chosen by a person"}
    assert sum(f.identical for f in found) >= 3


def test_differences_are_told_with_the_reason(campaign, monkeypatch):
    from discover.policy.bayesian import scoring
    from discover.provenance import replay as module

    real = scoring.score

    def other(*given):
        found = real(*given)
        return type(found)(found.values + 1e-13, *[getattr(found, f) for f in list(found.__dataclass_fields__)[1:]])

    monkeypatch.setattr(scoring, "score", other)
    monkeypatch.setattr(module, "environment", lambda: {"processor": "another one"})
    found = replay(campaign, 2)
    assert not found.identical
    assert any("acquisition" in line for line in found.differences)
    assert any("processor" in reason and "another one" in reason for reason in found.reasons)
    assert "why bits cannot be promised" in str(found)


def test_the_command_says_identical(tmp_path):
    (tmp_path / "t.csv").write_text("id,x\n" + "\n".join(f"c{i},{i}" for i in range(9)))
    file = tmp_path / "c.yaml"
    file.write_text(
        "campaign: c\nobjective: {target: y, direction: maximize}\n"
        "candidates: {kind: table, file: t.csv, id: id}\nfeatures: [x]\npolicy: {kind: random}\n"
    )

    assert command_line("ask", str(file), "-n", "3").returncode == 0
    done = command_line("replay", str(file), "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "iteration 1: identical: 3 proposals" in done.stdout
    assert command_line("replay", str(file), "2").returncode == 1


def test_no_warning_is_made_of_a_replay(campaign):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert replay(campaign, 1).identical
