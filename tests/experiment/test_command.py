"""Commands that hand jobs over to a queue: once each, found again by key, and collected when they have ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from discover import registry
from discover.errors import DiscoverError, ExperimentFailed, InvalidInput
from discover.experiment.command import Command
from discover.experiment.conformance import check_outside
from discover.protocols import OutsideExperiment
from discover.values import Value
from tests.experiment.conftest import fcc, proposal
from tests.experiment.queue_calls import PYTHON, QUEUE, queue, until


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "queue"
    folder.mkdir()
    return folder


@pytest.fixture
def batch(place: Path, tmp_path: Path) -> Callable[..., Command]:
    def make(**options: Any) -> Command:
        call = [*PYTHON, QUEUE]
        settings: dict[str, Any] = {
            "program": [*call, "submit", str(place), "{key}", "{folder}"],
            "status": [*call, "status", str(place), "{key}"],
            "lookup": [*call, "lookup", str(place), "{key}"],
            "targets": {"energy": "eV"},
            **options,
        }
        return Command(**settings).located(tmp_path, tmp_path / "files")

    return make


def test_a_job_is_handed_over_found_and_collected(batch: Callable[..., Command], place: Path) -> None:
    command = batch()
    assert isinstance(command, OutsideExperiment)
    work = {"c-0001.1": proposal("a", x=1.5), "c-0002.1": proposal("b", x=2.0)}
    assert command.find(list(work)) == {}
    handles = command.submit(work)
    assert handles == {"c-0001.1": {"folder": "c-0001.1", "job": "1"}, "c-0002.1": {"folder": "c-0002.1", "job": "2"}}
    assert command.find(["c-0001.1", "c-0002.1", "c-0003.1"]) == handles
    assert command.collect(handles) == {}
    given = json.loads((command.jobs / "c-0001.1" / "candidate.json").read_text())
    assert given == {"key": "c-0001.1", "proposal_id": "", "id": "a", "version": "", "values": {"x": 1.5}}
    queue(place, "work")
    found = command.collect(handles)
    assert {key: result.values for key, result in found.items()} == {
        "c-0001.1": {"energy": Value(-1.5)},
        "c-0002.1": {"energy": Value(-2.0)},
    }
    assert found["c-0001.1"].raw["file"] == "jobs/c-0001.1/result.json"
    assert command.collect(handles) == found


def test_it_keeps_the_contract(batch: Callable[..., Command], place: Path, tmp_path: Path) -> None:
    proposals = [proposal("a", x=1.0), proposal("../x -rf\n'\"", x=2.0)]
    found = check_outside(batch(), proposals, files=tmp_path / "f", base=tmp_path, work=lambda: queue(place, "work"))
    assert [result.values["energy"].value for result in found] == [-1.0, -2.0]


def test_a_queue_that_refuses_has_nothing(batch: Callable[..., Command], place: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("QUEUE_TOKEN", "s3cret-s3cret")
    (place / "down").write_text("sbatch: error: token s3cret-s3cret refused")
    with pytest.raises(ExperimentFailed, match=r"^\S+ ended with code 1: .*token \*\*\* refused") as caught:
        batch().submit({"c-1.1": proposal("a", x=1)})
    assert caught.value.retryable
    assert batch(lookup=[]).find(["c-1.1"]) == {}
    (place / "down").unlink()
    assert batch().submit({"c-1.1": proposal("a", x=1)})["c-1.1"]["job"] == "1"
    absent = batch(program=["./no-such-program", "{key}"])
    with pytest.raises(ExperimentFailed, match="cannot be started"):
        absent.submit({"c-2.1": proposal("a", x=1)})
    assert absent.find(["c-2.1"]) == {}


def test_whoever_was_cut_off_asks_the_queue_by_key(batch: Callable[..., Command], place: Path) -> None:
    (place / "after").write_text("60")
    slow = batch(timeout=0.5)
    with pytest.raises(DiscoverError, match=r"^\S+: no answer within 0\.5 s$") as caught:
        slow.submit({"c-1.1": proposal("a", x=1)})
    assert not isinstance(caught.value, ExperimentFailed)
    assert batch(lookup=[]).find(["c-1.1"]) is None
    assert batch(lookup=[*PYTHON, "-c", "raise SystemExit(1)", "{key}"]).find(["c-2.1"]) == {}
    assert batch().find(["c-1.1"]) == {"c-1.1": {"folder": "c-1.1", "job": "1"}}
    (place / "after").unlink()
    (place / "delay").write_text("60")
    with pytest.raises(DiscoverError):
        slow.submit({"c-2.1": proposal("a", x=1)})
    assert batch().find(["c-2.1"]) == {}
    assert batch(lookup=[]).find(["c-1.1", "c-2.1"]) is None  # of one of them it cannot be said


@pytest.mark.parametrize("name", ["result.json", "started"])
def test_what_a_job_left_proves_that_it_was_handed_over(name: str, batch: Callable[..., Command], place: Path) -> None:
    (place / "after").write_text("60")
    command = batch(timeout=0.5, lookup=[])
    with pytest.raises(DiscoverError):
        command.submit({"c-1.1": proposal("a", x=1)})
    assert command.find(["c-1.1"]) is None
    (command.jobs / "c-1.1" / name).write_text("{}")
    assert command.find(["c-1.1"]) == {"c-1.1": {"folder": "c-1.1", "job": ""}}


def test_a_hand_over_that_outlives_its_process_is_waited_for(batch: Callable[..., Command], place: Path) -> None:
    """The process that hands over is killed while the queue's program is at work: the next one does not ask too early."""
    (place / "delay").write_text("1.5")
    code = """
import sys
from pathlib import Path
from discover.experiment.command import Command
from tests.experiment.conftest import proposal
base, *program = sys.argv[1:]
command = Command(program, {"energy": "eV"}).located(Path(base), Path(base) / "files")
command.submit({"c-1.1": proposal("a", x=1)})
"""
    command = batch()
    child = subprocess.Popen([sys.executable, "-c", code, str(command.base), *command.program])
    until((place / "called").exists, 60)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    begun = time.monotonic()
    assert batch(timeout=0.2).find(["c-1.1"]) is None  # still at work: nobody can say
    assert command.find(["c-1.1"]) == {"c-1.1": {"folder": "c-1.1", "job": "1"}}
    assert time.monotonic() - begun > 0.4
    assert len((place / "queue.log").read_text().splitlines()) == 1


