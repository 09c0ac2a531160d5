"""A campaign on live candidates, from the file to the batch: the unmodified client, real HTTP, the command line."""

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

from discover.candidates.materials.mp_ids import canonical_id
from discover.cli import app
from tests.mp_server import KEY, MPServer, documents

TEXT = """\
campaign: oxides
objective: {{target: bulk_modulus, direction: maximize, unit: GPa}}
candidates:
  kind: materials-project
  endpoint: {url}
  query: {{band_gap: [0.1, null], num_sites: [1, 30]}}
  fields: [band_gap, energy_above_hull, symmetry]
features: [composition, structure, band_gap]
policy: {{kind: space-filling, batch: 2}}
budget: {{experiments: 4}}
"""


@pytest.fixture
def server():
    with MPServer(documents(40)) as running:
        yield running


@pytest.fixture
def cli(tmp_path, monkeypatch, server):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MP_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    (tmp_path / "oxides.yaml").write_text(TEXT.format(url=server.url))

    def call(*arguments, code=0):
        done = CliRunner().invoke(app, list(arguments))
        assert done.exit_code == code, (done.output, done.exception)
        assert KEY not in done.output
        return done

    return call


def test_from_the_service_to_a_batch_and_back(cli, server, tmp_path, monkeypatch):
    assert "valid" in cli("validate", "oxides.yaml").output
    first = json.loads(cli("pull", "oxides.yaml", "--json").stdout)
    assert first["rows"] > 20
    assert first["provenance"]["database_version"]
    asked = len(server.pages)
    assert json.loads(cli("pull", "oxides.yaml", "--json").stdout)["hash"] == first["hash"]
    assert len(server.pages) == asked

    cli("ask", "oxides.yaml", "-n", "3", "--out", "batch.csv")
    batch = pd.read_csv("batch.csv")
    assert batch["material_id"].str.fullmatch(r"mp-\d+").all()
    assert {"formula", "band_gap", "symmetry.number"} <= set(batch.columns)
    assert "structure" not in batch.columns
    batch.assign(bulk_modulus=[10.0, 20.0, 30.0]).to_csv("batch.csv", index=False)
    assert cli("tell", "oxides.yaml", "batch.csv").output.count("measured") == 3

    gone = server.documents.pop(0)
    refreshed = cli("pull", "oxides.yaml", "--refresh").output
    assert "removed" in refreshed
    assert gone["material_id"] is not None

    monkeypatch.delenv("MP_API_KEY")
    (tmp_path / "oxides.yaml").write_text(TEXT.format(url=server.url).replace("campaign: oxides", "campaign: later"))
    without = cli("ask", "oxides.yaml", "--store", f"sqlite:///{tmp_path}/.discover/oxides.db")
    assert "note: candidates are those of" in without.stderr
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path


def test_a_wrong_word_in_the_query_names_the_nearest(cli, tmp_path, server):
    (tmp_path / "oxides.yaml").write_text(TEXT.format(url=server.url).replace("band_gap: [0.1", "bandgap: [0.1"))
    error = cli("validate", "oxides.yaml", code=1).stderr
    assert "line 6" in error
    assert "did you mean 'band_gap'" in error


def test_an_unfiltered_pull_is_refused(cli, tmp_path, server):
    text = TEXT.format(url=server.url).replace("{band_gap: [0.1, null], num_sites: [1, 30]}", "{}")
    (tmp_path / "oxides.yaml").write_text(text)
    cli("pull", "oxides.yaml", code=1)
    assert not server.pages


def test_a_database_that_grows_changes_and_withdraws_while_a_campaign_runs(cli, server, tmp_path):
    from discover import Campaign

    hidden = [server.documents.pop() for _ in range(10)]
    cli("ask", "oxides.yaml", "-n", "4", "--out", "batch.csv")
    batch = pd.read_csv("batch.csv")
    batch.head(2).assign(bulk_modulus=[10.0, 20.0]).to_csv("told.csv", index=False)
    cli("tell", "oxides.yaml", "told.csv")
    store = f"sqlite:///{tmp_path}/.discover/oxides.db"
    measured, gone = batch["material_id"].tolist()[:2]
    before = Campaign.open("oxides", store=store)
    old = before.pool.frame(before.pool.rows([measured]))["band_gap"].item()

    calls = len(server.pages)
    assert "as they were" in cli("refresh", "oxides.yaml").output
    assert len(server.pages) == calls, "the same version of the database is not pulled twice"

    def document(material_id):
        return next(d for d in server.documents if canonical_id(d["material_id"]) == material_id)

    server.version = "2026.06.01"
    server.documents += hidden
    document(measured)["band_gap"] = old + 1.0
    document(gone)["deprecated"] = True
    change = json.loads(cli("refresh", "oxides.yaml", "--json").stdout)
    assert change["added"]
    assert (change["removed"], change["changed"], change["superseded"]) == ([gone], [measured], [measured])
    campaign = Campaign.open("oxides", store=store)
    (kept,) = campaign.ledger.former
    assert kept.startswith(f"{measured}@")
    assert campaign.pool.frame(campaign.pool.rows([kept, measured]))["band_gap"].tolist() == [old, old + 1.0]
    view, place = campaign.view(), campaign.features.names.index("band_gap")
    rows = view.training["bulk_modulus"].rows
    assert sorted(view.ids[rows]) == sorted([kept, gone])
    assert old in view.features.values[rows, place], "the fit sees the row that was measured"
    free = set(view.ids[~view.blocked])
    assert measured in free
    assert gone not in free
    assert set(change["added"]) <= free
    snapshot = campaign.provenance()["snapshot"]
    assert (snapshot["kind"], snapshot["database_version"]) == ("union", "2026.06.01")
    assert snapshot["licence"] == "CC-BY 4.0"

    server.version = "2026.06.02"
    document(gone)["deprecated"] = False
    assert "1 returned" in cli("refresh", "oxides.yaml").output
    assert "as they were" in cli("refresh", "oxides.yaml").output
    again = Campaign.open("oxides", store=store)
    assert [e.kind for e in again._journal.log.read("oxides")].count("repooled") == 2
    assert gone not in again.ledger.gone
    assert "discover" not in cli("audit", "oxides.yaml").stderr


def test_a_service_that_is_away_leaves_the_campaign_with_its_candidates_and_a_note(cli, server, tmp_path, monkeypatch):
    from discover import Campaign

    cli("ask", "oxides.yaml", "-n", "1")
    monkeypatch.delenv("MP_API_KEY")
    monkeypatch.setenv("HOME", str(tmp_path))
    store = f"sqlite:///{tmp_path}/.discover/oxides.db"
    for _ in range(2):
        assert "no API key" in cli("refresh", "oxides.yaml", code=1).stderr
    monkeypatch.setenv("MP_API_KEY", KEY)
    server.version = "2026.06.01"
    server.documents.clear()
    assert "Widen the query" in cli("refresh", "oxides.yaml", code=1).stderr
    campaign = Campaign.open("oxides", store=store)
    notes = campaign.notes["text"].tolist()
    assert [("no API key" in note, "Widen the query" in note) for note in notes] == [(True, False), (False, True)]
    assert len(campaign.ask(2)) == 2
    assert len(campaign.ledger.pools) == 1
