"""Cached folds are the fold, whatever was lived; one that does not fit is left alone. Old payloads are read as new ones."""

import inspect
import json
import random
import tempfile
import warnings
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, text, update

from discover import Campaign, CandidatePool, Objective, Target
from discover.errors import StoreError
from discover.objective import units_of
from discover.store.canonical import canonical
from discover.store.database.chain import genesis, link
from discover.store.database.schema import campaigns, events, folds
from discover.store.ledger import folds as caching
from discover.store.ledger.ledger import Ledger
from discover.store.ledger.life import State
from discover.store.ledger.trials import Failure, Iteration, Trial
from discover.store.log.events import Draft, upcast
from discover.store.log.log import EventLog
from discover.values import Observation
from tests.campaign.histories import deep, live

FRAME = pd.DataFrame({"id": [f"m{i}" for i in range(12)], "a": np.arange(12) / 12, "b": np.arange(12) % 3})
POOL = CandidatePool.from_frame(FRAME, id="id", features=["a", "b"])
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


class Clock:
    def __init__(self):
        self.now = datetime(2026, 3, 1, tzinfo=UTC)

    def __call__(self):
        return self.now


def lived(url, seed, steps, name="c"):
    clock = Clock()
    policy = {"kind": "random", "deadline_days": 5, "require_approval": seed % 2 == 0}
    objective = Objective([Target("yield"), Target("ee")])
    campaign = Campaign.create(
        name, objective=objective, candidates=POOL, policy=policy, store=EventLog(url, clock=clock)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        live(campaign, random.Random(seed), steps, clock)
    return campaign


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10**6), steps=st.integers(1, 80), share=st.floats(0, 1))
def test_a_cached_fold_is_the_fold_and_goes_on_as_the_fold(seed, steps, share):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", folder)
        campaign = lived("sqlite://", seed, steps)
        history = campaign._journal.log.read("c")
        cut = int(share * len(history))
        direct = Ledger().apply(history[:cut])
        text = json.dumps(caching.dumped(direct))
        again = caching.loaded(json.loads(text), lambda seq: history[seq - 1].payload)
        assert deep(again) == deep(direct)
        assert json.dumps(caching.dumped(again)) == text
        assert caching.same(again, direct)
        again.apply(history[cut:])
        direct.apply(history[cut:])
        assert deep(again) == deep(direct) == deep(campaign.ledger)
        for one, other in zip(again.trials.values(), campaign.ledger.trials.values(), strict=True):
            assert one.proposal == other.proposal
        for one, other in zip(again.iterations, campaign.ledger.iterations, strict=True):
            assert one.learned == other.learned


