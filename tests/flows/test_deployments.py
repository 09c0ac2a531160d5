"""Deployments on a real server: registered once, brought up to date, refused in words, removed."""

import json
import subprocess
import sys

import pandas as pd
import pytest
from typer.testing import CliRunner

from discover.cli import app
from discover.errors import InvalidInput
from flows import deployments
from flows.temporary_server import ServerFailed

TEXT = """\
campaign: {name}
objective: {{target: y, direction: maximize}}
candidates: {{kind: table, file: candidates.csv, id: name}}
features: [a]
policy: {{kind: random}}
budget: {{experiments: 9}}
"""


@pytest.fixture
def client(prefect_server, monkeypatch):
    from prefect.client.orchestration import get_client

    monkeypatch.setenv("PREFECT_API_URL", prefect_server)
    with get_client(sync_client=True) as client:
        yield client
        for deployment in client.read_deployments():
            client.delete_deployment(deployment.id)


@pytest.fixture
def write(tmp_path):
    pd.DataFrame({"name": list("uvwxyz"), "a": range(6)}).to_csv(tmp_path / "candidates.csv", index=False)

    def write(name="nightly", file="nightly.yaml", more=""):
        (tmp_path / file).write_text(TEXT.format(name=name) + more)
        return tmp_path / file

    return write


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def automations(client, name="discover: mark runs without a heartbeat as crashed"):
    return client.read_automations_by_name(name)


