"""Many processes on one campaign: asking, working, claiming, telling, sleeping through a lease. Every result is there once."""

import os
import signal
import subprocess
import sys
import textwrap
import time
import traceback
from contextlib import contextmanager
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import select

from discover import Campaign, CandidatePool, Objective
from discover.campaign.unattended.iterating import propose_next, room, vacancies, wait_for_vacancy
from discover.campaign.unattended.working import Worker
from discover.definition import load
from discover.errors import InvalidInput, StoreError
from discover.experiment.callable import CallableExperiment
from discover.provenance.audit import audit
from discover.store.database.schema import leases
from discover.store.log.log import EventLog, utc_now

TIMEOUT = 60


@pytest.fixture(scope="module")
def large():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"id": [f"m{i:04d}" for i in range(1200)], "a": rng.random(1200), "b": rng.random(1200)})
    return CandidatePool.from_frame(table, id="id", features=["a", "b"])


@contextmanager
def processes(*bodies):
    """Run functions in forked processes meanwhile; at the end wait for them, and fail if one has."""
    pids = []
    for body in bodies:
        pid = os.fork()
        if pid == 0:
            try:
                body()
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        pids.append(pid)
    ended = {}
    try:
        yield pids
        end = time.monotonic() + TIMEOUT
        while len(ended) < len(pids):
            assert time.monotonic() < end, "a process does not end"
            for pid in set(pids) - ended.keys():
                if os.waitpid(pid, os.WNOHANG)[0]:
                    ended[pid] = True
            time.sleep(0.01)
    finally:
        for pid in set(pids) - ended.keys():
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def measure(values):
    return values["a"] + values["b"]


def experiment():
    return CallableExperiment(measure, {"y": ""})


def until(true):
    end = time.monotonic() + TIMEOUT
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def test_eight_processes_ask_work_claim_and_tell_for_some_seconds(store_url, large):
    campaign = Campaign.create("c", objective=Objective("y"), candidates=large, policy="random", store=store_url)
    papers = large.ids[1000:]
    campaign.exclude(list(papers), reason="read in papers only")
    campaign.ask(1)
    end = time.monotonic() + 5

    def opened():
        return Campaign.open("c", store=store_url)

    def ask():
        campaign = opened()
        while time.monotonic() < end:
            campaign.ask(3)
            time.sleep(0.05)

    def work():
        Worker(opened(), experiment()).work(wait=max(0.0, end - time.monotonic()))

    def claim():
        campaign = opened()
        while time.monotonic() < end:
            with campaign.claim(2) as claims:
                if len(claims):
                    frame = claims.frame
                    claims.tell(frame.assign(y=frame["a"] + frame["b"]))

    def tell(place):
        campaign, rng = opened(), np.random.default_rng(place)
        while time.monotonic() < end:
            ids = rng.choice(papers, 2, replace=False)
            campaign.tell(pd.DataFrame({"id": ids, "y": [1.0, 2.0], "source": f"paper {place} {time.monotonic_ns()}"}))
            time.sleep(0.05)

    with processes(ask, ask, work, work, work, claim, claim, lambda: tell(1)):
        pass
    campaign = opened()
    Worker(campaign, experiment()).work()
    proposals, found = campaign.proposals, campaign.observations
    assert len(proposals) >= 10
    assert proposals["id"].is_unique
    assert set(proposals["state"]) == {"measured"}
    assert set(proposals["attempts"]) == {1}
    assert campaign.spending.experiments == len(proposals)
    own = found.dropna(subset="proposal_id")
    assert own["proposal_id"].is_unique
    assert len(own) == len(proposals)
    elsewhere = found[found["proposal_id"].isna()]
    assert len(elsewhere)
    assert not elsewhere.duplicated(["id", "source"]).any()
    assert campaign.notes.empty
    assert not campaign.status().workers
    assert audit(store_url).clean
    right = large.frame(large.rows(list(own["id"])))
    assert own["y"].to_numpy() == pytest.approx((right["a"] + right["b"]).to_numpy())


