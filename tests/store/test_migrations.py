"""Migrations: up and down on stores that hold data, triggers restored, payloads untouched, nothing lost."""

import json
import multiprocessing
from contextlib import contextmanager

import pytest
from sqlalchemy import insert, inspect, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from discover.errors import StoreError
from discover.store.database import migrating, schema
from discover.store.database.chain import genesis, link
from discover.store.database.database import Database
from discover.store.database.engines import postgresql, sqlite
from discover.store.database.places import is_server, parse, path_of
from discover.store.leases.leases import acquire
from discover.store.log.events import Draft
from discover.store.log.log import EventLog

PAYLOADS = [
    '{"text":"plain"}',
    '{"b":1,"a":[1e308,-0.0,5e-324]}',
    '{"text": "ä\\u0000\\ud83d 化"}',
    "{}",
    '{"x":"' + "9" * 5000 + '"}',
]
"""As texts: some that today's program would write otherwise, to see that they stay as they are."""


@contextmanager
def connected(url):
    """A connection as the migrations are given one, with nothing migrated by itself."""
    parsed = parse(url)
    engine = postgresql(parsed, 10) if is_server(parsed) else sqlite(parsed, path_of(url), 10)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def fill_0001(connection, count=5):
    """What the program of schema 0001 wrote: two campaigns, their events, a lease."""
    event = (
        "INSERT INTO events (id, campaign, seq, kind, schema, actor, host, cause, time, identity, payload) VALUES "
        "(:id, :campaign, :seq, 'noted', 1, 'someone', 'høst', '', '2026-01-01T00:00:00+00:00', :identity, :payload)"
    )
    for name, uid in (("oxides", "abc"), ("größe", "def")):
        connection.execute(text("INSERT INTO campaigns VALUES (:n, :u, '2026')"), {"n": name, "u": uid})
        for seq in range(1, count + 1):
            row = {"id": f"{uid}{seq}", "campaign": name, "seq": seq, "payload": PAYLOADS[seq % len(PAYLOADS)]}
            connection.execute(text(event), row | {"identity": None if seq % 2 else "i" * 490 + str(seq)})
    connection.execute(
        text("INSERT INTO leases VALUES ('oxides', 'run', 'elsewhere/1/2', 7, '2026-01-01T00:00:00+00:00')")
    )


FILL = {"0001": fill_0001}
"""How a store of each schema was filled by the program of its time. A new migration adds the one before it here."""


def rows(url, columns="id, campaign, seq, kind, schema, actor, host, cause, time, identity, payload"):
    with connected(url) as connection:
        return [tuple(row) for row in connection.execute(text(f"SELECT {columns} FROM events ORDER BY campaign, seq"))]


def refuses_changes(url):
    for statement in (
        "UPDATE events SET payload='{}'",
        "DELETE FROM events",
        "UPDATE campaigns SET uid=''",
        "DELETE FROM campaigns",
    ):
        with pytest.raises(DBAPIError, match="append-only"), connected(url) as connection:
            connection.execute(text(statement))
    if is_server(parse(url)):
        for table in ("events", "leases, events", "campaigns CASCADE"):
            with pytest.raises(DBAPIError, match="append-only"), connected(url) as connection:
                connection.execute(text(f"SET session_replication_role=replica; TRUNCATE {table}"))


def chained(url):
    """Whether every event's link fits, on a store of the newest schema."""
    log = EventLog(url)
    with log.database.reading() as connection:
        for name in log.names():
            previous = genesis(name, log.uid(name))
            query = text("SELECT * FROM events WHERE campaign=:name ORDER BY seq")
            for row in connection.execute(query, {"name": name}).mappings():
                if row["chain"] != (previous := link(previous, row)):
                    return False
    log.database.close()
    return True


def test_every_earlier_schema_is_tried():
    assert set(FILL) == migrating._known() - {migrating.newest()}


def test_the_migrated_tables_are_the_ones_the_program_uses(bare_url):
    log = EventLog(bare_url)
    found = inspect(log.database.engine)
    assert set(found.get_table_names()) == {*schema.metadata.tables, "alembic_version"}
    for table in schema.metadata.sorted_tables:
        columns = {c["name"]: c["nullable"] for c in found.get_columns(table.name)}
        assert columns == {c.name: bool(c.nullable) for c in table.columns}, table.name


