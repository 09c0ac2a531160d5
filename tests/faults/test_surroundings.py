"""Disks that are full or read-only, stores that are locked or away, clocks that are wrong: an error in words, and nothing lost."""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import text

from discover import Campaign
from discover.errors import DiscoverError, LeaseHeld, LeaseLost, StoreError
from discover.store.leases.leases import acquire, check, release
from discover.store.log.log import EventLog
from tests import postgres as programs
from tests.faults.small_campaign import begun, history, is_sound, live

# the disk is full


def test_a_full_disk_is_said_and_nothing_is_half_written(sqlite_url):
    campaign = live(begun(sqlite_url))
    database = campaign._journal.log.database
    with database.reading() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    done = history(campaign)
    said = ""
    while not said and len(done) < 300:
        try:
            campaign.note("a remark of some length " * 10)
            done = history(campaign)
        except StoreError as error:
            said = str(error)
    assert "the disk is full; make room, and go on" in said
    assert history(campaign) == done
    assert campaign.status().measured == 6  # reading goes on
    is_sound(sqlite_url)
    campaign = Campaign.open("c", store=sqlite_url)  # the limit was that of the connections
    live(campaign)
    assert history(campaign)[: len(done)] == done
    is_sound(sqlite_url)


def in_a_child(work: Callable[[], str]) -> str:
    """What a forked process says; it may limit itself."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    child = os.fork()
    if not child:
        try:
            theirs.send(work())
        except DiscoverError as error:
            theirs.send(f"{type(error).__name__}: {error}")
        except BaseException as error:
            theirs.send(f"not ours: {type(error).__name__}: {error}")
        finally:
            os._exit(0)
    theirs.close()
    try:
        return ours.recv()
    except EOFError:
        return "it ended without a word"
    finally:
        os.waitpid(child, 0)


@pytest.mark.parametrize("kilobytes", [0, 1, 20, 200])
def test_files_that_cannot_grow_begin_no_campaign_or_a_whole_one(sqlite_url, kilobytes):
    """The quota of a user is used up: everything that is written ends somewhere."""

    def work():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes * 1024, kilobytes * 1024))
        campaign = begun(sqlite_url)
        for _ in range(300):
            live(campaign)
        return "never full"

    said = in_a_child(work)
    # LeaseHeld: there was no room to give the lease of one run back before the next one
    assert said.startswith(("StoreError: ", "IntegrityError: ", "LeaseHeld: ")), said
    names = EventLog(sqlite_url).names()
    if names:
        again = Campaign.open("c", store=sqlite_url)
        live(again)
        is_sound(sqlite_url)
    else:
        live(begun(sqlite_url))
        is_sound(sqlite_url)


# read-only files and folders


@contextmanager
def as_an_ordinary_user() -> Iterator[None]:
    """The superuser may write everywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter."""
    folder = Path(tempfile.mkdtemp(prefix="readonly_"))
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.parametrize("what", ["file", "folder", "both"])
def test_a_read_only_store_can_be_read_or_says_why_not_and_never_changes(open_folder, what):
    url = f"sqlite:///{open_folder / 'campaigns.db'}"
    campaign = live(begun(url))
    done = history(campaign)
    campaign._journal.log.database.close()
    for path in open_folder.rglob("*"):
        path.chmod(0o555 if path.is_dir() or what == "folder" else 0o444)
    (open_folder / "campaigns.db").chmod(0o644 if what == "folder" else 0o444)
    open_folder.chmod(0o777 if what == "file" else 0o555)
    with as_an_ordinary_user():
        said = ""
        try:
            measured = Campaign.open("c", store=url).status().measured
        except StoreError as error:
            said, measured = str(error), 6
        assert measured == 6
        assert not said or str(open_folder) in said
        with pytest.raises(StoreError, match=r"read-only|cannot be|unable to open"):
            Campaign.open("c", store=url).ask(1)
    open_folder.chmod(0o755)
    for path in open_folder.rglob("*"):
        path.chmod(0o755)
    assert history(url) == done
    live(Campaign.open("c", store=url))
    is_sound(url)


# locked


def test_a_lock_that_lasts_is_said_and_waiting_has_an_end(store_url, monkeypatch):
    monkeypatch.setenv("DISCOVER_BUSY_SECONDS", "0.4")
    campaign = live(begun(store_url))
    done = history(campaign)
    other = EventLog(store_url)
    batch = campaign.ask(1)
    with other.database.writing("c"):
        start = time.monotonic()
        for act in (lambda: campaign.ask(1), lambda: campaign.tell(batch.assign(y=[1.0])), lambda: campaign.note("x")):
            with pytest.raises(StoreError, match=r"is locked: another process has been writing for more than 0.4 s"):
                act()
        assert time.monotonic() - start < 20
        assert campaign.status().measured == 6  # readers do not wait
    assert len(history(campaign)) == len(done) + 1
    assert campaign.tell(batch.assign(y=[1.0]))["became"].tolist() == ["measured"]
    is_sound(store_url)


# the server is away, and comes back


@pytest.fixture(scope="module")
def frail() -> Iterator[programs.Server]:
    """A server of one's own, that waits for the disk."""
    with programs.running(durable=True) as server:
        if server is None:
            pytest.skip("no PostgreSQL server starts here")
        yield server


