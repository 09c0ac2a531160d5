"""The store's benchmarks on small measures: they run, and what they assert is so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def run(script: str, result: Path, *arguments: str) -> dict:
    command = [sys.executable, str(BENCHMARKS / script), "--json", str(result), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(result.read_text())


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_writers(tmp_path: Path, engine: str) -> None:
    found = run("writers.py", tmp_path / "r.json", "--processes", "3", "--seconds", "1.5", "--engines", engine)
    assert found[engine]["lost"] == found[engine]["doubled"] == 0
    assert found[engine]["asks"] >= 3
    assert found[engine]["events"] > found[engine]["asks"]


def test_long_campaign(tmp_path: Path) -> None:
    found = run("long_campaign.py", tmp_path / "r.json", "--events", "1200", "--engines", "sqlite")
    assert found["sqlite"]["events"] >= 1200
    assert 0 < found["sqlite"]["open [s]"] < 20
    assert 0 < found["sqlite"]["tell a row, median [s]"] < 1


def test_faults(tmp_path: Path) -> None:
    found = run("faults.py", tmp_path / "r.json", "--instants", "4", "--engines", "sqlite")
    assert found["kills"] >= 4
    assert sum(found["kinds"].values()) == found["kills"]
