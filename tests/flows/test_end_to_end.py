"""A server, a worker and two campaigns on a schedule, as a user starts them; then processes are killed.

One story, told in one test, for its parts cost half a minute each: one campaign is slow and the other quick; the worker was
down when the first runs were due; a run is killed; worker and run are killed together; the worker is stopped. Afterwards
the stores are read: nothing is lost, nothing doubled.
"""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from discover import Campaign
from discover.errors import StoreError

pytestmark = pytest.mark.end_to_end

CAMPAIGN = """\
campaign: {name}
objective: {{target: y, direction: maximize}}
candidates: {{kind: table, file: candidates.csv, id: name}}
features: [a, b]
policy: {{kind: random, batch: 3}}
experiment: {{kind: slow-table, seconds: {seconds}, file: answers.csv, id: name, target: y}}
"""
PLUGIN = """\
import time
from dataclasses import dataclass

from discover.experiment.table import TableLookup


@dataclass(frozen=True)
class SlowTable(TableLookup):
    seconds: float = 0.0

    def run(self, proposal):
        time.sleep(self.seconds)
        return super().run(proposal)
"""
SLOW = 5.0
"""Seconds that an experiment of the slow campaign takes; three make an iteration."""
PATIENCE = 120


class House:
    """A folder with campaigns, a server, and the commands that a user would type."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.started: list[subprocess.Popen] = []
        self.port = free_port()
        home = folder / "home"
        home.mkdir()
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("PREFECT")},
            "PREFECT_API_URL": f"http://127.0.0.1:{self.port}/api",
            "PREFECT_HOME": str(home),
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            "PYTHONPATH": os.pathsep.join([str(plugin(folder)), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
            "OMP_NUM_THREADS": "1",
        }
        self.files = {name: campaign(folder, name, seconds) for name, seconds in (("slow", SLOW), ("quick", 0.0))}

    def begin(self) -> None:
        self.start("server", "--port", str(self.port), log="server")
        wait(lambda: answers(self.environment["PREFECT_API_URL"]), "the server's answer")

    def start(self, *words: str, log: str) -> subprocess.Popen:
        """A command in the background; its output goes to a file."""
        with (self.folder / f"{log}.log").open("a") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "discover.cli", *words], cwd=self.folder / "home", env=self.environment,
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self.started.append(process)
        return process

    def worker(self) -> subprocess.Popen:
        return self.start("worker", "--limit", "2", "--grace", "2", log="worker")

    def do(self, *words: object) -> str:
        """A command in the foreground, from another folder than the campaigns'."""
        command = [sys.executable, "-m", "discover.cli", *map(str, words)]
        done = subprocess.run(command, cwd=self.folder / "home", env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def open(self, name: str) -> Campaign:
        return Campaign.open(name, store=f"sqlite:///{self.folder}/.discover/{name}.db")

    def measured(self, name: str) -> int:
        try:
            return len(self.open(name).observations)
        except StoreError:
            return 0  # it has not begun

    def runs(self, name: str | None = None, *states: str) -> list:
        """Runs that Prefect knows, oldest first."""
        from prefect.client.schemas.sorting import FlowRunSort

        with self.client() as client:
            names = {d.id: d.name for d in client.read_deployments()}
            found: list = []
            while page := client.read_flow_runs(limit=200, offset=len(found), sort=FlowRunSort.EXPECTED_START_TIME_ASC):
                found += page
        mine = [r for r in found if name is None or names.get(r.deployment_id) == name]
        return [r for r in mine if not states or r.state_name in states]

    def client(self):
        from prefect.client.orchestration import SyncPrefectClient

        return SyncPrefectClient(self.environment["PREFECT_API_URL"])

    def end(self) -> None:
        for process in reversed(self.started):
            for pid in [*children(process.pid), process.pid]:
                kill(pid)
            process.wait()


@pytest.fixture
def house(tmp_path):
    from flows import environment

    environment.prepare()
    house = House(tmp_path)
    try:
        house.begin()
        yield house
    finally:
        house.end()
        for log in tmp_path.glob("*.log"):  # seen where the test fails
            print(f"--- {log.name}\n{log.read_text()[-8000:]}")


def test_campaigns_on_a_schedule_survive_what_happens_to_them(house):
    zombie = a_run_that_lost_its_machine(house)
    for name in ("slow", "quick"):
        assert "deployed" in house.do("deploy", house.files[name], "--interval", "3")
    wait(lambda: min(len(due(house, name)) for name in ("slow", "quick")) >= 4, "runs that fall due while nobody works")

    late = {name: due(house, name) for name in ("slow", "quick")}
    worker = house.worker()
    wait(lambda: house.measured("quick") >= 6 and house.runs("slow", "Completed"), "iterations of both")
    for name, runs in late.items():
        caught_up(house, name, runs)
    never_waited(house)

    first = wait(lambda: running(house, worker), "a slow run under way")
    before = house.measured("slow")
    os.kill(first, signal.SIGKILL)
    wait(lambda: house.runs("slow", "Crashed"), "the killed run's end")
    wait(lambda: house.measured("slow") >= before + 3, "the slow campaign going on after its run was killed")

    second = wait(lambda: running(house, worker), "another slow run under way")
    counts = {name: house.measured(name) for name in house.files}
    worker.kill()
    for pid in {second, *children(worker.pid)}:
        kill(pid)
    worker.wait()
    worker = house.worker()
    for name in house.files:
        wait(
            lambda name=name: house.measured(name) >= counts[name] + 3,
            f"{name} going on after worker and run were killed",
        )

    wait(lambda: running(house, worker), "a run to be stopped with its worker")
    under_way = children(worker.pid)
    started = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=60) == 0
    assert time.monotonic() - started < 35
    assert not [pid for pid in under_way if alive(pid)]

    nothing_is_lost_or_doubled(house)
    skips = house.runs(None, "Skipped")
    assert all(run.state_type.value == "COMPLETED" and run.state.message.startswith("Skipped: ") for run in skips)
    assert any("is under way on this worker" in run.state.message for run in skips)
    wait(lambda: state_of(house, zombie).name == "Crashed", "the zombie's end")
    assert state_of(house, zombie).message.startswith("no heartbeat for 10 s")

    for name in house.files:
        house.do("deploy", house.files[name], "--remove")
    with house.client() as client:
        assert client.read_deployments() == []
        assert [a.name for a in client.read_automations()] == ["a short heartbeat"]
    assert house.runs(None, "Scheduled", "Late") == []


