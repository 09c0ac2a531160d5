"""A campaign whose candidates changed is archived, audited, traced, replayed, forked and backed up like any other."""

from __future__ import annotations

import pandas as pd
import pytest

from discover import Campaign, CandidatePool, Objective
from discover.provenance.archive import export_campaign
from discover.provenance.audit import audit
from discover.provenance.backup import backup, restore
from discover.provenance.fork import fork
from discover.provenance.importing import import_campaign
from discover.provenance.replay import replay
from discover.provenance.trace import trace
from discover.store.ledger.folds import same


def pool_of(cells: dict[str, float]) -> CandidatePool:
    return CandidatePool.from_frame(
        pd.DataFrame({"dye": list(cells), "a": list(cells.values())}), id="dye", features=["a"]
    )


@pytest.fixture
def campaign(sqlite_url) -> Campaign:
    first = {f"d{i}": i / 7 for i in range(8)}
    campaign = Campaign.create(
        "c", objective=Objective("y"), candidates=pool_of(first), policy="random", store=sqlite_url
    )
    early = campaign.propose(["d0", "d1", "d2"], reason="first")
    campaign.ask(2, key="iteration-1")
    campaign.tell(early[["proposal_id"]].head(2).assign(y=[1.0, 2.0]))
    campaign.tell(pd.DataFrame({"dye": ["d3"], "y": [3.0], "source": ["a paper"]}))
    second = {k: v for k, v in first.items() if k != "d1"} | {"d0": 0.5, "d3": 0.6, "new": 0.9}
    campaign.update_candidates(pool_of(second), reason="the source has others")
    assert {"d0", "d3"} <= set(campaign.ledger.former.values())
    campaign.tell(early[["proposal_id"]].tail(1).assign(y=[4.0]))
    campaign.ask(2, key="iteration-2")
    campaign.tell(pd.DataFrame({"dye": ["d0"], "y": [5.0]}))
    return campaign


def test_the_audit_is_clean_and_the_round_trip_keeps_every_pool(campaign, tmp_path):
    assert audit(campaign).findings == ()
    manifest = export_campaign(campaign, tmp_path / "c.zip")
    assert len(manifest["snapshots"]) == 2
    other = import_campaign(tmp_path / "c.zip", f"sqlite:///{tmp_path / 'b.db'}")
    assert same(other.ledger, campaign.ledger)
    assert audit(other).clean
    assert list(other.ask(2)["dye"]) == list(campaign.ask(2)["dye"])
    backup(campaign.store, tmp_path / "monday")
    assert restore(tmp_path / "monday", f"sqlite:///{tmp_path / 'd.db'}") == ["c"]


def test_choices_from_either_pool_are_replayed(campaign):
    assert replay(campaign, "iteration-1").identical
    assert replay(campaign, "iteration-2").identical


def test_a_trace_leads_to_the_candidates_of_its_time(campaign):
    old, new = campaign.ledger.pools
    (kept,) = (k for k, v in campaign.ledger.former.items() if v == "d0")
    early = trace(campaign, campaign.ledger.by_candidate[kept][0].proposal_id).to_dict()
    assert early["snapshot"]["hash"] == old
    assert [r["value"] for r in early["results"]] == [1.0]
    late = trace(campaign, campaign.ledger.keys["iteration-2"].proposal_ids[0]).to_dict()
    assert late["snapshot"]["hash"] == new
    assert late["proposals"][0]["choice"]["features"] == late["features"]["hash"]
    (paper,) = (k for k, v in campaign.ledger.former.items() if v == "d3")
    assert [r["value"] for r in trace(campaign, paper).to_dict()["results"]] == [3.0]
    assert "take the place of" in str(trace(campaign, paper))


def test_a_fork_proposes_neither_former_nor_withdrawn_candidates(campaign):
    new, found = fork(campaign, "d")
    assert found.observations == len(campaign.ledger.observations)
    assert {*campaign.ledger.former, "d1"} <= set(new.ledger.excluded)
    view = new.view()
    assert not set(view.ids[~view.blocked]) & {*campaign.ledger.former, "d1"}
