"""The campaign in continuous flow: two targets, from an empty start to a front."""

from __future__ import annotations

from pathlib import Path

from discover.definition import load
from discover.report.page import render

FILE = Path(__file__).resolve().parents[2] / "campaigns" / "continuous-flow.yaml"


def test_it_runs_to_a_front_with_a_volume(tmp_path):
    definition = load(FILE)
    campaign = definition.open(f"sqlite:///{tmp_path / 'flow.db'}", create=True)
    experiment = definition.runner(campaign.files)
    sizes = []
    for n in (9, 4, 4):  # the second of them is partly space-filling, partly chosen by the model
        campaign.ask(n)
        campaign.run_pending(experiment)
        sizes.append(campaign.status().hypervolume)
    front = campaign.pareto()
    told = campaign.observations.dropna(subset=["yield", "e_factor"])
    assert len(told) > len(front) >= 1
    for _, point in told.iterrows():  # nothing that was told beats the front, and it beats or holds all of that
        better = (front["yield"] >= point["yield"]) & (front["e_factor"] <= point["e_factor"])
        worse = (front["yield"] < point["yield"]) & (front["e_factor"] > point["e_factor"])
        assert better.any()
        assert not worse.any()
    assert 0.0 < sizes[0] < sizes[1] < sizes[2]
    assert front.attrs["reference"] == {"yield": 40.0, "e_factor": 6.0}
    assert "hypervolume" in render(campaign, experiment=experiment)
