"""The log: append-only, in order, decided under the lock, safe between processes and on kills."""

import multiprocessing
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from discover.errors import CampaignExists, CampaignNotFound, Conflict, StoreError
from discover.store.database.database import Database
from discover.store.database.places import files_of, set_aside
from discover.store.log.events import Draft
from discover.store.log.log import EventLog


def note(words: str, identity: str | None = None) -> Draft:
    return Draft("noted", {"text": words}, identity=identity)


@pytest.fixture
def log(store_url):
    log = EventLog(store_url)
    log.create("c", "abc123", note("first"))
    return log


def append(log, *drafts, after=0):
    return log.transact("c", after, lambda unseen: drafts)


def test_events_come_back_in_order_with_their_envelope(log):
    append(log, note("second"), note("third"))
    events = log.read("c")
    assert [e.seq for e in events] == [1, 2, 3]
    assert [e.payload["text"] for e in events] == ["first", "second", "third"]
    assert all(e.actor and e.host and e.time.endswith("+00:00") and e.schema == 1 for e in events)
    assert len({e.id for e in events}) == 3


def test_decide_sees_what_others_wrote_and_its_error_changes_nothing(log):
    append(log, note("second"))
    seen = []

    def decide(unseen):
        seen.extend(e.payload["text"] for e in unseen)
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        log.transact("c", 1, decide)
    assert seen == ["second"]
    assert len(log.read("c")) == 2


@pytest.mark.parametrize("statement", ["UPDATE events SET payload='{}'", "DELETE FROM events", "DELETE FROM campaigns"])
def test_the_database_refuses_to_change_what_happened(log, statement):
    with pytest.raises(DBAPIError, match="append-only"), log.database.writing() as connection:
        connection.execute(text(statement))
    assert len(log.read("c")) == 1


def test_an_identity_is_written_once(log):
    append(log, note("x", "only"))
    with pytest.raises(Conflict):
        append(log, note("y", "only"), after=2)
    assert [e.payload["text"] for e in log.read("c")] == ["first", "x"]


def test_names_are_unique_and_unknown_ones_name_the_nearest(log):
    with pytest.raises(CampaignExists):
        log.create("c", "def456", note("again"))
    with pytest.raises(CampaignNotFound, match="did you mean 'c'"):
        log.uid("cc")


def test_values_survive_exactly(log):
    numbers = [0.1, 1 / 3, 1e-300, -0.0, 2**53 + 1]
    log.transact("c", 0, lambda _: [Draft("noted", {"text": "n", "numbers": numbers})])
    assert log.read("c")[-1].payload["numbers"] == numbers


def test_infinite_numbers_are_refused(log):
    with pytest.raises(TypeError, match="infinite"):
        append(log, Draft("noted", {"text": float("inf")}))


def _write(url, count):
    log = EventLog(url)
    for number in range(count):
        log.transact("c", 0, lambda _, n=number: [note(f"{os.getpid()}-{n}")])


def test_many_processes_append_without_loss(log, store_url):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_write, args=(store_url, 20)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    events = log.read("c")
    assert [e.seq for e in events] == list(range(1, 62))
    assert len({e.payload["text"] for e in events}) == 61


def test_a_killed_writer_loses_nothing_that_it_was_told_is_written(store_url):
    url = store_url
    EventLog(url).create("c", "abc", note("first"))
    script = textwrap.dedent(f"""
        from discover.store.log.log import EventLog
        from discover.store.log.events import Draft
        log = EventLog({url!r})
        number = 0
        while True:
            number += 1
            log.transact("c", 0, lambda _: [Draft("noted", {{"text": str(number)}})])
            print(number, flush=True)
    """)
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    acknowledged = [int(process.stdout.readline()) for _ in range(10)]
    time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    acknowledged += [int(line) for line in process.stdout.read().split("\n") if line.strip().isdigit()]
    process.wait()
    written = [int(e.payload["text"]) for e in EventLog(url).read("c")[1:]]
    assert written == list(range(1, len(written) + 1))
    assert len(written) >= acknowledged[-1]


