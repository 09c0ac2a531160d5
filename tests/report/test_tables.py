"""Tables: the best beside their predictions, failures by kind, twins within a batch, cautions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from discover import Campaign, Categorical, Continuous, Objective, SearchSpace
from discover.objective import Target
from discover.report import near
from discover.report.formulas import flags, reduced_formula
from discover.report.near import Standardised, near_duplicates
from discover.report.page import render
from discover.report.tables import (
    best_of_each,
    best_table,
    cautions_table,
    failure_kinds,
    failures_table,
    why_table,
)
from discover.report.terminal import table_text

from .conftest import SIZE, candidates


def test_best_ten(campaign: Campaign) -> None:
    table = best_table(campaign)
    assert table["rank"].tolist() == list(range(1, 11))
    assert table["modulus"].is_monotonic_decreasing
    measured = campaign.observations.query("status == 'measured'")
    assert table["modulus"].iloc[0] == measured["modulus"].max()
    proposals = campaign.proposals.set_index("id")
    for row in table.to_dict("records"):
        assert row["formula"] == candidates().set_index("id").loc[row["id"], "formula"]
        assert row["predicted_mean"] == pytest.approx(proposals.loc[row["id"], "predicted_mean"], nan_ok=True)
        assert row["iteration"] == proposals.loc[row["id"], "iteration"]
    assert table["cautions"].str.contains("magnetic").equals(table["formula"].str.contains("Fe|Co"))


def test_why_holds_every_proposal_and_its_end(campaign: Campaign) -> None:
    table = why_table(campaign)
    assert len(table) == 25
    assert (table["reason"].str.len() > 20).all()
    failed = table[table["state"] == "failed"]
    assert len(failed) >= 1
    assert failed["why_not"].str.startswith("not stable").all()
    assert failed["modulus"].isna().all()
    assert table.loc[table["state"] == "measured", "modulus"].notna().all()


def test_failures_are_counted_by_kind(campaign: Campaign) -> None:
    table = failures_table(campaign)
    assert set(table["status"]) == {"failed"}
    assert failure_kinds(table).to_dict() == {"not stable": len(table)}
    reasons = pd.DataFrame({"reason": ["n = 12.5 is outside", "n = 1e+02 is outside", "no fit: rms 0.3", "", None]})
    assert failure_kinds(reasons).to_dict() == {"n = … is outside": 2, "no fit": 1, "no reason given": 2}


def test_twins_of_a_batch_are_found(begin: Callable[..., Campaign]) -> None:
    frame = candidates()
    frame.loc[1, ["volume", "charge", "radius"]] = frame.loc[0, ["volume", "charge", "radius"]].to_numpy() + 1e-4
    frame.loc[[5, 6], "formula"] = ["Mg2O4", "MgO2"]
    frame.loc[5, "volume"], frame.loc[6, "volume"] = 3.0, -3.0
    started = begin(Objective("modulus"), frame)
    started.propose(["m-000", "m-001", "m-005", "m-006"], reason="to be compared")
    started.propose(["m-010"], reason="alone")
    twins = near_duplicates(started).set_index(["first", "second"])
    assert twins.loc[("m-000", "m-001"), "why"] == "close in feature space"
    assert twins.loc[("m-000", "m-001"), "distance"] < 0.01
    assert twins.loc[("m-005", "m-006"), "why"] == "same composition"
    assert twins.loc[("m-005", "m-006"), "distance"] > 1
    assert set(twins["iteration"]) == {1}


def test_cautions_are_for_magnetic_and_f_electron_compounds(campaign: Campaign) -> None:
    table = cautions_table(campaign)
    measured = campaign.best(SIZE)
    expected = measured[measured["formula"].str.contains("Fe|Co|Ce")]
    assert table["id"].tolist() == expected["id"].tolist()
    assert len(table) >= 1
    assert flags("Fe2CeO3") == ["magnetic elements: Fe", "f electrons: Ce"]
    assert flags("MgO") == flags("no <formula>") == []


def test_reduced_formula_and_its_absence() -> None:
    assert reduced_formula("Mg2O4") == "MgO2"
    assert reduced_formula("<script>") is None


def test_standardised_keeps_constant_features_out() -> None:
    scaled = Standardised.over(np.array([[1.0, 5.0], [3.0, 5.0]]))
    assert scaled[:].tolist() == [[-1.0, 0.0], [1.0, 0.0]]


def test_the_usual_gap_on_a_grid_and_of_equals() -> None:
    grid = np.arange(20.0)[:, None]
    assert Standardised.over(grid).usual_gap() == pytest.approx(1.0 / grid.std())
    assert Standardised.over(np.full((5, 2), 0.1)).usual_gap() == 1.0


def test_a_large_pool_is_looked_at_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=(900, 4)) * [1.0, 1e-6, 1e6, 0.0] + [0.0, 1.0, -1e6, 0.1]
    whole = Standardised.over(values)
    monkeypatch.setattr(near, "ROWS", 70)
    parts = Standardised.over(values)
    np.testing.assert_allclose(parts[:], whole[:], atol=1e-8)
    assert parts.usual_gap() == pytest.approx(whole.usual_gap())
    scaled = ((values - values.mean(axis=0)) / values.std(axis=0))[:, :3]
    apart = np.linalg.norm(scaled[:, None] - scaled[None], axis=2)
    rows = np.unique(np.linspace(0, 899, 400).astype(int))
    gaps = np.where(apart > 1e-6, apart, np.inf).min(axis=1)[rows]
    assert whole.usual_gap() == pytest.approx(float(np.median(gaps)))


def test_a_pool_without_formulas(begin: Callable[..., Campaign]) -> None:
    started = begin(Objective("modulus"), candidates().drop(columns="formula"), policy="random")
    started.tell(started.ask(3).assign(modulus=[1.0, 2.0, 3.0]))
    assert "formula" not in best_table(started)
    assert cautions_table(started).empty
    assert near_duplicates(started).columns.tolist() == ["iteration", "first", "second", "distance", "why"]


def test_what_has_no_formula_is_told_by_its_conditions(tmp_path) -> None:
    space = SearchSpace(
        [Continuous("temperature", 20, 120, step=1, unit="degC"), Categorical("base", ["KOH", "K3PO4"])]
    )
    targets = [Target("yield", "maximize", unit="%"), Target("waste", "minimize")]
    store = f"sqlite:///{tmp_path / 'c.db'}"
    started = Campaign.create("c", objective=Objective(targets), candidates=space, policy="random", store=store)
    batch = started.ask(3)
    started.tell(batch.assign(**{"yield": [10.0, 90.0, 50.0], "waste": [1.0, 9.0, 5.0]}))
    row = batch.iloc[1]
    told = f"temperature {row['temperature']:g} degC · base {row['base']}"
    for table in (best_table(started), why_table(started)):
        lines = table.set_index(started.pool.id)["conditions"]
        assert lines[row[started.pool.id]].replace("\N{NO-BREAK SPACE}", " ") == told
    best = {one["target"]: (one["value"], one["unit"], one["id"]) for one in best_of_each(started)}
    ids = batch[started.pool.id].tolist()
    assert best == {"yield": (90.0, "%", ids[1]), "waste": (1.0, "", ids[0])}
    assert "1.000<small>" in render(started).split("best waste")[1]


def test_long_texts_leave_a_terminal_first() -> None:
    frame = pd.DataFrame(
        {"id": ["a"], "smiles": ["C" * 38], "best": [{"id": "a", "n": np.float64(2.5)}], "solvent": ["THF"]}
    )
    text = table_text(frame, width=40, way="see the file")
    assert text.splitlines()[0].split() == ["id", "best", "solvent"]
    assert "id a, n 2.5" in text
    assert text.endswith("(also: smiles; see the file)")
    assert "CCCC" in table_text(frame, width=90)
