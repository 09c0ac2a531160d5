"""Campaigns with every kind of history, on both engines."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from discover import Campaign, CandidatePool, Objective
from discover.cli import app
from discover.provenance.archive import export_campaign


def frame(n: int = 40) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "material_id": [f"m{i:02d}" for i in range(n)],
            "a": rng.random(n),
            "b": rng.random(n),
            "solvent": rng.choice(["DMF", "THF"], n),
            'note′s "name"': rng.choice(["α", "'; DROP TABLE events; --", "../../x"], n),
        }
    )


def make_pool(n: int = 40) -> CandidatePool:
    return CandidatePool.from_frame(frame(n), id="material_id", features=["a", "b"], categorical=["solvent"])


@pytest.fixture(scope="session")
def pool() -> CandidatePool:
    return make_pool()


def rich(url: str, pool: CandidatePool, name: str = "c", policy: object = "random") -> Campaign:
    """A campaign in which everything has happened that can happen."""
    campaign = Campaign.create(
        name, objective=Objective("yield", "maximize", unit="%"), candidates=pool, policy=policy, store=url, seed=7
    )
    first = campaign.ask(5, key="iteration-1")
    ids = list(first["proposal_id"])
    campaign.tell(first[["proposal_id"]].head(2).assign(**{"yield": [12.5, 0.1 + 0.2]}, cost=[1.5, 2.5]))
    campaign.tell(pd.DataFrame({"proposal_id": [ids[2]], "status": ["infeasible"], "note": ["it burnt"]}))
    campaign.correct(pd.DataFrame({"proposal_id": [ids[0]], "yield": [13.5]}), reason="read the wrong line")
    campaign.tell(pd.DataFrame({"proposal_id": [ids[0]], "yield": [13.25], "replicate": [1]}))
    campaign.withdraw(ids[3], reason="no more of it")
    campaign.retract([ids[1]], reason="the vial was mixed up")
    known = {trial.candidate_id for trial in campaign.trials()}
    free = [i for i in pool.ids.tolist() if i not in known]
    campaign.exclude(free[:2], reason="it explodes")
    campaign.readmit(free[:1])
    campaign.propose([free[3]], reason="a person's idea")
    campaign.tell(pd.DataFrame({"material_id": [free[4]], "yield": [3.0], "source": ["a paper"]}))
    campaign.tell(pd.DataFrame({"material_id": [free[5]], "status": ["failed"], "source": ["a paper"]}))
    campaign.note("it's a note; with 'quotes' and \"others\"")
    campaign.stop("enough for today")
    campaign.redefine({**campaign.definition, "budget": {"experiments": 30}}, accept=True)
    campaign.run(lambda values: values["a"], 3)
    campaign.ask(2, key="iteration-2")
    return campaign


@pytest.fixture(scope="session")
def _lived(tmp_path_factory: pytest.TempPathFactory, pool: CandidatePool) -> Path:
    folder = tmp_path_factory.mktemp("lived")
    campaign = rich(f"sqlite:///{folder / 'campaigns.db'}", pool)
    campaign._journal.log.database.close()
    return folder


@pytest.fixture
def rich_url(_lived: Path, tmp_path: Path) -> str:
    """A store of its own in a file, with one campaign in which everything has happened."""
    shutil.copytree(_lived, tmp_path, dirs_exist_ok=True)
    return f"sqlite:///{tmp_path / 'campaigns.db'}"


def command_line(*words: str) -> subprocess.CompletedProcess:
    """What a command of discover says, and how it ends."""
    done = CliRunner().invoke(app, list(words))
    return subprocess.CompletedProcess(words, done.exit_code, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def archive(tmp_path_factory, pool) -> Path:
    """The archive of a campaign in which everything has happened."""
    folder = tmp_path_factory.mktemp("archive")
    campaign = rich(f"sqlite:///{folder / 'a.db'}", pool)
    export_campaign(campaign, folder / "c.zip")
    return folder / "c.zip"


@pytest.fixture
def other(tmp_path) -> str:
    """Where there is no store yet."""
    return f"sqlite:///{tmp_path / 'other.db'}"