STAYS = """
import os, sys, time
code, folder = int(sys.argv[1]), sys.argv[2]
if os.fork():
    print("job 7", flush=True)
    os._exit(code)
os.setsid()
print("noise " * 10_000, flush=True)
open(folder + "/pid", "w").write(str(os.getpid()))
time.sleep(60)
"""


def test_what_a_program_leaves_running_is_neither_waited_for_nor_killed(batch: Callable[..., Command]) -> None:
    def command(code: int) -> Command:
        return batch(program=[*PYTHON, "-c", STAYS, str(code), "{folder}"], status=[], lookup=[], timeout=1.0)

    begun = time.monotonic()
    assert command(0).submit({"c-1.1": proposal("a", x=1)})["c-1.1"]["job"] == "job 7"
    assert time.monotonic() - begun < 20
    with pytest.raises(ExperimentFailed, match=r"ended with code 3"):
        command(3).submit({"c-2.1": proposal("a", x=1)})
    with pytest.raises(DiscoverError, match="what an earlier call left behind still runs") as caught:
        command(0).submit({"c-2.1": proposal("a", x=1)})
    assert not isinstance(caught.value, ExperimentFailed)
    for key in ("c-1.1", "c-2.1"):
        note = command(0).jobs / key / "pid"
        os.kill(int(until(lambda note=note: note.exists() and note.read_text())), signal.SIGKILL)  # it still ran


def test_a_program_that_says_far_too_much(batch: Callable[..., Command]) -> None:
    flood = "import sys; print('job 7'); sys.stdout.write('x' * 20_000_000); sys.exit('y' * 20_000_000 + 'the end')"
    with pytest.raises(ExperimentFailed, match=r"y+the end$"):
        batch(program=[*PYTHON, "-c", flood, "{folder}"], lookup=[]).submit({"c-1.1": proposal("a", x=1)})


def test_a_job_that_vanished_failed_and_may_be_tried_again(batch: Callable[..., Command], place: Path) -> None:
    command = batch(patience=0.3, deterministic=True)
    handles = command.submit({"c-1.1": proposal("a", x=1)})
    time.sleep(0.5)
    assert command.collect(handles) == {}
    queue(place, "lose")
    (command.jobs / "c-1.1" / "output").touch()
    assert command.collect(handles) == {}  # it changed a moment ago
    time.sleep(0.5)
    result = command.collect(handles)["c-1.1"]
    assert (result.status, result.retryable) == ("failed", True)
    assert "the queue no longer has it" in result.reason
    assert batch(patience=0.0, status=[]).collect(handles) == {}
    assert batch(patience=0.0, status=[*PYTHON, "-c", "raise SystemExit(1)", "{key}"]).collect(handles) == {}


