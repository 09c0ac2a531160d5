"""One code on two engines: the same values in and out, writers that exclude each other, settings that cannot weaken it."""

import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import make_url, text

from discover.errors import InvalidInput, StoreError
from discover.store.database.chain import genesis, link
from discover.store.database.database import Database
from discover.store.log.events import Draft
from discover.store.log.log import EventLog

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture
def log(store_url):
    log = EventLog(store_url)
    log.create("c", "abc", Draft("noted", {"text": "first"}))
    return log


def append(log, *drafts, after=0):
    return log.transact("c", after, lambda _: drafts)


def links_fit(log, name="c"):
    with log.database.reading() as connection:
        query = text("SELECT * FROM events WHERE campaign=:name ORDER BY seq")
        rows = [dict(row) for row in connection.execute(query, {"name": name}).mappings()]
    previous = genesis(name, log.uid(name))
    for row in rows:
        assert row["chain"] == (previous := link(previous, row))
    return len(rows)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(WORDS, JSON, max_size=4), WORDS, WORDS)
def test_what_goes_in_comes_out_the_same(log, body, identity, cause):
    last = log.read("c")[-1].seq
    told = append(log, Draft("noted", body, identity=f"{last} {identity}", cause=cause), after=last)[-1]
    read = log.read("c", after=last)
    assert read == [told]
    assert exactly(read[0].payload) == exactly(body)


