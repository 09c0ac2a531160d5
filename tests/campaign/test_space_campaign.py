"""Campaigns over a search space: the documentation's example, results by the parameters' columns, and every other verb."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest

from discover import Campaign, CandidatePool, Categorical, Continuous, Objective, SearchSpace, Substance
from discover.definition import load
from discover.definition.checks import check
from discover.errors import Conflict, InvalidInput, Unsupported
from discover.provenance.archive import export_campaign
from discover.provenance.audit import audit
from discover.provenance.fork import fork
from discover.provenance.importing import import_campaign
from discover.provenance.replay import replay
from discover.provenance.trace import trace
from tests.candidates.spaces import PCY3, PPH3, arylation, every_kind

LIGANDS = {"PMe3": "CP(C)C", "PEt3": "CCP(CC)CC", "PBu3": "CCCCP(CCCC)CCCC", "PPh3": PPH3, "PCy3": PCY3}
COLUMNS = ["temperature", "base", "ligand", "solvent.water", "solvent.ethanol", "solvent.toluene"]


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/campaigns.db"


def begun(url, space=None, **options):
    return Campaign.create(
        "arylation", objective=Objective("yield", "maximize", unit="%"), candidates=space or arylation(), store=url, seed=0,
        **({"policy": {"kind": "bayesian", "start": 4}} | options),
    )  # fmt: skip


def found(frame):
    return 60 - ((frame["temperature"] - 70) / 12) ** 2 + 9 * frame["solvent.ethanol"]


def test_a_campaign_of_plates_asks_tells_and_chooses_the_same_again(url):
    campaign = begun(url)
    for _ in range(2):
        batch = campaign.ask(6, fixed={"base": "KOH"})
        assert set(COLUMNS) <= set(batch.columns)
        assert (len(batch), batch["temperature"].nunique(), set(batch["base"])) == (6, 1, {"KOH"})
        assert np.allclose(batch[COLUMNS[3:]].sum(axis=1), 1)
        assert set(campaign.tell(batch.assign(**{"yield": found(batch)}))["became"]) == {"measured"}
    assert len(campaign.best(3)) == 3
    again = Campaign.open("arylation", store=url)
    assert again.pool.space == arylation()
    assert all(replay(again, k).identical for k in (1, 2))
    assert again.status().pending == 0
    with pytest.raises(Unsupported):
        campaign.update_candidates(
            CandidatePool.from_frame(pd.DataFrame({"id": ["a"], "x": [1.0]}), id="id", features=["x"])
        )


def test_what_is_made_from_smiles_is_kept_with_the_campaign(url):
    ligands = Substance("ligand", LIGANDS, from_smiles=["molecule", "fingerprint"])
    space = SearchSpace([ligands, Continuous("temperature", 20, 120, step=1)])
    campaign = begun(url, space, policy={"kind": "bayesian", "start": 4, "model": "evidence"})
    for _ in range(3):
        batch = campaign.ask(6)
        campaign.tell(batch.assign(**{"yield": 60 - ((batch["temperature"] - 70) / 12) ** 2}))
    again = Campaign.open("arylation", store=url)
    assert again.pool.space == space
    assert again.features.names == campaign.features.names
    assert any(name.startswith("ligand:bit ") for name in again.features.names)
    weights = again.ledger.iterations[-1].learned["targets"]["yield"]["all_weights"]
    assert {"only-categories", "only-descriptors", "only-fingerprint"} <= weights.keys()
    assert all(replay(again, k).identical for k in (2, 3))


def test_a_key_fixes_the_values_too(url):
    campaign = begun(url)
    first = campaign.ask(2, key="k", fixed={"base": "KOH"})
    assert list(campaign.ask(2, key="k", fixed={"base": "KOH"})["proposal_id"]) == list(first["proposal_id"])
    with pytest.raises(Conflict, match="fixed"):
        campaign.ask(2, key="k")


def test_any_frame_with_the_columns_is_told_and_named_by_its_values(url):
    campaign = begun(url)
    batch = campaign.ask(2)
    sheet = pd.read_csv(io.StringIO(batch[COLUMNS].to_csv(index=False)))
    told = campaign.tell(sheet.assign(**{"yield": [1.0, 2.0]}))
    assert list(told["proposal_id"]) == list(batch["proposal_id"])
    literature = sheet.assign(temperature=[55.5, 91.0], **{"yield": [3.0, 4.0]})
    told = campaign.tell(literature.assign(source="Smith 2019"))
    assert list(told["became"]) == ["measured", "measured"]
    assert "beside the settable grid" in told["remark"][0]
    assert set(campaign.tell(literature.assign(source="Smith 2019"))["became"]) == {"already known"}
    assert campaign.predict(literature)["predicted_mean"].notna().all()
    by_hand = campaign.propose(sheet.assign(temperature=33), reason="a hunch")
    assert set(by_hand["temperature"]) == {33.0}
    with pytest.raises(InvalidInput, match="cannot be proposed"):
        campaign.propose(literature, reason="not settable")


def test_everything_wrong_with_a_frame_is_said_and_nothing_is_changed(url):
    campaign = begun(url, every_kind())
    batch = campaign.ask(4)
    sheet = batch.drop(columns=["proposal_id", "candidate"])
    bad = sheet.assign(**{"yield": 1.0, "n": [99, *sheet["n"][1:]]})
    bad.loc[1, "solvent.t"] += 0.7
    bad.loc[2, "acid"] = "HCI"
    bad.loc[3, "order"] = "A > B"
    before = campaign.ledger.seq
    with pytest.raises(InvalidInput) as error:
        campaign.tell(bad)
    places = [(problem.row, problem.column) for problem in error.value.problems]
    assert [row for row, _ in places] == [0, 1, 2, 3]
    assert places[0][1] == "n"
    assert campaign.ledger.seq == before
    with pytest.raises(InvalidInput, match="leave proposal_id and candidate empty"):
        campaign.tell(batch.assign(**{"yield": 1.0, "rate": 0.5}))
    partly = campaign.tell(bad.assign(n=sheet["n"]), partial=True)
    assert dict(zip(partly["row"], partly["became"])) == {0: "measured", 1: "refused", 2: "refused", 3: "refused"}


def test_it_is_traced_audited_archived_and_forked(url, tmp_path):
    campaign = begun(url)
    batch = campaign.ask(3)
    campaign.tell(batch.assign(**{"yield": found(batch)}))
    elsewhere = batch[COLUMNS].assign(temperature=[25.0, 26.0, 27.5], **{"yield": [1.0, 2.0, 3.0]})
    campaign.tell(elsewhere)
    campaign.exclude([campaign.best(1)["candidate"].iloc[0]], reason="smells")
    assert "temperature" in str(trace(campaign, batch["proposal_id"][0]))
    assert "nothing is wrong" in str(audit(campaign))
    export_campaign(campaign, tmp_path / "a.zip")
    other = import_campaign(tmp_path / "a.zip", f"sqlite:///{tmp_path}/other.db")
    assert len(other.observations) == len(campaign.observations) == 6
    child, carried = fork(campaign, "child")
    assert (carried.observations, carried.excluded) == (6, 1)
    assert len(child.ask(2)) == 2


def test_explored_points_keep_the_rules_with_the_others(url):
    campaign = begun(
        url, arylation(batch_constraints=["one temperature", "4 wells"]), policy={"kind": "random", "explore": 0.5}
    )
    with pytest.warns(UserWarning, match="4 wells"):
        batch = campaign.ask(6)
    assert (len(batch), batch["temperature"].nunique()) == (4, 1)
    assert set(campaign.proposals["policy"]) == {"explore", "random"}


def test_values_are_fixed_in_a_pool_as_well(url):
    frame = pd.DataFrame({"id": list("abcdef"), "x": range(6), "base": ["KOH", "DBU"] * 3})
    pool = CandidatePool.from_frame(frame, id="id", features=["x"], categorical=["base"])
    campaign = begun(url, pool)
    assert set(campaign.ask(3, fixed={"base": "DBU"})["base"]) == {"DBU"}
    with pytest.raises(InvalidInput, match="no candidate has this value"):
        campaign.ask(1, fixed={"base": "NaOH"})


def test_what_is_fixed_is_part_of_what_a_choice_has_seen(url):
    """Otherwise two batches for different reactors would be drawn with one seed."""
    frame = pd.DataFrame({"id": list("abcdef"), "t": range(6), "base": ["KOH", "DBU"] * 3})
    pool = CandidatePool.from_frame(frame, id="id", features=["t"], categorical=["base"])
    seen = set()
    for name, fixed in (("a", {"base": "KOH"}), ("b", {"base": "DBU"}), ("c", None)):
        campaign = Campaign.create(name, objective=Objective("yield"), candidates=pool, policy="random", store=url)
        campaign.ask(1, fixed=fixed)
        seen.add(campaign.ledger.iterations[-1].seen)
    assert len(seen) == 3


@pytest.mark.parametrize("table", ["ligand,cone\nPPh3,145.5\nPCy3,170\n", "ligand;cone\nPPh3;145,5\nPCy3;170\n"])
def test_a_file_declares_a_space(tmp_path, table):
    (tmp_path / "ligands.csv").write_text(table)
    text = """
