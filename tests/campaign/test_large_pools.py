"""A campaign whose candidates stay on disk lives as one whose candidates are held in memory."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pytest

from discover import Campaign, CandidatePool, Objective, sizes
from discover.candidates.snapshots import stored_rows, streaming
from discover.candidates.snapshots.snapshot import Snapshot
from discover.candidates.snapshots.stored_rows import StoredRows
from discover.definition import load
from discover.features import files
from discover.provenance.replay import replay
from discover.report import report

FILE = """\
campaign: pool
objective: {target: y, direction: maximize}
candidates: {kind: table, file: pool.parquet, id: id, query: {x0: [-2, null]}}
features: [x0, x1, {categorical: solvent}]
policy: {kind: bayesian, model: single, start: 6, refit: 0.5, at_most: {solvent: 2}, cost: price}
experiment: {kind: table, file: pool.parquet, target: y}
budget: {experiments: 40}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A campaign's file beside a table of which the answers are a column, and the ids do not ascend."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(300, 2)), columns=["x0", "x1"])
    frame["id"], frame["price"] = [f"c{k:03d}" for k in rng.permutation(300)], 1.0 + rng.random(300)
    frame["solvent"] = rng.choice(["THF", "DMF", "water"], size=300)
    frame["y"] = np.sin(frame["x0"]) + frame["x1"] - frame["x1"] ** 2
    frame.to_parquet(tmp_path / "pool.parquet", index=False)
    (tmp_path / "pool.yaml").write_text(FILE)
    return tmp_path / "pool.yaml"


@pytest.fixture
def on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "CELLS", 10)
    monkeypatch.setattr(streaming, "GROUP", 16)
    monkeypatch.setattr("discover.candidates.snapshots.snapshot._NOTED", 0)


def lived(path: Path, store: str) -> list[list[str]]:
    """Three batches of a campaign that is opened anew for each."""
    batches = []
    for _ in range(3):
        definition = load(path)
        campaign = definition.open(store)
        runner = definition.runner(campaign.files)
        assert runner is not None
        campaign.run(runner, 4, batch=4)
        batches.append(campaign.observations["id"].tolist()[-4:])
    assert campaign.best(2)["y"].is_monotonic_decreasing
    assert campaign.status().measured == 12
    assert "y" not in campaign.pool.columns
    return batches


def test_the_same_candidates_are_chosen(path: Path, tmp_path: Path, on_disk: None) -> None:
    disk = lived(path, f"sqlite:///{tmp_path}/disk.db")
    campaign = Campaign.open("pool", store=f"sqlite:///{tmp_path}/disk.db")
    assert isinstance(campaign.pool._table, StoredRows)  # type: ignore[union-attr]
    assert isinstance(campaign.pool.ids, np.memmap)
    assert isinstance(campaign.features.values, np.memmap)
    with mock.patch.object(sizes, "CELLS", 10**9):
        held = lived(path, f"sqlite:///{tmp_path}/held.db")
        other = Campaign.open("pool", store=f"sqlite:///{tmp_path}/held.db")
        assert not isinstance(other.pool._table, StoredRows)  # type: ignore[union-attr]
    assert disk == held
    assert campaign.pool.hash == other.pool.hash
    assert campaign.features.hash == other.features.hash


