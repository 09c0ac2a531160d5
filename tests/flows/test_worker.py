"""What the worker starts no process for, and how it waits for a server."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

import pytest

from flows import worker as working
from flows.deployments import POOL, wait_for_server
from flows.temporary_server import ServerFailed


@pytest.fixture
def client(prefect_server, monkeypatch):
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists

    monkeypatch.setenv("PREFECT_API_URL", prefect_server)
    with get_client(sync_client=True) as client:
        with contextlib.suppress(ObjectAlreadyExists):
            client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
        yield client
        for deployment in client.read_deployments():
            client.delete_deployment(deployment.id)


@pytest.fixture
def deployed(client):
    """A new deployment of that name; its id."""
    from flows.iterate import iterate

    def deployed(name):
        return client.create_deployment(
            flow_id=client.create_flow(iterate), name=name, work_pool_name=POOL, parameters={"file": f"{name}.yaml"}
        )

    return deployed


def scheduled(client, deployment, seconds_ago):
    """A run that was due so long ago."""
    from prefect.states import Scheduled

    due = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    return client.create_flow_run_from_deployment(deployment, state=Scheduled(scheduled_time=due)).id


def tidied(job):
    """What the worker does to the runs, without its loop."""
    from flows.processes import CampaignWorker

    async def tidy():
        async with CampaignWorker(work_pool_name=POOL, name="test", limit=2, prefetch_seconds=0) as worker:
            await job(worker)

    asyncio.run(tidy())


def state(client, run):
    found = client.read_flow_run(run).state
    return found.type.value, found.name, found.message or ""


def test_catching_up_is_one_run_for_each_campaign(client, deployed, monkeypatch):
    from flows import processes

    everything_is_automatic(monkeypatch, processes)
    one, two = deployed("one"), deployed("two")
    late = [scheduled(client, one, seconds) for seconds in range(120, 0, -20)]
    other = scheduled(client, two, 300)
    later = scheduled(client, one, -3600)
    tidied(lambda worker: worker.skip_needless())
    for run in late[:-1]:
        kind, name, message = state(client, run)
        assert (kind, name) == ("COMPLETED", "Skipped")
        assert message.startswith("Skipped: overtaken by the run that was due at 20")
    for run in (late[-1], other, later):
        assert state(client, run)[0] == "SCHEDULED"


def test_a_busy_campaign_takes_no_place(client, deployed, monkeypatch):
    from flows import processes

    everything_is_automatic(monkeypatch, processes)
    busy, idle = deployed("busy"), deployed("idle")
    first, second, other = scheduled(client, busy, 60), scheduled(client, busy, 5), scheduled(client, idle, 5)

    async def job(worker):
        worker._under_way[busy] = await worker.client.read_flow_run(first)
        await worker.skip_needless()

    tidied(job)
    assert state(client, second) == (
        "COMPLETED",
        "Skipped",
        f"Skipped: the campaign's run {first} is under way on this worker",
    )
    assert state(client, other)[0] == "SCHEDULED"


def test_a_run_that_a_person_asked_for_is_not_overtaken(client, deployed):
    one = deployed("asked")
    runs = [scheduled(client, one, seconds) for seconds in (60, 30)]
    tidied(lambda worker: worker.skip_needless())
    assert [state(client, run)[0] for run in runs] == ["SCHEDULED", "SCHEDULED"]


def test_runs_that_were_taken_up_and_never_begun_are_ended(client, deployed, monkeypatch):
    from prefect.states import Pending

    from flows import processes

    one = deployed("unborn")
    run = scheduled(client, one, 5)
    client.set_flow_run_state(run, Pending(), force=True)
    tidied(lambda worker: worker.bury_unborn())
    assert state(client, run)[0] == "PENDING"  # it has been so for a moment only
    monkeypatch.setattr(processes, "UNBORN_SECONDS", 0)
    tidied(lambda worker: worker.bury_unborn())
    kind, _, message = state(client, run)
    assert kind == "CRASHED"
    assert "the next run goes on from the store" in message


def test_a_worker_says_that_there_is_no_server(monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    with pytest.raises(ServerFailed, match="start one with: discover server"):
        wait_for_server(0.1)


def test_the_promise_about_stopping():
    assert working.GRACE_SECONDS + 2 * working.LAST_SECONDS <= 90


def everything_is_automatic(monkeypatch, processes):
    """Runs that a test made are taken for the scheduler's own."""
    found = processes.CampaignWorker._find

    async def automatic(self, kind, before):
        runs = await found(self, kind, before)
        return [run.model_copy(update={"auto_scheduled": True}) for run in runs]

    monkeypatch.setattr(processes.CampaignWorker, "_find", automatic)


def test_the_server_is_spoken_to_no_more_often_than_it_asks_for(monkeypatch):
    """Which work there is is asked every few seconds; the worker's own sign of life has a rhythm of its own."""
    from prefect.settings import PREFECT_WORKER_HEARTBEAT_SECONDS, PREFECT_WORKER_QUERY_SECONDS, temporary_settings

    calls = []
    job = working._Worker(limit=1, grace=0, say=calls.append)

    class Quiet:
        async def sync_with_backend(self):
            calls.append("beat")

        async def bury_unborn(self):
            pass

        async def skip_needless(self):
            calls.append("look")
            if calls.count("look") == 5:
                job.stopping.set()

        async def get_and_submit_flow_runs(self):
            pass

    with temporary_settings({PREFECT_WORKER_QUERY_SECONDS: 0.01, PREFECT_WORKER_HEARTBEAT_SECONDS: 30}):
        asyncio.run(job._poll(Quiet()))
    assert (calls.count("look"), calls.count("beat")) == (5, 1)