def test_first_openers_at_the_same_time_make_one_store(bare_url):
    command = [
        sys.executable,
        "-c",
        f"from discover.store.log.log import EventLog; print(EventLog({bare_url!r}).names())",
    ]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    outputs = [process.communicate() for process in processes]
    assert all(out.strip() == "[]" for out, _ in outputs), outputs


def test_a_path_that_no_url_can_hold_is_refused_rather_than_cut(tmp_path):
    (tmp_path / "what?").mkdir()
    with pytest.raises(StoreError, match=r"has a '\?' in its path.*take another folder"):
        EventLog(f"sqlite:///{tmp_path / 'what?' / 'c.db'}")
    assert [path.name for path in tmp_path.iterdir()] == ["what?"]


@pytest.mark.parametrize(
    ("url", "message"),
    [("nonsense", "not a store's URL"), ("mysql://x/y", "not supported")],
)
def test_a_wrong_url_says_what_to_write(url, message):
    with pytest.raises(StoreError, match=message) as error:
        Database(url)
    assert "sqlite:///" in str(error.value)


def test_a_file_that_is_no_database_is_refused(tmp_path):
    path = tmp_path / "x.db"
    path.write_bytes(b"not a database, but long enough to be looked at" * 30)
    with pytest.raises(StoreError, match="cannot be opened"):
        Database(f"sqlite:///{path}")
    assert path.read_bytes().startswith(b"not a database")


def test_set_aside_keeps_everything(sqlite_url, tmp_path):
    log = EventLog(sqlite_url)
    log.create("c", "abc123", note("first"))
    files_of(sqlite_url).mkdir()
    (files_of(sqlite_url) / "x").write_text("kept")
    log.database.close()
    aside = set_aside(sqlite_url, "2026")
    assert not (tmp_path / "campaigns.db").exists()
    assert len(EventLog(f"sqlite:///{aside}").read("c")) == 1
    assert (files_of(f"sqlite:///{aside}") / "x").read_text() == "kept"
    assert set_aside(sqlite_url, "2026") is None


def test_set_aside_takes_along_what_a_killed_process_left_beside_the_store(sqlite_url, tmp_path):
    log = EventLog(sqlite_url)
    log.create("c", "abc123", note("first"))
    left = tmp_path / "left"
    left.mkdir()
    for path in tmp_path.glob("campaigns.db*"):
        shutil.copy(path, left)  # as a kill leaves them: what was written last is not in the database's own file yet
    aside = set_aside(f"sqlite:///{left / 'campaigns.db'}", "2026")
    assert not list(left.glob("campaigns.db*"))
    assert len(EventLog(f"sqlite:///{aside}").read("c")) == 1


def test_set_aside_twice_in_a_moment_overwrites_nothing(sqlite_url):
    asides = []
    for words in ("first", "second", "third"):
        log = EventLog(sqlite_url)
        log.create("c", "abc123", note(words))
        files_of(sqlite_url).mkdir()
        log.database.close()
        asides.append(set_aside(sqlite_url, "2026"))
    assert [path.name for path in asides] == ["campaigns.2026.db", "campaigns.2026-2.db", "campaigns.2026-3.db"]
    told = [EventLog(f"sqlite:///{path}").read("c")[0].payload["text"] for path in asides]
    assert told == ["first", "second", "third"]


def test_a_damaged_database_is_an_error_of_ours(sqlite_url):
    log = EventLog(sqlite_url)
    log.create("c", "abc123", note("first"))
    append(log, *(note("x" * 500) for _ in range(200)))
    path = log.database.engine.url.database
    log.database.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with open(path, "r+b") as file:  # noqa: PTH123
        file.seek(4096 * 3)
        file.write(os.urandom(4096 * 12))
    with pytest.raises(StoreError):
        EventLog(sqlite_url).read("c")


def test_threads_may_share_a_journal(log):
    import threading

    from discover.store.journal import Journal

    log.create("j", "abc", Draft("created", {"definition": {"objective": {"targets": []}}, "hash": ""}))
    journal = Journal(log, "j")
    threads = [
        threading.Thread(target=lambda: [journal.append(note("x")) for _ in range(20)] and journal.refresh())
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert journal.refresh().seq == 81
