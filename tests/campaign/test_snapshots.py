"""Where a campaign's candidates are: shared between machines, remembered by the store, never other than their hash."""

import fsspec
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from discover import Campaign, CandidatePool, Objective
from discover.candidates.snapshots.snapshot import Snapshot, stored
from discover.definition import load
from discover.errors import CampaignExists, DefinitionChanged, IntegrityError, InvalidDefinition
from discover.store.log.log import EventLog
from tests.candidates.webhdfs_server import WebHDFSServer

YIELD = Objective("yield", "maximize", unit="%")


@pytest.fixture
def frame():
    rng = np.random.default_rng(2)
    return pd.DataFrame({"dye": [f"d{i:02d}" for i in range(30)], "a": rng.random(30), "b": rng.random(30)})


@pytest.fixture
def pool(frame):
    return CandidatePool.from_frame(frame, id="dye", features=["a", "b"])


@pytest.fixture(params=["folder", "memory", "webhdfs"])
def shared(request, tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    if request.param == "folder":
        yield str(tmp_path / "shared")
    elif request.param == "memory":
        yield "memory://shared/campaign"
        fsspec.filesystem("memory").rm("/shared", recursive=True)
    else:
        with WebHDFSServer(tmp_path / "elsewhere") as server:
            yield server.url


def another_machine(monkeypatch, tmp_path):
    """From here on files beside a server's store are elsewhere, as on another machine."""
    monkeypatch.setenv("DISCOVER_FILES", str(tmp_path / "another-machine"))


def test_another_machine_finds_the_candidates_by_the_store_alone(store_url, shared, pool, tmp_path, monkeypatch):
    first = Campaign.create("c", objective=YIELD, candidates=pool, policy="random", store=store_url, snapshots=shared)
    first.ask(2)
    assert str(first.snapshots) == shared
    assert not list(first.files.glob("snapshots/*"))
    another_machine(monkeypatch, tmp_path)
    second = Campaign.open("c", store=store_url)
    assert str(second.snapshots) == shared
    assert second.pool.frame().equals(pool.frame())
    assert second.provenance()["snapshot_hash"] == pool.hash
    assert set(second.ask(3)["dye"]).isdisjoint(first.pending["dye"].head(2))


def test_without_a_place_a_file_keeps_its_own_and_another_machine_is_told_what_to_do(
    postgres_url, pool, tmp_path, monkeypatch
):
    first = Campaign.create("c", objective=YIELD, candidates=pool, policy="random", store=postgres_url)
    assert first.snapshots.local == first.files / "snapshots"
    another_machine(monkeypatch, tmp_path)
    second = Campaign.open("c", store=postgres_url)
    with pytest.raises(IntegrityError, match=r"no snapshot .* name that place: 'snapshots:' .* DISCOVER_SNAPSHOTS"):
        _ = second.pool
    monkeypatch.setenv("DISCOVER_SNAPSHOTS", str(first.files / "snapshots"))
    assert len(Campaign.open("c", store=postgres_url).pool) == 30
    monkeypatch.delenv("DISCOVER_SNAPSHOTS")
    moved = Campaign.open("c", store=postgres_url, snapshots=first.files / "snapshots")
    assert len(moved.pool) == 30
    assert len(Campaign.open("c", store=postgres_url).pool) == 30, "what was named is remembered"
    with pytest.raises(IntegrityError, match="no snapshot"):
        Campaign.open("c", store=postgres_url, snapshots=tmp_path / "empty")
    assert len(Campaign.open("c", store=postgres_url).pool) == 30


def test_what_the_environment_names_is_for_this_machine_alone(sqlite_url, pool, tmp_path, monkeypatch):
    monkeypatch.setenv("DISCOVER_SNAPSHOTS", str(tmp_path / "mounted"))
    first = Campaign.create("c", objective=YIELD, candidates=pool, policy="random", store=sqlite_url)
    assert first.snapshots.local == tmp_path / "mounted"
    (tmp_path / "mounted").rename(tmp_path / "remounted")
    monkeypatch.setenv("DISCOVER_SNAPSHOTS", str(tmp_path / "remounted"))
    assert len(Campaign.open("c", store=sqlite_url).pool) == 30
    monkeypatch.delenv("DISCOVER_SNAPSHOTS")
    assert Campaign.open("c", store=sqlite_url).snapshots.local == first.files / "snapshots"


def test_rows_that_are_not_those_of_the_hash_are_never_used(sqlite_url, pool):
    campaign = Campaign.create("c", objective=YIELD, candidates=pool, policy="random", store=sqlite_url)
    (snapshot,) = stored(campaign.snapshots)
    table = pq.read_table(snapshot.path)
    pq.write_table(table.set_column(1, "a", table["b"]), snapshot.path)
    opened = Campaign.open("c", store=sqlite_url)
    with pytest.raises(IntegrityError, match="was changed"):
        opened.ask()
    assert not len(opened.proposals)
    Snapshot.write(pool.frame(), campaign.snapshots, id="dye", provenance={})
    assert len(opened.ask()) == 1


TEXT = """\
campaign: dyes
objective: {{target: yield, unit: "%"}}
candidates: {{kind: table, file: dyes.csv, id: dye}}
features: [a, b]
policy: {{kind: random, batch: 2}}
snapshots: {place}
"""


def test_a_campaign_file_names_the_place_and_is_no_other_campaign_by_it(frame, tmp_path, shared):
    frame.to_csv(tmp_path / "dyes.csv", index=False)
    (tmp_path / "dyes.yaml").write_text(TEXT.format(place="snaps"))
    begun = load(tmp_path / "dyes.yaml").open()
    assert begun.snapshots.local == tmp_path / "snaps"
    assert "snapshots" not in begun.definition
    (hash,) = [snapshot.hash for snapshot in stored(begun.snapshots)]

    (tmp_path / "dyes.yaml").write_text(TEXT.format(place=shared))
    with pytest.raises(IntegrityError, match="no snapshot"):
        load(tmp_path / "dyes.yaml").open()
    pulled = load(tmp_path / "dyes.yaml").pull(begun.files)
    assert (pulled.hash, str(pulled.place)) == (hash, shared)
    assert str(load(tmp_path / "dyes.yaml").open().snapshots) == shared
    assert load(tmp_path / "dyes.yaml").newest(begun.files).hash == hash


def test_an_address_with_a_password_is_refused_by_its_line(frame, tmp_path):
    frame.to_csv(tmp_path / "dyes.csv", index=False)
    (tmp_path / "dyes.yaml").write_text(TEXT.format(place="sftp://me:hunter2@machine/x"))
    with pytest.raises(InvalidDefinition, match=r"line 6, key 'snapshots'.*FSSPEC_SFTP_PASSWORD") as caught:
        load(tmp_path / "dyes.yaml")
    assert "hunter2" not in str(caught.value)


def test_the_place_and_nothing_secret_is_in_the_store(sqlite_url, pool, tmp_path, monkeypatch):
    from fsspec.config import conf

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with WebHDFSServer(tmp_path / "elsewhere", password="hunter2hunter2") as server:
        monkeypatch.setitem(conf, "webhdfs", {"user": "robot", "password": "hunter2hunter2"})
        log = EventLog(sqlite_url)
        Campaign.create("c", objective=YIELD, candidates=pool, policy="random", store=log, snapshots=server.url)
        assert len(Campaign.open("c", store=log).pool) == 30
        log.database.close()
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"hunter2" not in path.read_bytes(), path


def test_a_campaign_that_could_not_be_begun_moves_nothing_of_the_one_that_is_there(store_url, pool, frame, tmp_path):
    first = Campaign.create(
        "c", objective=YIELD, candidates=pool, policy="random", store=store_url, snapshots=tmp_path / "here"
    )
    less = CandidatePool.from_frame(frame.head(20), id="dye", features=["a", "b"])
    for how, error in (("error", CampaignExists), ("open", DefinitionChanged)):
        with pytest.raises(error):
            Campaign.create(
                "c", objective=YIELD, candidates=less, policy="random", store=store_url,
                snapshots=tmp_path / "there", if_exists=how,
            )  # fmt: skip
    again = Campaign.open("c", store=store_url)
    assert str(again.snapshots) == str(first.snapshots) == str(tmp_path / "here")
    assert len(again.ask(2)) == 2
    moved = Campaign.create(
        "c", objective=YIELD, candidates=pool, policy="random", store=store_url,
        snapshots=tmp_path / "there", if_exists="open",
    )  # fmt: skip
    assert str(moved.snapshots) == str(Campaign.open("c", store=store_url).snapshots) == str(tmp_path / "there")