def test_down_and_up_again_on_an_empty_store(bare_url):
    with connected(bare_url) as connection:
        migrating.move(connection, "head")
        migrating.move(connection, "base")
        assert inspect(connection).get_table_names() == ["alembic_version"]
        migrating.move(connection, "head")
    EventLog(bare_url).create("c", "abc", Draft("noted", {"text": "x"}))
    refuses_changes(bare_url)


@pytest.mark.parametrize("old", sorted(FILL))
def test_a_store_of_an_earlier_schema_goes_up_down_and_up_with_every_payload_as_it_was(bare_url, old):
    with connected(bare_url) as connection:
        migrating.move(connection, old)
        FILL[old](connection)
    before = rows(bare_url)
    refuses_changes(bare_url)
    log = EventLog(bare_url)
    assert rows(bare_url) == before
    assert chained(bare_url)
    refuses_changes(bare_url)
    assert log.read("oxides")[-1].payload == json.loads(PAYLOADS[0])
    assert acquire(log, "oxides", "run").token == 8
    log.transact("größe", 0, lambda _: [Draft("noted", {"text": "later"})])
    links = rows(bare_url, "chain")
    after = rows(bare_url)
    log.database.close()
    with connected(bare_url) as connection:
        migrating.move(connection, old)
        assert migrating.revision(connection) == old
    assert rows(bare_url) == after
    refuses_changes(bare_url)
    with connected(bare_url) as connection:
        migrating.move(connection, "head")
    assert rows(bare_url) == after
    assert rows(bare_url, "chain") == links
    assert chained(bare_url)
    refuses_changes(bare_url)


def test_a_downgrade_that_would_lose_events_is_refused(store_url):
    log = EventLog(store_url)
    log.create("c", "abc", Draft("noted", {"text": "kept"}))
    log.database.close()
    with pytest.raises(StoreError, match="would lose"), connected(store_url) as connection:
        migrating.move(connection, "base")
    assert log.read("c")[0].payload == {"text": "kept"}
    assert chained(store_url)
    refuses_changes(store_url)


def test_a_downgrade_that_would_lose_settings_is_refused(store_url):
    with connected(store_url) as connection:
        migrating.move(connection, "head")
        connection.execute(insert(schema.settings).values(campaign="", key="snapshots", value="s3://x"))
    with pytest.raises(StoreError, match="settings"), connected(store_url) as connection:
        migrating.move(connection, "0001")
    with connected(store_url) as connection:
        assert connection.execute(text("SELECT value FROM settings")).scalar() == "s3://x"
        assert migrating.revision(connection) == migrating.newest()


def test_a_downgrade_does_not_wash_a_changed_event_clean(store_url):
    log = EventLog(store_url)
    log.create("c", "abc", Draft("noted", {"text": "true"}))
    with log.database.writing() as connection:
        from discover.store.database.triggers import allow_changes

        for statement in allow_changes(log.database.dialect):
            connection.execute(text(statement))
        connection.execute(text("UPDATE events SET payload = replace(payload, 'true', 'false')"))
    log.database.close()
    assert not chained(store_url)
    with (
        pytest.raises(StoreError, match="event 1 of campaign 'c' does not fit the chain"),
        connected(store_url) as again,
    ):
        migrating.move(again, "0001")


def test_a_migration_that_fails_leaves_the_store_as_it_was(bare_url, monkeypatch):
    with connected(bare_url) as connection:
        migrating.move(connection, "0001")
        fill_0001(connection)
    before = rows(bare_url)
    calls = []

    def fail(previous, row):
        calls.append(row["id"])
        if len(calls) == 7:
            raise RuntimeError("power cut")
        return "x" * 64

    with monkeypatch.context() as patch:
        patch.setattr("discover.store.database.chain.link", fail)
        with pytest.raises(RuntimeError, match="power cut"):
            Database(bare_url)
    assert len(calls) == 7
    assert rows(bare_url) == before
    with connected(bare_url) as connection:
        assert migrating.revision(connection) == "0001"
        assert "chain" not in [column["name"] for column in inspect(connection).get_columns("events")]
    refuses_changes(bare_url)
    EventLog(bare_url).database.close()
    assert chained(bare_url)


