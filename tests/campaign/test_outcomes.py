"""Constraints on what is measured beside the targets: told, stored, held to, and refused where they are filters."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from discover import Campaign, CandidatePool, Objective
from discover.errors import InvalidInput
from discover.store.ledger.life import State

GOAL = Objective("gap", unit="eV", constraints=["hull <= 0.05"], outcomes={"hull": "eV/atom"})


def pool(n: int = 30, **more: object) -> CandidatePool:
    x = np.linspace(0.0, 1.0, n)
    return CandidatePool.from_frame(pd.DataFrame({"id": [f"m{i:02d}" for i in range(n)], "x": x, **more}), id="id")


@pytest.fixture
def campaign(tmp_path) -> Campaign:
    url = f"sqlite:///{tmp_path / 'c.db'}"
    return Campaign.create(
        "gaps", objective=GOAL, candidates=pool(), store=url, policy={"kind": "bayesian", "start": 6}
    )


def answers(x: np.ndarray) -> dict[str, np.ndarray]:
    """The greatest gaps are where the hull is far."""
    return {"gap": 3.0 * x, "hull": np.where(x > 0.6, 0.2, 0.01) + 0.001 * x}


def test_a_candidate_is_measured_once_all_of_it_is_known(campaign):
    batch = campaign.ask(2)
    campaign.tell(batch.assign(gap=[1.0, 2.0]))
    assert set(campaign.proposals["state"]) == {State.IN_PART.value}
    assert len(campaign.best(5)) == 0
    campaign.tell(batch.assign(hull=[0.01, 0.3])[["proposal_id", "hull"]])
    assert set(campaign.proposals["state"]) == {"measured"}
    best = campaign.best(5)
    assert best["gap"].tolist() == [1.0]
    assert best["hull"].tolist() == [0.01]
    assert {o.unit for o in campaign.ledger.observations.values()} == {"eV", "eV/atom"}


def test_a_campaign_runs_and_ends_with_what_keeps_the_constraint(campaign):
    for n in (6, 3, 3):
        batch = campaign.ask(n)
        campaign.tell(batch.assign(**answers(batch["x"].to_numpy())))
    last = campaign.proposals.iloc[-1]
    assert {"predicted_mean", "predicted_mean_hull"} <= set(campaign.proposals.columns)
    assert np.isfinite(last["predicted_mean_hull"])
    best = campaign.best(1).iloc[0]
    assert best["hull"] <= 0.05
    assert best["gap"] > 1.4, "within three candidates of the best that keeps it"
    assert "gap 1." in str(campaign.status())


def test_a_limit_of_detection_keeps_a_constraint_that_it_cannot_break(campaign):
    batch = campaign.ask(4)
    bounds = ["below", "above", "below", None]
    campaign.tell(batch.assign(gap=[4.0, 3.0, 2.0, 1.0], hull=[0.02, 0.02, 0.2, 0.01], hull_bound=bounds))
    assert campaign.best(4)["gap"].tolist() == [4.0, 1.0]
    campaign.tell(campaign.ask(1).assign(gap=9.0, gap_bound="above", hull=0.01))
    assert campaign.best(4)["gap"].tolist() == [4.0, 1.0], "a target's own limit is no value"


def test_what_every_candidate_tells_already_is_a_filter(tmp_path):
    with pytest.raises(InvalidInput, match="is a filter, not a constraint on outcomes"):
        Campaign.create("gaps", objective=GOAL, candidates=pool(hull=0.1), store=f"sqlite:///{tmp_path / 'c.db'}")


def test_an_experiment_must_measure_it_in_its_unit(campaign):
    from discover.experiment.callable import CallableExperiment

    with pytest.raises(InvalidInput, match="does not measure this outcome"):
        campaign.run(CallableExperiment(lambda candidate: 1.0, {"gap": "eV"}), 2)
    with pytest.raises(InvalidInput, match="'eV/atom', the experiment measures in 'meV'"):
        campaign.run(CallableExperiment(lambda candidate: 1.0, {"gap": "eV", "hull": "meV"}), 2)
    found = campaign.run(lambda candidate: {k: float(v) for k, v in answers(candidate["x"]).items()}, 4)
    assert found[["gap", "hull"]].notna().all().all()


def test_constraints_that_nothing_can_keep_are_refused(tmp_path):
    goal = Objective("gap", constraints=["hull <= 0", "hull >= 1"])
    with pytest.raises(InvalidInput, match="no value of 'hull' keeps all of its constraints"):
        Campaign.create("gaps", objective=goal, candidates=pool(), store=f"sqlite:///{tmp_path / 'c.db'}")
