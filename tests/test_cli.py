"""The command line, as a user types it."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from discover.cli import app
from tests.definition.test_definition import GOOD, folder  # noqa: F401

COMMANDS = (
    "validate",
    "run",
    "pull",
    "ask",
    "tell",
    "status",
    "best",
    "report",
    "export",
    "list",
    "schema",
    "backtest",
)


@pytest.fixture
def cli(folder, monkeypatch):  # noqa: F811
    monkeypatch.chdir(folder)
    monkeypatch.delenv("DISCOVER_STORE", raising=False)

    def call(*arguments, code=0):
        done = CliRunner().invoke(app, list(arguments))
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == code, done.output
        return done

    return call


def test_every_command_has_help_with_an_example(cli):
    text = cli("--help").output
    for command in COMMANDS:
        assert command in text
        assert f"Example: discover {command}" in " ".join(cli(command, "--help").output.split())


def test_version_and_bad_usage(cli):
    assert re.match(r"discover \d+\.\d+", cli("--version").output)
    cli("aks", code=2)
    cli("ask", code=2)
    cli("ask", "dyes.yaml", "-n", "0", code=2)
    cli("run", "dyes.yaml", "--iterations", "x", code=2)


def test_validate(cli, folder):  # noqa: F811
    assert "a valid campaign" in cli("validate", "dyes.yaml").output
    (folder / "bad.yaml").write_text(GOOD.replace("kind: random", "kind: radnom"))
    done = cli("validate", "bad.yaml", code=1)
    assert "line 5" in done.stderr
    assert "did you mean 'random'" in done.stderr
    body = json.loads(cli("validate", "bad.yaml", "--json", code=1).stdout)
    assert body["problems"][0]["line"] == 5


def test_ask_fill_in_tell(cli, folder):  # noqa: F811
    cli("ask", "dyes.yaml", "-n", "3", "--key", "a", "--out", "batch.csv")
    sheet = pd.read_csv("batch.csv")
    assert len(sheet) == 3
    assert sheet["yield"].isna().all()
    again = json.loads(cli("ask", "dyes.yaml", "-n", "3", "--key", "a", "--json").stdout)
    assert [row["proposal_id"] for row in again] == list(sheet["proposal_id"])
    assert "used to ask for 3" in cli("ask", "dyes.yaml", "-n", "4", "--key", "a", code=1).stderr

    sheet.assign(**{"yield": ["1.5", "2,5", ""]}).to_csv("bad.csv", index=False)
    error = cli("tell", "dyes.yaml", "bad.csv", code=1).stderr
    assert "row 3, column 'yield', value '2,5'" in error
    sheet.assign(**{"yield": [0.1, 1 / 3, None]}).to_csv("good.csv", index=False)
    assert "measured" in cli("tell", "dyes.yaml", "good.csv", "--dry-run").output
    assert json.loads(cli("status", "dyes.yaml", "--json").stdout)["measured"] == 0
    told = json.loads(cli("tell", "dyes.yaml", "good.csv", "--json").stdout)
    assert [row["became"] for row in told] == ["measured", "measured", "not measured yet"]
    best = json.loads(cli("best", "dyes.yaml", "-n", "1", "--json").stdout)
    assert best[0]["yield"] == 1 / 3
    cli("tell", "dyes.yaml", "good.csv")
    sheet.assign(**{"yield": [0.2, 1 / 3, None]}).to_csv("fixed.csv", index=False)
    assert "correct" in cli("tell", "dyes.yaml", "fixed.csv", code=1).stderr
    assert "corrected" in cli("tell", "dyes.yaml", "fixed.csv", "--correct", "typing error").output


def test_export_and_list(cli, folder):  # noqa: F811
    cli("status", "dyes.yaml", code=1)
    cli("ask", "dyes.yaml", "-n", "2", "--out", "batch.csv")
    pd.read_csv("batch.csv").assign(**{"yield": [1.0, 2.0]}).to_csv("batch.csv", index=False)
    cli("tell", "dyes.yaml", "batch.csv")
    for name in ("out.parquet", "out.csv"):
        cli("export", "dyes.yaml", "--out", name)
    assert pd.read_parquet("out.parquet")["yield"].tolist() == [1.0, 2.0]
    assert pd.read_csv("out.csv")["yield"].tolist() == [1.0, 2.0]
    assert "write .parquet or .csv" in cli("export", "dyes.yaml", "--out", "out.xyz", code=1).stderr
    store = f"sqlite:///{folder / '.discover' / 'dyes.db'}"
    assert json.loads(cli("list", "--store", store, "--json").stdout)[0]["campaign"] == "dyes"
    assert "dyes" in cli("list", "--store", store).output
    assert json.loads(cli("list", "--json").stdout)[0]["store"] == "sqlite:///.discover/dyes.db"


def test_store_by_option_and_by_environment(cli, monkeypatch):
    cli("ask", "dyes.yaml", "--store", "sqlite:///elsewhere.db")
    monkeypatch.setenv("DISCOVER_STORE", "sqlite:///elsewhere.db")
    assert json.loads(cli("status", "dyes.yaml", "--json").stdout)["pending"] == 1


def test_pull(cli):
    body = json.loads(cli("pull", "dyes.yaml", "--json").stdout)
    assert body["rows"] == 12
    assert len(body["hash"]) == 64
    assert body["provenance"]


def test_report(cli, folder):  # noqa: F811
    cli("ask", "dyes.yaml", "-n", "2", "--out", "batch.csv")
    pd.read_csv("batch.csv").assign(**{"yield": [1.0, 2.0]}).to_csv("batch.csv", index=False)
    cli("tell", "dyes.yaml", "batch.csv")
    cli("report", "dyes.yaml", "--out", "page.html", "--pictures", "drawn")
    drawn = sorted((folder / "drawn").glob("dyes-*.png"))
    assert len(drawn) == 3
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn)
    text = (folder / "page.html").read_text()
    assert text.lstrip().lower().startswith("<!doctype html>")
    assert "dyes" in text


def test_backtest(cli):
    text = cli(
        "backtest", "dyes.yaml", "--policies", "space-filling,random", "--seeds", "2", "--out", "study.json"
    ).output
    assert "random" in text
    assert json.loads(Path("study.json").read_text())
    assert "did you mean 'random'" in cli("backtest", "dyes.yaml", "--policies", "radnom", code=1).stderr


def test_schema(cli):
    assert json.loads(cli("schema").stdout)["title"] == "discover campaign"
