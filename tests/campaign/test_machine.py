"""Random histories, legal and illegal, against a plain model; the fold is held against itself after every step."""

from __future__ import annotations

import json
import shutil
import tempfile
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from discover import Campaign, CandidatePool, Objective, Target
from discover.campaign.claiming import take
from discover.errors import Conflict, ExperimentFailed, InvalidInput
from discover.experiment.callable import CallableExperiment
from discover.store.database import engines
from discover.store.leases.leases import release
from discover.store.ledger import folds
from discover.store.ledger.ledger import Ledger
from discover.store.log.log import EventLog
from tests.campaign.histories import deep
from tests.campaign.plain_model import TARGETS, Model, Refused

SIZE, DAYS = 9, 5
FRAME = pd.DataFrame({"id": [f"m{i}" for i in range(SIZE)], "a": np.arange(SIZE) / SIZE, "b": np.arange(SIZE) % 3})
POOL = CandidatePool.from_frame(FRAME, id="id", features=["a", "b"])
BEGAN = datetime(2026, 3, 1, tzinfo=UTC)

which = st.integers(0, 1)
proposal = st.integers(1, 14)
candidate = st.sampled_from([f"m{i}" for i in range(SIZE)])
replicate = st.sampled_from([0, 0, 0, 1])
value = st.sampled_from([1.0, 2.0])
found = st.one_of(
    st.fixed_dictionaries({"yield": value, "ee": value}),
    st.fixed_dictionaries({"yield": value}),
    st.fixed_dictionaries({"ee": value}),
    st.sampled_from(["failed", "infeasible"]),
)
outcome = st.sampled_from(["measured", "in part", "leak", "leak", "broken", "cut"])


