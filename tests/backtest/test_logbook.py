"""A campaign's own log is evaluated: by function and by command, for those policies whose choices have known probabilities."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from discover import Campaign, Objective
from discover.backtest.logbook import evaluate_arms, log_of
from discover.candidates.pool.pool import CandidatePool
from discover.cli import app
from discover.definition import load
from discover.errors import InvalidInput, Unsupported

GENEROUS = {"kind": "bandit", "arms": ["ligand"], "scope": ["substrate"], "rule": "epsilon-greedy", "epsilon": 0.6}
VALUES = {"A": 20.0, "B": 50.0, "C": 70.0}


def frame_of(size: int = 30) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    rows = [(f"{a}{s:02d}", a, f"s{s:02d}", v + generator.normal(0, 3)) for a, v in VALUES.items() for s in range(size)]
    return pd.DataFrame(rows, columns=["id", "ligand", "substrate", "yield"])


def played(url: str, policy: Any, **more: Any) -> Campaign:
    known = frame_of()
    pool = CandidatePool.from_frame(known.drop(columns="yield"), id="id", categorical=["ligand", "substrate"])
    campaign = Campaign.create(
        "c", objective=Objective("yield", unit="%"), candidates=pool, policy=policy, store=url, **more
    )
    return fed(campaign, 4)


def fed(campaign: Campaign, batches: int) -> Campaign:
    known = frame_of()
    for _ in range(batches):
        batch = campaign.ask(12)
        campaign.tell(
            batch[["proposal_id"]].assign(**{"yield": known.set_index("id").loc[batch["id"], "yield"].to_numpy()})
        )
    return campaign


@pytest.mark.parametrize("policy", [GENEROUS, "random"])
def test_arms_are_told_as_they_are(sqlite_url: str, policy: Any) -> None:
    log = log_of(played(sqlite_url, policy, seed=2), ["ligand"], ["substrate"])
    assert len(log) == 48
    assert log.usable.sum() >= 47
    found = evaluate_arms(log, least=4)
    for one in found:
        assert abs(one["value"] - VALUES[one["arm"]]) < max(3 * one["error"], 6.0)
    assert [one["arm"] for one in found] == ["C", "B", "A"]


def test_the_chance_of_an_even_draw_is_the_arms_share_of_what_was_left(sqlite_url: str) -> None:
    log = log_of(played(sqlite_url, "random", seed=1), ["ligand"])
    np.testing.assert_allclose(log.probabilities[:12], 1 / 3)
    taken = {a: int((log.actions[:12] == a).sum()) for a in VALUES}
    np.testing.assert_allclose(log.probabilities[12:24], [(30 - taken[a]) / 78 for a in log.actions[12:24]])


def test_a_policy_that_does_not_draw_is_refused(sqlite_url: str) -> None:
    campaign = played(sqlite_url, "space-filling")
    with pytest.raises(InvalidInput, match="no arms"):
        log_of(campaign)
    with pytest.raises(Unsupported, match="no arm can be evaluated"):
        evaluate_arms(log_of(campaign, ["ligand"]))


def test_the_command_tells_the_same(tmp_path: Path) -> None:
    frame_of().drop(columns="yield").to_csv(tmp_path / "list.csv", index=False)
    (tmp_path / "c.yaml").write_text(
        "campaign: c\nobjective: {target: yield, direction: maximize, unit: '%'}\n"
        "candidates: {kind: table, file: list.csv, id: id}\nfeatures: [{categorical: ligand}, {categorical: substrate}]\n"
        f"policy: {json.dumps({**GENEROUS, 'batch': 12})}\n"
        "budget: {experiments: 36}\n"
    )
    fed(load(tmp_path / "c.yaml").open(create=True), 3)
    runner = CliRunner()
    told = runner.invoke(app, ["evaluate", str(tmp_path / "c.yaml"), "--json", "--least", "3"])
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["choices"] == 36
    wrong = runner.invoke(app, ["evaluate", str(tmp_path / "c.yaml"), "--method", "weigted"])
    assert wrong.exit_code == 1
    assert "did you mean 'weighted'?" in wrong.output
