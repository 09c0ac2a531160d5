"""Databases: outages and broken commits end in words or in recovery; passwords are shown nowhere; URLs name places."""

import os
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError

from discover.errors import CampaignNotFound, StoreError
from discover.store.database.database import Database, FateUnknown, exists
from discover.store.database.places import files_of, parse, path_of, set_aside, shown
from discover.store.database.saying import said
from discover.store.log.events import Draft
from discover.store.log.log import EventLog
from tests.store.proxy import Proxy


def note(words, identity=None):
    return Draft("noted", {"text": words}, identity=identity)


def append(log, *drafts):
    return log.transact("c", 0, lambda _: drafts)


def texts(log):
    return [event.payload["text"] for event in log.read("c")]


@pytest.fixture
def log(store_url):
    log = EventLog(store_url)
    log.create("c", "abc", note("first"))
    return log


@pytest.fixture
def wire(postgres, postgres_url):
    """A log whose connection runs over a wire that can be cut."""
    proxy = Proxy(postgres.port)
    url = make_url(postgres_url).set(port=proxy.port).render_as_string(hide_password=False)
    log = EventLog(url)
    log.create("c", "abc", note("first"))
    log.wire = proxy
    yield log
    proxy.close()


def test_a_commit_whose_answer_was_lost_is_found_to_be_written(wire):
    wire.wire.cut = "after"
    events = append(wire, note("second"))
    assert [event.payload["text"] for event in events] == ["first", "second"]
    assert texts(wire) == ["first", "second"]


def test_a_commit_that_the_server_has_not_finished_is_waited_for(wire):
    wire.wire.cut = "late"
    append(wire, note("second", "once"))
    assert texts(wire) == ["first", "second"]


def test_a_commit_that_never_arrived_is_said_to_be_lost_and_can_be_repeated(wire):
    wire.wire.cut = "before"
    with pytest.raises(StoreError, match=r"cannot be reached.*nothing was written") as error:
        append(wire, note("second", "once"))
    assert not isinstance(error.value, FateUnknown)
    assert texts(wire) == ["first"]
    append(wire, note("second", "once"))
    assert texts(wire) == ["first", "second"]


@pytest.mark.parametrize(("how", "after"), [("after", ["first", "second"]), ("before", ["first"])])
def test_a_fate_that_cannot_be_known_is_said_to_be_unknown(wire, monkeypatch, how, after):
    wire.database.busy_seconds = 0.5
    wire.wire.cut, wire.wire.stays_dead = how, True
    with pytest.raises(FateUnknown, match="is unknown"):
        append(wire, note("second"))
    with pytest.raises(StoreError, match="cannot be reached"):
        texts(wire)
    wire.wire.dead = False
    assert texts(wire) == after


def test_a_campaign_whose_creation_was_cut_off_exists_once(wire):
    wire.wire.cut = "late"
    wire.create("d", "def", note("d"))
    assert wire.names() == ["c", "d"]
    wire.wire.cut = "before"
    with pytest.raises(StoreError, match="nothing was written"):
        wire.create("e", "efg", note("e"))
    wire.create("e", "efg", note("e"))
    assert [len(wire.read(name)) for name in "cde"] == [1, 1, 1]


def test_connections_that_the_server_ended_are_replaced(postgres, postgres_url):
    log = EventLog(postgres_url)
    log.create("c", "abc", note("first"))
    name = make_url(postgres_url).database
    end = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname='{name}'"
    postgres.run(end)
    append(log, note("second"))
    postgres.run(end)
    assert texts(log) == ["first", "second"]

    def cut_off(_):
        postgres.run(end)
        return [note("never")]

    with pytest.raises(StoreError, match="cannot be reached"):
        log.transact("c", 0, cut_off)
    append(log, note("third"))
    assert texts(log) == ["first", "second", "third"]


