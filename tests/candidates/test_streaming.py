"""What is read part by part is what it would be, were it read as a whole."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discover import sizes
from discover.candidates.pool.pool import CandidatePool
from discover.candidates.pool.spec import PoolSpec
from discover.candidates.snapshots import stored_rows, streaming
from discover.candidates.snapshots.place import Place
from discover.candidates.snapshots.snapshot import Snapshot
from discover.candidates.snapshots.streaming import freeze
from discover.candidates.sources.table import TableSource
from discover.errors import IntegrityError, InvalidInput, UnknownCandidate
from discover.features.build import feature_table

SMALL = {"READ": 16, "GROUP": 8}


@pytest.fixture(autouse=True)
def _in_small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SMALL.items():
        monkeypatch.setattr(streaming, name, value)
    monkeypatch.setattr("discover.candidates.rows.parquet.READ", 16)
    monkeypatch.setattr("discover.features.build._LOOK", 16)


@pytest.fixture
def _everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "CELLS", 10)


def cells(kind: str, n: int, rng: np.random.Generator, holes: bool) -> pd.Series:
    """A column of some kind; with holes its first half is empty, and some of its other cells."""
    made = {
        "number": lambda: pd.Series(
            np.round(rng.normal(size=n), 2) * 0.0 if rng.random() < 0.1 else rng.normal(size=n)
        ),
        "integer": lambda: pd.Series(rng.integers(-5, 5, size=n)),
        "nullable": lambda: pd.Series(rng.integers(-5, 5, size=n), dtype="Int64"),
        "flag": lambda: pd.Series(rng.random(n) < 0.5),
        "text": lambda: pd.Series(rng.choice(["a", "", "ä", "🧪 x"], size=n), dtype=object),
        "category": lambda: pd.Series(rng.choice(["THF", "DMF"], size=n), dtype="category"),
        "date": lambda: pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 99, size=n), "D")),
        "numbers": lambda: pd.Series([list(rng.normal(size=rng.integers(0, 3))) for _ in range(n)]),
        "empty": lambda: pd.Series([None] * n, dtype=object),
    }
    column = made[kind]()
    return (
        column.mask(rng.random(n) < np.where(np.arange(n) < n // 2, 1.0, 0.3)) if holes and kind != "empty" else column
    )


KINDS = ["number", "integer", "nullable", "flag", "text", "category", "date", "numbers", "empty"]


@settings(deadline=None, max_examples=25)
@given(
    n=st.integers(1, 60),
    kinds=st.lists(st.tuples(st.sampled_from(KINDS), st.booleans()), min_size=1, max_size=5),
    ascending=st.booleans(),
    pandas=st.booleans(),
    queried=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_a_file_becomes_the_snapshot_that_it_would_be_in_memory(
    n: int, kinds: list[tuple[str, bool]], ascending: bool, pandas: bool, queried: bool, seed: int, tmp_path_factory
) -> None:  # type: ignore[no-untyped-def]
    rng, folder = np.random.default_rng(seed), tmp_path_factory.mktemp("streamed")
    frame = pd.DataFrame({f"c{k}": cells(kind, n, rng, holes) for k, (kind, holes) in enumerate(kinds)})
    ids = np.array([f"id-{k:03d}" for k in range(n)])
    frame["id"], frame["x"] = ids if ascending else rng.permutation(ids), rng.integers(0, 4, size=n)
    path = folder / "t.parquet"
    table = pa.Table.from_pandas(frame, preserve_index=False)
    pq.write_table(table if pandas else table.replace_schema_metadata(None), path, row_group_size=7)
    source = TableSource("t.parquet", "id", query={"x": [1, None]} if queried else {}).located(folder, folder / "a")
    streamed = TableSource(source.file, "id", query=source.query).located(folder, folder / "b")
    if queried and not (frame["x"] >= 1).any():
        with mock.patch.object(sizes, "CELLS", 0), pytest.raises(InvalidInput, match="none of"):
            streamed.pull()
        return
    whole = source.pull()
    with mock.patch.object(sizes, "CELLS", 0):
        parts = streamed.pull()
    assert parts.hash == whole.hash
    assert {**parts.manifest, "parquet": 0} == {**whole.manifest, "parquet": 0}
    parts.verify()
    pd.testing.assert_frame_equal(parts.frame(), whole.frame())
    assert pq.read_metadata(parts.path).num_row_groups == -(-len(parts) // 8)
    assert sorted(path.name.split(".")[-1] for path in (folder / "b" / "snapshots").iterdir()) == ["json", "parquet"]


def big(folder: Path, n: int = 100, order: bool = True, **more: object) -> tuple[Path, pd.DataFrame]:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "id": [f"c{k:04d}" for k in range(n)],
            "x": rng.normal(size=n),
            "n": rng.integers(0, 9, size=n),
            "solvent": rng.choice(["THF", "DMF", "water"], size=n),
            "finish": rng.choice(["", "dry", "schön"], size=n),
            **more,
        }
    )
    frame = frame if order else frame.sample(frac=1.0, random_state=1, ignore_index=True)
    frame.to_parquet(folder / "pool.parquet", row_group_size=13, index=False)
    return folder / "pool.parquet", frame


def test_everything_that_is_wrong_is_told_with_its_row_and_nothing_is_written(tmp_path: Path) -> None:
    path, frame = big(tmp_path)
    frame.loc[[3, 90], "id"] = "c0050"
    frame.loc[40, "id"] = " odd"
    frame.loc[70, "x"] = np.inf
    frame.to_parquet(path)
    place = Place(tmp_path / "snapshots")
    with pytest.raises(InvalidInput) as caught:
        freeze(path, place, id="id", provenance={})
    told = [(p.row, p.column, p.value) for p in caught.value.problems]
    assert (40, "id", " odd") in told
    assert (70, "x", np.inf) in told
    frame.loc[40, "id"], frame.loc[70, "x"] = "c0040", 0.0
    frame.to_parquet(path)
    with pytest.raises(InvalidInput) as caught:
        freeze(path, place, id="id", provenance={})
    assert [(p.message, p.row) for p in caught.value.problems] == [
        ("this id stands in row 3 already", 50),
        ("this id stands in row 50 already", 90),
    ]
    with pytest.raises(InvalidInput, match="no such column"):
        freeze(path, place, id="name", needed=["y"], provenance={})
    assert not place.names()


def test_a_file_that_is_damaged_is_refused_in_words(tmp_path: Path) -> None:
    path, _ = big(tmp_path)
    body = path.read_bytes()
    for damaged in (body[:-9], body[:300] + b"\0" * 600 + body[900:]):
        path.write_bytes(damaged)
        with mock.patch.object(sizes, "CELLS", 10), pytest.raises(InvalidInput, match="cannot be read"):
            TableSource("pool.parquet", "id").located(tmp_path, tmp_path / "files").pull()
    assert not list(tmp_path.glob("files/snapshots/*"))


@pytest.mark.parametrize("order", [True, False])
def test_nothing_is_made_of_a_file_that_changes_while_it_is_read(tmp_path: Path, order: bool) -> None:
    path, frame = big(tmp_path, order=order)
    place, looks = Place(tmp_path / "snapshots"), []

    def changed(done: int, total: int | None) -> None:
        looks.append(done)
        if len(looks) == 1:  # between the first look, which checks all cells, and the second
            frame.assign(x=0.0).to_parquet(tmp_path / "other.parquet", index=False)
            (tmp_path / "other.parquet").replace(path)

    with pytest.raises(InvalidInput, match="changed while it was read"):
        freeze(path, place, id="id", provenance={}, progress=changed)
    assert not place.names()
    assert len(freeze(path, place, id="id", provenance={})) == 100
    source = TableSource("pool.parquet", "id").located(tmp_path, tmp_path / "files")
    hashed = "discover.candidates.sources.table.sha256_of"  # the manifest names the bytes: not those of before
    with (
        mock.patch.object(sizes, "CELLS", 10),
        mock.patch(hashed, side_effect=lambda _: path.touch() or ""),
        pytest.raises(InvalidInput, match="changed while it was read"),
    ):
        source.pull()


def pools(folder: Path, order: bool = True, drop: tuple[str, ...] = ()) -> tuple[CandidatePool, CandidatePool]:
    """The same pool on disk and in memory."""
    path, frame = big(folder, order=order)
    roles = {"features": ["x", "n"], "categorical": ["solvent"]}
    stored = CandidatePool.from_parquet(path, folder / "kept", id="id", **roles)  # type: ignore[arg-type]
    if drop:
        snapshot = Snapshot.newest(folder / "kept")
        assert snapshot is not None
        stored = CandidatePool.from_snapshot(snapshot, stored.spec, drop=drop, cache=folder / "kept")
    held = CandidatePool.from_frame(frame.drop(columns=list(drop)), id="id", **roles)  # type: ignore[arg-type]
    return stored, held


@pytest.mark.usefixtures("_everything_is_large")
@pytest.mark.parametrize("order", [True, False])
@pytest.mark.parametrize("drop", [(), ("finish",)])
def test_a_pool_on_disk_answers_as_one_in_memory(order: bool, drop: tuple[str, ...], tmp_path: Path) -> None:
    stored, held = pools(tmp_path, order, drop)
    assert isinstance(stored._table, stored_rows.StoredRows)
    assert isinstance(stored.ids, np.memmap)
    assert stored.hash == held.hash
    assert (stored.ids == held.ids).all()
    assert stored.columns == held.columns
    some = np.array([99, 0, 17, 17, 18])
    pd.testing.assert_frame_equal(stored.frame(some), held.frame(some))
    pd.testing.assert_frame_equal(stored.frame(columns=["solvent"]), held.frame(columns=["solvent"]))
    assert stored.candidates(some) == held.candidates(some)
    assert stored.table().equals(held.table().select(stored.table().column_names))
    assert stored.rows(["c0099", "c0003"]).tolist() == [99, 3]
    assert "c0007" in stored
    assert not any(name in stored for name in ("c0", "c00071", "zzz", "", "c0007 and much longer than any id"))
    with pytest.raises(UnknownCandidate, match="did you mean"):
        stored.rows(["c0001", "c00121"])
    one, other = feature_table(stored, tmp_path / "one"), feature_table(held, tmp_path / "other")
    assert one.hash == other.hash
    assert one.names == other.names
    copy = stored.save(tmp_path / "elsewhere")
    assert copy.hash == stored.hash == held.save(tmp_path / "third").hash
    copy.verify()
    again = CandidatePool.from_snapshot(copy, stored.spec, cache=tmp_path / "ids")
    assert again.hash == stored.hash
    assert not drop or copy.manifest["parent"]["rows"] == 100


@pytest.mark.usefixtures("_everything_is_large")
def test_cells_that_no_feature_can_be_made_from_are_found_on_disk_too(tmp_path: Path) -> None:
    path, _ = big(tmp_path, y=[None, *np.arange(99.0)], blank=[*["a"] * 99, " "], word=["w"] * 100)
    with pytest.raises(InvalidInput) as caught:
        CandidatePool.from_parquet(
            path, tmp_path / "kept", id="id", features=["x", "y", "word"], categorical=["blank"],
            descriptors={"blank": {"a": {"d": 1.0}}},
        )  # fmt: skip
    found = {(p.column, p.message) for p in caught.value.problems}
    assert found == {
        ("y", "the cell is empty"),
        ("blank", "the cell is empty"),
        ("word", "a feature must be numeric, this column holds text"),
    }


@pytest.mark.parametrize("damage", ["missing", "folder", "empty", "cut", "text", "garbled"])
def test_a_file_that_cannot_be_read_is_told_in_words(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "pool.parquet"
    pd.DataFrame({"id": [f"c{i}" for i in range(50)], "x": np.arange(50.0)}).to_parquet(path)
    whole = path.read_bytes()
    garbled = whole[:10] + bytes(200) + whole[210:]
    bodies = {"empty": b"", "cut": whole[:200], "text": b"id,x\na,1\n", "garbled": garbled}
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage in bodies:
        path.write_bytes(bodies[damage])
    with pytest.raises(InvalidInput, match=r"no such file|cannot be read") as caught:
        CandidatePool.from_parquet(path, tmp_path / "kept", id="id", features=["x"])
    assert "pool.parquet" in str(caught.value)
    assert not list((tmp_path / "kept").rglob("*.parquet"))


@pytest.mark.usefixtures("_everything_is_large")
def test_a_file_is_read_again_only_if_it_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("discover.stamps.TICK", 0.0)
    path, frame = big(tmp_path)
    first = CandidatePool.from_parquet(path, tmp_path / "kept", id="id", features=["x"])
    with mock.patch.object(streaming, "freeze", side_effect=AssertionError("read again")):
        again = CandidatePool.from_parquet(path, tmp_path / "kept", id="id", features=["x", "n"])
    assert again.hash == first.hash
    frame.loc[5, "x"] = 7.0
    frame.to_parquet(path, row_group_size=13, index=False)
    changed = CandidatePool.from_parquet(path, tmp_path / "kept", id="id", features=["x"])
    assert changed.hash != first.hash
    assert changed.frame([5])["x"].tolist() == [7.0]


@pytest.mark.usefixtures("_everything_is_large")
def test_ids_that_were_damaged_are_written_again(tmp_path: Path) -> None:
    stored, held = pools(tmp_path)
    assert len(stored.ids) == 100
    [file] = (tmp_path / "kept").glob("ids-*.npy")
    body = bytearray(file.read_bytes())
    body[-8] ^= 1
    file.write_bytes(body)
    snapshot = Snapshot.newest(tmp_path / "kept")
    assert snapshot is not None
    again = CandidatePool.from_snapshot(snapshot, PoolSpec("id", ("x",)), cache=tmp_path / "kept")
    assert (again.ids == held.ids).all()


def test_a_damaged_snapshot_is_found_though_it_was_sound_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("discover.candidates.snapshots.snapshot._NOTED", 0)
    monkeypatch.setattr("discover.stamps.TICK", 0.0)
    path, _ = big(tmp_path)
    snapshot = freeze(path, Place(tmp_path / "snapshots"), id="id", provenance={})
    snapshot.check(tmp_path / "notes")
    with mock.patch.object(Snapshot, "_same_bytes", side_effect=AssertionError("read again")):
        snapshot.check(tmp_path / "notes")
    body = bytearray(snapshot.path.read_bytes())
    body[len(body) // 2] ^= 1
    snapshot.path.write_bytes(body)
    with pytest.raises(IntegrityError):
        Snapshot.open(snapshot.hash, tmp_path / "snapshots").check(tmp_path / "notes")
