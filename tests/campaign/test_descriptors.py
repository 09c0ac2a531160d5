"""Tables of descriptors in a campaign: what says nothing of its own goes away, and a campaign from before goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from discover import Campaign, CandidatePool, Categorical, Continuous, Objective, SearchSpace
from discover.candidates.space.parameters import labels
from discover.features import encoding
from discover.provenance.replay import replay

LIGANDS = [f"L{k}" for k in range(8)]
CHARGE = np.array([0.3, -0.2, 0.8, 0.1, -0.9, 0.5, 0.0, -0.4])
BITE = np.array([90.0, 95.0, 110.0, 100.0, 93.0, 97.0, 103.0, 99.0])
TABLE = pd.DataFrame(
    {"bite": BITE, "bite_rad": BITE * np.pi / 180, "charge": CHARGE, "phase": 1.0}, index=pd.Index(LIGANDS)
)
TELLING = ["ligand:bite", "ligand:charge"]
BAYESIAN = {"kind": "bayesian", "start": 4, "draws": 16, "refit": 0.5}


def pool() -> CandidatePool:
    rows = [(f"r{k:03d}", ligand, 20.0 + 10 * (k % 6)) for k, ligand in enumerate(LIGANDS * 6)]
    frame = pd.DataFrame(rows, columns=["run", "ligand", "temperature"])
    return CandidatePool.from_frame(
        frame, id="run", features=["temperature"], categorical=["ligand"], descriptors={"ligand": TABLE}
    )


def space() -> SearchSpace:
    return SearchSpace(
        [Categorical("ligand", LIGANDS, descriptors=TABLE), Continuous("temperature", 20, 80, step=10)], id="run"
    )


def measured(campaign: Campaign, n: int) -> pd.DataFrame:
    batch = campaign.ask(n)
    bites = batch["ligand"].map(TABLE["bite"])
    campaign.tell(batch.assign(y=-np.square(bites - 98) - (batch["temperature"].astype(float) - 50) ** 2 / 50))
    return batch


@pytest.mark.parametrize("make", [pool, space])
def test_copies_and_constants_of_a_table_are_no_features(make: Callable[[], Any], tmp_path) -> None:
    campaign = Campaign.create("c", objective=Objective("y"), candidates=make(), store=f"sqlite:///{tmp_path / 'a.db'}")
    assert [name for name in campaign.features.names if ":" in name] == TELLING


@pytest.mark.parametrize("make", [pool, space])
def test_a_campaign_from_before_goes_on_with_what_it_knows(make: Callable[[], Any], tmp_path, monkeypatch) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    with monkeypatch.context() as before:
        for module in (encoding, labels):  # every descriptor was a feature
            before.setattr(module, "decorrelated", lambda values: (np.arange(values.shape[1]), values))
        old = Campaign.create("c", objective=Objective("y"), candidates=make(), policy=BAYESIAN, store=url)
        first = measured(old, 4)
        second = measured(old, 4)
        assert [name for name in old.features.names if ":" in name] != TELLING
    now = Campaign.open("c", store=url)
    assert [name for name in now.features.names if ":" in name] == TELLING
    assert set(now.observations["run"]) == {*first["run"], *second["run"]}
    third = measured(now, 4)
    assert not set(third["run"]) & {*first["run"], *second["run"]}
    told = replay(now, 2)
    assert any("featurizers of another version" in reason for reason in told.reasons)
    assert replay(now, 3).identical
