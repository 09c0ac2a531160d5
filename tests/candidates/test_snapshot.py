from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discover.candidates.rows.canonical import canonical_table
from discover.candidates.rows.hashing import table_hash
from discover.candidates.snapshots.difference import difference
from discover.candidates.snapshots.snapshot import Snapshot
from discover.errors import IntegrityError, InvalidInput, UnknownCandidate
from tests.candidates.strategies import frames, shuffled

PROVENANCE = {"source": "a test", "retrieved_at": "2026-01-01T00:00:00+00:00"}


def write(frame: pd.DataFrame, folder: Path, **provenance: object) -> Snapshot:
    return Snapshot.write(frame, folder, id="id", provenance={**PROVENANCE, **provenance})


def small() -> pd.DataFrame:
    return pd.DataFrame({"id": ["b", "a", "c"], "gap": [1.5, np.nan, 0.25], "elements": [["O", "Ti"], [], None]})


def content(frame: pd.DataFrame) -> str:
    return table_hash(canonical_table(frame, id="id"), id="id")


@given(frames())
@settings(max_examples=40, deadline=None)
def test_what_is_read_is_what_was_written(frame: pd.DataFrame) -> None:
    with tempfile.TemporaryDirectory() as folder:
        first = write(frame, Path(folder))
        opened = Snapshot.open(first.hash, Path(folder))
        opened.verify()
        assert opened.ids.tolist() == sorted(frame["id"])
        assert len(opened) == len(frame)
        assert content(opened.frame()) == first.hash == content(frame)


@given(frames(), st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_order_of_rows_and_columns_does_not_matter(frame: pd.DataFrame, seed: int) -> None:
    assert content(shuffled(frame, seed)) == content(frame)


@given(frames(min_rows=1), st.data())
@settings(max_examples=60, deadline=None)
def test_another_cell_is_another_snapshot(frame: pd.DataFrame, data: st.DataObject) -> None:
    frame = frame.assign(last=np.arange(len(frame)))
    row = data.draw(st.integers(0, len(frame) - 1))
    changed = frame.assign(last=frame["last"].where(frame.index != row, 99))
    assert content(frame) != content(changed)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pd.Series([1, 2], dtype="int64"), pd.Series([1, 2], dtype="Int64")),
        (pd.Series([1, 2], dtype="uint8"), pd.Series([1, 2], dtype="int64[pyarrow]")),
        (pd.Series([1.0, None], dtype="float64"), pd.Series([1.0, None], dtype="Float64")),
        (pd.Series([0.5, 2.0], dtype="float32"), pd.Series([0.5, 2.0], dtype="float64")),
        (pd.Series([0.0, 1.0]), pd.Series([-0.0, 1.0])),
        (pd.Series(["x", None], dtype=object), pd.Series(["x", None], dtype="string")),
        (pd.Series(["x", "y"], dtype="category"), pd.Series(["x", "y"])),
        (pd.Series([True, False]), pd.Series([True, False], dtype="boolean")),
        (pd.Series([None, None], dtype=object), pd.Series([np.nan, np.nan])),
        (pd.Series([["O"], []]), pd.Series([("O",), np.array([], dtype=object)])),
    ],
)
def test_how_pandas_holds_a_column_does_not_matter(one: pd.Series, other: pd.Series, tmp_path: Path) -> None:
    hashes = {write(pd.DataFrame({"id": ["a", "b"], "x": column}), tmp_path).hash for column in (one, other)}
    assert len(hashes) == 1


def test_kinds_that_differ_are_different(tmp_path: Path) -> None:
    columns = [[1, 2], [1.0, 2.0], ["1", "2"], [True, False], [None, None], [[1], [2]], [[1.0], [2.0]], [["1"], ["2"]]]
    assert len({write(pd.DataFrame({"id": ["a", "b"], "x": cells}), tmp_path).hash for cells in columns}) == len(
        columns
    )


def test_the_hash_stays_what_it_is(tmp_path: Path) -> None:
    """Snapshots written by an earlier version, on another machine or by another Parquet library keep their names."""
    assert write(small(), tmp_path).hash == "6f112b2072e28b9fcf887e8e4a77b7ab94d423d4b5754faf21af5bca53371bbd"