@pytest.fixture
def frail_url(frail, tmp_path, monkeypatch):
    monkeypatch.setenv("DISCOVER_FILES", str(tmp_path / "files"))
    monkeypatch.setenv("DISCOVER_BUSY_SECONDS", "2")
    name = f"frail_{time.time_ns()}"
    yield frail.create(name)
    frail.drop(name)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["stopped", "crashed"])
def test_a_server_that_went_and_came_back_has_lost_nothing(frail, frail_url, how):
    campaign = live(begun(frail_url))
    done = history(campaign)
    batch = campaign.ask(1)
    frail.stop(how)
    acts = (
        lambda: campaign.ask(1), lambda: campaign.tell(batch.assign(y=[1.0])), lambda: campaign.status(),
        lambda: Campaign.open("c", store=frail_url), lambda: Campaign.list(frail_url),
    )  # fmt: skip
    for act in acts:
        with pytest.raises(StoreError, match=r"cannot be (reached|opened)") as error:
            act()
        assert frail.password not in str(error.value)
    frail.start()
    assert len(history(campaign)) == len(done) + 1
    campaign.tell(batch.assign(y=[1.0]))
    live(campaign)
    is_sound(frail_url)


def test_a_server_that_goes_during_an_experiment_costs_at_most_that_one(frail, frail_url):
    campaign = begun(frail_url)
    ran = []

    def function(values):
        ran.append(values["id"])
        if len(ran) == 3:
            frail.stop(signal.SIGQUIT)
        return values["a"]

    with pytest.raises(StoreError, match="cannot be reached"):
        campaign.run(function, 6, batch=3)
    frail.start()
    assert campaign.status().measured == 2
    again = Campaign.open("c", store=frail_url)
    assert again.run_pending(function) == 0  # this process still has it in hand, by a claim that nobody could give back
    with again._journal.log.database.writing() as connection:
        connection.execute(text("UPDATE leases SET expires = '2026-01-01T00:00:00+00:00'"))  # a minute later
    again.run_pending(function)
    assert ran == [*ran[:3], ran[2]]
    assert again.status().measured == 3
    assert again.spending.experiments == 3
    is_sound(frail_url)


def test_a_server_that_is_back_soon_is_not_noticed_by_a_heartbeat(frail, frail_url):
    campaign = begun(frail_url)
    with campaign.held() as lease:
        frail.stop(signal.SIGQUIT)
        time.sleep(0.5)
        frail.start()
        assert not lease.lost
        assert campaign.run_pending(lambda values: 1.0) == 0
    with campaign.held():
        pass


# clocks


class Clock:
    def __init__(self, now=datetime(2026, 3, 1, tzinfo=UTC)):
        self.now = now

    def __call__(self):
        return self.now


def chosen(campaign):
    frame = campaign.proposals
    return frame[["proposal_id", "id", "y", "state"]]


def test_a_clock_that_is_set_back_and_forth_changes_nothing_but_the_times(tmp_path):
    steady = live(begun(f"sqlite:///{tmp_path / 'steady.db'}"), 6)
    clock = Clock()
    url = f"sqlite:///{tmp_path / 'jumping.db'}"
    campaign = begun(url, EventLog(url, clock=clock))
    for days in (-400, 30, -1, 2000, -2000, 0):
        clock.now += timedelta(days=days)
        live(campaign, 1)
        assert Campaign.open("c", store=EventLog(url, clock=clock)).status().measured == campaign.status().measured
    pd.testing.assert_frame_equal(chosen(campaign), chosen(steady))
    is_sound(url)


def test_machines_whose_clocks_are_apart_share_a_campaign(store_url, monkeypatch):
    """A day ahead and a day behind: order is the store's, and on a server so are the leases."""
    ahead = EventLog(store_url, clock=Clock(datetime.now(UTC) + timedelta(days=1)))
    behind = EventLog(store_url, clock=Clock(datetime.now(UTC) - timedelta(days=1)))
    one = begun(store_url, ahead)
    two = Campaign.open("c", store=behind)
    for _ in range(4):
        live(one, 1)
        live(two, 1)
    assert len(set(one.proposals["id"])) == 16
    assert one.status().measured == two.status().measured == 16
    is_sound(store_url)
    if one._journal.log.database.dialect == "postgresql":
        elsewhere(monkeypatch, "machine-a")
        lease = acquire(behind, "c", "run")
        elsewhere(monkeypatch, "machine-b")
        with pytest.raises(LeaseHeld, match="machine-a"):
            acquire(ahead, "c", "run")  # by its own clock it ended long ago
        release(behind, lease)
        acquire(ahead, "c", "run")


def elsewhere(monkeypatch, host):
    monkeypatch.setattr("discover.store.leases.holders.host_name", lambda: host)


def test_a_clock_that_jumps_over_a_lease_gives_it_away_and_the_old_holder_cannot_write_under_it(
    sqlite_url, monkeypatch
):
    clock = Clock()
    log = EventLog(sqlite_url, clock=clock)
    begun(sqlite_url, log)
    elsewhere(monkeypatch, "machine-a")
    old = acquire(log, "c", "run")
    elsewhere(monkeypatch, "machine-b")
    with pytest.raises(LeaseHeld):
        acquire(log, "c", "run")
    clock.now += timedelta(hours=5)
    new = acquire(log, "c", "run")
    with pytest.raises(LeaseLost, match="token 2"), log.database.writing("c") as connection:
        check(connection, old)
    clock.now -= timedelta(days=1)
    with log.database.writing("c") as connection:
        check(connection, new)
