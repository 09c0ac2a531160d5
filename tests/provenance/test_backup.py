"""A backup of a store that others write into, and the way back."""

from __future__ import annotations

import json
import threading
import zipfile
from pathlib import Path

import pytest

from discover import Campaign, Objective
from discover.errors import CampaignExists, InvalidInput, StoreError
from discover.provenance.archive import export_campaign
from discover.provenance.audit import audit
from discover.provenance.backup import backup, restore
from discover.provenance.importing import import_campaign
from discover.provenance.rows import stored_rows
from discover.store.log.log import EventLog
from tests.provenance.audits import by_hand
from tests.provenance.conftest import make_pool, rich


@pytest.fixture
def campaign(store_url, pool) -> Campaign:
    Campaign.create("other", objective=Objective("z"), candidates=make_pool(5), policy="random", store=store_url)
    return rich(store_url, pool)


@pytest.mark.parametrize("name", ["monday", "monday.zip"])
def test_a_backup_comes_back_as_it_was(campaign, store_url, tmp_path, name):
    found = backup(store_url, tmp_path / name)
    assert found.audit.findings == ()
    assert set(found.campaigns) == set(found.audit.campaigns) == {"c", "other"}
    assert (tmp_path / name).is_dir() == (name == "monday")
    url = f"sqlite:///{tmp_path / 'back.db'}"
    assert sorted(restore(tmp_path / name, url)) == ["c", "other"]
    back = Campaign.open("c", store=url)
    assert list(stored_rows(back._journal.log, "c")) == list(stored_rows(campaign._journal.log, "c"))
    assert list(back.ask(3)["material_id"]) == list(campaign.ask(3)["material_id"])
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_a_backup_of_a_file_is_a_store_itself(rich_url, pool, tmp_path):
    backup(rich_url, tmp_path / "monday")
    copy = f"sqlite:///{tmp_path / 'monday' / 'campaigns.db'}"
    assert audit(copy).findings == ()
    assert len(Campaign.open("c", store=copy).pool) == len(pool)


def test_snapshots_that_are_elsewhere_come_along(sqlite_url, pool, tmp_path):
    Campaign.create(
        "c", objective=Objective("z"), candidates=pool, policy="random", store=sqlite_url, snapshots=tmp_path / "far"
    )
    assert backup(sqlite_url, tmp_path / "monday").audit.clean
    for path in (tmp_path / "far").iterdir():
        path.unlink()
    restore(tmp_path / "monday", f"sqlite:///{tmp_path / 'back.db'}")
    assert audit(f"sqlite:///{tmp_path / 'back.db'}").findings == ()


def test_a_backup_is_consistent_while_others_write(store_url, pool, tmp_path):
    campaign = rich(store_url, pool)
    begun, done = threading.Event(), threading.Event()

    def write() -> None:
        other = Campaign.open("c", store=store_url)
        while not done.is_set():
            other.note("x" * 2000)
            begun.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert begun.wait(60)
        found = [backup(store_url, tmp_path / f"b{number}") for number in range(3)]
    finally:
        done.set()
        writer.join(60)
    assert all(f.audit.findings == () for f in found), found
    counts = [f.audit.events for f in found]
    assert counts == sorted(counts)
    assert counts[-1] <= campaign.ledger.seq


def test_a_damaged_store_is_copied_and_said_to_be_damaged(rich_url, tmp_path):
    campaign = Campaign.open("c", store=rich_url)
    by_hand(rich_url, "UPDATE events SET actor = 'x' WHERE seq = 3")
    for path in campaign.snapshots.local.glob("*.parquet"):
        path.unlink()
    found = backup(rich_url, tmp_path / "monday")
    assert not found.audit.clean
    assert (tmp_path / "monday" / "campaigns.db").is_file()
    assert "chain is broken" in str(found)


def test_nothing_is_overwritten_and_no_half_backup_stays(rich_url, tmp_path, monkeypatch):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "x").write_text("x")
    (tmp_path / "there.zip").write_text("x")
    for out in (tmp_path / "there", tmp_path / "there.zip"):
        with pytest.raises(InvalidInput, match="something is there already"):
            backup(rich_url, out)
    with pytest.raises(InvalidInput, match="cannot be written"):
        backup(rich_url, tmp_path / "there.zip" / "where")
    backup(rich_url, tmp_path / "backups" / "monday")  # the folder is made
    with pytest.raises(StoreError, match="there is no store"):
        backup(f"sqlite:///{tmp_path / 'nothing.db'}", tmp_path / "b")
    monkeypatch.setattr("discover.provenance.backup._write_head", lambda _: 1 / 0)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ZeroDivisionError):
        backup(rich_url, tmp_path / "b")
    assert sorted(tmp_path.iterdir()) == before