def test_the_hash_of_every_kind_with_holes_stays_what_it_is() -> None:
    holes = pd.DataFrame(
        {
            "id": ["a", "b", "c"],
            "text": ["ü", None, ""],
            "number": [0.5, None, -0.0],
            "integer": pd.array([None, 2, 3], dtype="Int64"),
            "flag": pd.array([True, None, False], dtype="boolean"),
            "texts": [["x", ""], None, []],
            "numbers": [None, [1.5, 2.5], []],
        }
    )
    assert content(holes) == "a5c4287702a572782df7afaa8016d050d09674293edfb0fd2c6422985f6cf148"


def test_another_parquet_writer_keeps_the_hash(tmp_path: Path) -> None:
    snapshot = write(small(), tmp_path)
    table = pq.read_table(snapshot.path)
    plain = table.cast(pa.schema([("id", pa.string()), ("elements", pa.list_(pa.string())), ("gap", pa.float64())]))
    pq.write_table(plain, snapshot.path, compression="none", use_dictionary=False, row_group_size=1, version="1.0")
    snapshot.verify()
    assert snapshot.frame(["gap"], ["c", "b"])["gap"].tolist() == [1.5, 0.25]


def test_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    n = 5000
    frame = pd.DataFrame({"id": [f"m-{i:05d}" for i in range(n)], "x": range(n), "y": 0.5})
    snapshot = write(frame, tmp_path)
    wanted = ["m-04999", "m-00000", "m-01023", "m-01024", "m-02500", "m-00000"]
    read = snapshot.frame(["x"], wanted)
    assert list(read.columns) == ["x"]
    assert read["x"].tolist() == [0, 1023, 1024, 2500, 4999]
    with pq.ParquetFile(snapshot.path) as file:
        assert file.metadata.num_row_groups > 3


def test_unknown_ids_and_columns_are_named_with_the_nearest(tmp_path: Path) -> None:
    snapshot = write(small(), tmp_path)
    with pytest.raises(UnknownCandidate, match=r"'aa' \(did you mean 'a'\?\)"):
        snapshot.frame(ids=["a", "aa"])
    with pytest.raises(InvalidInput, match="did you mean 'gap'"):
        snapshot.frame(["gab"])


def test_every_bad_cell_and_id_is_reported_at_once(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "id": ["a", "a", None, " b"],
            "mixed": [1, "two", 3, 4],
            "mapping": [{"a": 1}, {"a": 2}, {"a": 3}, {"a": 4}],
            "huge": [1.0, np.inf, 2.0, 3.0],
        },
        index=[10, 11, 12, 13],
    )
    with pytest.raises(InvalidInput) as caught:
        write(frame, tmp_path)
    told = [(p.row, p.column) for p in caught.value.problems]
    assert told == [(12, "id"), (13, "id"), (11, "id"), (11, "huge"), (None, "mapping"), (11, "mixed")]
    assert "row 10 already" in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_integer_ids_become_text_and_other_numbers_are_refused(tmp_path: Path) -> None:
    assert write(pd.DataFrame({"id": [10, 9, 7]}), tmp_path).ids.tolist() == ["10", "7", "9"]
    assert write(pd.DataFrame({"id": [10.0, 9.0]}), tmp_path).ids.tolist() == ["10", "9"]
    with pytest.raises(InvalidInput, match="ids must be text or integers"):
        write(pd.DataFrame({"id": [0.5]}), tmp_path)


def test_changed_rows_are_found_out(tmp_path: Path) -> None:
    snapshot = write(small(), tmp_path)
    table = pq.read_table(snapshot.path)
    pq.write_table(table.set_column(table.column_names.index("gap"), "gap", pa.array([1.0, 1.5, 0.25])), snapshot.path)
    with pytest.raises(IntegrityError, match="was changed"):
        Snapshot.open(snapshot.hash, tmp_path).verify()
    snapshot.path.write_bytes(snapshot.path.read_bytes()[:100])
    with pytest.raises(IntegrityError, match="cannot be read"):
        Snapshot.open(snapshot.hash, tmp_path).verify()
    assert write(small(), tmp_path).hash == snapshot.hash
    Snapshot.open(snapshot.hash, tmp_path).verify()


