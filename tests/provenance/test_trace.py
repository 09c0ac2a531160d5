"""From an observation back to the snapshot."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from discover import Campaign, Objective
from discover.errors import UnknownCandidate
from discover.provenance.trace import trace
from discover.store.log.events import Draft
from tests.provenance.conftest import command_line, rich


@pytest.fixture(scope="module")
def campaign(tmp_path_factory, pool) -> Campaign:
    url = f"sqlite:///{tmp_path_factory.mktemp('trace') / 'a.db'}"
    campaign = rich(url, pool, policy={"kind": "bayesian", "start": 3})
    campaign.ask(2, key="iteration-9")
    return campaign


def test_a_proposal_is_followed_from_its_result_to_the_snapshot(campaign):
    pid = campaign.ledger.keys["iteration-1"].proposal_ids[0]
    body = trace(campaign, pid).to_dict()
    assert json.loads(json.dumps(body)) == body
    assert [r["kind"] for r in body["results"]] == ["observed", "corrected", "observed"]
    assert [r["value"] for r in body["results"]] == [12.5, 13.5, 13.25]
    assert body["results"][1]["why"] == "read the wrong line"
    (proposal,) = body["proposals"]
    assert (proposal["iteration"], proposal["key"], proposal["state"]) == (1, "iteration-1", "measured")
    assert proposal["choice"]["observations"] == 0
    assert proposal["choice"]["settings"]["kind"] == "bayesian"
    assert proposal["choice"]["seed"].isdigit()
    assert proposal["choice"]["environment"]["packages"]["numpy"]
    assert body["snapshot"]["hash"] == campaign.pool.hash
    assert body["features"]["hash"] == campaign.features.hash
    assert (
        body["candidate"]["version"]
        == campaign.pool.candidate(int(campaign.pool.rows([body["candidate"]["id"]])[0])).version
    )
    assert all(e["actor"] and e["host"] and e["time"] for e in body["events"])
    assert [e["kind"] for e in body["events"]] == ["proposed", "observed", "corrected", "observed"]


def test_the_model_its_weights_and_what_it_saw_are_told(campaign):
    pid = campaign.ledger.keys["iteration-9"].proposal_ids[0]
    body = trace(campaign, pid).to_dict()
    (proposal,) = body["proposals"]
    choice = proposal["choice"]
    assert proposal["predicted"]["yield"]["std"] > 0
    assert proposal["details"]["models"]["yield"]
    assert choice["observations"] == len(campaign.ledger.observations)
    assert choice["seen"] == campaign.ledger.keys["iteration-9"].seen
    assert choice["environment"]["threads"] >= 1
    text = str(trace(campaign, pid))
    for word in (pid, choice["seen"], choice["seed"], body["snapshot"]["hash"], body["features"]["hash"], "threads"):
        assert word in text


def test_submissions_approvals_and_retractions_are_told(tmp_path, pool):
    url = f"sqlite:///{tmp_path / 'a.db'}"
    campaign = Campaign.create(
        "c", objective=Objective("y"), candidates=pool, policy={"kind": "random", "require_approval": True}, store=url
    )
    pid, other = campaign.ask(2)["proposal_id"]
    campaign.approve([pid, other], note="go on")
    key = {"proposal_id": pid, "attempt": 1, "key": f"{pid}.1"}
    for kind, more in (("submitted", {"worker": "w7"}), ("unsure", {"reason": "no answer"})):
        campaign._journal.append(Draft(kind, key | more))
    campaign.settle(pid, submitted=True, reason="I saw it in the queue")
    campaign._journal.append(Draft("dispatched", key | {"handle": {"job": 42}}))
    campaign.tell(pd.DataFrame({"proposal_id": [pid], "y": [1.0], "measured_at": ["2026-01-31"], "source": ["lab 3"]}))
    campaign.retract([pid], reason="wrong flask")
    body = trace(campaign, pid).to_dict()
    kinds = ["proposed", "approved", "submitted", "unsure", "settled", "dispatched", "observed", "retracted"]
    assert [e["kind"] for e in body["events"]] == kinds
    told = {e["kind"]: e["told"] for e in body["events"]}
    assert "worker w7" in told["submitted"]
    assert f"key {pid}.1" in told["submitted"]
    assert "42" in told["dispatched"]
    assert body["results"][0]["source"] == "lab 3"
    assert body["results"][-1]["why"] == "wrong flask"
    assert [e["kind"] for e in trace(campaign, other).to_dict()["events"]] == ["proposed", "approved"]


def test_a_candidate_is_followed_through_all_of_its_proposals_and_without_one(campaign):
    elsewhere = campaign.ledger.elsewhere[0].candidate_id
    body = trace(campaign, elsewhere).to_dict()
    assert body["proposals"] == []
    assert [r["status"] for r in body["results"]] == ["failed"]
    (first,) = (t for t in campaign.trials() if t.proposal_id.endswith("-0001"))
    assert trace(campaign, first.candidate_id).to_dict()["proposals"][0]["proposal_id"] == first.proposal_id
    excluded = next(iter(campaign.ledger.excluded))
    assert [e["kind"] for e in trace(campaign, excluded).to_dict()["events"]] == ["excluded"]


def test_an_id_that_nobody_knows_names_the_nearest(campaign):
    with pytest.raises(UnknownCandidate, match=f"did you mean '{campaign.uid}-0003'"):
        trace(campaign, f"{campaign.uid}-0003x")
    known = {*campaign.ledger.by_candidate, *campaign.ledger.found, *campaign.ledger.excluded}
    known |= {f.candidate_id for f in campaign.ledger.elsewhere}
    untouched = next(i for i in campaign.pool.ids.tolist() if i not in known)
    with pytest.raises(UnknownCandidate, match="was never proposed"):
        trace(campaign, untouched)


def test_text_from_outside_cannot_move_the_cursor_or_enter_the_page(tmp_path, pool):
    campaign = Campaign.create(
        "c", objective=Objective("y"), candidates=pool, policy="random", store=f"sqlite:///{tmp_path / 'a.db'}"
    )
    pid = campaign.ask(1)["proposal_id"][0]
    campaign.tell(pd.DataFrame({"proposal_id": [pid], "y": [1.0], "note": ["\x1b[2J<script>alert(1)</script>\r\nrow"]}))
    found = trace(campaign, pid)
    assert not any(c != "\n" and not c.isprintable() for c in str(found))
    assert "<script>" not in found._repr_html_()
    assert "<script>" in str(found)


def test_a_snapshot_that_is_gone_does_not_hide_the_rest(tmp_path, pool):
    url = f"sqlite:///{tmp_path / 'a.db'}"
    pid = rich(url, pool).ledger.pending()[0].proposal_id
    campaign = Campaign.open("c", store=url)
    for path in campaign.snapshots.local.glob("*.parquet"):
        path.unlink()
    found = trace(campaign, pid)
    assert pid in str(found)
    assert "no snapshot" in str(found)


def test_the_command_prints_the_chain(tmp_path):
    (tmp_path / "t.csv").write_text("id,x\n" + "\n".join(f"c{i},{i}" for i in range(9)))
    file = tmp_path / "c.yaml"
    file.write_text(
        "campaign: c\nobjective: {target: y, direction: maximize}\n"
        "candidates: {kind: table, file: t.csv, id: id}\nfeatures: [x]\npolicy: {kind: random}\n"
    )

    (asked,) = json.loads(command_line("ask", str(file), "--json").stdout)
    done = command_line("trace", str(file), asked["proposal_id"])
    assert (done.returncode, done.stderr) == (0, "")
    assert "kind: table" in done.stdout
    assert json.loads(command_line("trace", str(file), asked["id"], "--json").stdout)["candidate"]["id"] == asked["id"]
    wrong = command_line("trace", str(file), "cc8")
    assert wrong.returncode == 1
    assert "did you mean" in wrong.stderr
