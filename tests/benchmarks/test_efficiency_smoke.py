"""The efficiency benchmark from end to end on two invented pools: killed in the middle, resumed, and made into tables."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "benchmarks" / "efficiency"


def test_a_killed_study_goes_on_where_it_was_and_becomes_tables(tmp_path: Path) -> None:
    kept, out = tmp_path / "runs", tmp_path / "out"
    command = [
        sys.executable, str(SCRIPTS / "run.py"), "--set", "toy", "--hours", "1", "--q", "5", "--seeds", "2",
        "--peers", "ours,botorch,random", "--runs", str(kept),
    ]  # fmt: skip
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while len(records(kept)) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert first.poll() is None, "it ended before it could be killed"
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
    before = {path: path.stat().st_mtime_ns for path in records(kept)}
    # Two pools and peers with two seeds on the one encoding, and ours on its own where there is one.
    assert 3 <= len(before) < 10

    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = records(kept)
    assert len(after) == 10
    assert {path: path.stat().st_mtime_ns for path in before} == before
    found = [json.loads(path.read_text()) for path in after]
    assert {record["status"] for record in found} == {"done"}
    starts = {(r["pool"], r["seed"]): set() for r in found}
    for record in found:
        starts[record["pool"], record["seed"]].add(tuple(record["rows"][:10]))
        assert len(set(record["rows"])) == record["horizon"]
    assert all(len(different) == 1 for different in starts.values()), "peers did not begin alike"

    table = [
        sys.executable,
        str(SCRIPTS / "table.py"),
        "--set",
        "toy",
        "--q",
        "5",
        "--peers",
        "ours,botorch,forest,random",
    ]
    subprocess.run([*table, "--runs", str(kept), "--out", str(out)], check=True, stdout=subprocess.DEVNULL)
    text = (out / "toy.md").read_text()
    # On its own encoding BoTorch has none: there its runs on the one encoding stand in.
    assert "12 paired runs: 12 done, 0 late, 0 failed" in text
    assert "Without any run, and no part of this section: random forest + LCB." in text
    assert "Over 2 pools in 2 groups of siblings" in text
    assert all(
        words in text for words in ("**ours**", "BoTorch by hand", "chance (exact)", "### toy_hill", "### toy_solvents")
    )
    floors = [float(row.split("|")[6]) for row in text.splitlines() if row.startswith("| *one that knows the answers")]
    assert len(floors) == 2
    assert all(0.0 < floor <= 1.0 for floor in floors)
    blocks = json.loads((out / "toy.json").read_text())["blocks"]
    assert [(block["encoding"], sorted(block["pools"])) for block in blocks] == [
        ("same", ["toy_hill", "toy_solvents"]),
        ("own", ["toy_solvents"]),
    ]
    for name in ("toy-same-q5.png", "toy-own-q5.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")


def records(folder: Path) -> list[Path]:
    """The runs that are there."""
    return sorted(folder.glob("toy_*/*/*/*.json"))


@pytest.mark.parametrize("script", ["run.py", "table.py", "envs.py", "split.py"])
def test_every_script_says_what_it_does(script: str) -> None:
    told = subprocess.run([sys.executable, str(SCRIPTS / script), "--help"], capture_output=True, text=True, check=True)
    assert f"python benchmarks/efficiency/{script}" in told.stdout
