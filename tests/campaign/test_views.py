"""What a scientist looks at: predictions, the best, status, provenance, representations."""

import math

import numpy as np
import pandas as pd
import pytest

from discover import Campaign, CandidatePool, Objective, Target, threads
from discover.errors import DiscoverError, InvalidInput, UnknownCandidate
from discover.policy.bayesian import Bayesian
from discover.surrogate.predict import predict


@pytest.fixture
def told(make, frame):
    campaign = make(policy={"kind": "bayesian", "start": 5})
    batch = campaign.ask(12)
    campaign.tell(batch.assign(**{"yield": 50 * batch["a"] + 10 * (batch["solvent"] == "DMF")}))
    return campaign


def test_predictions_by_id_and_by_frame_agree(told, frame):
    by_id = told.predict(list(frame["material_id"][:5]))
    by_rows = told.predict(frame.head(5))
    by_columns = told.predict(frame.head(5).drop(columns="material_id"))
    for other in (by_rows, by_columns):
        np.testing.assert_allclose(other["predicted_mean"], by_id["predicted_mean"], rtol=1e-9)
        np.testing.assert_allclose(other["predicted_std"], by_id["predicted_std"], rtol=1e-6)
    new = told.predict(pd.DataFrame({"a": [0.9], "b": [0.5], "solvent": ["DMF"]}))
    assert new["predicted_std"][0] > 0
    with pytest.raises(UnknownCandidate):
        told.predict("m99")
    with pytest.raises(InvalidInput, match="solvent"):
        told.predict(pd.DataFrame({"a": [0.9], "b": [0.5]}))


def test_predictions_learn(told, frame):
    truth = (50 * frame["a"] + 10 * (frame["solvent"] == "DMF")).to_numpy()
    assert np.corrcoef(told.predict(frame)["predicted_mean"], truth)[0, 1] > 0.9


def test_predictions_are_by_the_policys_own_settings(make, frame):
    own = {"start": 5, "kernel": "rbf", "lengths": "one", "noise": "evidence", "at": {"fidelity": "low"}}
    campaign = make(policy={"kind": "bayesian", **own})
    batch = campaign.ask(12)
    fidelity = np.where(np.arange(12) % 3, "high", "low")
    told = 50 * batch["a"] + np.where(fidelity == "low", 30.0, 0.0)
    campaign.tell(batch.assign(**{"yield": told}, fidelity=fidelity))
    view = campaign.view()
    mean, std = Bayesian(**own).predict(view, view.features.values)["yield"]
    by_default = predict(view, view.features.values)["yield"][0]
    found = campaign.predict(list(view.ids))
    assert found["predicted_mean"].to_numpy() == pytest.approx(mean, abs=1e-9)
    assert found["predicted_std"].to_numpy() == pytest.approx(std, abs=1e-9)
    assert np.abs(mean - by_default).mean() > 10.0


def test_without_observations_there_is_no_prediction(campaign):
    assert math.isnan(campaign.predict("m00")["predicted_mean"][0])


@pytest.mark.parametrize(
    ("objective", "best"),
    [
        (Objective("y", "maximize"), 9.0),
        (Objective("y", "minimize"), 1.0),
        (Objective("y", "match", value=4.4), 4.0),
        (Objective("y", "match", band=(6.5, 7.5)), 7.0),
        (Objective("y", "maximize", constraints=["y <= 5.5"]), 5.0),
    ],
)
def test_best_follows_the_objective(make, objective, best):
    campaign = make(objective)
    batch = campaign.ask(9)
    campaign.tell(batch.assign(y=np.arange(1.0, 10.0)))
    assert campaign.best(1)["y"].tolist() == [best]
    assert campaign.status().best["y"] == best


def test_best_of_several_targets_is_the_front_first(make):
    campaign = make(Objective([Target("y"), Target("z", "minimize")]))
    batch = campaign.ask(4)
    campaign.tell(batch.assign(y=[1.0, 2.0, 3.0, 2.5], z=[1.0, 2.0, 3.0, 3.5]))
    assert campaign.best(4)["beaten_by"].tolist() == [0, 0, 0, 1]


def test_an_empty_campaign_can_be_looked_at(campaign):
    assert campaign.best().empty
    assert campaign.observations.empty
    assert campaign.pending.empty
    assert campaign.iterations.empty
    assert campaign.proposals.empty
    assert campaign.status().to_dict()["best"] is None
    assert "40" in repr(campaign)


