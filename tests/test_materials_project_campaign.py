"""A campaign on live candidates, from the file to the batch: the unmodified client, real HTTP, the command line."""

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

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