def _open(url, everybody, told):
    everybody.wait()
    try:
        told.put(EventLog(url).names())
    except Exception as error:
        told.put(repr(error))


def test_of_processes_that_open_an_old_store_at_once_one_migrates_and_the_others_wait(bare_url):
    with connected(bare_url) as connection:
        migrating.move(connection, "0001")
        fill_0001(connection, 700)
    before = rows(bare_url)
    context = multiprocessing.get_context("fork")
    everybody, told = context.Barrier(4), context.Queue()
    processes = [context.Process(target=_open, args=(bare_url, everybody, told)) for _ in range(4)]
    for process in processes:
        process.start()
    assert [told.get(timeout=60) for _ in processes] == [["größe", "oxides"]] * 4
    for process in processes:
        process.join()
    assert rows(bare_url) == before
    assert chained(bare_url)


def test_a_store_of_a_newer_program_is_refused(store_url):
    EventLog(store_url).database.close()
    with connected(store_url) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num='9999'"))
    with pytest.raises(StoreError, match="schema 9999, newer than this program"):
        Database(store_url)
    with connected(store_url) as connection:
        assert migrating.revision(connection) == "9999"


def test_a_database_of_another_program_is_left_alone(bare_url):
    with connected(bare_url) as connection:
        connection.execute(text("CREATE TABLE events (mine TEXT)"))
        connection.execute(text("INSERT INTO events VALUES ('x')"))
    with pytest.raises(StoreError, match="cannot be opened as a campaign store"):
        Database(bare_url)
    with connected(bare_url) as connection:
        assert inspect(connection).get_table_names() == ["events"]
        assert connection.execute(text("SELECT mine FROM events")).scalar() == "x"


def test_an_older_program_cannot_write_into_a_migrated_store(store_url):
    log = EventLog(store_url)
    log.create("c", "abc", Draft("noted", {"text": "x"}))
    log.database.close()
    with pytest.raises(IntegrityError), connected(store_url) as connection:
        connection.execute(
            text(
                "INSERT INTO events (id, campaign, seq, kind, schema, actor, host, cause, time, payload) "
                "VALUES ('z', 'c', 2, 'noted', 1, '', '', '', '', '{}')"
            )
        )
    assert len(log.read("c")) == 1


REPLACING = [
    "INSERT OR REPLACE INTO events SELECT id, campaign, seq, kind, schema, actor, host, cause, time, identity, '{}', chain FROM events",
    "INSERT OR REPLACE INTO events SELECT 'new', campaign, seq, kind, schema, actor, host, cause, time, NULL, '{}', chain FROM events",
    "INSERT OR REPLACE INTO events SELECT 'new', campaign, 99, kind, schema, actor, host, cause, time, identity, '{}', chain FROM events",
    "REPLACE INTO events (rowid, id, campaign, seq, kind, schema, actor, host, cause, time, payload, chain) "
    "SELECT rowid, 'new', campaign, 99, kind, schema, actor, host, cause, time, '{}', chain FROM events",
    "INSERT OR REPLACE INTO campaigns SELECT name, 'other', created FROM campaigns",
    "REPLACE INTO campaigns (rowid, name, uid, created) SELECT rowid, 'other', uid, created FROM campaigns",
    "UPDATE OR REPLACE events SET seq=99",
    "INSERT INTO events SELECT * FROM events WHERE true ON CONFLICT(id) DO UPDATE SET payload='{}'",
]


@pytest.mark.parametrize("statement", REPLACING)
def test_replacing_does_not_get_past_append_only(sqlite_url, statement):
    log = EventLog(sqlite_url)
    log.create("c", "abc", Draft("noted", {"text": "kept"}, identity="once"))
    before = rows(sqlite_url)
    with pytest.raises(IntegrityError, match="append-only"), connected(sqlite_url) as connection:
        connection.execute(text(statement))
    assert rows(sqlite_url) == before
    assert log.uid("c") == "abc"
