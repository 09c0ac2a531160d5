"""The flows on a real server: a whole campaign, one iteration, a pull; cut off, killed, and gone on with."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from discover import Campaign
from discover.definition import load

TEXT = """\
campaign: numbers
objective: {target: y, direction: maximize}
candidates: {kind: table, file: candidates.csv, id: name}
features: [a, b]
policy: {kind: space-filling, batch: 3}
experiment: {kind: table, file: answers.csv, id: name, target: y}
budget: {experiments: BUDGET}
"""


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"name": [f"n{i:03d}" for i in range(150)], "a": rng.random(150), "b": rng.random(150)})
    frame.to_csv(tmp_path / "candidates.csv", index=False)
    frame.assign(y=frame["a"] + frame["b"])[["name", "y"]].head(140).to_csv(tmp_path / "answers.csv", index=False)
    return tmp_path


@pytest.fixture
def write(folder):
    def write(budget=8, **changes):
        text = TEXT.replace("BUDGET", str(budget))
        for old, new in changes.items():
            text = re.sub(rf"^{old}: .*\n", new, text, flags=re.MULTILINE)
        (folder / "numbers.yaml").write_text(text)
        return str(folder / "numbers.yaml")

    return write


def test_a_campaign_runs_to_its_budget_and_reports(prefect_server, write, capsys):
    from flows.campaign import campaign

    file = write(budget=8)
    path = campaign(file)
    out = capsys.readouterr().out
    assert [line.split(" ·")[0] for line in out.splitlines() if line.startswith("iteration")] == [
        f"iteration {k}" for k in (1, 2, 3)
    ]
    assert "stopped: the budget is spent: 8 of 8 experiments" in out
    assert f"report: {path}" in out
    opened = load(file).open(create=False)
    assert opened.status().experiments == 8
    assert opened.status().stopped.startswith("the budget is spent")
    assert opened.iterations["n"].tolist() == [3, 3, 2]
    before = opened.ledger.seq
    assert campaign(file) == path
    assert opened.ledger.seq == before


def test_an_iteration_leaves_a_table_in_prefect(prefect_server, write):
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

    from flows.iterate import iterate

    status = iterate(write(budget=50))
    assert status["experiments"] == 3

    async def read():
        async with get_client() as client:
            found = await client.read_artifacts(
                artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=["campaign-numbers"]))
            )
            return found, await client.read_flow_runs()

    artifacts, runs = asyncio.run(read())
    assert any("iteration 1 · 3 of 50 experiments" in a.description for a in artifacts)
    assert any("proposal_id" in a.data for a in artifacts)
    assert any(run.name.startswith("iterate ") for run in runs)


def test_without_an_experiment_somebody_else_finds_out(prefect_server, write):
    from flows.iterate import iterate

    file = write(budget=50, experiment="")
    assert iterate(file)["pending"] == 3
    opened = load(file).open(create=False)
    batch = opened.pending
    opened.tell(batch.assign(y=[1.0, 2.0, 3.0]))
    status = iterate(file)
    assert (status["measured"], status["pending"]) == (3, 3)


def test_pull(prefect_server, write):
    from flows.pull import pull

    file = write()
    assert len(pull(file)) == 64


def test_a_campaign_that_is_being_run_is_skipped_and_says_by_whom(prefect_server, write):
    from flows.iterate import iterate

    file = write()
    with load(file).open().held():
        state = iterate(file, return_state=True)
    assert (state.type.value, state.name) == ("COMPLETED", "Skipped")
    assert re.match(r"Skipped: campaign 'numbers' is being run by process \d+ on ", state.message)
    state = iterate(file, return_state=True)
    assert (state.name, state.message) == ("Completed", "3 experiments, 3 measured, 0 pending")


def _hears():
    """In the child: interrupts are heard, even where these tests run behind a script that has them ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(file, environment):
    command = [sys.executable, "-m", "discover.cli", "run", file]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        start_new_session=True,
        preexec_fn=_hears,
    )


def wait_for(process, beginning):
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith(beginning):
            return lines
    raise AssertionError("".join(lines))


def test_ctrl_c_stops_cleanly_and_the_next_run_goes_on(user_environment, write):
    file = write(budget=60)
    alone = {name: value for name, value in user_environment.items() if name != "PREFECT_API_URL"}
    process = start(file, alone)
    assert "temporary server" in "".join(wait_for(process, "iteration 2"))
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the whole group
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 130, out
    assert "the next run goes on from here" in out
    store = load(file).store
    cut = Campaign.open("numbers", store=store).status().experiments
    assert 6 <= cut < 60

    process = start(file, user_environment)
    wait_for(process, "iteration")
    time.sleep(0.3)
    process.kill()
    process.communicate()
    done = start(file, user_environment)
    out, _ = done.communicate(timeout=120)
    assert done.returncode == 0, out
    assert "report: " in out
    opened = Campaign.open("numbers", store=store)
    assert opened.status().experiments == 60
    assert opened.proposals["name"].is_unique
    assert opened.iterations["key"].tolist() == [f"iteration-{k}" for k in range(1, 21)]


def test_run_says_what_is_wrong_before_it_starts(user_environment, write):
    file = write(policy="policy: {kind: baysian}\n")
    process = start(file, user_environment)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "did you mean 'bayesian'" in out
    assert "starting Prefect" not in out


def test_a_dead_server_is_named_in_a_line(user_environment, write):
    process = start(write(), {**user_environment, "PREFECT_API_URL": "http://127.0.0.1:1/api"})
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "no Prefect server answers at PREFECT_API_URL=http://127.0.0.1:1/api" in out
    assert "Traceback" not in out


def test_fresh_sets_the_old_campaign_aside(user_environment, write, folder):
    file = write(budget=3)
    assert start(file, user_environment).communicate(timeout=120)[0].count("iteration 1 ·") == 1
    command = [sys.executable, "-m", "discover.cli", "run", file, "--fresh"]
    done = subprocess.run(command, capture_output=True, text=True, env=user_environment, check=True)
    assert "was set aside as" in done.stdout
    assert "iteration 1 ·" in done.stdout
    stores = sorted(path.name for path in (folder / ".discover").glob("*.db"))
    assert len(stores) == 2
