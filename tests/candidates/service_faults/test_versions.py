"""The heartbeat, a database that changes during a pull, and going on from finished pages."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from discover.candidates.sources.materials_project import MaterialsProject
from discover.candidates.sources.materials_project.session import Runtime
from discover.errors import SourceError, SourceIntegrityError, SourceKeyError, SourceUnavailable
from tests import mp_server
from tests.candidates.service_faults.asking import ALWAYS, SILENCES, nothing_was_kept, second, source, wanted
from tests.mp_server import Call, Fault, MPServer, raw, status


def beat(**changes: Any) -> Fault:
    body = {"version": "0.87.3", "db_version": "2026.04.13", "access_controlled_batch_ids": []} | changes
    return lambda handler, call: handler.send_json({k: v for k, v in body.items() if v != "absent"})


def beats(server: MPServer) -> int:
    return sum("heartbeat" in call.path for call in server.calls)


HEARTBEATS: dict[str, tuple[Fault, type[SourceError], str]] = {
    "500": (status(500), SourceUnavailable, "answered 500"),
    "503 for hours": (status(503, Retry_After="7200"), SourceUnavailable, "pause of 7200 s"),
    "403": (status(403), SourceUnavailable, "answered 403: the service is closed"),
    "404": (status(404), SourceUnavailable, "endpoint is not that of its API"),
    "401": (status(401), SourceKeyError, "refused the API key"),
    "a drop": (mp_server.drop, SourceUnavailable, "connection failed"),
    "a redirection": (status(301, Location="/login"), SourceUnavailable, "redirecting"),
    "no JSON": (raw(b"<html>"), SourceIntegrityError, "not JSON"),
    "a list": (raw(b"[]"), SourceIntegrityError, "does not tell db_version"),
    "no version": (beat(db_version="absent"), SourceIntegrityError, "does not tell db_version"),
    "a null version": (beat(db_version=None), SourceIntegrityError, "db_version is None"),
    "an empty version": (beat(db_version=""), SourceIntegrityError, "db_version is ''"),
    "no batches": (beat(access_controlled_batch_ids="absent"), SourceIntegrityError, "access_controlled_batch_ids"),
}


@pytest.mark.parametrize("name", HEARTBEATS)
def test_a_bad_heartbeat_is_a_typed_error(name: str, server: MPServer, tmp_path: Path) -> None:
    fault, error, told = HEARTBEATS[name]
    server.fail(fault, heartbeat=True, times=ALWAYS)
    with pytest.raises(error, match=told):
        source(server, tmp_path).pull()
    assert not server.pages


@pytest.mark.parametrize("name", ["500", "a drop", "no JSON", "no version"])
def test_a_bad_heartbeat_that_passes_is_asked_again(name: str, server: MPServer, tmp_path: Path) -> None:
    """Ours before the pull, the client's own, and ours after it."""
    server.fail(HEARTBEATS[name][0], heartbeat=True, when=lambda call: beats(server) in (1, 3, 5), times=3)
    assert set(source(server, tmp_path).pull().ids) == wanted(server)
    assert beats(server) == 6


@pytest.mark.parametrize(
    ("which", "name"),
    [
        (1, "no answer"),
        (1, "the head trickles"),
        (1, "the body trickles"),
        (2, "no answer"),
        (2, "the head trickles"),
        (3, "no answer"),
    ],
)
def test_a_silent_heartbeat_is_cut(which: int, name: str, server: MPServer, tmp_path: Path) -> None:
    """Ours before the pull, the client's own, and ours after it."""
    server.fail(SILENCES[name], heartbeat=True, when=lambda call: beats(server) >= which, times=ALWAYS)
    started = time.monotonic()
    with pytest.raises(SourceUnavailable, match=r"heartbeat.*attempts: 2"):
        source(server, tmp_path, attempts=2, page_time_limit=0.7).pull()
    assert beats(server) == which + 1
    assert time.monotonic() - started < 15


