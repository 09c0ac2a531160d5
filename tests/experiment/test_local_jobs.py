"""Commands that run on this machine: a job goes on without us, runs once, and says how it failed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from discover.experiment.command import Command
from discover.experiment.command.processes import is_alive
from discover.experiment.conformance import check_outside
from discover.values import Result, Value
from tests.experiment.conftest import proposal
from tests.experiment.queue_calls import PYTHON, until


def local(tmp_path: Path, code: str, **options: Any) -> Command:
    settings: dict[str, Any] = {"targets": {"energy": "eV"}, "patience": 0.0, "local": True, **options}
    script = (PREAMBLE + code).replace("{", "{{").replace("}", "}}")
    return Command([*PYTHON, "-c", script, "{folder}"], **settings).located(tmp_path, tmp_path / "files")


PREAMBLE = """
import json, os, sys, time
folder = sys.argv[1]
def say(**body):
    with open(folder + "/draft", "w") as file: json.dump(body, file)
    os.rename(folder + "/draft", folder + "/result.json")
"""


def result_of(command: Command, handles: Mapping[str, Any]) -> Result:
    found: Mapping[str, Result] = until(lambda: command.collect(handles))
    return next(iter(found.values()))


def test_a_local_job_keeps_the_contract(tmp_path: Path) -> None:
    command = local(tmp_path, "say(values={'energy': 1})")
    found = check_outside(command, [proposal("a", x=1.0)], files=tmp_path / "f", base=tmp_path)
    assert found[0].values == {"energy": Value(1.0)}


def test_a_local_job_goes_on_without_us(tmp_path: Path) -> None:
    """It is started by a process that ends at once; another one finds and collects it."""
    command = local(tmp_path, "time.sleep(0.7); say(values={'energy': 3}, std={'energy': 0.1})")
    code = """
import json, sys
from pathlib import Path
from discover.experiment.command import Command
from tests.experiment.conftest import proposal
base, *program = sys.argv[1:]
command = Command(program, {"energy": "eV"}, local=True).located(Path(base), Path(base) / "files")
print(json.dumps(dict(command.submit({"c-1.1": proposal("a", x=1)}))))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), *command.program], capture_output=True, check=True
    )
    handles = json.loads(done.stdout)
    assert command.find(["c-1.1"]) == handles
    assert result_of(command, handles).values == {"energy": Value(3.0, 0.1)}


def test_a_local_job_that_is_asked_for_twice_runs_once(tmp_path: Path) -> None:
    command = local(tmp_path, "open(folder + '/runs', 'a').write('x'); time.sleep(0.5); say(values={'energy': 1})")
    work = {"c-1.1": proposal("a", x=1)}
    handles = command.submit(work)
    assert command.submit(work) == handles
    assert result_of(command, handles).status == "measured"
    assert command.submit(work) == handles
    time.sleep(0.2)
    assert (command.jobs / "c-1.1" / "runs").read_text() == "x"


def test_local_jobs_wait_for_each_other(tmp_path: Path) -> None:
    code = """
import fcntl
with open(folder + "/../alone", "a") as file:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails where two run at once
    time.sleep(0.15)
say(values={"energy": 1})
"""
    command = local(tmp_path, code)
    handles = command.submit({f"c-{n}.1": proposal("a", x=1) for n in range(4)})
    found = until(lambda: len(r := command.collect(handles)) == 4 and r)
    assert {result.status for result in found.values()} == {"measured"}, found


@pytest.mark.parametrize(
    ("code", "said", "again"),
    [
        ("sys.exit('no licence')", r"ended with code 1 and left no result: no licence", True),
        ("time.sleep(60)", r"ended after 0\.5 s, the longest that a job may take", True),
        ("os.kill(os.getpid(), 9)", r"ended with code -9", True),
        ("say(values={'energy': 'high'})", r"result\.json cannot be used: energy is 'high', not a number", True),
        ("say(status='infeasible', reason='no such phase')", r"no such phase", False),
    ],
)
def test_how_a_local_job_fails(code: str, said: str, again: bool, tmp_path: Path) -> None:
    import re

    command = local(tmp_path, code, job_timeout=0.5)
    result = result_of(command, command.submit({"c-1.1": proposal("a", x=1)}))
    assert re.search(said, result.reason)
    assert result.retryable is again
    assert not result.values


def test_a_local_job_that_cannot_be_started_or_is_killed(tmp_path: Path) -> None:
    absent = Command(["./no-such-program"], {"energy": "eV"}, local=True).located(tmp_path, tmp_path / "files")
    result = result_of(absent, absent.submit({"c-1.1": proposal("a", x=1)}))
    assert "cannot be started" in result.reason
    command = local(tmp_path, "time.sleep(60)")
    handles = command.submit({"c-2.1": proposal("a", x=1)})
    folder = command.jobs / "c-2.1"
    until((folder / "running.json").exists)
    processes = [json.loads((folder / name).read_text()) for name in ("started.json", "running.json")]
    for process in processes:  # the launcher first: while the program lives, the job does
        assert is_alive(process)
        assert command.collect(handles) == {}
        os.kill(process["pid"], signal.SIGKILL)
        until(lambda process=process: not is_alive(process))
    result = command.collect(handles)["c-2.1"]
    assert (result.status, result.retryable) == ("failed", True)
    assert "its process is gone" in result.reason
    for name in ("boot", "start"):
        assert not is_alive({**processes[0], name: "other"})
    assert is_alive({**processes[0], "host": "another machine"})


def test_secrets_are_passed_on_and_kept_nowhere(tmp_path: Path, monkeypatch: Any) -> None:
    secret = "7f3a9c-very-secret"
    monkeypatch.setenv("SOME_API_KEY", secret)
    code = "k = os.environ['SOME_API_KEY']; assert len(k) == 18; sys.exit('failed with ' + k)"
    command = local(tmp_path, code)
    result = result_of(command, command.submit({"c-1.1": proposal("a", x=1)}))
    assert "failed with ***" in result.reason
    (command.jobs / "c-1.1" / "error.txt").unlink()  # the program's own words, in its own folder
    assert secret not in json.dumps(dict(command.describe()))
    texts = [path.read_bytes() for path in command.jobs.rglob("*") if path.is_file()]
    assert len(texts) >= 4
    assert not any(secret.encode() in text for text in texts)
