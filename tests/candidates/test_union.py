"""A campaign's candidates after a new pull: nothing that was tried is lost, and nothing is made of an unchanged pull."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discover.candidates.pool.pool import CandidatePool
from discover.candidates.pool.union import Union, union
from discover.candidates.rows.canonical import canonical_table
from discover.candidates.rows.frames import to_frame
from discover.candidates.rows.hashing import table_hash
from discover.errors import InvalidInput


def pool(rows: dict[str, dict[str, object]], **roles: object) -> CandidatePool:
    frame = pd.DataFrame([{"id": i, **cells} for i, cells in rows.items()])
    return CandidatePool.from_frame(frame, id="id", **{"features": ["x"], **roles})  # type: ignore[arg-type]


def pooled(found: Union, like: CandidatePool) -> CandidatePool:
    frame = to_frame(found.table)
    return CandidatePool.from_frame(frame, id=like.id, features=list(like.spec.columns))


OLD = {"a": {"x": 1.0, "memo": "p"}, "b": {"x": 2.0, "memo": "q"}, "c": {"x": 3.0, "memo": None}}


def test_new_rows_come_in_and_lost_ones_stay() -> None:
    found = union(pool(OLD), pool({"b": OLD["b"], "c": OLD["c"], "d": {"x": 4.0, "memo": "s"}}))
    assert (found.difference.added, found.difference.removed, found.difference.changed) == (("d",), ("a",), ())
    assert to_frame(found.table)["id"].tolist() == ["a", "b", "c", "d"]
    again = union(pooled(found, pool(OLD)), pool(OLD), gone={"a"})
    assert (again.difference.returned, again.difference.removed) == (("a",), ("d",))


def test_a_row_that_changed_is_kept_in_the_version_that_was_tried() -> None:
    old, new = pool(OLD), pool(OLD | {"a": {"x": 9.0, "memo": "p"}, "b": {"x": 8.0, "memo": "q"}})
    found = union(old, new, tried={"a"})
    version = old.candidate(0).version
    assert found.difference.changed == ("a", "b")
    assert found.difference.superseded == ("a",)
    assert found.superseded["a"].version == version
    rows = to_frame(found.table).set_index("id")["x"].to_dict()
    assert rows == {"a": 9.0, f"a@{version[:8]}": 1.0, "b": 8.0, "c": 3.0}


def test_a_change_that_no_feature_and_no_experiment_sees_replaces_the_row() -> None:
    old, new = pool(OLD), pool(OLD | {"a": {"x": 1.0, "memo": "other"}})
    found = union(old, new, tried={"a"})
    assert found.difference.changed == ("a",)
    assert not found.superseded
    assert to_frame(found.table)["memo"].tolist()[0] == "other"
    assert union(old, new, tried={"a"}, counts={"memo"}).difference.superseded == ("a",)


def test_a_row_that_flips_between_two_versions_keeps_each_once() -> None:
    one, two, three = (pool(OLD | {"a": {"x": x, "memo": "p"}}) for x in (1.0, 5.0, 7.0))
    first = union(one, two, tried={"a"})
    (kept,) = [s.kept_as for s in first.superseded.values()]
    back = union(pooled(first, one), one, tried={"a"}, kept={kept})
    (kept_two,) = [s.kept_as for s in back.superseded.values()]
    last = union(pooled(back, one), three, tried={"a"}, kept={kept, kept_two})
    assert last.superseded["a"].kept_as == kept
    assert to_frame(last.table).set_index("id")["x"].to_dict() == {
        "a": 7.0, kept: 1.0, kept_two: 5.0, "b": 2.0, "c": 3.0,
    }  # fmt: skip


def test_versions_whose_hashes_begin_alike_are_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("discover.candidates.pool.union._PREFIXES", (0, 8))
    one, two, three = ({"a": {"x": value}} for value in (1.0, 2.0, 3.0))
    first = union(pool(one), pool(two), tried={"a"})
    assert first.superseded["a"].kept_as == "a@"
    then = union(pooled(first, pool(one)), pool(three), tried={"a"}, kept={"a@"})
    assert then.superseded["a"].kept_as == f"a@{pool(two).candidate(0).version[:8]}"


def test_columns_come_and_go_without_harm() -> None:
    old = pool({"a": {"x": 1.0, "k": 1}, "b": {"x": 2.0, "k": 2}})
    wider = pool({"a": {"x": 1.0, "k": 1.5, "tags": ["s"]}, "c": {"x": 3.0, "k": 2.5, "tags": ["t"]}})
    found = union(old, wider)
    assert found.difference.columns_added == ("tags",)
    frame = to_frame(found.table)
    assert frame["k"].tolist() == [1.5, 2.0, 2.5]
    assert frame["tags"].tolist() == [["s"], None, ["t"]]
    narrow = pool({"a": {"x": 1.0}})
    less = union(old, narrow)
    assert less.difference.columns_removed == ("k",)
    assert to_frame(less.table)["k"].isna().tolist() == [True, False]
    assert not union(pooled(less, old), narrow, gone={"b"}).difference


def test_structures_are_kept_with_their_rows() -> None:
    from pymatgen.core import Lattice, Structure

    cell = {a: Structure(Lattice.cubic(a), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]).as_dict() for a in (4.1, 4.2)}

    def made(**cells: float) -> CandidatePool:
        frame = pd.DataFrame({"id": list(cells), "s": [cell[a] for a in cells.values()]})
        return CandidatePool.from_frame(frame, id="id", structure="s")

    old = made(a=4.1, b=4.1)
    found = union(old, made(a=4.2, c=4.1), tried={"a"})
    assert found.structure == "s"
    texts = to_frame(found.table).set_index("id")["s"].to_dict()
    kept = found.superseded["a"].kept_as
    assert sorted(texts) == sorted(["a", kept, "b", "c"])
    assert texts[kept] == texts["b"] == texts["c"] != texts["a"]


@pytest.mark.parametrize(
    ("new", "words"),
    [
        (CandidatePool.from_frame(pd.DataFrame({"key": ["a"], "x": [1.0]}), id="key"), "another column now"),
        (CandidatePool.from_frame(pd.DataFrame({"id": ["a"], "y": [1.0]}), id="id"), "no longer have a column"),
        (pool({"a": {"x": 1.0, "memo": 3}}), "integer and text now, which do not mix"),
        (pool({"a@0123": {"x": 1.0, "memo": "p"}}), "former version of another one"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(new: CandidatePool, words: str) -> None:
    old = pool(OLD | {"a@0123": {"x": 0.0, "memo": "v"}})
    with pytest.raises(InvalidInput, match=words):
        union(old, new, kept={"a@0123"})


IDS = st.sampled_from(["a", "b", "c", "d", "e"])
CELLS = st.fixed_dictionaries({"x": st.sampled_from([1.0, 2.0, 3.0]), "memo": st.sampled_from(["p", "q", None])})
PULLS = st.lists(st.tuples(st.dictionaries(IDS, CELLS, min_size=1), st.sets(IDS)), min_size=1, max_size=6)


@given(st.dictionaries(IDS, CELLS, min_size=1), PULLS)
@settings(max_examples=150, deadline=None)
def test_whatever_the_source_does_what_was_tried_keeps_its_row(
    first: dict[str, dict[str, object]], pulls: list[tuple[dict[str, dict[str, object]], set[str]]]
) -> None:
    now, gone, kept = pool(first), set[str](), set[str]()
    tried: list[
        tuple[str, object]
    ] = []  # the id under which a trial's row is kept now, and its feature when it was tried
    for rows, wished in pulls:
        live = {i: c for i, c in to_frame(now.table()).set_index("id")["x"].items() if i not in kept and i not in gone}
        tried += [(i, live[i]) for i in sorted(wished & live.keys())]
        new = pool(rows)
        found = union(now, new, gone=gone, kept=kept, tried={i for i, _ in tried})
        changed = found.difference
        if not changed:
            continue
        names = {i: one.kept_as for i, one in found.superseded.items()}
        tried = [(names.get(i, i), x) for i, x in tried]
        kept |= set(names.values())
        gone = (gone - set(changed.returned)) | set(changed.removed)
        frame = to_frame(found.table)
        assert table_hash(canonical_table(frame, id="id"), id="id") == table_hash(found.table, id="id"), "canonical"
        now = CandidatePool.from_frame(frame, id="id", features=["x"])
        cells = frame.set_index("id")["x"].to_dict()
        assert all(cells[i] == x for i, x in tried)
        assert {i for i in cells if i not in kept and i not in gone} == set(rows)
        assert {i: cells[i] for i in rows} == {i: c["x"] for i, c in rows.items()}
        again = union(now, new, gone=gone, kept=kept, tried={i for i, _ in tried})
        assert not again.difference, "an unchanged pull changes nothing"
    assert np.isfinite([float(x) for _, x in tried]).all()  # type: ignore[arg-type]