def test_random_lives_hold_everything_that_can_happen(tmp_path, monkeypatch):
    """The test above would be empty if its histories were."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    kinds, states, taken_back = set(), set(), 0
    for seed in range(6):
        campaign = lived("sqlite://", seed, 150)
        kinds |= {event.kind for event in campaign._journal.log.read("c")}
        states |= {trial.state.value for trial in campaign.ledger.trials.values()}
        taken_back += len(campaign.ledger.retracted) + len(campaign.ledger.unfailed)
    assert kinds >= {
        *("created", "proposed", "approved", "submitted", "dispatched", "unsure", "settled", "observed", "failed"),
        *("corrected", "retracted", "withdrawn", "expired", "excluded", "readmitted", "noted", "stopped"),
    }
    assert len(states) >= 11
    assert taken_back > 0


@pytest.fixture
def kept(store_url, monkeypatch):
    """A campaign with a cached fold that is some events old, and a way to open it that says how much was read."""
    monkeypatch.setattr(caching, "LEAST", 30)
    campaign = lived(store_url, 3, 70)
    log = campaign._journal.log
    row = the_row(log)
    assert row.seq >= 30
    while campaign.ledger.seq < row.seq + 5:
        campaign.note("after the cache")
    return campaign


def the_row(log):
    with log.database.reading() as connection:
        return connection.execute(select(folds)).first()


def opened(campaign, url):
    """The campaign opened anew, and after which event its log was read."""
    log = EventLog(url, clock=campaign._journal.log.clock)
    began, read = [], log.read

    def spy(name, after=0, *, until=None, connection=None):
        if until is None:
            began.append(after)
        return read(name, after, until=until, connection=connection)

    log.read = spy
    again = Campaign.open("c", store=log)
    return again, began[0]


def check_same(again, campaign):
    assert deep(again.ledger) == deep(campaign.ledger)
    for view in ("proposals", "observations", "iterations", "pending", "notes"):
        pd.testing.assert_frame_equal(getattr(again, view), getattr(campaign, view))
    assert again.view().seen == campaign.view().seen


def test_opening_reads_only_what_came_after_the_cached_fold(kept, store_url):
    again, after = opened(kept, store_url)
    assert after == the_row(kept._journal.log).seq
    check_same(again, kept)
    live(again, random.Random(5), 30, again._journal.log.clock)
    fresh = Ledger().apply(again._journal.log.read("c"))
    assert deep(again.ledger) == deep(fresh) == deep(kept.ledger)


DAMAGES = {
    "another program's": {"version": "0123456789abcdef"},
    "a changed body": {"body": '{"seq": 1}'},
    "a body that is no JSON": {"body": "{"},
    "another hash": {"hash": "0" * 64},
    "gone": None,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_cached_fold_that_does_not_fit_is_left_alone(kept, store_url, damage):
    with kept._journal.log.database.writing() as connection:
        change = delete(folds) if DAMAGES[damage] is None else update(folds).values(**DAMAGES[damage])
        connection.execute(change)
    again, after = opened(kept, store_url)
    assert after == 0
    check_same(again, kept)
    assert the_row(kept._journal.log).version == caching.version()  # made anew
    assert opened(kept, store_url)[1] > 0


@pytest.mark.parametrize("how", ["another history", "more than the log"])
def test_a_fold_of_another_history_is_left_alone(kept, store_url, how):
    """A backup was put back: what was cached since tells of events that never were, by this log."""
    row = the_row(kept._journal.log)
    body = json.loads(row.body)
    body |= {"tip": "f" * 32} if how == "another history" else {"seq": 10_000}
    text = json.dumps(body)
    with kept._journal.log.database.writing() as connection:
        connection.execute(update(folds).values(body=text, hash=caching._hash(text), seq=body["seq"]))
    again, after = opened(kept, store_url)
    assert after == 0
    check_same(again, kept)


@pytest.mark.parametrize("body", ["null", "{", "[]", '{"seq": 1}', "", b"\xff\x00"], ids=str)
def test_a_fold_that_is_none_is_left_alone_though_its_hash_fits(kept, store_url, body):
    log = kept._journal.log
    if isinstance(body, bytes) and log.database.dialect != "sqlite":
        pytest.skip("only SQLite takes bytes for text")
    change = text("UPDATE folds SET body = :body, hash = :hash")  # as it is, bytes too
    with log.database.writing() as connection:
        connection.execute(change, {"body": body, "hash": caching._hash(body)})
    again, after = opened(kept, store_url)
    assert after == 0
    check_same(again, kept)


def test_nothing_is_cached_for_a_short_campaign_nor_too_often(sqlite_url, monkeypatch):
    monkeypatch.setattr(caching, "LEAST", 40)
    campaign = lived(sqlite_url, 3, 1)
    log, seen = campaign._journal.log, []
    for number in range(100):
        campaign._journal.append(*(Draft("noted", {"text": f"{number}"}) for _ in range(10)))
        row = the_row(log)
        seen.append(row.seq if row else 0)
    kept = sorted(set(seen))
    assert kept[0] == 0
    assert 40 <= kept[1] < 50
    steps = np.diff(kept)
    assert (steps[1:] >= 40).all()
    assert (steps[1:] >= np.array(kept[1:-1]) // 10).all()
    assert steps[-1] > 60


def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(sqlite_url, monkeypatch):
    monkeypatch.setattr(caching, "LEAST", 10)
    campaign = lived(sqlite_url, 3, 1)
    writing = campaign._journal.log.database.writing

    def sometimes(*args, **kwargs):
        import inspect

        if inspect.stack()[1].function == "keep":
            raise StoreError("the disk is full")
        return writing(*args, **kwargs)

    monkeypatch.setattr(campaign._journal.log.database, "writing", sometimes)
    for _ in range(30):
        campaign.note("x")
    assert the_row(campaign._journal.log) is None
    monkeypatch.undo()
    check_same(Campaign.open("c", store=sqlite_url), campaign)


# payloads of older schemas


OLDER = {
    ("proposed", 1): ("basis", "approval", "deadline"),
    ("submitted", 1): ("key", "worker"),
}
"""What the schema after it added: an old payload has none of it."""


def as_of_old(log, name, old):
    """Copy a campaign as the program of the first schemas would have written it; returns the payloads as stored."""
    with log.database.writing() as connection:
        uid = log.uid(name)
        connection.execute(insert(campaigns).values(name=old, uid=uid, created="2026-01-01"))
        previous = genesis(old, uid)
        query = select(events).where(events.c.campaign == name).order_by(events.c.seq)
        for row in list(connection.execute(query).mappings()):
            body = json.loads(row["payload"])
            for field in OLDER.get((row["kind"], 1), ()):
                del body[field]
            one = {**row, "campaign": old, "id": f"old{row['seq']:029d}", "schema": 1, "payload": json.dumps(body)}
            one["chain"] = previous = link(previous, one)
            connection.execute(insert(events).values(**one))
    return payloads(log, old)


def payloads(log, name):
    with log.database.reading() as connection:
        query = select(events.c.seq, events.c.schema, events.c.payload).where(events.c.campaign == name)
        return connection.execute(query.order_by(events.c.seq)).all()


def test_payloads_of_older_schemas_are_upcast_and_never_rewritten(store_url):
    objective = Objective([Target("yield"), Target("ee")])
    campaign = Campaign.create("c", objective=objective, candidates=POOL, policy="random", store=store_url)
    campaign.ask(2)
    campaign.run(lambda values: {"yield": values["a"], "ee": 1.0}, 5, batch=2)
    campaign.ask(2)
    log = campaign._journal.log
    stored = as_of_old(log, "c", "old")
    assert {row.schema for row in stored} == {1}
    old = Campaign.open("old", store=store_url)
    for view in ("proposals", "pending"):
        now = getattr(campaign, view).assign(worker="")  # nobody had written down who it was
        pd.testing.assert_frame_equal(getattr(old, view).assign(worker=""), now)
    assert [t.state for t in old.ledger.trials.values()] == [t.state for t in campaign.ledger.trials.values()]
    assert all(t.deadline is None and not t.awaits_approval for t in old.ledger.trials.values())
    first = next(event for event in log.read("old") if event.kind == "submitted")
    assert first.payload["key"] == f"{first.payload['proposal_id']}.1"
    assert old.view().seen == campaign.view().seen
    assert list(old.ask(3)["id"]) == list(campaign.ask(3)["id"])
    assert payloads(log, "old")[: len(stored)] == stored
    assert payloads(log, "old")[-1].schema == 2


def test_what_a_later_program_wrote_is_refused_in_words():
    with pytest.raises(StoreError, match=r"'proposed' events of schema 99, newer than this program; update discover"):
        upcast("proposed", 99, "{}")
    with pytest.raises(StoreError, match=r"kind 'dreamt', which this program does not know; update discover"):
        upcast("dreamt", 1, "{}")


def test_a_fold_is_bound_to_the_code_of_all_that_it_holds():
    """A changed default of an observation would be read into an older fold, were it not another version."""
    held = (Observation, Failure, Trial, Iteration, State, Ledger, upcast, units_of, canonical)
    assert {Path(inspect.getfile(one)).resolve() for one in held} <= {path.resolve() for path in caching.CODE}
