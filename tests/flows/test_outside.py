"""A campaign whose experiments take longer than its runs: `discover run` hands over, and later collects."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from discover import Campaign
from discover.cli import app

CAMPAIGN = f"""
campaign: slow
objective: {{target: energy, direction: minimize, unit: eV}}
candidates: {{kind: table, file: points.csv, id: sample}}
features: [x]
policy: {{kind: random, batch: 3}}
experiment:
  kind: command
  program: [{sys.executable}, calculate.py, "{{folder}}"]
  local: true
  at_once: 2
  targets: {{energy: eV}}
budget: {{experiments: 5}}
"""

CALCULATE = """
import json, os, sys
folder = sys.argv[1]
candidate = json.load(open(f"{folder}/candidate.json"))
x = candidate["values"]["x"]
with open(f"{folder}/result.json.tmp", "w") as file:
    json.dump({"values": {"energy": (x - 3) ** 2}, "units": {"energy": "eV"}}, file)
os.rename(f"{folder}/result.json.tmp", f"{folder}/result.json")
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    pd.DataFrame({"sample": [f"s{n}" for n in range(10)], "x": range(10)}).to_csv(tmp_path / "points.csv", index=False)
    (tmp_path / "calculate.py").write_text(CALCULATE)
    path = tmp_path / "slow.yaml"
    path.write_text(CAMPAIGN)
    return path


def test_run_and_collect(file: Path, user_environment: dict[str, str]) -> None:
    from flows.iterate import iterate

    def finished(count: int) -> None:
        end = time.monotonic() + 60
        while len(list(file.parent.glob(".discover/slow.db.files/jobs/*/result.json"))) < count:
            assert time.monotonic() < end, "the jobs did not end"
            time.sleep(0.1)

    command = [sys.executable, "-m", "discover.cli", "run", str(file)]
    done = subprocess.run(command, env=user_environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 submitted" in done.stdout
    finished(3)
    collected = CliRunner().invoke(app, ["collect", str(file)])
    assert collected.output == "3 results; nothing is under way\n"
    campaign = Campaign.open("slow", store=f"sqlite:///{file.parent / '.discover' / 'slow.db'}")
    iterate(str(file))
    assert len(campaign.pending) == 2  # the budget is five
    finished(5)
    iterate(str(file))
    found = campaign.observations
    assert list(found["energy"]) == [(int(name[1:]) - 3) ** 2 for name in found["sample"]]
    assert len(found) == 5
    assert campaign.status().experiments == 5
    assert campaign.ledger.stopped
    one = next(iter(campaign.ledger.observations.values()))
    assert one.raw["file"] == f"jobs/{one.proposal_id}.1/result.json"
    assert (campaign.files / one.raw["file"]).exists()