campaign: arylation
objective: {target: yield, unit: "%"}
candidates:
  kind: space
  parameters:
    - {kind: continuous, name: temperature, low: 20, high: 120, step: 1, unit: degC}
    - {kind: Categorical, name: ligand, values: [PPh3, PCy3], descriptors: ligands.csv}
    - {kind: mixture, name: solvent, components: [water, ethanol], step: 0.25}
  constraints: [temperature <= 78 if solvent.ethanol > 0.5]
  batch_constraints: [one temperature]
policy: {kind: random}
"""
    (tmp_path / "c.yaml").write_text(text)
    definition = load(tmp_path / "c.yaml")
    check(definition)
    campaign = definition.open()
    assert len(set(campaign.ask(4)["temperature"])) == 1
    assert "ligand:cone" in campaign.features.names
    assert campaign.pool.space.parameters[1].descriptors["PPh3"] == {"cone": 145.5}
    (tmp_path / "ligands.csv").write_text("ligand;cone\nPPh3;145,5\nPCy3;170.5\n")
    with pytest.raises(InvalidInput, match=r"ligands.csv: row 3, column 'cone', value '170.5'.*beside '145,5'"):
        check(load(tmp_path / "c.yaml"))
    (tmp_path / "ligands.csv").write_text(table)
    assert not definition.refresh(campaign)
    assert len(definition.open().pending) == 4
    (tmp_path / "bad.yaml").write_text(
        text.replace("solvent.ethanol > 0.5", "solvent.etanol > 0.5").replace("0.25", "0.3")
    )
    with pytest.raises(InvalidInput, match=r"line 9, key 'candidates.parameters.2.step'"):
        load(tmp_path / "bad.yaml")
    (tmp_path / "bad.yaml").write_text(text.replace("solvent.ethanol > 0.5", "solvent.etanol > 0.5"))
    with pytest.raises(InvalidInput, match=r"did you mean 'solvent\.ethanol'"):
        load(tmp_path / "bad.yaml")


def test_a_space_campaign_ends_when_its_points_do(url):
    campaign = begun(url, SearchSpace([Continuous("x", 0, 2, step=1)]), policy="random")
    observed = campaign.run(lambda values: values["x"] ** 2, 10)
    assert len(observed) == 3
    assert campaign.best(1)["x"].iloc[0] == 2.0


def test_the_status_of_a_small_space_counts_its_points(url):
    space = SearchSpace([Continuous("x", 0, 9, step=1)], constraints=["x <= 4"])
    campaign = begun(url, space, policy="random")
    campaign.ask(2)
    campaign.tell(pd.DataFrame({"x": [2.5, 8.0], "yield": [1.0, 2.0]}))  # beside the grid, and against the constraint
    assert (campaign.status().candidates, campaign.status().available) == (5, 3)
    campaign.ask(3)
    assert (campaign.status().candidates, campaign.status().available) == (5, 0)


@pytest.mark.parametrize("policy", ["random", "space-filling", {"kind": "bayesian", "start": 2}])
def test_a_batch_that_nothing_may_join_is_empty_and_says_why(url, policy):
    """Where a space has rules for a batch, an empty one ended with a bare error: at its end, and where no point keeps a rule."""
    campaign = begun(url, SearchSpace([Continuous("x", 0, 2, step=1)], batch_constraints=["one x"]), policy=policy)
    for _ in range(3):
        batch = campaign.ask(1)
        campaign.tell(batch.assign(**{"yield": batch["x"]}))
    with pytest.warns(UserWarning, match="0 of 2 proposed"):
        assert not len(campaign.ask(2))
    heavy = SearchSpace([Continuous("x", 1, 9, step=1)], batch_constraints=["total x <= 2"])
    other = Campaign.create("other", objective=Objective("yield"), candidates=heavy, store=url, policy=policy)
    with pytest.warns(UserWarning, match="total x <= 2"):
        assert not len(other.ask(2, fixed={"x": 5}))


def test_a_trace_over_a_space_tells_its_declaration_and_its_features(url):
    campaign = begun(url)
    batch = campaign.ask(2)
    body = trace(campaign, batch["proposal_id"].iloc[0]).to_dict()
    assert "problem" not in body["snapshot"]
    assert body["features"]["fingerprint"] == campaign.pool.space.hash
    assert tuple(body["features"]["names"]) == campaign.pool.features.names
    assert sum(part["names"] for part in body["features"]["parts"]) == len(body["features"]["names"])
    assert "categories of ligand (2)" in str(trace(campaign, batch["candidate"].iloc[0]))


def test_every_wrong_cell_of_a_point_is_named(url):
    campaign = begun(
        url, SearchSpace([Continuous("x", 0, 2, step=1), Continuous("y", 0, 2), Categorical("c", ["p", "q"])])
    )
    with pytest.raises(InvalidInput) as error:
        campaign.tell(pd.DataFrame({"x": [7], "y": ["hot"], "c": ["r"], "yield": [1.0]}))
    assert [problem.column for problem in error.value.problems] == ["x", "y", "c"]
