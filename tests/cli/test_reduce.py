"""Kinetic runs on the command line: from samples to results that a campaign takes."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from discover.definition import load
from tests.candidates.european import european

CAMPAIGN = """
campaign: rates
objective: {target: rate_constant, direction: maximize}
candidates:
  kind: space
  parameters:
    - {kind: continuous, name: temperature, low: 20, high: 100, step: 1, unit: degC}
policy: {kind: space-filling, batch: 3}
"""


@pytest.fixture
def cli(tmp_path, calling):
    (tmp_path / "rates.yaml").write_text(CAMPAIGN)
    return calling(tmp_path)


def samples(runs):  # type: ignore[no-untyped-def]
    """First-order decays with a small error that changes its sign, by run."""
    rows = [
        {"proposal_id": run, "time": float(t), "concentration": math.exp(-k * t) + 0.002 * (-1) ** t}
        for run, k in runs.items()
        for t in range(0, 30, 3)
    ]
    return pd.DataFrame(rows)


def test_runs_from_a_european_spreadsheet_are_the_same(cli, tmp_path):
    text = samples({"0,5": 0.05, "1,5": 0.1}).to_csv(index=False)
    (tmp_path / "plain.csv").write_text(text)
    (tmp_path / "europe.csv").write_bytes(european(text))
    cli("reduce", "plain.csv", "--out", "one.csv")
    cli("reduce", "europe.csv", "--out", "other.csv")
    assert (tmp_path / "one.csv").read_text() == (tmp_path / "other.csv").read_text()


def test_runs_become_results_with_their_uncertainty(cli):
    cli("ask", "rates.yaml", "-n", "3", "--out", "batch.csv")
    truth = dict(zip(pd.read_csv("batch.csv")["proposal_id"], (0.05, 0.1, 0.2)))
    samples(truth).to_csv("runs.csv", index=False)
    assert "order 1" in cli("reduce", "runs.csv", "--out", "rates.csv").output
    cli("tell", "rates.yaml", "rates.csv")
    told = load("rates.yaml").open(None).observations.set_index("proposal_id")
    for run, k in truth.items():
        found, std = told.loc[run, "rate_constant"], told.loc[run, "rate_constant_std"]
        assert found == pytest.approx(k, rel=0.05)
        assert 0 < std < 0.1 * k


def test_samples_that_cannot_be_used_are_named_and_nothing_is_written(cli, tmp_path):
    good = samples({"a": 0.1}).astype(object)
    for column, value, told in (("time", "soon", "line 3"), ("proposal_id", None, "of no run")):
        bad = good.copy()
        bad.loc[1, column] = value
        bad.to_csv("runs.csv", index=False)
        said = cli("reduce", "runs.csv", "--out", "rates.csv", code=1).output
        assert told in said or "row 3" in said
        assert column in said
    assert not (tmp_path / "rates.csv").exists()
    cli("reduce", "runs.csv", "--by", "run", code=1)