def test_a_half_written_result_is_under_way_for_a_while(batch: Callable[..., Command]) -> None:
    command = batch(patience=0.4, deterministic=True)
    handles = command.submit({"c-1.1": proposal("a", x=1)})
    path = command.jobs / "c-1.1" / "result.json"
    path.write_text('{"values": {"ener')
    assert command.collect(handles) == {}
    time.sleep(0.6)
    result = command.collect(handles)["c-1.1"]
    assert (result.status, result.retryable) == ("failed", False)
    assert "half-written" in result.reason
    path.write_text('{"values": {"energy": 2}}')
    assert command.collect(handles)["c-1.1"].values == {"energy": Value(2.0)}


def test_a_folder_that_is_not_here_is_no_failure(batch: Callable[..., Command], tmp_path: Path) -> None:
    handles = batch(patience=0.0).submit({"c-1.1": proposal("a", x=1)})
    elsewhere = batch(patience=0.0, folder="other")
    with pytest.warns(UserWarning, match="shared with the machine"):
        assert elsewhere.collect(handles) == {}


def test_odd_ids_stay_in_their_folder(batch: Callable[..., Command], tmp_path: Path) -> None:
    odd = ["../x", "-rf", "a b", "q\"'", "n\nl", "$(touch pwned)", "ä/ö", ".", "~", "\ud800"]
    command = batch()
    for number, name in enumerate(odd):
        command.submit({f"c-{number}.1": proposal(name, x=1)})
    command.submit({key: proposal("a", x=1) for key in ("../../escaped", "x/y", "..", "")})
    assert len([path for path in command.jobs.iterdir() if path.is_dir()]) == len(odd) + 4
    assert {path.name for path in tmp_path.iterdir()} == {"files", "queue"}
    assert {path.name for path in (tmp_path / "files").iterdir()} == {"jobs"}
    bare = batch(program=[*PYTHON, "-c", "", "{id}"], lookup=[])
    with pytest.raises(ExperimentFailed, match="would be read as an option") as caught:
        bare.submit({"c-99.1": proposal("-rf", x=1)})
    assert not caught.value.retryable


def test_the_structure_is_written_for_the_job(batch: Callable[..., Command]) -> None:
    from pymatgen.core import Structure

    command = batch(structure="cell")
    assert command.requires == ("cell",)
    command.submit({"c-1.1": proposal("a", cell=fcc("Cu", 3.6))})
    folder = command.jobs / "c-1.1"
    for name in ("POSCAR", "structure.json"):
        found = Structure.from_file(str(folder / name))
        assert found.composition.reduced_formula == "Cu"
        assert found.volume == pytest.approx(3.6**3 / 4)
    with pytest.raises(ExperimentFailed, match="not a crystal structure"):
        command.submit({"c-2.1": proposal("b", cell="no")})


def test_the_method_names_the_files_that_are_run(tmp_path: Path) -> None:
    (tmp_path / "run.sh").write_text("echo 1")
    command = Command(["sbatch", "run.sh", "{folder}", "{T}"], {"energy": "eV"}).located(tmp_path, tmp_path / "f")
    assert command.requires == ("T",)
    described = command.describe()
    assert described["method"] == "external program, handed over and collected later: sbatch run.sh {folder} {T}"
    assert list(described["files"]) == ["run.sh"]


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"program": []}, 1),
        ({"program": ["a", "{", "{}"]}, 2),
        ({"program": ["a"], "lookup": ["b"]}, 2),
        ({"program": ["a", "{job}"], "status": ["c"]}, 2),
        ({"program": ["a"], "local": True, "status": ["b", "{key}"], "at_once": 0, "patience": -1}, 3),
        ({"program": ["a"], "targets": {}, "job_timeout": 5.0}, 2),
        ({"program": ["a"], "targets": {"status": ""}, "timeout": 0}, 2),
        ({"program": "sbatch run.sh"}, 1),
    ],
)
def test_bad_options_are_reported_together(options: dict[str, Any], count: int) -> None:
    with pytest.raises(InvalidInput) as caught:
        registry.configure(registry.EXPERIMENTS, {"kind": "command", "targets": {"energy": "eV"}, **options})
    assert len(caught.value.problems) == count, caught.value
