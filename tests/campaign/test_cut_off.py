"""Processes killed while they hand over or collect: nothing is handed over twice, nothing that came in is lost."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from discover import Campaign, CandidatePool, Objective
from discover.campaign.experiments.collecting import collect, dispatch
from discover.store.ledger.life import State
from tests.campaign.cut_off import BOUNDARIES, UNCLEAR, batch_queue
from tests.campaign.outside_system import states
from tests.experiment.queue_calls import queue

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "queue"
    folder.mkdir()
    return folder


def killed(url: str, base: Path, place: Path, boundary: str, lookup: bool) -> None:
    command = [sys.executable, "-m", "tests.campaign.cut_off", url, str(base), str(place), boundary, str(lookup)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr


def jobs(place: Path) -> Counter[str]:
    import json

    lines = (place / "queue.log").read_text().splitlines() if (place / "queue.log").exists() else []
    return Counter(json.loads(line)["key"] for line in lines)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_killed_while_handing_over(boundary: str, sqlite_url: str, tmp_path: Path, place: Path) -> None:
    check_killed(boundary, True, sqlite_url, tmp_path, place)


@pytest.mark.parametrize("boundary", ["after its event", *UNCLEAR])
def test_killed_while_handing_over_to_who_cannot_be_asked(
    boundary: str, sqlite_url: str, tmp_path: Path, place: Path
) -> None:
    check_killed(boundary, False, sqlite_url, tmp_path, place)


@pytest.mark.parametrize("boundary", ["after its event", "before the note"])
def test_killed_while_handing_over_on_postgresql(boundary: str, postgres_url: str, tmp_path: Path, place: Path) -> None:
    check_killed(boundary, True, postgres_url, tmp_path, place)


def check_killed(boundary: str, lookup: bool, url: str, tmp_path: Path, place: Path) -> None:
    campaign = begun(url)
    ids = list(campaign.pending["proposal_id"])
    killed(url, tmp_path, place, boundary, lookup)
    (place / "delay").unlink(missing_ok=True)
    there = batch_queue(place, lookup, timeout=20.0).located(tmp_path, campaign.files)
    unclear = boundary in UNCLEAR and not lookup
    for _ in range(2):
        with campaign.held():  # the killed process's lease is taken over at once
            dispatch(campaign, there)
    if unclear:
        assert states(campaign) == {"submitted": 2, "unknown, ask a person": 1}
        unknown = next(t.proposal_id for t in campaign.ledger.pending() if t.state is State.UNKNOWN)
        assert set(jobs(place).values()) == {1}
        campaign.settle(unknown, submitted=f"{unknown}.1" in jobs(place), reason="looked into the queue")
        dispatch(campaign, there)
    assert states(campaign) == {"submitted": 3}
    assert jobs(place) == {f"{pid}.1": 1 for pid in ids}
    queue(place, "work")
    assert collect(campaign, there).results == 3
    assert states(campaign) == {"measured": 3}
    assert campaign.spending.experiments == 3


@pytest.mark.parametrize("boundary", ["before a result's event", "after a result's event"])
def test_killed_while_collecting(boundary: str, sqlite_url: str, tmp_path: Path, place: Path) -> None:
    check_collecting(boundary, sqlite_url, tmp_path, place)


def test_killed_inside_a_results_transaction(store_url: str, tmp_path: Path, place: Path) -> None:
    check_collecting("inside a result's transaction", store_url, tmp_path, place)


def begun(url: str) -> Campaign:
    frame = pd.DataFrame({"sample": [f"s{i}" for i in range(8)], "x": np.arange(8.0)})
    pool = CandidatePool.from_frame(frame, id="sample", features=["x"])
    objective = Objective("energy", "minimize", unit="eV")
    campaign = Campaign.create("c", objective=objective, candidates=pool, policy="random", store=url)
    campaign.ask(3)
    return campaign


def check_collecting(boundary: str, url: str, tmp_path: Path, place: Path) -> None:
    campaign = begun(url)
    there = batch_queue(place).located(tmp_path, campaign.files)
    dispatch(campaign, there)
    queue(place, "work")
    killed(url, tmp_path, place, boundary, True)
    known = len(campaign.ledger.observations)
    assert known == (2 if boundary.startswith("after") else 1)
    with campaign.held():
        assert collect(campaign, there).results == 3 - known
    assert collect(campaign, there).results == 0
    assert sorted(campaign.observations["energy"]) == sorted(-x for x in campaign.best(3)["x"])
    assert len(campaign.observations) == 3