def test_representations_are_worth_reading_and_escaped(make):
    campaign = make(Objective("<b>y</b>"))
    assert "maximize" in repr(campaign)
    assert "<b>" not in campaign._repr_html_()


def test_provenance_names_everything(told):
    body = told.provenance()
    assert body["snapshot_hash"] == told.pool.hash
    assert body["definition"]["seed"] == 0
    assert body["features"]["names"] == ["a", "b", "solvent=DMF", "solvent=THF"]
    assert body["environment"]["packages"]["torch"]


def test_a_changed_environment_is_noted(told, monkeypatch):
    told.ask(1)
    monkeypatch.setattr("discover.campaign.asking.choosing.environment", lambda: {"python": "2.7"})
    told.ask(1)
    assert "not bit-reproducible" in told.notes["text"].iloc[-1]
    assert "python" in told.notes["text"].iloc[-1]
    noted = len(told.notes)
    told.ask(1)
    assert len(told.notes) == noted  # it is as it was at the batch before
    monkeypatch.undo()
    told.ask(1)
    assert len(told.notes) == noted + 1


def test_threads_are_those_of_the_first_choice_of_the_policy(make):
    campaign = make()
    campaign.propose(["m01"], reason="a hunch")
    many = threads.count()
    campaign.ask(1)
    with threads.using(many + 1):
        campaign.ask(1)
    told = [i.learned["environment"]["threads"] for i in campaign.ledger.iterations[1:]]
    assert told == [many, many]


def test_open_needs_no_frame(told, url):
    again = Campaign.open("c", store=url)
    pd.testing.assert_frame_equal(again.observations, told.observations)
    assert again.pool.spec == told.pool.spec
    assert again.status() == told.status()


def test_composition_and_structure_columns(url):
    from pymatgen.core import Lattice, Structure

    cell = Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.21), ["Mg", "O"], [[0, 0, 0], [0.5] * 3])
    other = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5] * 3])
    frame = pd.DataFrame({"id": ["a", "b"], "formula": ["MgO", "NaCl"], "structure": [cell, other]})
    pool = CandidatePool.from_frame(frame, id="id", composition="formula", structure="structure")
    campaign = Campaign.create("c", objective=Objective("y"), candidates=pool, policy="random", store=url)
    batch = campaign.ask(2)
    assert {"formula", "structure"} <= set(batch.columns)
    assert campaign.tell(batch.assign(y=[1.0, 2.0]))["became"].tolist() == ["measured"] * 2
    assert any("packing" in name for name in campaign.features.names)


def test_without_its_candidates_a_campaign_still_tells_what_was_found(told, url):
    import shutil

    before = told.observations
    shutil.rmtree(told.files / "snapshots")
    again = Campaign.open("c", store=url)
    pd.testing.assert_frame_equal(again.observations, before)
    assert len(again.proposals) == 12
    with pytest.raises(DiscoverError):
        again.ask(1)
    assert "snapshot" in Campaign.list(url)["problem"][0]


def test_predictions_come_as_they_were_asked_for(told, frame):
    three = told.predict(["m01", "m01", "m02"])
    assert three["material_id"].tolist() == ["m01", "m01", "m02"]
    changed = told.predict(frame.head(1).assign(a=0.99))
    assert changed["predicted_mean"][0] != told.predict("m00")["predicted_mean"][0]


def test_pool_columns_with_our_names_are_shown(url):
    frame = pd.DataFrame({"id": ["a", "b"], "iteration": [10, 20], "x": [1.0, 2.0]})
    pool = CandidatePool.from_frame(frame, id="id", features=["x"])
    campaign = Campaign.create("p", objective=Objective("y"), candidates=pool, policy="random", store=url)
    campaign.tell(campaign.ask(2).assign(y=[1.0, 2.0]))
    best = campaign.best(2).set_index("id")
    assert best["iteration"].to_dict() == {"a": 10, "b": 20}


def test_a_note_has_a_text(told):
    for text in ("", " ", None, 5):
        with pytest.raises(InvalidInput, match="needs a text"):
            told.note(text)


@pytest.mark.parametrize("n", [0, -1, 2.5, "3", True])
def test_the_best_are_so_many(told, n):
    with pytest.raises(InvalidInput, match="must be a whole number of at least 1"):
        told.best(n)