def test_a_restore_into_a_store_that_has_one_of_them_changes_nothing(rich_url, tmp_path):
    backup(rich_url, tmp_path / "b")
    url = f"sqlite:///{tmp_path / 'o.db'}"
    Campaign.create("c", objective=Objective("q"), candidates=make_pool(5), policy="random", store=url)
    with pytest.raises(CampaignExists):
        restore(tmp_path / "b", url)
    with pytest.raises(CampaignExists):
        restore(tmp_path / "b", rich_url)
    assert EventLog(url).names() == ["c"]


def damaged(folder: Path, how: str) -> None:
    head = folder / "backup.json"
    body = json.loads(head.read_text())
    if how == "a byte":
        path = folder / "campaigns.db"
        text = path.read_bytes()
        path.write_bytes(text[:-1] + bytes([text[-1] ^ 1]))
    elif how == "a file gone":
        next(folder.rglob("*.parquet")).unlink()
    elif how == "a name that leads elsewhere":
        head.write_text(json.dumps(body | {"files": body["files"] | {"../evil": {"bytes": 0, "sha256": "0" * 64}}}))
    elif how == "a newer format":
        head.write_text(json.dumps(body | {"version": 2}))
    elif how == "no head":
        head.unlink()
    else:
        head.write_text("{")


@pytest.mark.parametrize(
    "how", ["a byte", "a file gone", "a name that leads elsewhere", "a newer format", "no head", "a broken head"]
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_backup_that_was_altered_is_refused_in_words(rich_url, tmp_path, how, packed):
    backup(rich_url, tmp_path / "b")
    damaged(tmp_path / "b", how)
    path = tmp_path / "b"
    if packed:
        path = tmp_path / "b.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for file in (p for p in (tmp_path / "b").rglob("*") if p.is_file()):
                archive.write(file, file.relative_to(tmp_path / "b").as_posix())
    with pytest.raises(InvalidInput, match="backup"):
        restore(path, f"sqlite:///{tmp_path / 'back.db'}")
    assert not (tmp_path / "back.db").exists()


def test_what_is_no_backup_is_refused_in_words(tmp_path):
    (tmp_path / "x.zip").write_text("hello")
    (tmp_path / "empty").mkdir()
    for name in ("x.zip", "empty", "nothing"):
        with pytest.raises(InvalidInput):
            restore(tmp_path / name, f"sqlite:///{tmp_path / 'back.db'}")
    assert not (tmp_path / "back.db").exists()


@pytest.mark.parametrize("name", ["_lab störe (1)+.db", "campaigns.zip", "backup.json"])
def test_a_store_of_any_name_comes_back_from_its_backup(rich_url, tmp_path, name):
    odd = tmp_path / "odd" / name
    odd.parent.mkdir()
    (tmp_path / "campaigns.db.files").rename(odd.with_name(f"{name}.files"))
    (tmp_path / "campaigns.db").rename(odd)
    for out in ("b", "b.zip"):
        assert backup(f"sqlite:///{odd}", tmp_path / out).audit.findings == ()
        assert restore(tmp_path / out, f"sqlite:///{tmp_path / out}.db") == ["c"]
        assert audit(f"sqlite:///{tmp_path / out}.db").findings == ()


def test_a_packed_backup_with_any_byte_altered_is_refused_in_words(rich_url, tmp_path):
    backup(rich_url, tmp_path / "b.zip")
    text = (tmp_path / "b.zip").read_bytes()
    for place in range(200, len(text) // 2, len(text) // 60):
        damage = bytearray(text)
        damage[place : place + 3] = bytes(byte ^ 0xFF for byte in damage[place : place + 3])
        (tmp_path / "x.zip").write_bytes(damage)
        with pytest.raises(InvalidInput, match="backup"):
            restore(tmp_path / "x.zip", f"sqlite:///{tmp_path / 'back.db'}")
    assert not (tmp_path / "back.db").exists()


def test_an_archive_and_a_backup_are_told_apart(rich_url, tmp_path):
    backup(rich_url, tmp_path / "b.zip")
    export_campaign(Campaign.open("c", store=rich_url), tmp_path / "c.zip")
    with pytest.raises(InvalidInput, match="discover restore"):
        import_campaign(tmp_path / "b.zip", f"sqlite:///{tmp_path / 'back.db'}")
    with pytest.raises(InvalidInput, match="discover import"):
        restore(tmp_path / "c.zip", f"sqlite:///{tmp_path / 'back.db'}")
    assert not (tmp_path / "back.db").exists()
