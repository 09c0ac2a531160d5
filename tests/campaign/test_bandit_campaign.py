"""A campaign whose policy reads columns of the candidates: asked, told, replayed, refused, in a pool and in a space."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from discover import Campaign, Categorical, Objective, SearchSpace
from discover.candidates.pool.pool import CandidatePool
from discover.errors import InvalidInput
from discover.policy.bandit import Bandit
from discover.provenance.replay import replay

POLICY = {"kind": "bandit", "arms": ["ligand"], "scope": ["substrate"], "rule": "exp3", "epsilon": 0.3}
LIGANDS, SUBSTRATES = ["PPh3", "PCy3", "XPhos"], ["s1", "s2", "s3", "s4"]


def yields(frame: pd.DataFrame) -> np.ndarray:
    return frame["ligand"].map({"PPh3": 20.0, "PCy3": 40.0, "XPhos": 80.0}).to_numpy(dtype=float)


def frame_of() -> pd.DataFrame:
    rows = [(f"{a}-{s}", a, s) for a in LIGANDS for s in SUBSTRATES]
    return pd.DataFrame(rows, columns=["id", "ligand", "substrate"])


def pool_of() -> CandidatePool:
    return CandidatePool.from_frame(frame_of(), id="id", categorical=["ligand", "substrate"])


def run(campaign: Campaign) -> None:
    for _ in range(2):
        batch = campaign.ask(3)
        frame = batch if "ligand" in batch else batch.merge(frame_of(), on="id")
        campaign.tell(batch[["proposal_id"]].assign(**{"yield": yields(frame)}))


@pytest.mark.parametrize("space", [False, True])
def test_it_is_asked_told_and_replayed(sqlite_url: str, space: bool) -> None:
    parameters = [Categorical("ligand", LIGANDS), Categorical("substrate", SUBSTRATES)]
    candidates = SearchSpace(parameters) if space else pool_of()
    campaign = Campaign.create(
        "c", objective=Objective("yield", unit="%"), candidates=candidates, policy=POLICY, store=sqlite_url, seed=1
    )
    run(campaign)
    assert all(p is not None and 0 < p <= 1 for p in campaign.proposals["probability"])
    last = campaign.ledger.iterations[-1]
    assert last.learned["leading"] in LIGANDS
    assert len(last.learned["memory"]["chances"]) == 6
    for number in (1, 2):
        found = replay(campaign, number)
        assert found.identical, str(found)
    if not space:
        assert set(campaign.view().columns) == {"ligand", "substrate"}
        assert Bandit(arms=("ligand",), scope=("substrate",)).standing(campaign.view()).tried.sum() == 6


def test_a_column_that_is_not_there_is_refused_before_anything_begins(sqlite_url: str) -> None:
    with pytest.raises(InvalidInput, match="ligand"):
        Campaign.create(
            "c",
            objective=Objective("yield"),
            candidates=pool_of(),
            policy={**POLICY, "arms": ["ligands"]},
            store=sqlite_url,
        )
