"""Stores and snapshots that were cut off, overwritten or put back: an error in words, or what was written."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import text

from discover import Campaign
from discover.errors import DiscoverError, IntegrityError, StoreError
from discover.provenance.audit import audit
from tests.faults.small_campaign import POOL, begun, history, is_sound, live


@pytest.mark.parametrize("how", ["truncated", "overwritten", "empty", "gone"])
def test_a_damaged_snapshot_is_never_a_smaller_pool(sqlite_url, how):
    campaign = live(begun(sqlite_url))
    (path,) = Path(campaign.files).rglob("snapshots/*.parquet")
    whole = path.read_bytes()
    middle = len(whole) // 2
    damage = {
        "truncated": whole[:middle], "empty": b"", "gone": None,
        "overwritten": whole[: middle // 2] + os.urandom(middle) + whole[middle // 2 + middle :],
    }[how]  # fmt: skip
    path.chmod(0o644)
    path.unlink() if damage is None else path.write_bytes(damage)
    again = Campaign.open("c", store=sqlite_url)
    for act in (lambda: again.ask(1), lambda: again.view(), lambda: again.pending, lambda: again.run(len, 1)):
        with pytest.raises((IntegrityError, StoreError)):
            act()
    assert not audit(sqlite_url).clean
    path.write_bytes(whole)
    live(Campaign.open("c", store=sqlite_url))
    is_sound(sqlite_url)


def test_a_byte_of_a_snapshot_is_harmless_or_said(sqlite_url):
    campaign = live(begun(sqlite_url))
    (path,) = Path(campaign.files).rglob("snapshots/*.parquet")
    whole, said = path.read_bytes(), 0
    path.chmod(0o644)
    for place in range(0, len(whole), max(1, len(whole) // 60)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            assert Campaign.open("c", store=sqlite_url).pool.hash == POOL.hash
        except DiscoverError:
            said += 1
    assert said >= 10


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[Path, list, pd.DataFrame]:
    """A store in one file, checkpointed, and what it holds."""
    path = tmp_path_factory.mktemp("whole") / "campaigns.db"
    campaign = live(begun(f"sqlite:///{path}"), 4)
    campaign.tell(campaign.ask(1).assign(y=[0.123456], note=["a long story " * 40]))
    found = history(campaign), campaign.proposals
    campaign._journal.log.database.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path, *found


@pytest.mark.parametrize("size", [1, 64, 4096])
def test_overwritten_bytes_are_said_or_harmless(whole, tmp_path, size):
    """Anywhere in the file: what can be read is what was written, or an error of ours says that it is not."""
    path, events, proposals = whole
    dice, said = random.Random(size), 0
    for number in range(40):
        copy = tmp_path / f"{number}.db"
        shutil.copy(path, copy)
        shutil.copytree(f"{path}.files", f"{copy}.files")
        content = bytearray(copy.read_bytes())
        place = dice.randrange(len(content) - size)
        content[place : place + size] = dice.randbytes(size)
        copy.write_bytes(content)
        url = f"sqlite:///{copy}"
        try:
            campaign = Campaign.open("c", store=url)
            assert history(campaign) == events
            pd.testing.assert_frame_equal(campaign.proposals, proposals)
            campaign.ask(1)
        except DiscoverError:
            said += 1
        assert audit(url).store  # it never raises
    assert said >= {1: 1, 64: 4, 4096: 12}[size]


def test_a_value_that_was_changed_where_no_checksum_of_the_file_sees_it_is_refused(whole, tmp_path):
    path, *_ = whole
    copy = tmp_path / "campaigns.db"
    content = path.read_bytes()
    assert content.count(b"0.123456") >= 1
    copy.write_bytes(content.replace(b"0.123456", b"0.923456"))
    shutil.copytree(f"{path}.files", f"{copy}.files")
    with pytest.raises(IntegrityError, match="is not what was written"):
        Campaign.open("c", store=f"sqlite:///{copy}")


def test_without_its_wal_a_store_is_an_earlier_one_and_nothing_else(tmp_path):
    """Whoever deletes the -wal file takes what was not yet in the other: a whole campaign of an earlier moment is left."""
    path = tmp_path / "campaigns.db"
    campaign = live(begun(f"sqlite:///{path}"))
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    live(campaign)
    events = history(campaign)
    copy = tmp_path / "copy" / "campaigns.db"
    copy.parent.mkdir()
    shutil.copy(path, copy)  # as after a kill: without the -wal beside it
    shutil.copytree(f"{path}.files", f"{copy}.files")
    url = f"sqlite:///{copy}"
    assert 10 < len(history(url)) < len(events)
    assert history(url) == events[: len(history(url))]
    is_sound(url)
    live(Campaign.open("c", store=url))
    is_sound(url)


def test_an_older_store_under_an_open_campaign_is_noticed(store_url):
    """A backup is put back while somebody works: what that process knows is not in the store any more."""
    campaign = live(begun(store_url))
    database = campaign._journal.log.database
    with database.writing() as connection:
        if database.dialect == "postgresql":
            connection.execute(text("ALTER TABLE events DISABLE TRIGGER USER"))
        else:
            for (name,) in connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
                connection.execute(text(f'DROP TRIGGER "{name}"'))
        connection.execute(text("DELETE FROM events WHERE seq > 5"))
    with pytest.raises(StoreError, match="replaced by another or an older one while it was open"):
        campaign.note("x")
    assert len(Campaign.open("c", store=store_url)._journal.log.read("c")) == 5