class Histories(RuleBasedStateMachine):
    """One store, two campaign objects on it that take turns, and the model."""

    def store(self) -> str:
        return f"sqlite:///{self.folder / 'c.db'}"

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="machine-"))

    @initialize(approval=st.booleans())
    def begin(self, approval):
        self.model = Model(FRAME["id"], approval, DAYS)
        url = self.store()
        self.logs = [EventLog(url, clock=self.clock) for _ in range(2)]
        policy = {"kind": "random", "require_approval": approval, "deadline_days": DAYS}
        objective = Objective([Target(name) for name in TARGETS])
        first = Campaign.create("c", objective=objective, candidates=POOL, policy=policy, store=self.logs[0])
        self.campaigns = [first, Campaign.open("c", store=self.logs[1])]
        self.uid = first.uid

    def clock(self):
        return BEGAN + timedelta(days=self.model.now)

    def teardown(self):
        for log in getattr(self, "logs", ()):
            log.database.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # names

    def pid(self, number):
        return f"{self.uid}-{number:04d}"

    def known(self, number):
        """A proposal that is there, whichever number was drawn."""
        count = len(self.model.proposals)
        return (number - 1) % count + 1

    @property
    def some(self):
        return bool(self.model.proposals)

    def both(self, theirs, ours, error=InvalidInput):
        """Do it on both sides: the same is refused, and what is refused changes nothing."""
        before = self.campaigns[0].ledger.seq
        try:
            ours()
        except Refused:
            with pytest.raises(error):
                theirs()
            assert self.campaigns[0].ledger.seq == before
            return False
        theirs()
        return True

    # asking

    def asked(self, frame, n):
        free = set(FRAME["id"]) - self.model.blocked()
        chosen = list(frame["id"])
        assert len(chosen) == min(n, len(free))
        assert set(chosen) <= free
        first = len(self.model.proposals) + 1
        assert list(frame["proposal_id"]) == [self.pid(first + k) for k in range(len(chosen))]
        self.model.propose(chosen)
        return list(range(first, first + len(chosen)))

    @rule(c=which, n=st.integers(1, 3))
    def ask(self, c, n):
        self.model.expire()
        self.asked(self.campaigns[c].ask(n), n)

    @rule(c=which, n=st.integers(1, 2), key=st.sampled_from(["monday", "tuesday", "friday"]))
    def ask_with_a_key(self, c, n, key):
        self.model.expire()
        if key not in self.model.keys:
            self.model.keys[key] = n, self.asked(self.campaigns[c].ask(n, key=key), n)
            return
        before, numbers = self.model.keys[key]
        if before != n:
            with pytest.raises(Conflict, match="was used to ask for"):
                self.campaigns[c].ask(n, key=key)
        else:
            assert list(self.campaigns[c].ask(n, key=key)["proposal_id"]) == [self.pid(k) for k in numbers]

    @rule(c=which, chosen=st.lists(candidate, min_size=1, max_size=2, unique=True))
    def propose(self, c, chosen):
        campaign = self.campaigns[c]
        self.both(lambda: campaign.propose(chosen, reason="x"), lambda: self.model.propose(chosen, by_person=True))

    # telling

    def frame(self, what, **columns):
        told = {"status": what} if isinstance(what, str) else what
        return pd.DataFrame({key: [cell] for key, cell in {**columns, **told}.items()})

    def split(self, what):
        return ({}, what) if isinstance(what, str) else (what, None)

    @precondition(lambda self: self.some)
    @rule(c=which, number=proposal, what=found, replicate=replicate)
    def tell(self, c, number, what, replicate):
        number = self.known(number)
        frame = self.frame(what, proposal_id=self.pid(number), replicate=replicate)
        self.both(lambda: self.campaigns[c].tell(frame), lambda: self.model.tell(number, *self.split(what), replicate))

    @precondition(lambda self: self.some)
    @rule(c=which, number=proposal, what=found, other=found)
    def tell_good_rows_though_one_is_bad(self, c, number, what, other):
        number = self.known(number)
        good = self.frame(what, proposal_id=self.pid(number), replicate=0)
        bad = self.frame(other, proposal_id="nobody's", replicate=0)
        rows = pd.concat([bad, good], ignore_index=True)
        before = self.campaigns[c].ledger.seq
        with pytest.raises(InvalidInput, match="no such proposal"):
            self.campaigns[c].tell(rows)
        assert self.campaigns[c].ledger.seq == before
        told = self.campaigns[c].tell(rows, partial=True)
        try:
            self.model.tell(number, *self.split(what), 0)
            assert (told["became"] == "refused").tolist() == [True, False]
        except Refused:
            assert (told["became"] == "refused").tolist() == [True, True]
            assert self.campaigns[c].ledger.seq == before

    @rule(c=which, one=candidate, what=found)
    def tell_by_the_candidate(self, c, one, what):
        numbers = self.model.of(one)
        if numbers and (len(numbers) > 1 or one in self.model.elsewhere):
            return  # which of several is meant depends on more than this model knows
        p = self.model.proposals[numbers[0]] if numbers else None
        if p and (self.model.state(numbers[0]) not in ("proposed", "approved", "submitted") or p["taken back"]):
            return
        number = numbers[0] if numbers else None
        frame = self.frame(what, id=one)
        self.both(
            lambda: self.campaigns[c].tell(frame),
            lambda: self.model.tell(number, *self.split(what), 0, candidate=one),
        )

    @precondition(lambda self: self.some)
    @rule(c=which, number=proposal, what=found, replicate=replicate)
    def correct(self, c, number, what, replicate):
        number = self.known(number)
        frame = self.frame(what, proposal_id=self.pid(number), replicate=replicate)
        self.both(
            lambda: self.campaigns[c].correct(frame, reason="a leak"),
            lambda: self.model.tell(number, *self.split(what), replicate, correcting=True),
        )

    @precondition(lambda self: self.some)
    @rule(c=which, number=proposal)
    def retract(self, c, number):
        number = self.known(number)
        self.both(lambda: self.campaigns[c].retract(self.pid(number), reason="x"), lambda: self.model.retract(number))

    @rule(c=which, one=candidate)
    def retract_elsewhere(self, c, one):
        self.both(lambda: self.campaigns[c].retract(one, reason="x"), lambda: self.model.retract_elsewhere(one))

    # a person's decisions, and time

    @precondition(lambda self: self.some)
    @rule(c=which, numbers=st.lists(proposal, min_size=1, max_size=2))
    def withdraw(self, c, numbers):
        numbers = list(dict.fromkeys(self.known(n) for n in numbers))
        pids = [self.pid(n) for n in numbers]
        self.both(lambda: self.campaigns[c].withdraw(pids, reason="x"), lambda: self.model.withdraw(numbers))

    @precondition(lambda self: self.some)
    @rule(c=which, numbers=st.lists(proposal, min_size=1, max_size=3))
    def approve(self, c, numbers):
        numbers = list(dict.fromkeys(self.known(n) for n in numbers))
        self.both(
            lambda: self.campaigns[c].approve([self.pid(n) for n in numbers]), lambda: self.model.approve(numbers)
        )

    @rule(c=which, one=candidate)
    def exclude(self, c, one):
        self.both(lambda: self.campaigns[c].exclude(one, reason="toxic"), lambda: self.model.exclude(one))

    @rule(c=which, one=candidate)
    def readmit(self, c, one):
        self.both(lambda: self.campaigns[c].readmit(one), lambda: self.model.readmit(one))

    @rule(c=which, days=st.sampled_from([-1.0, 0.5, 3.0]))
    def expire(self, c, days):
        self.model.now += days
        assert list(self.campaigns[c].expire()) == [self.pid(n) for n in self.model.expire()]

    # working

    @rule(c=which, outcome=outcome)
    def work(self, c, outcome):
        """One attempt at what is first in line, with this end; 'cut' is a worker that dies in the middle."""
        line = self.model.workable()
        asked = []

        def run(values):
            asked.append(values["id"])
            if outcome == "cut":
                raise KeyboardInterrupt
            if outcome == "leak":
                raise RuntimeError("a leak")
            if outcome == "broken":
                raise ExperimentFailed("broken")
            return {"yield": 4.0, "ee": 5.0} if outcome == "measured" else {"yield": 4.0}

        experiment = CallableExperiment(run, dict.fromkeys(TARGETS, ""), deterministic=False)
        try:
            self.campaigns[c].run_pending(experiment, limit=1 if not line or self.may_begin(line[0]) else 0)
        except KeyboardInterrupt:
            assert outcome == "cut"
        assert asked == [self.model.proposals[n]["candidate"] for n in line[:1]]
        for number in line[:1]:
            self.model.begin(number)
            if outcome in ("measured", "in part"):
                self.model.told(number)
                values = {"yield": 4.0, "ee": 5.0} if outcome == "measured" else {"yield": 4.0}
                self.model.proposals[number]["values"] |= {(t, 0): v for t, v in values.items()}
            elif outcome == "leak":
                self.model.try_failed(number)
            elif outcome == "broken":
                self.model.told(number)
                self.model.proposals[number]["failures"][0] = "failed"

    def may_begin(self, number):
        return self.model.state(number) != "submitted"

    @rule(c=which, n=st.integers(1, 3))
    def claim_and_give_back(self, c, n):
        """A claim changes nothing but who may claim."""
        mine, other = (campaign._journal for campaign in (self.campaigns[c], self.campaigns[1 - c]))
        first = take(mine, n, worker="one")
        line = self.model.workable()
        assert [lease.name for lease in first] == [f"proposal {self.pid(k)}" for k in line[:n]]
        second = take(other, SIZE * 3, worker="two")
        assert [lease.name for lease in second] == [f"proposal {self.pid(k)}" for k in line[n:]]
        if first + second:
            release(mine.log, *first, *second)

    @rule(c=which)
    def reopen(self, c):
        self.campaigns[c] = Campaign.open("c", store=self.logs[c])

    # what is always so

    @invariant()
    def the_campaigns_are_what_the_model_says(self):
        if not hasattr(self, "model"):
            return
        for campaign in self.campaigns:
            ledger = campaign.ledger
            assert [t.state.value for t in ledger.trials.values()] == self.model.states()
            assert [t.candidate_id for t in ledger.trials.values()] == [
                p["candidate"] for p in self.model.proposals.values()
            ]
            assert campaign.spending.experiments == self.model.started
            self.the_view_is(campaign.view())
        pending = [self.model.proposals[n]["candidate"] for n in self.model.pending()]
        late = {p["candidate"] for p in self.model.proposals.values() if p["closed"] or p["retracted"]}
        assert {c for c in pending if pending.count(c) > 1} <= late  # only what was closed and came back in part

    def the_view_is(self, view):
        names = {str(name) for name in view.ids[view.blocked]}
        assert names == self.model.blocked()
        assert {str(view.ids[row]) for row in view.pending} == self.model.under_trial()
        assert {str(view.ids[row]) for row in view.infeasible} == self.model.infeasible()
        for target in TARGETS:
            training = view.training[target]
            seen = sorted((str(view.ids[r]), v) for r, v in zip(training.rows, training.values, strict=True))
            assert seen == self.model.training(target)

    @invariant()
    def the_fold_is_the_fold(self):
        if not hasattr(self, "model"):
            return
        log, ledger = self.logs[0], self.campaigns[0].ledger
        events = log.read("c")
        anew = Ledger().apply(events)
        assert deep(anew) == deep(ledger)
        half = Ledger().apply(events[: len(events) // 2])
        resumed = folds.loaded(json.loads(json.dumps(folds.dumped(half))), folds.loader(log, "c"))
        assert deep(resumed.apply(events[len(events) // 2 :])) == deep(anew)


def run(machine, examples, steps):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=examples, stateful_step_count=steps, deadline=None,
                suppress_health_check=list(HealthCheck), print_blob=True,
            ),
        )  # fmt: skip


def test_random_histories_on_sqlite():
    run(Histories, 25, 40)


def test_random_histories_on_postgresql(postgres, tmp_path, monkeypatch):
    monkeypatch.setenv("DISCOVER_FILES", str(tmp_path / "files"))
    monkeypatch.setattr(engines, "server_time", lambda connection: None)  # the model's days do not pass on the server
    from tests.conftest import TEMPLATE

    made = []

    class OnServer(Histories):
        def store(self):
            made.append(f"machine_{len(made)}")
            return postgres.create(made[-1], TEMPLATE)

        def teardown(self):
            super().teardown()
            if made:
                postgres.drop(made[-1])

    run(OnServer, 6, 30)
    assert len(made) >= 6
