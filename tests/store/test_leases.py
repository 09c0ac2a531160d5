"""Leases: one holder at a time; a dead or silent one is succeeded, with a greater token."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from discover.errors import LeaseHeld
from discover.store.events import Draft
from discover.store.leases import acquire, held, release, renew
from discover.store.log import EventLog


class Clock:
    def __init__(self):
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def log(tmp_path, clock):
    log = EventLog(f"sqlite:///{tmp_path / 's.db'}", clock=clock)
    log.create("c", "abc", Draft("noted", {"text": ""}))
    return log


def test_a_second_holder_is_refused_until_release(log):
    lease = acquire(log, "c", "run")
    with pytest.raises(LeaseHeld, match="is being run by process"):
        acquire(log, "c", "run")
    assert acquire(log, "c", "other").token == 1
    release(log, lease)
    assert acquire(log, "c", "run").token == 2


def test_a_silent_holder_is_succeeded_and_cannot_renew(log, clock):
    first = acquire(log, "c", "run", 60)
    clock.now += timedelta(seconds=59)
    assert renew(log, first, 60)
    clock.now += timedelta(seconds=59)
    with pytest.raises(LeaseHeld):
        acquire(log, "c", "run")
    clock.now += timedelta(seconds=2)
    second = acquire(log, "c", "run", 60)
    assert second.token == first.token + 1
    assert not renew(log, first)
    release(log, first)
    with pytest.raises(LeaseHeld):
        acquire(log, "c", "run")


def test_the_lease_of_a_killed_process_on_this_machine_is_taken_over_at_once(log):
    script = f"""
from discover.store.log import EventLog
from discover.store.leases import acquire
import os, signal
acquire(EventLog({log.database.url!r}), "c", "run", 1e9)
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", script], check=False)
    assert acquire(log, "c", "run").token == 2


def test_held_releases_on_error(log):
    with pytest.raises(ZeroDivisionError), held(log, "c", "run"):
        1 / 0  # noqa: B018
    with held(log, "c", "run") as lease:
        assert lease.token == 2