def test_an_open_reads_no_file_whose_hash_was_found_right(
    path: Path, tmp_path: Path, on_disk: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("discover.stamps.TICK", 0.0)
    store = f"sqlite:///{tmp_path}/disk.db"
    first = load(path).open(store)
    batch, features = first.ask(3)["id"].tolist(), first.features.hash
    read = AssertionError("read again")
    with (
        mock.patch.object(Snapshot, "_same_bytes", side_effect=read),
        mock.patch.object(files, "table_of", side_effect=read),
        mock.patch.object(stored_rows, "sha256_of", side_effect=read),
    ):
        again = Campaign.open("pool", store=store)
        assert again.pending["id"].tolist() == batch
        assert again.features.hash == features


def test_features_that_were_damaged_are_made_again(path: Path, tmp_path: Path, on_disk: None) -> None:
    store = f"sqlite:///{tmp_path}/disk.db"
    campaign = load(path).open(store)
    [file] = (campaign.files / "features").glob("features-*.npy")
    whole, digest = file.read_bytes(), campaign.features.hash
    del campaign
    file.write_bytes(whole[:-8] + b"\0" * 8)
    again = Campaign.open("pool", store=store)
    assert again.features.hash == digest
    assert file.read_bytes() == whole


def updated(folder: Path, before: pd.DataFrame, after: pd.DataFrame) -> tuple[Campaign, object]:
    """A campaign on one table that three results were told of, and what came of another table."""
    folder.mkdir()
    pools = []
    for name, frame in (("before", before), ("after", after)):
        frame.to_parquet(folder / f"{name}.parquet", index=False)
        roles = {"features": ["x0", "x1"], "categorical": ["solvent"]}
        pools.append(CandidatePool.from_parquet(folder / f"{name}.parquet", folder / "kept", id="id", **roles))  # type: ignore[arg-type]
    campaign = Campaign.create(
        "c", objective=Objective("y"), candidates=pools[0], store=f"sqlite:///{folder}/c.db", policy="random"
    )
    campaign.tell(before.iloc[[3, 50, 51]][["id"]].assign(y=[1.0, 2.0, 3.0]))
    return campaign, campaign.update_candidates(pools[1], reason="a new pull")


def test_new_candidates_of_a_large_pool_come_in_as_those_of_a_small_one(
    path: Path, tmp_path: Path, on_disk: None
) -> None:
    before = pd.read_parquet(tmp_path / "pool.parquet").drop(columns="y")
    after = pd.concat([before.iloc[5:], before.iloc[:9].assign(id=[f"new{k}" for k in range(9)])])
    after.loc[after["id"].isin(before["id"].iloc[[50, 60]]), "x0"] += 1.0  # one of them was measured
    after["grade"] = 7
    with mock.patch.object(StoredRows, "table", side_effect=AssertionError("read as a whole")):
        disk, found = updated(tmp_path / "disk", before, after)
        assert isinstance(disk.pool._table, StoredRows)  # type: ignore[union-attr]
        assert isinstance(disk.features.values, np.memmap)
        disk.ask(2)
    with mock.patch.object(sizes, "CELLS", 10**9):
        held, other = updated(tmp_path / "held", before, after)
        assert not isinstance(held.pool._table, StoredRows)  # type: ignore[union-attr]
    assert found == other
    assert (len(found.added), len(found.removed), len(found.changed), len(found.superseded)) == (9, 5, 2, 1)  # type: ignore[attr-defined]
    assert disk.pool.hash == held.pool.hash
    assert disk.features.hash == held.features.hash
    assert disk.pool.columns == held.pool.columns
    assert disk.observations["y"].tolist() == [1.0, 2.0, 3.0]


def test_the_report_of_a_large_pool_reads_only_what_was_tried(path: Path, tmp_path: Path, on_disk: None) -> None:
    campaign = load(path).open(f"sqlite:///{tmp_path}/disk.db")
    campaign.tell(campaign.ask(4)[["proposal_id"]].assign(y=[1.0, 2.0, 3.0, 4.0]))
    taken: list[int] = []
    take = StoredRows.take
    with (
        mock.patch.object(StoredRows, "table", side_effect=AssertionError("read as a whole")),
        mock.patch.object(StoredRows, "take", lambda self, places: taken.append(len(places)) or take(self, places)),
    ):
        page = report(campaign, tmp_path / "report.html").read_text()
    assert max(taken) <= 4
    assert campaign.observations["id"].iloc[0] in page


class Killed(BaseException):
    """The end of a process at this point: nobody catches it."""


def asked(path: Path, store: str) -> list[list[str]]:
    """Two batches of a campaign that goes on from wherever it is."""
    campaign = load(path).open(store)
    if not len(campaign.observations):
        first = campaign.pool.frame(np.arange(0, 240, 24))
        campaign.tell(first[["id"]].assign(y=np.sin(first["x0"]) + first["x1"]))
    for key in ("one", "two"):
        batch = campaign.ask(3, key=key)
        if len(campaign.pending):
            campaign.tell(batch[["proposal_id"]].assign(y=np.sin(batch["x0"]) + batch["x1"]))
    return [campaign.proposals.query("iteration == @k")["id"].tolist() for k in (1, 2)]


@pytest.mark.parametrize(
    "boundary",
    [
        "discover.candidates.snapshots.snapshot._bytes_of",  # rows are written, and have no name yet
        "discover.candidates.snapshots.snapshot.json.dumps",  # they have one, and no manifest
        "discover.features.files.note",  # so have the features, and no hash
        "discover.candidates.snapshots.stored_rows.sha256_of",  # and the ids
        "discover.acquisition.carried.np.savez",
        "discover.campaign.asking.choosing._commit",  # a batch is chosen, and what its search left lies on disk
    ],
)
def test_whoever_is_killed_goes_on_to_the_same_choices(
    boundary: str, path: Path, tmp_path: Path, on_disk: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("discover.policy.bayesian.pool_search.LARGE", 1)
    path.write_text(
        path.read_text().replace("at_most: {solvent: 2}, ", "")
    )  # which asks for the order of the whole pool
    undisturbed = asked(path, f"sqlite:///{tmp_path}/whole.db")
    store = f"sqlite:///{tmp_path}/killed.db"
    with mock.patch(boundary, side_effect=Killed), pytest.raises(Killed):
        asked(path, store)
    assert asked(path, store) == undisturbed
    again = Campaign.open("pool", store=store)
    assert len(again.observations) == 16
    assert all(replay(again, number).identical for number in (1, 2))
    assert list((again.files / "sweeps").glob("sweep-*.npz")), "the pool was not searched through bounds"
