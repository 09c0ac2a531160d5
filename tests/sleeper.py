"""An experiment of a third party that takes its time and keeps a diary, installed as an entry point in a folder.

Each process that runs it must have the folder on its PYTHONPATH. The diary has a line 'begin <candidate> <pid>' and a line
'end <candidate> <pid>' for every run; a file `wait` in the diary's folder holds every experiment until it is gone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MODULE = """
from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from discover.errors import ExperimentFailed
from discover.values import Result, Value


@dataclass(frozen=True)
class Sleeper:
    diary: str
    seconds: float = 0.0
    by_process: bool = False

    requires = ("a",)
    targets = {"yield": "%"}
    deterministic = False

    def located(self, base, files):
        return self

    def describe(self):
        return {"method": "sleeping"}

    def write(self, word, proposal):
        line = f"{word} {proposal.candidate_id} {os.getpid()}\\n".encode()
        handle = os.open(self.diary, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(handle, line)
        os.close(handle)

    def run(self, proposal):
        self.write("begin", proposal)
        end = time.monotonic() + self.seconds
        while time.monotonic() < end or Path(self.diary).with_name("wait").exists():
            time.sleep(0.01)
        if Path(self.diary).with_name("fail").exists():
            raise ExperimentFailed("the lamp went out", retryable=True)
        self.write("end", proposal)
        value = float(proposal.candidate.values["a"]) + (os.getpid() if self.by_process else 0)
        return Result("measured", {"yield": Value(value)})
"""
YAML = """\
campaign: dyes
objective: {{target: yield, direction: maximize, unit: "%"}}
candidates: {{kind: table, file: dyes.csv, id: dye}}
features: [a, b]
policy: {{kind: random, batch: 4{policy}}}
experiment: {{kind: sleeper, diary: {diary}, seconds: {seconds}, by_process: {by_process}}}
budget: {{experiments: {budget}}}
seed: 3
"""


def install(folder: Path) -> None:
    """Make the experiment known to processes with this folder on their path."""
    (folder / "sleeper_of_a_third_party.py").write_text(MODULE)
    info = folder / "sleeper_of_a_third_party-1.0.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sleeper-of-a-third-party\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[discover.experiments]\nsleeper = sleeper_of_a_third_party:Sleeper\n")


class Place:
    """A folder with a campaign file, its experiment, and the experiment's diary."""

    def __init__(self, folder: Path, store: str):
        self.folder, self.store, self.file = folder, store, folder / "dyes.yaml"
        self.diary = folder / "diary.txt"
        install(folder)
        rows = [f"d{i:03d},{(i * 7919 % 1000) / 1000},{(i * 104729 % 1000) / 1000}" for i in range(400)]
        (folder / "dyes.csv").write_text("\n".join(["dye,a,b", *rows]) + "\n")
        self.write()

    def write(self, *, seconds: float = 0.0, budget: int = 12, by_process: bool = False, policy: str = "") -> None:
        """Write the campaign file."""
        options = {"seconds": seconds, "budget": budget, "by_process": str(by_process).lower(), "policy": policy}
        self.file.write_text(YAML.format(diary=self.diary, **options))

    @property
    def environment(self) -> dict[str, str]:
        """For processes."""
        path = os.pathsep.join([str(self.folder), str(Path(__file__).resolve().parents[1])])
        return {**os.environ, "PYTHONPATH": path, "DISCOVER_STORE": self.store, "OMP_NUM_THREADS": "1"}

    def command(self, *arguments: str) -> list[str]:
        """`discover …` as a process."""
        return [sys.executable, "-m", "discover.cli", *arguments]

    def lines(self, word: str) -> list[tuple[str, int]]:
        """(candidate, process) of the diary's lines that begin with a word."""
        if not self.diary.exists():
            return []
        found = (line.split() for line in self.diary.read_text().splitlines())
        return [(candidate, int(pid)) for first, candidate, pid in found if first == word]


@contextmanager
def installed(folder: Path, store: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """The experiment on this process's path, and a place for it."""
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("DISCOVER_FILES", str(folder / "files"))
    yield Place(folder, store)
    sys.modules.pop("sleeper_of_a_third_party", None)
