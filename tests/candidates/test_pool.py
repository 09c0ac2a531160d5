from __future__ import annotations

import json
import math
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from discover import CandidatePool
from discover.candidates.pool.spec import PoolSpec
from discover.candidates.snapshots.snapshot import Snapshot
from discover.errors import InvalidInput, UnknownCandidate
from tests.candidates.strategies import frames, shuffled


def reactions() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "run": [7, 30, 5],
            "temperature": [80.0, 100.0, 60.0],
            "stirred": [True, False, True],
            "solvent": ["DMF", "THF", "DMF"],
            "comment": ["ok", None, "late"],
        },
        index=["first", "second", "third"],
    )


def crystals() -> pd.DataFrame:
    rows = [
        ("mp-2", "NaCl", Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0] * 3, [0.5] * 3])),
        ("mp-1", "CsCl", Structure(Lattice.cubic(4.12), ["Cs", "Cl"], [[0] * 3, [0.5] * 3])),
        ("mp-3", "Po", Structure(Lattice.cubic(3.36), ["Po"], [[0] * 3])),
    ]
    return pd.DataFrame(rows, columns=["material_id", "formula", "structure"])


def problems(frame: pd.DataFrame, **options: object) -> list[tuple[object, str | None, str]]:
    with pytest.raises(InvalidInput) as caught:
        CandidatePool.from_frame(frame, **{"id": "run", **options})  # type: ignore[arg-type]
    return [(p.row, p.column, p.message) for p in caught.value.problems]


def test_rows_are_in_order_of_their_ids_and_found_by_them() -> None:
    pool = CandidatePool.from_frame(reactions(), id="run", features=["temperature", "stirred"], categorical=["solvent"])
    assert pool.ids.tolist() == ["30", "5", "7"]
    assert pool.id == "run"
    assert pool.columns == ("comment", "solvent", "stirred", "temperature")
    assert pool.rows(["7", "30", "7"]).tolist() == [2, 0, 2]
    assert pool.rows([]).tolist() == []
    assert "5" in pool
    assert "50" not in pool
    frame = pool.frame([2, 0])
    assert list(frame.columns) == ["run", *pool.columns]
    assert frame["temperature"].tolist() == [80.0, 100.0]
    assert list(pool.frame(columns=["solvent"]).columns) == ["run", "solvent"]


def test_unknown_ids_are_named_with_the_nearest() -> None:
    pool = CandidatePool.from_frame(crystals()[["material_id", "formula"]], id="material_id", composition="formula")
    with pytest.raises(UnknownCandidate, match=r"'mp-22' \(did you mean 'mp-2'\?\), 'x'; ids look like 'mp-1'"):
        pool.rows(["mp-1", "mp-22", "x"])


def test_a_candidate_is_whole_and_plain_json() -> None:
    pool = CandidatePool.from_frame(crystals(), id="material_id", composition="formula", structure="structure")
    candidate = pool.candidate(1)
    assert candidate.id == "mp-2"
    assert set(candidate.values) == {"material_id", "formula", "structure"}
    assert Structure.from_dict(json.loads(candidate.values["structure"])).formula == "Na4 Cl4"
    reaction = CandidatePool.from_frame(reactions(), id="run").candidate(0)
    assert reaction.values == {"run": "30", "temperature": 100.0, "stirred": False, "solvent": "THF", "comment": None}
    assert [type(value) for value in reaction.values.values() if value is not None] == [str, str, bool, float]
    assert json.loads(json.dumps(reaction.values, allow_nan=False)) == reaction.values


def test_versions_follow_the_content_of_one_candidate_alone() -> None:
    whole = CandidatePool.from_frame(reactions(), id="run")
    part = CandidatePool.from_frame(reactions().iloc[:2], id="run")
    changed = CandidatePool.from_frame(reactions().assign(temperature=[80.0, 101.0, 60.0]), id="run")
    versions = [pool.candidate(int(pool.rows(["30"])[0])).version for pool in (whole, part, changed)]
    assert versions[0] == versions[1] != versions[2]