def test_a_lock_that_is_held_too_long_is_said_in_words(store_url, monkeypatch):
    monkeypatch.setenv("DISCOVER_BUSY_SECONDS", "0.3")
    log = EventLog(store_url)
    log.create("c", "abc", note("first"))
    other = EventLog(store_url)
    with other.database.writing("c"):
        began = time.monotonic()
        with pytest.raises(StoreError, match=r"is locked: another process has been writing for more than 0\.3 s"):
            append(log, note("second"))
        assert 0.2 < time.monotonic() - began < 10
        assert texts(log) == ["first"]
    append(log, note("second"))
    assert texts(log) == ["first", "second"]


@pytest.mark.parametrize("value", ["soon", "-1", "0", "nan", "inf"])
def test_a_busy_time_that_is_none_is_refused(tmp_path, monkeypatch, value):
    monkeypatch.setenv("DISCOVER_BUSY_SECONDS", value)
    with pytest.raises(StoreError, match="DISCOVER_BUSY_SECONDS"):
        Database(f"sqlite:///{tmp_path / 's.db'}")
    assert list(tmp_path.iterdir()) == []


def test_an_error_inside_a_transaction_leaves_nothing(log):
    def fail(connection):
        connection.execute(text("INSERT INTO campaigns VALUES ('x', 'y', 'z')"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), log.database.writing("c") as connection:
        fail(connection)
    assert log.names() == ["c"]


def test_a_fork_does_not_share_its_parents_connections(log):
    texts(log)
    with log.database.reading() as connection:
        parents = connection.connection.dbapi_connection
    pid = os.fork()
    if pid == 0:
        try:
            with log.database.reading() as connection:
                if connection.connection.dbapi_connection is parents:
                    os._exit(3)
            append(log, note("child"))
            os._exit(0 if texts(log) == ["first", "child"] else 1)
        finally:
            os._exit(2)
    for _ in range(20):
        log.names()
    assert os.waitpid(pid, 0)[1] == 0
    append(log, note("parent"))
    assert texts(log) == ["first", "child", "parent"]


def test_threads_write_at_once_without_loss(log):
    threads = [threading.Thread(target=lambda k=k: append(log, note(str(k)))) for k in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(texts(log)[1:], key=int) == [str(k) for k in range(12)]


def test_a_store_that_was_replaced_by_an_older_one_is_noticed(tmp_path):
    path = tmp_path / "s.db"
    log = EventLog(f"sqlite:///{path}")
    log.create("c", "abc", note("first"))
    log.database.close()
    old = path.read_bytes()
    append(log, note("second"))
    log.database.close()
    path.write_bytes(old)
    with pytest.raises(StoreError, match="event 2 of campaign 'c' is not in the store any more"):
        log.transact("c", 2, lambda _: [note("third")])


# places


@pytest.mark.parametrize("prefix", ["postgresql", "postgresql+psycopg", "postgres"])
def test_a_server_is_named_in_several_ways(postgres_url, prefix):
    log = EventLog(postgres_url.replace("postgresql", prefix, 1))
    assert log.names() == []
    assert log.database.dialect == "postgresql"


@pytest.mark.parametrize(
    "url", ["mysql://u:pw@h/d", "postgresql+psycopg2://u:pw@h/d", "postgresql://u:pw@h", "u:pw@h", "x"]
)
def test_a_wrong_url_is_refused_without_its_password(url):
    with pytest.raises(StoreError, match=r"sqlite:///|postgresql://user@host/database") as error:
        Database(url)
    assert "pw" not in str(error.value)


def test_a_store_that_is_not_there_is_not_made(bare_url):
    assert not exists(bare_url)
    with pytest.raises(StoreError, match="there is no store"):
        EventLog(bare_url, create=False)
    assert not exists(bare_url)
    EventLog(bare_url)
    assert exists(bare_url)
    assert EventLog(bare_url, create=False).names() == []


def test_files_of_a_server_are_in_a_local_folder_of_the_databases_name(monkeypatch, tmp_path):
    monkeypatch.delenv("DISCOVER_FILES", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    one = files_of("postgresql://me:secret@host/oxides")
    assert one.parent == tmp_path / ".local" / "share" / "discover"
    assert one.name.startswith("oxides-")
    assert one.suffix == ".files"
    assert files_of("postgresql+psycopg://you:other@host:5432/oxides") == one
    others = [
        "postgresql://host:5433/oxides",
        "postgresql://else/oxides",
        "postgresql://host/oxides?options=-csearch_path%3Dx",
    ]
    assert len({one, *map(files_of, others)}) == 4
    monkeypatch.setenv("DISCOVER_FILES", str(tmp_path / "here"))
    assert files_of("postgresql://host/..%2F..%2Fx").parent == tmp_path / "here"


def test_only_files_have_paths_and_can_be_set_aside(tmp_path):
    assert path_of("postgresql://host/oxides") is None
    assert path_of("sqlite://") is None
    assert path_of(f"sqlite:///{tmp_path}/x.db") == Path(tmp_path / "x.db")
    with pytest.raises(StoreError, match="not set aside"):
        set_aside("postgresql://u:pw@host/oxides", "2026")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:///a b.db", "sqlite:///a b.db"),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
        ("postgresql://u:pw@h:1/d", "postgresql://u:***@h:1/d"),
        ("postgresql://h/d?user=u&password=pw", "postgresql://h/d?password=***&user=u"),
        ("postgresql://u:pw@h:port/d", "postgresql://u:***@h:port/d"),
        ("postgresql://u:p:w/p@w@h:port/d", "postgresql://u:***@h:port/d"),
        ("postgres//u:pw@h/d", "postgres//u:***@h/d"),
        ("postgresql://u:p@ss@h:1/d", "postgresql://u:***@h:1/d"),
        ("u:pw@h", "u:***@h"),
        ("postgresql://h:port/d?password=pw&x=y", "postgresql://h:port/d?password=***&x=y"),
    ],
)
def test_a_url_is_shown_without_its_password(url, expected):
    assert shown(url) == expected
    assert shown(expected) == expected


def test_an_at_sign_in_a_password_is_not_taken_for_the_host():
    with pytest.raises(StoreError, match="write %40") as error:
        parse("postgresql://u:half@other@h:1/d")
    assert "half" not in str(error.value)
    assert "other" not in str(error.value)
    assert parse("postgresql://u%40corp:half%40other@h:1/d").password == "half@other"


def test_an_error_of_the_disk_is_one_of_the_disk():
    """A disk without room for SQLite's own index of its log is an error of the device to SQLite."""

    class Original(Exception):
        sqlite_errorname = "SQLITE_IOERR_SHMSIZE"

    text = said("sqlite:///x.db", "read", DBAPIError("", {}, Original("disk I/O error")), 1.0)
    assert text == "the store sqlite:///x.db cannot be read: disk I/O error; the disk may be full: make room, and go on"


def test_the_password_is_in_no_message(postgres, postgres_url, monkeypatch):
    monkeypatch.setenv("DISCOVER_BUSY_SECONDS", "0.2")
    log = EventLog(postgres_url)
    log.create("c", "abc", note("first"))
    said = [repr(log.database), log.database.url, repr(log.database.engine)]
    url = make_url(postgres_url)

    def refused(what, call):
        with pytest.raises(StoreError) as error:
            call()
        said.append(f"{what}: {error.value}")

    plain = {"hide_password": False}
    refused("database", lambda: Database(url.set(database="absent").render_as_string(**plain)))
    refused("port", lambda: Database(url.set(port=1).render_as_string(**plain)))
    refused("user", lambda: exists(url.set(username="nobody").render_as_string(**plain)))
    refused("password", lambda: Database(url.set(password=f"{postgres.password}-wrong").render_as_string(**plain)))
    refused("word", lambda: Database(postgres_url + "?passwrd=x"))
    refused("port", lambda: Database(postgres_url.replace(f":{postgres.port}", ":port")))
    refused("campaign", lambda: log.uid("d"))
    with log.database.writing("c"):
        refused("lock", lambda: append(EventLog(postgres_url), note("x")))
    refused("lost", lambda: log.database.__class__(postgres_url.replace("127.0.0.1", "127.0.0.2")))
    assert len(said) > 10
    assert not [words for words in said if postgres.password in words]
    with pytest.raises(CampaignNotFound, match=r"\*\*\*@"):
        log.uid("d")