def exactly(value):
    """A value in which -0.0 is not 0.0, and 1 is neither 1.0 nor true."""
    if isinstance(value, dict):
        return sorted((key, exactly(item)) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return [exactly(item) for item in value]
    return repr(value)


def test_the_chain_fits_whatever_was_written(log):
    append(log, Draft("noted", {"text": "ü\0\u2028\U0001f600", "n": [1e308, -0.0, 2**64]}, "i\0" * 300, "c" * 999))
    append(log, *(Draft("noted", {"text": str(k)}) for k in range(5)))
    assert links_fit(log) == 7


def test_texts_are_cut_to_their_columns_and_long_identities_stay_unique(store_url):
    log = EventLog(store_url, actor="a\0" + "ä" * 500)
    log.create("c", "abc", Draft("noted", {}, cause="é" * 999))
    long = "ü" * 5000
    append(log, Draft("noted", {"text": "1"}, identity=long), Draft("noted", {"text": "2"}, identity=long + "!"))
    with pytest.raises(StoreError, match="already holds"):
        append(log, Draft("noted", {"text": "3"}, identity=long))
    first, *others = log.read("c")
    assert len(first.actor) == len(first.cause) == 200
    assert first.actor.startswith("a\ufffdä")
    assert first.actor.endswith("ä…")
    assert [event.payload["text"] for event in others] == ["1", "2"]
    assert links_fit(log) == 3


@pytest.mark.parametrize("payload", [{"text": "\ud800"}, {"\udfff": 1}, {"a": [{"b": "x\ud83d"}]}])
def test_half_a_character_is_refused_before_anything_is_written(log, payload):
    with pytest.raises(InvalidInput, match="half of a character"):
        append(log, Draft("noted", {"text": "fine"}), Draft("noted", payload))
    assert len(log.read("c")) == 1


def test_megabytes_in_one_payload(log):
    words = "0123456789ä" * 300_000
    append(log, Draft("noted", {"text": words}))
    assert log.read("c")[-1].payload["text"] == words


def test_writers_of_a_campaign_wait_for_each_other(log, store_url):
    order = []

    def slow():
        def decide(_):
            order.append("slow decides")
            inside.set()
            time.sleep(0.4)
            order.append("slow is done")
            return [Draft("noted", {"text": "slow"})]

        EventLog(store_url).transact("c", 0, decide)

    def quick(unseen):
        order.append("quick decides")
        return [Draft("noted", {"text": f"after {unseen[-1].payload['text']}"})]

    inside = threading.Event()
    thread = threading.Thread(target=slow)
    thread.start()
    inside.wait(10)
    log.transact("c", 0, quick)
    thread.join()
    assert order == ["slow decides", "slow is done", "quick decides"]
    assert [event.payload["text"] for event in log.read("c")] == ["first", "slow", "after slow"]


def test_writers_of_other_campaigns_do_not_wait_on_a_server(postgres_url):
    log, other = EventLog(postgres_url), EventLog(postgres_url)
    log.create("c", "abc", Draft("noted", {}))
    log.create("d", "def", Draft("noted", {}))
    with log.database.writing("c"):
        other.transact("d", 0, lambda _: [Draft("noted", {})])
        other.create("e", "efg", Draft("noted", {}))
        assert len(other.read("d")) == 2


def test_readers_do_not_wait_for_a_writer(log, store_url):
    with log.database.writing("c"):
        began = time.monotonic()
        other = EventLog(store_url)
        assert other.names() == ["c"]
        assert len(other.read("c")) == 1
        assert time.monotonic() - began < 5


def test_two_make_one_campaign(store_url):
    log, results = EventLog(store_url), []

    def make(uid):
        try:
            EventLog(store_url).create("c", uid, Draft("noted", {"text": uid}))
            results.append(uid)
        except StoreError as error:
            results.append(type(error).__name__)

    threads = [threading.Thread(target=make, args=(f"u{k}",)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results)[:5] == ["CampaignExists"] * 5
    assert log.uid("c") == log.read("c")[0].payload["text"] == max(results)
    assert links_fit(log) == 1


@pytest.mark.parametrize("level", ["serializable", "repeatable read"])
def test_a_servers_defaults_do_not_weaken_a_store(postgres, postgres_url, level):
    name = make_url(postgres_url).database
    for setting in (
        f"default_transaction_isolation TO '{level}'",
        "synchronous_commit TO off",
        "client_encoding TO LATIN1",
    ):
        postgres.run(f"ALTER DATABASE {name} SET {setting}")
    log = EventLog(postgres_url)
    log.create("c", "abc", Draft("noted", {"text": "first"}))
    test_writers_of_a_campaign_wait_for_each_other(log, postgres_url)
    append(log, Draft("noted", {"text": "化"}))
    with log.database.writing("c") as connection:
        found = connection.execute(
            text("SELECT current_setting('synchronous_commit'), current_setting('transaction_isolation')")
        ).one()
    assert tuple(found) == ("on", "read committed")


def test_a_database_that_cannot_hold_every_character_is_refused(postgres):
    postgres.run("CREATE DATABASE narrow TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    try:
        with pytest.raises(StoreError, match="encoding LATIN1"):
            Database(postgres.url("narrow"))
    finally:
        postgres.drop("narrow")


def test_a_read_only_server_is_said_in_words(postgres, postgres_url):
    log = EventLog(postgres_url)
    log.create("c", "abc", Draft("noted", {"text": "first"}))
    log.database.close()
    postgres.run(f"ALTER DATABASE {make_url(postgres_url).database} SET default_transaction_read_only TO on")
    with pytest.raises(StoreError, match="it is read-only"):
        append(log, Draft("noted", {"text": "second"}))
    assert len(log.read("c")) == 1


def test_several_stores_in_schemas_of_one_database(postgres, postgres_url):
    for schema in ("one", "two"):
        postgres.run(f"CREATE SCHEMA {schema}", make_url(postgres_url).database)
    logs = [EventLog(f"{postgres_url}?options=-csearch_path%3D{schema}") for schema in ("one", "two")]
    logs[0].create("c", "abc", Draft("noted", {"text": "one"}))
    assert [log.names() for log in logs] == [["c"], []]
    assert logs[0].database.files != logs[1].database.files
    with pytest.raises(Exception, match="append-only"), logs[0].database.writing() as connection:
        connection.execute(text("DELETE FROM events"))


def test_time_is_the_servers_where_there_is_one(log):
    from datetime import UTC, datetime, timedelta

    log.clock = lambda: datetime(2001, 1, 1, tzinfo=UTC)
    with log.database.reading() as connection:
        now = log.database.now(connection)
    if log.database.dialect == "sqlite":
        assert now == log.clock()
    else:
        assert abs(now - datetime.now(UTC)) < timedelta(seconds=30)
    assert now.utcoffset() == timedelta(0)
