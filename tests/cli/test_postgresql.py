"""The command line on a store that a PostgreSQL server keeps; its password is shown nowhere."""

import json
import logging

import pandas as pd
import pytest

from discover.campaign import Campaign
from discover.definition import load
from discover.errors import StoreError
from discover.store.database.database import Database


@pytest.fixture
def said(cli, postgres, postgres_url, monkeypatch, caplog):
    """Call a command on the store; whatever it says must not hold the password."""
    monkeypatch.setenv("DISCOVER_STORE", postgres_url)
    caplog.set_level(logging.DEBUG, "sqlalchemy")
    caplog.set_level(logging.DEBUG, "psycopg")
    everything = []

    def call(*arguments, code=0):
        done = cli(*arguments, code=code)
        everything.append(done.output + done.stderr)
        return done

    yield call
    assert everything
    assert postgres.password not in "".join(everything) + caplog.text


def test_a_campaign_from_its_beginning_to_its_report(said, folder, postgres, postgres_url):
    definition = load(folder / "dyes.yaml")
    assert not definition.begun(postgres_url)
    assert "has not begun in postgresql://discover:***@" in said("status", "dyes.yaml", code=1).stderr
    said("ask", "dyes.yaml", "-n", "3", "--out", "batch.csv")
    assert definition.begun(postgres_url)
    batch = pd.read_csv(folder / "batch.csv")
    batch.assign(**{"yield": [1.0, 2.0, 3.0]}).to_csv(folder / "batch.csv", index=False)
    said("tell", "dyes.yaml", "batch.csv")
    assert json.loads(said("status", "dyes.yaml", "--json").output)["measured"] == 3
    assert json.loads(said("best", "dyes.yaml", "--json").output)[0]["yield"] == 3.0
    listed = json.loads(said("list", "--json").output)
    assert [(row["campaign"], row["experiments"]) for row in listed] == [("dyes", 3)]
    assert listed[0]["store"] == Database(postgres_url).url
    said("report", "dyes.yaml", "--out", "report.html")
    said("export", "dyes.yaml", "--out", "found.csv")
    campaign = definition.open(postgres_url)
    assert campaign.store == listed[0]["store"]
    shown = [repr(campaign), str(campaign), repr(campaign.status()), repr(definition), repr(load(folder / "dyes.yaml"))]
    written = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    assert postgres.password not in "".join(shown)
    assert postgres.password.encode() not in b"".join(written)
    with campaign._journal.log.database.reading() as connection:
        for table in ("events", "campaigns", "leases", "folds", "settings"):
            assert postgres.password not in str(connection.exec_driver_sql(f"SELECT * FROM {table}").all())


def test_a_store_on_a_server_is_not_begun_afresh(said):
    said("ask", "dyes.yaml")
    refused = said("run", "dyes.yaml", "--fresh", code=1).stderr
    assert "not set aside: begin anew in another database" in refused
    assert json.loads(said("list", "--json").output)[0]["pending"] == 1


def test_a_database_without_a_store_is_said_to_have_none(cli, bare_postgres_url):
    assert "there is no store postgresql://discover:***@" in cli("list", "--store", bare_postgres_url, code=1).stderr
    with pytest.raises(StoreError, match="there is no store"):
        Campaign.list(bare_postgres_url)
