"""An audit finds what was damaged by hand, in every way, on both engines; and finds nothing where nothing is wrong."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from discover import Campaign, Objective
from discover.campaign.pool.places import place_of
from discover.provenance.archive import export_campaign
from discover.provenance.audit import audit
from discover.provenance.importing import import_campaign
from discover.provenance.rows import stored_rows
from discover.store.canonical import canonical
from discover.store.database.chain import genesis, link
from discover.store.database.database import Database
from discover.store.database.places import path_of
from discover.store.leases.claims import claim
from discover.store.leases.leases import acquire
from discover.store.ledger import folds
from discover.store.log.events import Draft
from discover.store.log.log import EventLog
from tests.provenance.audits import by_hand, says
from tests.provenance.conftest import command_line, make_pool, rich


@pytest.fixture
def campaign(store_url, pool) -> Campaign:
    return rich(store_url, pool)


def test_every_kind_of_history_is_clean(campaign, store_url):
    other = Campaign.create(
        "two targets", objective=Objective("y"),
        candidates=make_pool(12), policy={"kind": "random", "require_approval": True}, store=store_url,
    )  # fmt: skip
    batch = other.ask(3)
    other.approve(list(batch["proposal_id"])[:2])
    found = audit(store_url)
    assert found.findings == ()
    assert found.clean
    assert found.campaigns == ("c", "two targets")
    assert found.events == campaign.ledger.seq + other.ledger.seq
    assert "nothing is wrong" in str(found)
    assert found.frame().empty
    assert audit(campaign).campaigns == ("c",)


DAMAGE = {
    "an edited payload": (
        ["UPDATE events SET payload = replace(payload, '12.5', '99.5') WHERE kind = 'observed'"],
        "the chain is broken here",
    ),
    "another actor": (["UPDATE events SET actor = 'somebody else' WHERE seq = 3"], "the chain is broken here"),
    "another time": (["UPDATE events SET time = '1999-01-01' WHERE seq = 3"], "the chain is broken here"),
    "an event deleted": (["DELETE FROM events WHERE seq = 4"], "event 4: missing"),
    "events deleted": (["DELETE FROM events WHERE seq IN (4, 5)"], "events 4 to 5: missing"),
    "two events swapped": (
        [
            "UPDATE events SET seq = 1000 WHERE seq = 4",
            "UPDATE events SET seq = 4 WHERE seq = 5",
            "UPDATE events SET seq = 5 WHERE seq = 1000",
        ],
        "the chain is broken here",
    ),
    "a payload that is no JSON": (["UPDATE events SET payload = '{' WHERE seq = 4"], "the payload cannot be read"),
    "a payload without its content": (["UPDATE events SET payload = '{}' WHERE seq = 4"], "not what it must be"),
    "a kind that nobody knows": (["UPDATE events SET kind = 'erased' WHERE seq = 4"], "kind 'erased'"),
    "a schema that nobody knows": (["UPDATE events SET schema = 77 WHERE seq = 4"], "schema 77"),
    "a link lost": (["UPDATE events SET chain = '' WHERE seq = 4"], "the chain is broken here"),
    "no first event": (["DELETE FROM events WHERE seq = 1"], "does not begin with its definition"),
    "no events": (["DELETE FROM events"], "has no events"),
    "another uid": (["UPDATE campaigns SET uid = 'ffffff'"], "is not named after its campaign"),
}


@pytest.mark.parametrize("which", DAMAGE)
def test_what_was_changed_by_hand_is_found(rich_url, which):
    damage_and_audit(rich_url, which)


def test_what_was_changed_by_hand_on_a_server_is_found(campaign, store_url):
    damage_and_audit(store_url, "an edited payload")
    by_hand(store_url, "DELETE FROM events WHERE seq IN (7, 8)")
    assert says(audit(store_url), "events 7 to 8: missing")


def damage_and_audit(store_url: str, which: str) -> None:
    statements, words = DAMAGE[which]
    assert audit(store_url).clean
    by_hand(store_url, *statements)
    found = audit(store_url)
    assert not found.clean
    assert says(found, words), str(found)


def test_a_trigger_that_is_gone_asleep_or_replaced_is_found(campaign, store_url):
    with closing(Database(store_url)) as database, database.writing() as connection:
        if database.dialect == "sqlite":
            connection.execute(text("DROP TRIGGER events_no_update"))
            connection.execute(text("DROP TRIGGER campaigns_no_delete"))
            connection.execute(
                text("CREATE TRIGGER campaigns_no_delete BEFORE DELETE ON campaigns BEGIN SELECT 1; END")
            )
            connection.execute(text("CREATE TRIGGER mine AFTER INSERT ON events BEGIN SELECT 1; END"))
            gone, other = "events_no_update", "campaigns_no_delete"
        else:
            connection.execute(text("DROP TRIGGER events_append_only ON events"))
            connection.execute(text("ALTER TABLE campaigns DISABLE TRIGGER campaigns_append_only"))
            connection.execute(
                text("CREATE TRIGGER mine AFTER INSERT ON events EXECUTE FUNCTION suppress_redundant_updates_trigger()")
            )
            gone, other = "events_append_only", "campaigns_append_only"
    found = audit(store_url)
    assert says(found, f"the trigger '{gone}' is gone")
    assert says(found, f"the trigger '{other}' is not ours")
    assert says(found, "'mine'", "warning")
    assert len(found.errors) == 2


def test_a_cached_fold_that_is_not_the_fold_is_found(campaign, store_url, monkeypatch):
    monkeypatch.setattr(folds, "LEAST", 1)
    log = campaign._journal.log
    folds.keep(log, "c", campaign.ledger, 0)
    assert audit(store_url).findings == ()
    body = canonical(folds.dumped(campaign.ledger) | {"cost": 10**6})
    with log.database.writing() as connection:
        connection.execute(
            text("UPDATE folds SET body = :body, hash = :hash"), {"body": body, "hash": folds._hash(body)}
        )
    assert says(audit(store_url), "the cached fold up to event")


def test_events_removed_from_the_end_are_known_to_a_cached_fold_and_to_an_archive(
    campaign, store_url, tmp_path, monkeypatch
):
    export_campaign(campaign, tmp_path / "c.zip")
    last = campaign.ledger.seq
    assert audit(store_url, against=tmp_path / "c.zip").findings == ()
    campaign.note("more")
    assert audit(store_url, against=tmp_path / "c.zip").findings == ()
    by_hand(store_url, f"DELETE FROM events WHERE seq >= {last - 1}")
    assert audit(store_url).clean, "the chain alone cannot know"
    found = audit(store_url, against=tmp_path / "c.zip")
    assert says(found, f"events {last - 1} to {last} are gone")
    with campaign._journal.log.database.writing() as connection:
        row = {"seq": last, "version": "1", "hash": "1", "body": "{}"}
        connection.execute(text("INSERT INTO folds VALUES ('c', :seq, :version, :hash, :body)"), row)
    assert says(audit(store_url), "are gone: a cached fold knows of them")


def test_a_history_that_was_rewritten_with_its_chain_is_known_to_an_archive(campaign, store_url, tmp_path):
    export_campaign(campaign, tmp_path / "c.zip")
    rows = list(stored_rows(campaign._journal.log, "c"))
    previous = genesis("c", campaign.uid)
    for row in rows:
        row["payload"] = row["payload"].replace('"value":12.5', '"value":99.5')
        previous = row["chain"] = link(previous, row | {"campaign": "c"})
        by_hand(
            store_url,
            "UPDATE events SET payload = :payload, chain = :chain WHERE id = :id",
            **{name: row[name] for name in ("payload", "chain", "id")},
        )
    assert audit(store_url).clean, "the chain alone cannot know"
    assert says(audit(store_url, against=tmp_path / "c.zip"), "history was rewritten")
    other = Campaign.create(
        "other", objective=Objective("y"), candidates=make_pool(5), policy="random", store=store_url
    )
    export_campaign(other, tmp_path / "o.zip")
    assert says(audit(campaign, against=tmp_path / "o.zip"), "has no campaign like that")
    assert says(audit(store_url, against=tmp_path / "nothing.zip"), "No such file")


@pytest.mark.parametrize("how", ["gone", "manifest gone", "truncated", "edited", "manifest edited", "manifest no JSON"])
def test_a_snapshot_that_is_absent_or_altered_is_found(rich_url, how):
    import pyarrow.parquet as pq

    campaign = Campaign.open("c", store=rich_url)
    (table,) = campaign.snapshots.local.glob("*.parquet")
    manifest = table.with_suffix(".json")
    if how == "gone":
        table.unlink()
    elif how == "manifest gone":
        manifest.unlink()
    elif how == "truncated":
        table.write_bytes(table.read_bytes()[:-100])
    elif how == "edited":
        rows = pq.read_table(table)
        pq.write_table(rows.set_column(1, "a", rows["b"]), table)
    elif how == "manifest edited":
        body = json.loads(manifest.read_text())
        manifest.write_text(json.dumps(body | {"rows": 3}))
    else:
        manifest.write_text("{")
    found = audit(rich_url)
    assert not found.clean
    assert any("snapshot" in f.what or "manifest" in f.what for f in found.errors), str(found)


def test_what_is_left_over_is_a_note_or_a_warning(campaign, store_url):
    from datetime import timedelta

    log = campaign._journal.log
    claim(log, "c", [campaign.ledger.pending()[0].proposal_id], 1, worker="w", seconds=0.001)
    with log.database.writing() as connection:
        connection.execute(
            text("INSERT INTO leases VALUES ('c', 'proposal x-0001', 'h/1/2', 1, '2020-01-01T00:00:00+00:00')")
        )
    place = place_of(log.database, "c").local
    (place / ("0" * 64 + ".parquet")).write_bytes(b"")
    (place / ("1" * 64 + ".json")).write_bytes(b"{}")
    (place / ".x.new").write_bytes(b"")
    (place / ".rows-x").mkdir()
    for name in ("features", "sweeps"):
        (log.database.files / name).mkdir(exist_ok=True)
        (log.database.files / name / f".{name}.npy.1-1.new").write_bytes(b"")
    make_pool(7).save(place)
    late = EventLog(store_url, clock=lambda: log.clock() - timedelta(days=1))
    late.transact("c", campaign.ledger.seq, lambda _: [Draft("noted", {"text": "yesterday"})])
    found = audit(store_url)
    assert found.clean
    assert says(found, "was not given back", "note")
    assert says(found, "is of no proposal", "warning")
    assert says(found, "has no manifest", "note")
    assert says(found, "has no table", "warning")
    for half in (".x.new", ".rows-x", ".features.npy.1-1.new", ".sweeps.npy.1-1.new"):
        assert says(found, f"{half} was not finished", "note")
    assert says(found, "1 snapshot that no campaign refers to", "note")
    assert says(found, "dated before", "note")
    with closing(EventLog(store_url).database):
        lease = acquire(log, "c", "run")
    assert lease.token
    assert len(audit(store_url).findings) == len(found.findings), "a lease that is alive is nothing to tell of"


def corrupt(path: Path, how: str) -> None:
    body = bytearray(path.read_bytes())
    size = int.from_bytes(body[16:18], "big")
    if how == "a page":
        for page in range(3, len(body) // size):
            body[page * size : page * size + 200] = b"\xff" * 200
    elif how == "the head":
        body[:100] = b"\0" * 100
    elif how == "half of it":
        del body[len(body) // 2 :]
    elif how == "something else":
        body[:] = b"hello, I am a text file\n" * 100
    path.write_bytes(body)


@pytest.mark.parametrize("how", ["a page", "the head", "half of it", "something else", "a folder", "nothing"])
def test_a_file_that_is_damaged_is_told_of_in_words(rich_url, how):
    campaign = Campaign.open("c", store=rich_url)
    with campaign._journal.log.database.engine.connect() as connection:
        connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    campaign._journal.log.database.close()
    path = path_of(rich_url)
    if how in ("a folder", "nothing"):
        path.unlink()
        if how == "a folder":
            path.mkdir()
    else:
        corrupt(path, how)
    found = audit(rich_url)
    assert not found.clean
    assert all("Traceback" not in str(f) for f in found.findings)
    assert how != "nothing" or not path.exists()


def test_a_campaign_that_must_be_there_and_is_not_is_an_error(rich_url):
    assert audit(rich_url, expected="c").clean
    assert says(audit(rich_url, expected="d"), "d: the campaign is not in the store")


def test_the_command_says_it_and_ends_with_code_1(rich_url):

    done = command_line("audit", "--store", rich_url)
    assert (done.returncode, done.stderr) == (0, "")
    assert "nothing is wrong" in done.stdout
    by_hand(rich_url, "UPDATE events SET actor = 'x' WHERE seq = 2")
    done = command_line("audit", "--store", rich_url, "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["findings"][0]["seq"] == 2


def test_a_store_that_came_from_an_archive_is_clean(campaign, tmp_path):
    export_campaign(campaign, tmp_path / "c.zip")
    url = f"sqlite:///{tmp_path / 'b.db'}"
    import_campaign(tmp_path / "c.zip", url)
    assert audit(url).findings == ()


def test_a_server_that_is_away_is_no_reason_to_restore_anything():
    found = audit("postgresql://nobody@127.0.0.1:1/campaigns", expected="c")
    assert len(found.findings) == 1
    assert "cannot be reached" in str(found)
    assert "restore" not in str(found)
