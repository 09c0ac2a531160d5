"""Experiments as tasks on a Dask cluster that is there already: a worker dies in the middle, nothing is lost or doubled."""

import os
import signal
import subprocess
import sys
import time

import pytest

from discover.campaign.unattended.portions import portions, typical_seconds
from discover.definition import load

CLUSTER = """
import sys
from distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""
FLOW = """
from flows.campaign import campaign
campaign({file!r}, store={store!r})
"""


@pytest.fixture
def cluster(place):
    """The address of a cluster of two processes."""
    script = place.folder / "cluster.py"
    script.write_text(CLUSTER)
    process = subprocess.Popen(
        [sys.executable, str(script)], env=place.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    yield process.stdout.readline().strip()
    process.stdin.close()
    try:
        process.wait(timeout=30)
    finally:
        process.kill()
        process.stdout.close()


def test_a_cluster_worker_that_is_killed_in_the_middle_of_a_task(place, cluster, prefect_server):
    place.write(seconds=0.3, budget=12)
    environment = place.environment | {"PREFECT_API_URL": prefect_server, "DISCOVER_DASK": cluster}
    run = subprocess.Popen(
        [sys.executable, "-c", FLOW.format(file=str(place.file), store=place.store)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        end = time.monotonic() + 120
        while len(place.lines("begin")) < 6:
            assert run.poll() is None, run.communicate()[0]
            assert time.monotonic() < end, "the campaign did not begin"
            time.sleep(0.02)
        victim = place.lines("begin")[-1][1]
        os.kill(victim, signal.SIGKILL)
        output, _ = run.communicate(timeout=180)
    finally:
        run.kill()
    assert run.returncode == 0, output
    campaign = load(place.file).open(place.store, create=False)
    status = campaign.status()
    assert (status.measured, status.experiments, status.failed) == (12, 12, 0), output
    ended = [candidate for candidate, _ in place.lines("end")]
    assert sorted(ended) == sorted(campaign.observations["dye"])
    begun = place.lines("begin")
    assert len(begun) <= 13
    assert run.pid not in {pid for _, pid in begun}
    assert len({pid for _, pid in begun}) >= 2
    assert campaign.observations["proposal_id"].is_unique
    assert campaign.notes.empty
    assert 0.3 <= typical_seconds(campaign.ledger) < 3


def test_no_cluster_is_said_in_time(place, monkeypatch):
    from flows import spread

    monkeypatch.setattr(spread, "SECONDS", 1)
    with pytest.raises(spread.NoCluster, match=r"no Dask scheduler answers at DISCOVER_DASK=tcp://127.0.0.1:9"):
        spread.slots_of("tcp://127.0.0.1:9")
    assert spread.task_runner() is None
    monkeypatch.setenv(spread.VARIABLE, "tcp://127.0.0.1:9")
    assert spread.task_runner().address == "tcp://127.0.0.1:9"


IDS = [f"p{i}" for i in range(100)]


@pytest.mark.parametrize(
    ("n", "seconds", "slots", "sizes"),
    [
        (100, None, 4, [1, 1, 1, 1]),  # nobody knows yet: try
        (2, None, 4, [1, 1]),
        (100, 1.0, 4, [34, 33, 33]),
        (100, 0.001, 4, [100]),
        (3, 100.0, 2, [1, 1, 1]),
        (5, 20.0, 8, [2, 2, 1]),
        (0, 1.0, 2, []),
    ],
)
def test_tasks_are_of_about_half_a_minute(n, seconds, slots, sizes):
    parts = portions(IDS[:n], seconds, slots)
    assert [len(part) for part in parts] == sizes
    assert len({pid for part in parts for pid in part}) == sum(sizes)


@pytest.mark.parametrize("seconds", [0.01, 0.3, 7.0, 29.0, 40.0])
def test_scheduling_costs_less_than_a_twentieth_of_the_work(seconds):
    """Where there is work for one task at all, and a task costs up to a second and a half."""
    ids = [str(i) for i in range(10_000)]
    parts = portions(ids, seconds, 16)
    assert 1.5 * len(parts) <= 0.05 * seconds * len(ids)


def test_a_campaign_that_leaves_its_experiments_to_workers(place, prefect_server, capsys):
    from flows.campaign import campaign
    from flows.iterate import iterate

    place.write(budget=9, policy=", dispatch: workers")
    for _ in range(2):  # a schedule without workers proposes one batch, and no more
        iterate(str(place.file), store=place.store)
    opened = load(place.file).open(place.store, create=False)
    assert opened.pending["state"].tolist() == ["proposed"] * 4
    assert "enough is proposed for the workers" in capsys.readouterr().out
    work = subprocess.Popen(place.command("work", str(place.file), "--wait", "15"), env=place.environment)
    try:
        campaign(str(place.file), store=place.store)
        assert work.wait(timeout=60) == 0
    finally:
        work.kill()
        work.wait()
    assert opened.status().measured == opened.spending.experiments == 9
    assert opened.status().stopped.startswith("the budget is spent")
    assert {pid for _, pid in place.lines("end")} == {work.pid}