@given(frames(min_rows=1), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_a_pool_survives_being_saved(frame: pd.DataFrame, seed: int) -> None:
    pool = CandidatePool.from_frame(frame, id="id")
    assert CandidatePool.from_frame(shuffled(frame, seed), id="id").hash == pool.hash
    with tempfile.TemporaryDirectory() as folder:
        snapshot = pool.save(folder)
        opened = CandidatePool.from_snapshot(Snapshot.open(snapshot.hash, folder), pool.spec)
        assert opened.hash == pool.hash == snapshot.hash
        assert opened.candidates(range(len(pool))) == pool.candidates(range(len(pool)))
        assert opened.save(folder).hash == pool.hash


def test_a_saved_pool_keeps_its_structures_and_roles(tmp_path: Path) -> None:
    pool = CandidatePool.from_frame(crystals(), id="material_id", composition="formula", structure="structure")
    spec = PoolSpec.from_dict(json.loads(json.dumps(pool.spec.to_dict())))
    opened = CandidatePool.from_snapshot(pool.save(tmp_path), spec)
    assert spec == pool.spec
    assert spec.structure == opened.structure == "structure"
    assert opened.columns == ("formula",)
    texts = opened.frame([2, 0], structure=True)["structure"].tolist()
    assert texts == pool.frame([2, 0], columns=["structure"])["structure"].tolist()
    assert [json.loads(text)["sites"][0]["species"][0]["element"] for text in texts] == ["Po", "Cs"]
    assert "structure" not in opened.frame().columns


def test_part_of_a_snapshot_is_a_pool_of_its_own(tmp_path: Path) -> None:
    frame = crystals().assign(n=[1.5, 1.6, 4.0])
    snapshot = Snapshot.write(frame, tmp_path, id="material_id", structure="structure", provenance={"source": "test"})
    spec = PoolSpec("material_id", made_from={"structure": "structure"})
    pool = CandidatePool.from_snapshot(snapshot, spec, keep=np.array([True, False, True]), drop=["n"])
    assert pool.ids.tolist() == ["mp-1", "mp-3"]
    assert pool.columns == ("formula",)
    same = crystals().iloc[[1, 2]]
    assert pool.hash == CandidatePool.from_frame(same, id="material_id", structure="structure").hash
    saved = pool.save(tmp_path)
    assert saved.manifest["parent"] == {"hash": snapshot.hash, "rows": 3}
    assert saved.manifest["source"] == pool.provenance["source"] == "test"
    everything = CandidatePool.from_snapshot(snapshot, spec)
    assert everything.hash == snapshot.hash


def test_parts_that_do_not_fit_a_snapshot_are_refused(tmp_path: Path) -> None:
    snapshot = Snapshot.write(reactions(), tmp_path, id="run", provenance={})
    spec = PoolSpec("run", columns=("temperature",))
    for options, told in [
        ({"spec": PoolSpec("run", columns=("pressure",))}, "no such column"),
        ({"spec": PoolSpec("solvent")}, "the snapshot's id is 'run'"),
        ({"drop": ["temperature"]}, "cannot be dropped"),
        ({"drop": ["colour"]}, "no such column"),
        ({"keep": np.array([True])}, "3 booleans"),
        ({"keep": np.zeros(3, dtype=bool)}, "at least one candidate"),
    ]:
        with pytest.raises(InvalidInput, match=told):
            CandidatePool.from_snapshot(snapshot, **{"spec": spec, **options})  # type: ignore[arg-type]


def test_every_problem_of_a_frame_is_named_at_once() -> None:
    frame = pd.concat([reactions(), reactions().iloc[:1].rename({"first": "again"})])
    frame["temperature"] = [80.0, math.nan, math.inf, 60.0]
    frame["solvent"] = ["DMF", "", None, "THF"]
    frame["status"] = "new"
    frame["predicted_mean_yield"] = 1.0
    assert problems(frame, features=["temperature", "comment"], categorical=["solvent"]) == [
        ("again", "run", "this id stands in row first already"),
        ("third", "temperature", "infinite"),
        (None, "status", "the name is reserved"),
        (None, "predicted_mean_yield", "the name is reserved"),
        (None, "comment", "a feature must be numeric, this column holds text"),
        ("second", "solvent", "the cell is empty"),
        ("third", "solvent", "the cell is empty"),
    ]


def test_missing_features_ids_and_formulas_are_named() -> None:
    frame = reactions().assign(temperature=[1.0, None, 3.0], formula=["NaCl", None, "KCl"])
    assert problems(frame, features=["temperature"], composition="formula") == [
        ("second", "temperature", "the cell is empty"),
        ("second", "formula", "the cell is empty"),
    ]
    assert problems(frame.assign(run=[1, None, 3])) == [("second", "run", "the id is missing")]
    assert problems(frame, features=["pressure"]) == [(None, "pressure", "no such column")]
    assert problems(frame.iloc[:0]) == [(None, None, "a pool needs at least one candidate")]
    assert problems("not a frame") == [(None, None, "a pandas DataFrame is needed, this is a str")]  # type: ignore[arg-type]


def test_an_undeclared_column_of_structures_is_told_how_to_be_declared() -> None:
    with pytest.raises(InvalidInput, match="name the column in structure="):
        CandidatePool.from_frame(crystals(), id="material_id", composition="formula")


def test_many_bad_cells_are_counted_rather_than_listed() -> None:
    frame = pd.DataFrame({"run": range(1000), "x": [None] * 999 + [1.0]})
    found = problems(frame, features=["x"])
    assert len(found) == 21
    assert found[-1] == (None, "x", "the cell is empty: 979 further rows")


def test_descriptors_may_be_frames_or_mappings_and_cover_every_category() -> None:
    table = pd.DataFrame({"solvent": ["DMF", "THF"], "polarity": [6.4, 4.0], "boiling": [153, 66]})
    mapping = {"DMF": {"polarity": 6.4, "boiling": 153}, "THF": {"polarity": 4.0, "boiling": 66}}
    specs = [
        CandidatePool.from_frame(reactions(), id="run", categorical=["solvent"], descriptors={"solvent": given}).spec
        for given in (table, table.set_index("solvent"), mapping)
    ]
    assert specs[0] == specs[1] == specs[2]
    assert specs[0].descriptors["solvent"]["THF"] == {"polarity": 4.0, "boiling": 66.0}
    assert PoolSpec.from_dict(json.loads(json.dumps(specs[0].to_dict()))) == specs[0]
    few = {"solvent": table.iloc[:1]}
    assert problems(reactions(), categorical=["solvent"], descriptors=few) == [
        ("second", "solvent", "the category has no descriptors")
    ]
    bad = {"solvent": table.assign(polarity=["high", 4.0])}
    assert problems(reactions(), categorical=["solvent"], descriptors=bad) == [
        ("DMF", "solvent", "descriptor 'polarity' is not a finite number")
    ]


def test_a_bare_text_is_not_a_list_of_columns() -> None:
    frame = pd.DataFrame({"run": ["p", "q"], "a": [1.0, 2.0], "ab": [1.0, 3.0]})
    assert problems(frame, features="a", categorical="ab") == [
        (None, "features", "give a list of columns, not a text"),
        (None, "categorical", "give a list of columns, not a text"),
    ]


def test_ids_that_lost_digits_as_floats_are_named() -> None:
    frame = pd.DataFrame({"run": [1.0, 2.0**53, -1e300], "a": [1.0, 2.0, 3.0]})
    message = "an id of so many digits is not exact as a decimal number"
    assert problems(frame, features=["a"]) == [(1, "run", message), (2, "run", message)]
    assert problems(frame.assign(run=[None, 2.0**60, 1.0]))[0] == (1, "run", message)
    exact = CandidatePool.from_frame(frame.assign(run=[1.0, 2.0**53 - 1, 3.0]), id="run")
    assert str(2**53 - 1) in exact


def test_roles_that_contradict_each_other_are_refused() -> None:
    assert problems(reactions(), features=["temperature"], categorical=["temperature", "run"]) == [
        (None, "temperature", "named for two features"),
        (None, "run", "the id is not a feature"),
    ]


def test_a_hundred_thousand_rows_are_quick() -> None:
    n = 100_000
    values = np.random.default_rng(0).normal(size=(n, 20))
    frame = pd.DataFrame(values, columns=[f"x{i}" for i in range(20)]).assign(name=[f"c-{i}" for i in range(n)])
    start = time.process_time()
    pool = CandidatePool.from_frame(frame, id="name", features=[f"x{i}" for i in range(20)])
    assert len(pool.hash) == 64
    assert pool.rows(pool.ids).tolist() == list(range(n))
    assert time.process_time() - start < 5


def test_it_shows_itself() -> None:
    frame = reactions().assign(comment=["<script>alert(1)</script>", "a", "b"])
    pool = CandidatePool.from_frame(frame, id="run", features=["temperature"], categorical=["solvent"])
    assert repr(pool) == "CandidatePool(3 candidates by 'run', 1 numeric features, 1 categorical)"
    html = pool._repr_html_()
    assert "<table" in html
    assert "<script>" not in html