def test_the_time_limit_counts_the_heartbeat(server: MPServer, tmp_path: Path) -> None:
    server.fail(mp_server.hang, heartbeat=True, times=ALWAYS)
    started = time.monotonic()
    with pytest.raises(SourceUnavailable, match=r"time limit of 0.5 s"):
        source(server, tmp_path, time_limit=0.5, page_time_limit=30).pull()
    assert time.monotonic() - started < 10


def test_a_version_that_changes_during_a_pull_starts_it_once_more(server: MPServer, tmp_path: Path) -> None:
    def release(handler: Any, call: Call) -> None:
        server.version = "2026.11.02"
        server.documents[:] = server.documents[:-5]
        handler.answer(call)

    server.fail(release, when=lambda call: call.params.get("_skip") == "40")
    snapshot = source(server, tmp_path).pull()
    assert set(snapshot.ids) == wanted(server)
    assert snapshot.manifest["database_version"] == "2026.11.02"
    assert not list(tmp_path.rglob("*.page"))


def test_a_version_that_keeps_changing_is_an_error(server: MPServer, tmp_path: Path) -> None:
    def release(handler: Any, call: Call) -> None:
        server.version += "x"
        handler.answer(call)

    server.fail(release, when=second, times=ALWAYS)
    with pytest.raises(SourceIntegrityError, match="changed from version .* to .* during the pull"):  # noqa: RUF043
        source(server, tmp_path).pull()
    assert len(server.pages) == 6
    assert nothing_was_kept(tmp_path)


def interrupted(server: MPServer, folder: Path) -> MaterialsProject:
    """A source whose first pull failed at its third page."""
    made = source(server, folder, attempts=2)
    server.fail(status(500), when=lambda call: call.params.get("_skip") == "40", times=2)
    with pytest.raises(SourceUnavailable, match="finished pages are kept"):
        made.pull()
    assert len(list(folder.rglob("*.page"))) == 2
    return made


def test_a_pull_goes_on_where_the_last_one_stopped(server: MPServer, tmp_path: Path) -> None:
    made = interrupted(server, tmp_path)
    asked = len(server.pages)
    snapshot = made.pull()
    assert [call.params["_skip"] for call in server.pages[asked:]] == ["40"]
    assert set(snapshot.ids) == wanted(server)
    assert snapshot.manifest["pages"] == {"asked": 1, "resumed": 2}
    assert not (tmp_path / "snapshots" / ".unfinished").exists()
    assert source(server, tmp_path / "other").pull().hash == snapshot.hash


def test_pages_of_another_version_are_not_used(server: MPServer, tmp_path: Path) -> None:
    made = interrupted(server, tmp_path)
    asked = len(server.pages)
    server.version = "2026.11.02"
    made.pull()
    assert len(server.pages) - asked == 3
    assert not (tmp_path / "snapshots" / ".unfinished").exists()


def test_pages_that_are_damaged_or_old_are_not_used(server: MPServer, tmp_path: Path) -> None:
    made = interrupted(server, tmp_path)
    asked = len(server.pages)
    damaged = next(tmp_path.rglob("*.page"))
    damaged.write_bytes(damaged.read_bytes().replace(b"formula_pretty", b"formula_prettX"))
    made.pull()
    assert len(server.pages) - asked == 2
    (tmp_path / "other").mkdir()
    interrupted(server, tmp_path / "other")
    asked = len(server.pages)
    tomorrow = Runtime(backoff=0.001, now=lambda: datetime.now(UTC) + timedelta(hours=25))
    source(server, tmp_path / "other", runtime=tomorrow).pull()
    assert len(server.pages) - asked == 3


def test_pages_that_no_longer_fit_are_dropped_and_the_pull_starts_over(server: MPServer, tmp_path: Path) -> None:
    made = interrupted(server, tmp_path)
    asked = len(server.pages)
    server.documents[:] = server.documents[:-5]
    snapshot = made.pull()
    assert set(snapshot.ids) == wanted(server)
    assert snapshot.manifest["pages"] == {"asked": 3, "resumed": 0}
    assert len(server.pages) - asked > 3