def test_deploying_again_updates_and_never_doubles(client, write):
    file = write()
    done = run("deploy", file, "--cron", "0 2 * * *", "--timezone", "Europe/Berlin")
    assert done.exit_code == 0, done.output
    assert "deployed iterate/nightly: '0 2 * * *' (Europe/Berlin); next runs 20" in done.output
    [first] = client.read_deployments()
    assert first.entrypoint == "flows.iterate.iterate"
    assert first.parameters == {
        "file": str(file), "store": f"sqlite:///{file.parent}/.discover/nightly.db", "accept_changes": False
    }  # fmt: skip
    assert (first.work_pool_name, first.tags, first.paused) == ("discover", ["discover"], False)
    assert first.concurrency_options is None
    assert first.job_variables["env"]["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] == "30"
    assert client.read_work_pool("discover").type == "process"

    done = run("deploy", file, "--interval", "6h", "--paused", "--store", "sqlite:///elsewhere.db")
    assert done.exit_code == 0, done.output
    [second] = client.read_deployments()
    assert second.id == first.id
    assert second.paused
    [schedule] = second.schedules
    assert schedule.schedule.interval.total_seconds() == 21600
    assert second.parameters["store"].startswith("sqlite:////")  # absolute: a worker stands elsewhere
    assert len(automations(client)) == 1
    assert not (file.parent / ".discover").exists()  # nothing has begun yet

    done = run("deploy", file, "--remove")
    assert done.exit_code == 0, done.output
    assert "removed iterate/nightly; its store stays" in done.output
    assert client.read_deployments() == []
    assert automations(client) == []
    done = run("deploy", file, "--remove")
    assert done.exit_code == 1
    assert "is not deployed; deployed are: none" in done.output


def test_the_heartbeat_automation_goes_with_the_last_deployment(client, write):
    one, two = write("one", "one.yaml"), write("two", "two.yaml")
    for file in (one, two):
        assert run("deploy", file, "--interval", "1h").exit_code == 0
    assert run("deploy", one, "--remove").exit_code == 0
    assert len(automations(client)) == 1
    two.unlink()  # a file that is gone can still be taken off its schedule
    assert run("deploy", two, "--remove").exit_code == 0
    assert automations(client) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--cron", "61 2 * * *"], "'61 2 * * *': is no cron line"),
        (["--interval", "6x"], "'6x': is no length of time"),
        ([], "give either --cron or --interval"),
        (["--interval", "6h", "--timezone", "Mars"], "is no time zone"),
        (["--interval", "6h", "--store", "sqlite://"], "is a store in memory"),
        (["--remove", "--interval", "6h"], "--remove goes with no schedule"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_registered(client, write, words, told):
    done = run("deploy", write(), *words)
    assert done.exit_code == 1
    assert told in done.output
    assert client.read_deployments() == []


def test_a_file_that_cannot_run_is_not_registered(client, write, tmp_path):
    done = run("deploy", tmp_path / "nowhere.yaml", "--interval", "6h")
    assert done.exit_code == 1
    assert "nowhere.yaml" in done.output
    file = write(more="experiment: {kind: table, file: answers.csv, id: name, target: y}\n")
    done = run("deploy", file, "--interval", "6h")
    assert done.exit_code == 1
    assert "answers.csv" in done.output
    assert client.read_deployments() == []


def test_two_files_cannot_share_a_name(client, write):
    first, second = write("same", "first.yaml"), write("same", "second.yaml")
    assert run("deploy", first, "--interval", "6h").exit_code == 0
    done = run("deploy", second, "--interval", "6h")
    assert done.exit_code == 1
    assert f"the name belongs to {first}" in done.output
    assert run("deploy", second, "--interval", "6h", "--name", "another").exit_code == 0
    assert {d.name for d in client.read_deployments()} == {"same", "another"}


def test_a_server_that_does_not_answer(write, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    with pytest.raises(ServerFailed, match="start one with: discover server"):
        deployments.deploy(write(), interval="6h")


def test_a_password_never_becomes_a_parameter(client, write):
    secret = "geheimnis"
    url = f"postgresql+psycopg://alice:{secret}@db.example/campaigns"
    with pytest.raises(InvalidInput, match="holds a password") as caught:
        deployments.deploy(write(), interval="6h", store=url)
    assert secret not in str(caught.value)
    assert client.read_deployments() == []
    assert deployments._kept_store(url, None) is None  # it stands in the file, which every run reads
    assert deployments._kept_store("sqlite:///x.db", "postgresql://db.example/c") == "postgresql://db.example/c"
    for key in ("password", "sslpassword"):
        with pytest.raises(InvalidInput, match="holds a password") as caught:
            deployments._kept_store("sqlite:///x.db", f"postgresql://me@db.example/c?{key}=s3cret")
        assert "s3cret" not in str(caught.value)


def test_notify_is_idempotent_and_keeps_its_address_to_itself(client):
    name = "discover: tell of failed and crashed runs"
    for _ in range(2):
        done = run("notify", "http://127.0.0.1:9/T000/geheimnis")
        assert done.exit_code == 0, done.output
    [automation] = automations(client, name)
    assert "geheimnis" not in json.dumps(automation.model_dump(mode="json"))
    assert run("notify", "--remove").exit_code == 0
    assert automations(client, name) == []
    assert run("notify", "ftp://x").exit_code == 1
    assert run("notify").exit_code == 1


def test_the_project_file_names_flows_and_campaigns_that_exist():
    from pathlib import Path

    import yaml
    from prefect.utilities.importtools import import_object

    from discover.definition import load

    top = Path(__file__).parents[2]
    project = yaml.safe_load((top / "prefect.yaml").read_text())
    assert {d["name"] for d in project["deployments"]} == {load(f).name for f in (top / "campaigns").glob("*.yaml")}
    for deployment in project["deployments"]:
        assert import_object(deployment["entrypoint"]).name == "iterate"
        file = Path(deployment["parameters"]["file"].replace("{{ $PWD }}", str(top)))
        assert load(file).name == deployment["name"]
        pool = deployment["work_pool"]
        assert pool["name"] == deployments.POOL
        assert pool["job_variables"]["env"]["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] == "30"


def test_the_command_line_does_not_import_prefect():
    code = (
        "import sys; from discover.cli import app; assert 'prefect' not in sys.modules and 'flows' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
