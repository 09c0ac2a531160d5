"""Leases: one holder at a time; a dead or silent one is succeeded, with a greater token; old tokens write nothing."""

import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from discover.errors import LeaseHeld, LeaseLost
from discover.store.leases import holders
from discover.store.leases.heartbeat import beating, held
from discover.store.leases.leases import acquire, check, release, renew
from discover.store.log.events import Draft
from discover.store.log.log import EventLog


class Clock:
    def __init__(self):
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def log(store_url):
    return begun(store_url)


def begun(url, **more):
    log = EventLog(url, **more)
    if "c" not in log.names():
        log.create("c", "abc", Draft("noted", {"text": ""}))
    return log


def write(log, lease, words):
    """What a journal does: check the lease, then append, in one transaction."""
    return log.transact("c", 0, lambda _: [Draft("noted", {"text": words})], lambda again: check(again, lease))


def texts(log):
    return [event.payload["text"] for event in log.read("c")][1:]


def test_a_second_holder_is_refused_until_release(log):
    lease = acquire(log, "c", "run")
    with pytest.raises(LeaseHeld, match="is being run by process"):
        acquire(log, "c", "run")
    assert acquire(log, "c", "other").token == 1
    with pytest.raises(LeaseHeld, match="other of 'c' is held by process"):
        acquire(log, "c", "other")
    release(log, lease)
    assert acquire(log, "c", "run").token == 2


def test_a_silent_holder_is_succeeded_and_cannot_renew(sqlite_url, clock):
    log = begun(sqlite_url, clock=clock)
    first = acquire(log, "c", "run", 60)
    clock.now += timedelta(seconds=59)
    assert renew(log, [first], 60) == []
    clock.now += timedelta(seconds=59)
    with pytest.raises(LeaseHeld):
        acquire(log, "c", "run")
    clock.now += timedelta(seconds=2)
    second = acquire(log, "c", "run", 60)
    assert second.token == first.token + 1
    assert renew(log, [first]) == [first]
    release(log, first)
    with pytest.raises(LeaseHeld):
        acquire(log, "c", "run")


def test_who_lost_its_lease_cannot_write_as_its_own(log):
    first = acquire(log, "c", "run", 0.2)
    write(log, first, "mine")
    time.sleep(0.3)
    write(log, first, "expired, and nobody took it")
    second = acquire(log, "c", "run", 60)
    with pytest.raises(LeaseLost, match="token 2"):
        write(log, first, "late")
    write(log, second, "the successor's")
    assert texts(log) == ["mine", "expired, and nobody took it", "the successor's"]


def test_nobody_takes_a_lease_between_its_check_and_the_commit(log):
    first = acquire(log, "c", "run", 0.05)
    time.sleep(0.1)
    order = []

    def succeed():
        other = EventLog(log.database._secret_url)
        acquire(other, "c", "run", 60)
        order.append("taken")

    def decide(_):
        thread.start()
        time.sleep(0.5)
        order.append("decided")
        return [Draft("noted", {"text": "first"})]

    thread = threading.Thread(target=succeed)
    log.transact("c", 0, decide, lambda connection: check(connection, first))
    order.append("committed")
    thread.join(timeout=20)
    assert order == ["decided", "committed", "taken"] or order == ["decided", "taken", "committed"]
    assert texts(log) == ["first"]
    with pytest.raises(LeaseLost):
        write(log, first, "second")


@pytest.mark.parametrize("apart", [timedelta(hours=1), timedelta(hours=-1)])
def test_machines_whose_clocks_differ_never_both_write(store_url, apart):
    one = begun(store_url)
    other = EventLog(store_url, clock=lambda: datetime.now(UTC) + apart)
    lease = acquire(one, "c", "run", 60)
    fast = other.database.dialect == "sqlite" and apart > timedelta(0)
    if fast:  # the other's clock says that the lease is over
        later = acquire(other, "c", "run", 60)
        write(other, later, "theirs")
        with pytest.raises(LeaseLost):
            write(one, lease, "mine")
        assert texts(one) == ["theirs"]
    else:
        with pytest.raises(LeaseHeld):
            acquire(other, "c", "run", 60)
        write(one, lease, "mine")
        assert texts(one) == ["mine"]


def test_a_clock_that_is_set_back_does_not_end_the_work(sqlite_url, clock):
    log = begun(sqlite_url, clock=clock)
    lease = acquire(log, "c", "run", 60)
    clock.now -= timedelta(days=1)
    assert renew(log, [lease]) == []
    write(log, lease, "mine")
    release(log, lease)
    assert acquire(log, "c", "run").token == 2


def test_the_lease_of_a_killed_process_on_this_machine_is_taken_over_at_once(log):
    script = """
import os, signal, sys
from discover.store.log.log import EventLog
from discover.store.leases.leases import acquire
acquire(EventLog(sys.argv[1]), "c", "run", 1e9)
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", script, log.database._secret_url], check=False)
    assert acquire(log, "c", "run").token == 2


@pytest.mark.parametrize("place", ["another-host/1/1-a-b", f"{holders.host_name()}/999999999/1-another-boot", "", "x"])
def test_only_a_process_of_this_very_machine_is_known_to_be_gone(place):
    assert not holders.gone(place)
    assert not holders.gone(holders.holder_name())
    mine = holders.holder_name("worker/7@x")
    assert not holders.gone(mine)
    assert holders.gone(mine.replace(f"/{__import__('os').getpid()}/", "/999999999/"))
    assert "worker 'worker/7@x'" in holders.described(mine)


def test_held_releases_on_error(log):
    with pytest.raises(ZeroDivisionError), held(log, "c", "run"):
        1 / 0  # noqa: B018
    with held(log, "c", "run") as lease:
        assert lease.token == 2


def test_a_heartbeat_keeps_a_lease_and_learns_of_its_loss(log):
    with held(log, "c", "run", 0.6) as lease:
        time.sleep(1.2)
        with pytest.raises(LeaseHeld):
            acquire(log, "c", "run")
        assert not lease.lost
        with log.database.writing() as connection:
            connection.execute(text("UPDATE leases SET holder='h/1/', token=token+1"))
        until(lambda: lease.lost)
    with log.database.reading() as connection:
        assert connection.execute(text("SELECT holder FROM leases")).scalar() == "h/1/"  # not released by who lost it


def test_a_heartbeat_survives_a_short_outage(store_url, monkeypatch, request):
    monkeypatch.setenv("DISCOVER_BUSY_SECONDS", "0.1")
    log = begun(store_url)
    lease = acquire(log, "c", "run", 1.5)
    with beating(log, [lease], 1.5) as beat:
        with outage(log, request):
            time.sleep(2)
        until(lambda: expires(log) > datetime.now(UTC) + timedelta(seconds=0.5))
        assert not beat.lost
        write(log, lease, "after the outage")
    assert texts(log) == ["after the outage"]


def until(true, seconds=10):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def expires(log):
    with log.database.reading() as connection:
        return datetime.fromisoformat(connection.execute(text("SELECT expires FROM leases")).scalar())


@contextmanager
def outage(log, request):
    """Nobody can write: another process has SQLite's lock, or the server turns everybody away."""
    if log.database.dialect == "sqlite":
        with EventLog(log.database._secret_url).database.writing():
            yield
        return
    server, name = request.getfixturevalue("postgres"), log.database.engine.url.database
    server.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    server.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname='{name}'")
    try:
        yield
    finally:
        server.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