def caught_up(house: House, name: str, late: list) -> None:
    """Of the runs that fell due before the worker came, one at most was started."""
    states = {run.id: run for run in house.runs(name)}
    ends = [states[run.id] for run in late]
    overtaken = [run for run in ends if run.state_name == "Skipped" and "overtaken by" in run.state.message]
    assert len(overtaken) >= len(late) - 1, Counter((r.state_name, r.state.message) for r in ends)


def never_waited(house: House) -> None:
    """While the slow campaign's first iteration went on, the quick one had iterations."""
    [slow, *_] = house.runs("slow", "Completed")
    assert slow.state.message.startswith("3 experiments"), [(r.state_name, r.state.message) for r in house.runs("slow")]
    assert (slow.end_time - slow.start_time).total_seconds() >= 3 * SLOW
    during = [q for q in house.runs("quick", "Completed") if slow.start_time < q.end_time < slow.end_time]
    assert during, [(q.start_time, q.end_time) for q in house.runs("quick", "Completed")]


def nothing_is_lost_or_doubled(house: House) -> None:
    for name in house.files:
        campaign = house.open(name)
        proposals, observations = campaign.proposals, campaign.observations
        assert proposals["name"].is_unique
        assert observations["proposal_id"].is_unique
        assert set(observations["status"]) == {"measured"}
        answers = pd.read_csv(house.folder / "answers.csv").set_index("name")["y"]
        assert np.allclose(observations["y"], answers[observations["name"]])
        assert list(campaign.iterations["key"]) == [f"iteration-{k}" for k in range(1, len(campaign.iterations) + 1)]
        open_ones = set(proposals["proposal_id"]) - set(observations["proposal_id"])
        last = set(proposals["proposal_id"].tail(3))
        assert open_ones <= last  # only the batch that the worker's end cut off
        assert len(observations) >= 9


def a_run_that_lost_its_machine(house: House):
    """A run of ours that beat once and never again. The heartbeat automation, with a shorter patience, must end it."""
    from prefect.events import Event
    from prefect.events.clients import PrefectEventsClient
    from prefect.states import Running

    from flows.automations import heartbeat, install
    from flows.iterate import iterate

    tag = "lost"
    with house.client() as client:
        short = heartbeat(10, tag)
        short.name = "a short heartbeat"
        install(client, short)
        install(client, short)
        run = client.create_flow_run(iterate, parameters={"file": "gone.yaml"}, tags=[tag], state=Running())
    event = Event(
        event="prefect.flow-run.heartbeat",
        resource={"prefect.resource.id": f"prefect.flow-run.{run.id}"},
        related=[{"prefect.resource.id": f"prefect.tag.{tag}", "prefect.resource.role": "tag"}],
    )
    time.sleep(2)  # the server looks at its automations once in a while

    async def beat() -> None:
        async with PrefectEventsClient(house.environment["PREFECT_API_URL"]) as events:
            await events.emit(event)

    asyncio.run(beat())
    return run.id


def state_of(house: House, run_id):
    with house.client() as client:
        return client.read_flow_run(run_id).state


def due(house: House, name: str) -> list:
    now = datetime.now(UTC)
    return [r for r in house.runs(name, "Scheduled", "Late") if r.expected_start_time < now - timedelta(seconds=1)]


def running(house: House, worker: subprocess.Popen) -> int | None:
    """The process of the slow campaign's run, once it is in the middle of its experiments."""
    for run in house.runs("slow", "Running"):
        pid = int(run.infrastructure_pid.rpartition(":")[2]) if run.infrastructure_pid else 0
        if pid in children(worker.pid) and (datetime.now(UTC) - run.start_time).total_seconds() > 3:
            return pid
    return None


def children(pid: int) -> list[int]:
    done = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    return [int(word) for word in done.stdout.split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def wait(happened, what: str):
    """What `happened()` returns, once it is true."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := happened():
            return found
        time.sleep(0.5)
    raise AssertionError(f"in {PATIENCE} s there was not: {what}")


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5):
            return True
    except OSError:
        return False


def campaign(folder: Path, name: str, seconds: float) -> Path:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"name": [f"n{i:03d}" for i in range(400)], "a": rng.random(400), "b": rng.random(400)})
    frame.to_csv(folder / "candidates.csv", index=False)
    frame.assign(y=frame["a"] + frame["b"])[["name", "y"]].to_csv(folder / "answers.csv", index=False)
    path = folder / f"{name}.yaml"
    path.write_text(CAMPAIGN.format(name=name, seconds=seconds))
    return path


def plugin(folder: Path) -> Path:
    """An experiment of a third party, installed as far as entry points are concerned."""
    place = folder / "plugin"
    info = place / "slow_table-0.0.1.dist-info"
    info.mkdir(parents=True)
    (place / "slow_table.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: slow-table\nVersion: 0.0.1\n")
    (info / "entry_points.txt").write_text("[discover.experiments]\nslow-table = slow_table:SlowTable\n")
    return place


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