def test_a_run_that_workers_join_is_the_campaign_that_it_is_alone(tmp_path, store_url, large):
    """Each batch waits for the whole one before it, whoever found out: the same choices, bit for bit."""

    def begin(url):
        policy = {"kind": "bayesian", "batch": 4, "start": 4}
        return Campaign.create("c", objective=Objective("y"), candidates=large, policy=policy, store=url,
                               budget={"experiments": 16})  # fmt: skip

    def run(campaign):
        while propose_next(campaign) is not None:
            campaign.run_pending(experiment(), room(campaign), wait=True)

    def join(until_measured=16):
        worker = Worker(Campaign.open("c", store=store_url), experiment())
        while worker.campaign.status().measured < until_measured:
            worker.work()
            time.sleep(0.005)

    alone = begin(f"sqlite:///{tmp_path / 'alone.db'}")
    run(alone)
    joined = begin(store_url)
    with processes(join, join):
        run(joined)
    columns = ["proposal_id", "id", "predicted_mean", "predicted_std", "y", "state"]
    pd.testing.assert_frame_equal(joined.proposals[columns], alone.proposals[columns], check_exact=True)
    assert joined.spending.experiments == 16
    assert len(set(joined.proposals["worker"])) > 1


def test_workers_find_a_full_queue_until_the_budget_is_spent(store_url, large):
    campaign = Campaign.create(
        "c", objective=Objective("y"), candidates=large, store=store_url, budget={"experiments": 23},
        policy={"kind": "space-filling", "batch": 5, "dispatch": "workers"},
    )  # fmt: skip

    def work():
        Worker(Campaign.open("c", store=store_url), experiment()).work(wait=3)

    with processes(work, work):
        queues = []
        while propose_next(campaign) is not None:
            queues.append(len([t for t in campaign.ledger.pending() if t.runnable]))
            wait_for_vacancy(campaign, pause=0.01)
    assert max(queues) <= 5
    assert not vacancies(campaign)
    assert campaign.status().measured == campaign.spending.experiments == 23
    assert campaign.iterations["n"].sum() == 23


SLEEPY = """
    import sys
    from discover.campaign.unattended.working import Worker
    from discover.definition import load
    definition = load({file!r})
    campaign = definition.open({store!r}, create=False)
    Worker(campaign, definition.runner(campaign.files), sys.argv[1], seconds=float(sys.argv[2])).work(wait=float(sys.argv[3]))
"""


@pytest.fixture
def sleepy(either_place):
    """Starts workers; the experiment's value is the process's number and a bit."""
    either_place.write(by_process=True)
    running = []

    def start(name, lease, wait):
        program = textwrap.dedent(SLEEPY).format(file=str(either_place.file), store=either_place.store)
        process = subprocess.Popen([sys.executable, "-c", program, name, lease, wait], env=either_place.environment)
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()


def put_to_sleep(process, url, monkeypatch):
    """Stop a process, but not in the middle of a transaction: it would keep the others waiting for as long as it sleeps."""
    monkeypatch.setenv("DISCOVER_BUSY_SECONDS", "0.5")
    while True:
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.05)
        try:
            with EventLog(url, create=False).database.writing() as connection:
                connection.execute(select(leases).with_for_update())
            break
        except StoreError:
            process.send_signal(signal.SIGCONT)
            time.sleep(0.1)
    monkeypatch.delenv("DISCOVER_BUSY_SECONDS")


