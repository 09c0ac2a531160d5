"""A campaign as one archive: the round trip loses nothing, under its own name or another, and leaves nothing half done."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from discover import Campaign, Objective
from discover.errors import CampaignExists, IntegrityError, InvalidInput
from discover.provenance.archive import export_campaign
from discover.provenance.audit import audit
from discover.provenance.importing import import_campaign
from discover.provenance.rows import stored_rows
from discover.store.ledger.folds import same
from discover.store.log.log import EventLog
from tests.provenance.conftest import rich


def rows(campaign: Campaign) -> list[dict]:
    return list(stored_rows(campaign._journal.log, campaign.name))


def test_the_round_trip_keeps_every_event_the_fold_and_the_next_batch(store_url, pool, tmp_path, other):
    before = rich(store_url, pool)
    manifest = export_campaign(before, tmp_path / "c.zip")
    after = import_campaign(tmp_path / "c.zip", other)
    assert rows(after) == rows(before)
    assert len(rows(after)) == manifest["events"] > 20
    assert same(after.ledger, before.ledger)
    assert audit(after).findings == ()
    pd.testing.assert_frame_equal(after.observations, before.observations)
    pd.testing.assert_frame_equal(after.proposals, before.proposals)
    export_campaign(after, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == (tmp_path / "c.zip").read_bytes()
    pd.testing.assert_frame_equal(after.ask(4, key="next"), before.ask(4, key="next"))


def test_an_archive_enters_either_engine(archive, store_url, tmp_path):
    campaign = import_campaign(archive, store_url)
    assert audit(store_url).clean
    export_campaign(campaign, tmp_path / "back.zip")
    assert (tmp_path / "back.zip").read_bytes() == archive.read_bytes()


def test_the_archive_is_readable_by_other_tools_and_holds_no_pickle(archive):
    with zipfile.ZipFile(archive) as found:
        names = set(found.namelist())
        lines = [json.loads(line) for line in found.read("events.jsonl").splitlines()]
        observations = pd.read_parquet(found.open("observations.parquet"))
        assert all(not found.read(name).startswith(b"\x80") for name in names)
    assert {Path(name).suffix for name in names} == {".json", ".jsonl", ".parquet"}
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    assert json.loads(lines[0]["payload"])["definition"]["campaign"] == "c"
    assert 13.5 in set(observations["yield"])


def test_under_another_name_only_name_and_chain_change(archive, other):
    campaign = import_campaign(archive, other, "another name")
    with zipfile.ZipFile(archive) as found:
        lines = [json.loads(line) for line in found.read("events.jsonl").splitlines()]
    assert [{**row, "chain": ""} for row in rows(campaign)] == [{**line, "chain": ""} for line in lines]
    assert audit(campaign).clean
    with pytest.raises(CampaignExists, match="already has this campaign, as 'another name'"):
        import_campaign(archive, other)


def test_a_name_that_is_taken_is_refused_and_nothing_changes(archive, other, pool):
    taken = Campaign.create("c", objective=Objective("y"), candidates=pool, policy="random", store=other)
    before = rows(taken)
    with pytest.raises(CampaignExists, match="another name"):
        import_campaign(archive, other)
    assert rows(taken) == before
    assert EventLog(other).names() == ["c"]
    assert import_campaign(archive, other, "d").name == "d"


@pytest.mark.parametrize("name", ["", "../x", "a/b", "x" * 101, "-x", "a\nb", "'; DROP TABLE events"])
def test_a_name_that_cannot_be_one_is_refused(archive, other, tmp_path, name):
    with pytest.raises(InvalidInput, match="not a campaign's name"):
        import_campaign(archive, other, name)
    assert not (tmp_path / "other.db").exists()


def test_an_export_says_which_snapshot_is_missing_and_leaves_no_file(tmp_path, pool):
    campaign = rich(f"sqlite:///{tmp_path / 'a.db'}", pool)
    for path in campaign.snapshots.local.glob("*.parquet"):
        path.unlink()
    with pytest.raises(IntegrityError, match="restore it from a backup"):
        export_campaign(campaign, tmp_path / "c.zip")
    assert not (tmp_path / "c.zip").exists()


def test_an_import_that_is_cut_off_leaves_no_campaign(archive, other, monkeypatch):
    from discover.provenance import importing

    def fail(*_):
        yield from list(real(*_))[:7]
        raise KeyboardInterrupt

    real = importing._renamed
    monkeypatch.setattr(importing, "_renamed", fail)
    with pytest.raises(KeyboardInterrupt):
        import_campaign(archive, other)
    assert EventLog(other).names() == []
    monkeypatch.undo()
    assert audit(import_campaign(archive, other)).clean