def test_manifests_that_do_not_belong_are_refused(tmp_path: Path) -> None:
    snapshot = write(small(), tmp_path)
    manifest = tmp_path / f"{snapshot.hash}.json"
    with pytest.raises(IntegrityError, match="no snapshot"):
        Snapshot.open("0" * 64, tmp_path)
    manifest.write_text("{")
    with pytest.raises(IntegrityError, match="not JSON"):
        Snapshot.open(snapshot.hash, tmp_path)
    manifest.write_text("{}")
    with pytest.raises(IntegrityError, match="not that of snapshot"):
        Snapshot.open(snapshot.hash, tmp_path)


def test_the_same_rows_are_the_same_file_and_every_pull_is_remembered(tmp_path: Path) -> None:
    first = write(small(), tmp_path, database="v1")
    before = first.path.stat().st_mtime_ns
    second = write(small().iloc[::-1], tmp_path, database="v2", retrieved_at="2026-02-01T00:00:00+00:00")
    third = write(small(), tmp_path, database="v2", retrieved_at="2026-02-01T00:00:00+00:00")
    assert first.hash == second.hash == third.hash
    assert first.path.stat().st_mtime_ns == before
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".parquet"]
    assert second.manifest["database"] == "v2"
    assert [pull["database"] for pull in third.manifest["earlier"]] == ["v1"]
    assert json.loads((tmp_path / f"{first.hash}.json").read_text()) == third.manifest


def test_the_newest_matching_pull_is_found(tmp_path: Path) -> None:
    assert Snapshot.newest(tmp_path) is None
    assert Snapshot.newest(tmp_path / "absent") is None
    old = write(small(), tmp_path, query={"gap": [0, 1]}, retrieved_at="2026-03-01T12:00:00+02:00")
    new = write(small().assign(gap=1.0), tmp_path, query={"gap": [0, 2]}, retrieved_at="2026-03-01T11:00:00Z")
    newest = Snapshot.newest(tmp_path)
    assert newest is not None
    assert newest.hash == new.hash
    matching = Snapshot.newest(tmp_path, {"query": {"gap": [0, 1]}})
    assert matching is not None
    assert matching.hash == old.hash
    assert Snapshot.newest(tmp_path, {"query": {}}) is None
    write(small(), tmp_path, query={"gap": [0, 3]}, retrieved_at="2026-04-01T11:00:00Z")
    again = Snapshot.newest(tmp_path, {"query": {"gap": [0, 1]}})
    assert again is not None
    assert again.hash == old.hash
    assert again.manifest["retrieved_at"] == "2026-03-01T12:00:00+02:00"


@pytest.mark.parametrize("name", ["api_key", "X-API-KEY", "MP_API_KEY", "Authorization"])
def test_a_manifest_never_holds_a_key(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="never holds a key"):
        write(small(), tmp_path, headers={name: "secret"})


def test_provenance_must_be_json_and_leave_our_keys_alone(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="must be JSON"):
        write(small(), tmp_path, when=object())
    with pytest.raises(InvalidInput, match="writes this key itself"):
        write(small(), tmp_path, rows=4)


def test_differences_are_by_id_and_content(tmp_path: Path) -> None:
    old = write(small(), tmp_path)
    changed = pd.DataFrame({"id": ["a", "c", "d"], "gap": [np.nan, 0.5, 1.0], "elements": [[], None, ["H"]]})
    found = difference(old, write(changed, tmp_path))
    assert (found.added, found.removed, found.changed) == (("d",), ("b",), ("c",))
    assert repr(found) == "Difference(1 added: d; 1 removed: b; 1 changed: c)"
    assert not difference(old, old)
    wider = difference(old, write(small().assign(new=1), tmp_path))
    assert (wider.changed, wider.columns_added) == ((), ("new",))
    assert wider


def test_structures_are_stored_as_text_and_read_when_asked_for(tmp_path: Path) -> None:
    from pymatgen.core import Lattice, Structure

    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    frame = pd.DataFrame({"id": ["a", "b", "c"], "what": [salt, salt.as_dict(), salt.to_json()]})
    snapshot = Snapshot.write(frame, tmp_path, id="id", structure="what", provenance={})
    assert snapshot.columns == ("id", "what")
    assert list(snapshot.frame().columns) == ["id"]
    texts = snapshot.frame(["what"])["what"]
    assert len(set(texts)) == 1
    assert Structure.from_dict(json.loads(texts[0])) == salt
    frame.loc[1, "what"] = "NaCl"
    with pytest.raises(InvalidInput, match="row 1, column 'what'"):
        Snapshot.write(frame, tmp_path, id="id", structure="what", provenance={})