@pytest.mark.parametrize("ending", ["late", "early", "failed"])
def test_a_worker_that_sleeps_through_its_lease(either_place, sleepy, ending, monkeypatch):
    """Another takes over and finishes; what the first brings when it wakes up is kept beside, and noted."""
    campaign = load(either_place.file).open(either_place.store)
    campaign.ask(1)
    hold = either_place.folder / "wait"
    hold.touch()
    first = sleepy("first", "1", "0")
    until(lambda: len(either_place.lines("begin")) == 1)
    put_to_sleep(first, either_place.store, monkeypatch)
    second = sleepy("second", "30", "4")
    until(lambda: len(either_place.lines("begin")) == 2)
    assert campaign.pending[["state", "worker"]].values.tolist() == [["submitted", "second"]]
    if ending == "early":
        put_to_sleep(second, either_place.store, monkeypatch)
    hold.unlink()
    if ending != "early":
        assert second.wait(TIMEOUT) == 0
        assert campaign.status().measured == 1
    if ending == "failed":
        (either_place.folder / "fail").touch()
    first.send_signal(signal.SIGCONT)
    assert first.wait(TIMEOUT) == 0
    if ending == "early":
        second.send_signal(signal.SIGCONT)
        assert second.wait(TIMEOUT) == 0

    found = campaign.observations
    assert campaign.spending.experiments == 1
    assert campaign.proposals[["state", "attempts"]].values.tolist() == [["measured", 1]]
    (own,) = found.dropna(subset="proposal_id").to_dict("records")
    assert int(own["yield"]) == second.pid
    assert campaign.notes["text"].str.contains("lost the lease").sum() == 1
    if ending == "failed":
        assert len(found) == 1
        assert campaign.notes["text"].str.contains("the lamp went out").sum() == 1
    else:
        (beside,) = found[found["proposal_id"].isna()].to_dict("records")
        assert int(beside["yield"]) == first.pid
        assert "by first" in beside["source"]
        assert sorted(campaign.view().training["yield"].values.astype(int)) == sorted([first.pid, second.pid])
    assert audit(either_place.store).clean


def test_machines_whose_clocks_are_hours_apart_do_not_take_from_each_other(postgres_url, large):
    """Leases end by the database server's clock: a worker that lives in the future finds nothing expired."""
    campaign = Campaign.create("c", objective=Objective("y"), candidates=large, policy="random", store=postgres_url)
    campaign.ask(12)

    def machine(hours):
        def slowly(values):
            time.sleep(0.3)
            return measure(values) + hours

        log = EventLog(postgres_url, create=False, clock=lambda: utc_now() + timedelta(hours=hours))
        Worker(Campaign.open("c", store=log), CallableExperiment(slowly, {"y": ""}), f"at {hours:+} h").work()

    with processes(lambda: machine(5), lambda: machine(-5), lambda: machine(0)):
        pass
    assert campaign.status().measured == campaign.spending.experiments == len(campaign.observations) == 12
    assert set(campaign.proposals["worker"]) == {"at +5 h", "at -5 h", "at +0 h"}
    assert campaign.notes.empty
    times = pd.to_datetime(pd.Series([e.time for e in campaign._journal.log.read("c")]))
    assert times.max() - times.min() > pd.Timedelta(hours=9)  # so they were


def test_dispatch_is_here_or_by_workers(large, sqlite_url):
    with pytest.raises(InvalidInput, match="must be 'here' or 'workers'"):
        Campaign.create("c", objective=Objective("y"), candidates=large, store=sqlite_url,
                        policy={"kind": "random", "dispatch": "elsewhere"})  # fmt: skip


def test_a_result_waits_for_a_store_that_is_away(store_url, large, monkeypatch):
    """What took days to find out is not lost because the store is away in the moment of telling."""
    from discover.campaign.unattended import working

    campaign = Campaign.create("c", objective=Objective("y"), candidates=large, policy="random", store=store_url)
    campaign.ask(2)
    monkeypatch.setattr(working, "PAUSE_SECONDS", 0.05)
    said = []
    worker = Worker(
        campaign, CallableExperiment(lambda values: away.__setitem__(0, 3) or 1.0, {"y": ""}), say=said.append
    )
    away, transact = [0], type(campaign._journal).transact

    def sometimes(self, *arguments, **more):
        if away[0]:
            away[0] -= 1
            raise StoreError("the store cannot be reached")
        return transact(self, *arguments, **more)

    monkeypatch.setattr(type(campaign._journal), "transact", sometimes)
    assert worker.work() == 2
    assert said == ["the store cannot be reached; trying again"] * 6
    assert campaign.status().measured == campaign.spending.experiments == 2
    away[0] = 10**9
    worker.patience = 0.2
    monkeypatch.setattr(type(campaign._journal), "transact", transact)
    campaign.ask(1)
    monkeypatch.setattr(type(campaign._journal), "transact", sometimes)
    with pytest.raises(StoreError, match="cannot be reached"):
        worker.work()
