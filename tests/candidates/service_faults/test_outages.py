"""Outages, silence and pauses on the way to the service: a whole pool, or a loud error of the right kind, in time."""

from __future__ import annotations

import gc
import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from discover.candidates.sources.materials_project.session import Runtime
from discover.errors import SourceUnavailable
from tests import mp_server
from tests.candidates.service_faults.asking import ALWAYS, SILENCES, second, source, wanted
from tests.mp_server import Fault, MPServer, status

OUTAGES: dict[str, tuple[Callable[[MPServer], Fault], str]] = {
    **{
        f"{code}": (lambda s, code=code: status(code), f"answered {code}")
        for code in (408, 429, 500, 502, 503, 504, 520)
    },  # type: ignore[misc]
    "429 with Retry-After": (lambda s: status(429, Retry_After="0"), "answered 429"),
    "503 with Retry-After": (lambda s: status(503, Retry_After="0"), "answered 503"),
    "429 with an odd Retry-After": (lambda s: status(429, Retry_After="soon"), "answered 429"),
    "the connection drops": (lambda s: mp_server.drop, "connection failed"),
    "the body breaks off": (lambda s: mp_server.truncate, "connection failed"),
    "a redirection": (
        lambda s: status(302, Location="http://elsewhere.example/login"),
        "redirecting to 'elsewhere.example'",
    ),
}


@pytest.mark.parametrize("name", OUTAGES)
def test_an_outage_that_stays_ends_after_a_few_attempts(name: str, server: MPServer, tmp_path: Path) -> None:
    make, told = OUTAGES[name]
    server.fail(make(server), when=second, times=ALWAYS)
    with pytest.raises(SourceUnavailable, match=told):
        source(server, tmp_path, attempts=3).pull()
    assert len(server.pages) == (2 if "redirect" in name else 4)
    assert not list(tmp_path.rglob("*.parquet"))


def test_bursts_are_survived(server: MPServer, tmp_path: Path) -> None:
    faults = [make(server) for name, (make, _) in OUTAGES.items() if "redirect" not in name]
    for place, fault in enumerate(faults):
        skip = str(4 * place) if place else None
        server.fail(fault, when=lambda call, skip=skip: call.params.get("_skip") == skip, times=4)  # type: ignore[misc]
    assert set(source(server, tmp_path, page_size=4).pull().ids) == wanted(server)
    assert len(server.pages) == 13 + 4 * len(faults)


@pytest.mark.parametrize("name", SILENCES)
def test_silence_is_cut_and_asked_again(name: str, server: MPServer, tmp_path: Path) -> None:
    server.fail(SILENCES[name], when=second)
    started = time.monotonic()
    assert set(source(server, tmp_path, page_time_limit=0.3).pull().ids) == wanted(server)
    assert time.monotonic() - started < 15


@pytest.mark.parametrize("name", SILENCES)
def test_silence_that_stays_ends_at_the_time_limit(name: str, server: MPServer, tmp_path: Path) -> None:
    server.fail(SILENCES[name], when=second, times=ALWAYS)
    started = time.monotonic()
    with pytest.raises(SourceUnavailable, match=r"time limit of 1 s|no whole answer"):
        source(server, tmp_path, time_limit=1.0, page_time_limit=30.0).pull()
    assert time.monotonic() - started < 10


def test_the_time_limit_is_for_the_whole_pull_and_the_next_one_goes_on(server: MPServer, tmp_path: Path) -> None:
    """By a clock that ticks once a request: the heartbeat and four pages fit into one pull, eleven pages into three."""
    made = source(
        server, tmp_path, page_size=5, time_limit=5.5, runtime=Runtime(lambda: float(len(server.calls)), backoff=0.0)
    )
    for kept in (4, 9):
        with pytest.raises(SourceUnavailable, match=r"time limit of 5.5 s.*Finished pages are kept"):
            made.pull()
        assert len(list(tmp_path.rglob("*.page"))) == kept
    snapshot = made.pull()
    assert set(snapshot.ids) == wanted(server)
    assert snapshot.manifest["pages"] == {"asked": 2, "resumed": 9}


def test_a_service_that_is_down(tmp_path: Path) -> None:
    with MPServer([]) as gone:
        pass
    with pytest.raises(SourceUnavailable, match=r"heartbeat.*connection failed.*attempts: 5.*[Tt]ry again"):
        source(gone, tmp_path).pull()


def test_a_name_that_no_server_has(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"connection failed|no whole answer|no trusted"):
        source("https://materials.invalid/", tmp_path, attempts=1, time_limit=5, page_time_limit=5).pull()


class Sleeps:
    """Pauses that were asked for, taken at once by a clock of its own."""

    def __init__(self) -> None:
        self.taken: list[float] = []
        self.start = datetime.now(UTC).replace(microsecond=0)

    def runtime(self) -> Runtime:
        clock = lambda: time.monotonic() + sum(self.taken)  # noqa: E731
        now = lambda: self.start + timedelta(seconds=sum(self.taken))  # noqa: E731
        return Runtime(monotonic=clock, sleep=self.taken.append, now=now, chance=random.Random(1), backoff=0.5)


def test_pauses_grow_and_differ_and_are_bounded(server: MPServer, tmp_path: Path) -> None:
    server.fail(status(503), when=second, times=9)
    sleeps = Sleeps()
    source(server, tmp_path, attempts=10, time_limit=1000, runtime=sleeps.runtime()).pull()
    assert len(sleeps.taken) == 9
    for place, pause in enumerate(sleeps.taken):
        full = min(0.5 * 2**place, 30.0)
        assert full / 2 <= pause <= full
    assert len(set(sleeps.taken)) == 9


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_honoured(form: str, server: MPServer, tmp_path: Path) -> None:
    sleeps = Sleeps()
    text = "40" if form == "seconds" else format_datetime(sleeps.start + timedelta(seconds=40), usegmt=True)
    server.fail(status(429, Retry_After=text), when=second)
    source(server, tmp_path, time_limit=1000, runtime=sleeps.runtime()).pull()
    assert len(sleeps.taken) == 1
    assert 40 <= sleeps.taken[0] <= 41


def test_a_longer_pause_than_allowed_is_not_taken(server: MPServer, tmp_path: Path) -> None:
    server.fail(status(429, Retry_After="21600"), times=ALWAYS)
    sleeps = Sleeps()
    with pytest.raises(SourceUnavailable, match=r"pause of 21600 s; at most 300 s are allowed.*longest_wait"):
        source(server, tmp_path, runtime=sleeps.runtime()).pull()
    assert not sleeps.taken


def test_a_pause_beyond_the_time_limit_is_not_taken(server: MPServer, tmp_path: Path) -> None:
    server.fail(status(503, Retry_After="100"), times=ALWAYS)
    sleeps = Sleeps()
    with pytest.raises(SourceUnavailable, match=r"pause of 100 s; the time limit of 60 s.*used up"):
        source(server, tmp_path, time_limit=60, runtime=sleeps.runtime()).pull()
    assert not sleeps.taken


def test_threads_of_abandoned_exchanges_end(server: MPServer, tmp_path: Path) -> None:
    server.fail(SILENCES["the body trickles"], when=second, times=2)
    source(server, tmp_path, page_time_limit=0.3).pull()
    gc.collect()
    deadline = time.monotonic() + 3
    while any(thread.name == "discover-exchange" for thread in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [thread.name for thread in threading.enumerate() if thread.name == "discover-exchange"]
