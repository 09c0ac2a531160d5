from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discover.candidates.pool.pool import CandidatePool
from discover.candidates.pool.spec import PoolSpec
from discover.candidates.snapshots.snapshot import Snapshot
from discover.errors import InvalidInput, UnknownKind
from discover.features.build import Features, Known, feature_table
from discover.protocols import Featurizer
from discover.values import Block

SHIPPED = Path(__file__).resolve().parents[2] / "campaigns" / "data" / "matbench-dielectric"


def reactions() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "run": ["a", "b", "c", "d"],
            "temperature": [80.0, 100.0, 60.0, 80.0],
            "stirred": [True, False, True, True],
            "solvent": ["THF", "DMF", "DMF", "EtOH"],
            "ligand": ["L1", "L2", "L1", "L1"],
            "yield": [1.0, 2.0, 3.0, 4.0],
        }
    )


LIGANDS = {
    "L1": {"bite": 90.0, "cone": 140.0},
    "L2": {"bite": 100.0, "cone": 120.0},
    "L3": {"bite": 95.0, "cone": 150.0},
}


def pool(frame: pd.DataFrame | None = None, **options: Any) -> CandidatePool:
    chosen = {
        "features": ["temperature", "stirred"],
        "categorical": ["solvent", "ligand"],
        "descriptors": {"ligand": LIGANDS},
        **options,
    }
    return CandidatePool.from_frame(reactions() if frame is None else frame, id="run", **chosen)


def shipped(keep: int = 40, drop: Sequence[str] = ()) -> CandidatePool:
    snapshot = Snapshot.newest(SHIPPED)
    assert snapshot is not None
    spec = PoolSpec("id", made_from={"composition": "formula", "structure": "structure"})
    small = np.flatnonzero((snapshot.frame(["nsites"])["nsites"] <= 6).to_numpy())[:keep]
    return CandidatePool.from_snapshot(snapshot, spec, keep=np.isin(np.arange(len(snapshot)), small), drop=drop)


def test_columns_become_named_numbers() -> None:
    table = feature_table(pool())
    assert table.names == (
        *("temperature", "stirred", "solvent=DMF", "solvent=EtOH", "solvent=THF", "ligand:bite", "ligand:cone"),
    )
    assert table.values.tolist() == [
        [80, 1, 0, 0, 1, 90, 140],
        [100, 0, 1, 0, 0, 100, 120],
        [60, 1, 1, 0, 0, 90, 140],
        [80, 1, 0, 1, 0, 90, 140],
    ]
    assert not table.values.flags.writeable


def test_features_that_belong_together_are_known_as_blocks(tmp_path: Path) -> None:
    expected = (
        Block("numbers", "numbers", 0, 2),
        Block("solvent", "categories", 2, 5),
        Block("ligand", "descriptors", 5, 7),
    )
    assert feature_table(pool()).blocks == expected
    assert feature_table(pool(), tmp_path).blocks == feature_table(pool(), tmp_path).blocks == expected
    assert [block.kind for block in feature_table(shipped(3)).blocks] == ["composition", "structure"]


def test_categories_are_those_of_the_whole_pool() -> None:
    features = Features.of(pool())
    assert isinstance(features, Featurizer)
    assert features.requires == ("temperature", "stirred", "solvent", "ligand")
    row = reactions().iloc[[1]]
    assert features.transform(row).tolist() == [[100, 0, 1, 0, 0, 100, 120]]
    with pytest.raises(InvalidInput) as caught:
        features.transform(row.assign(solvent="DMFF", ligand="L9", temperature=np.nan))
    assert [(p.row, p.column) for p in caught.value.problems] == [(1, "temperature"), (1, "solvent"), (1, "ligand")]
    assert "did you mean 'DMF'?" in str(caught.value)
    with pytest.raises(InvalidInput, match="column 'stirred'"):
        features.transform(row.drop(columns=["stirred"]))


def test_names_stand_beside_descriptors_that_do_not_tell_all_categories_apart() -> None:
    twins = {"L1": {"bite": 90.0}, "L2": {"bite": 90.0}, "L3": {"bite": 100.0}}
    spec = PoolSpec("run", (), ("ligand",), descriptors={"ligand": twins})
    features = Features.from_spec(spec)
    assert features.names == ("ligand:bite", "ligand=L1", "ligand=L2", "ligand=L3")
    table = features.transform(pd.DataFrame({"ligand": ["L1", "L2", "L3"]}))
    assert len(np.unique(table, axis=0)) == 3
    apart = PoolSpec("run", (), ("ligand",), descriptors={"ligand": {**twins, "L2": {"bite": 95.0}}})
    assert Features.from_spec(apart).names == ("ligand:bite",)


def test_a_specification_alone_needs_the_categories() -> None:
    spec = PoolSpec("run", ("temperature",), ("solvent",))
    with pytest.raises(InvalidInput, match="its categories are not known"):
        Features.from_spec(spec)
    assert Features.from_spec(spec, {"solvent": ["DMF", "THF"]}).names == ("temperature", "solvent=DMF", "solvent=THF")


def test_names_that_meet_and_kinds_that_are_unknown_are_refused() -> None:
    frame = reactions().rename(columns={"temperature": "solvent=DMF"})
    with pytest.raises(InvalidInput, match="two features have this name"):
        Features.of(pool(frame, features=["solvent=DMF"]))
    with pytest.raises(UnknownKind, match="did you mean 'composition'"):
        Features.from_spec(PoolSpec("id", made_from={"compositon": "formula"}))


def test_a_pool_without_features_has_none() -> None:
    table = feature_table(CandidatePool.from_frame(reactions(), id="run"))
    assert table.values.shape == (4, 0)
    assert len(table) == 4


@given(st.permutations(range(4)), st.lists(st.integers(0, 3), min_size=1, max_size=6))
@settings(max_examples=50, deadline=None)
def test_order_and_company_of_rows_do_not_matter(order: list[int], some: list[int]) -> None:
    whole = feature_table(pool())
    assert feature_table(pool(reactions().iloc[order])).hash == whole.hash
    features = Features.of(pool())
    assert np.array_equal(features.transform(reactions().iloc[some]), whole.values[some])


def test_permuted_answers_leave_the_features_as_they_are() -> None:
    """No feature can be an output of the experiment: shuffling the answers, or leaving them out, changes nothing."""
    answers = reactions()["yield"].to_numpy()
    shuffled = reactions().assign(**{"yield": answers[::-1]})
    assert feature_table(pool()).hash == feature_table(pool(shuffled)).hash
    snapshot = shipped()
    frame = snapshot.frame(structure=True)
    assert "n" in frame.columns
    permuted = frame.assign(n=np.random.default_rng(0).permutation(frame["n"]))
    other = CandidatePool.from_frame(permuted, id="id", composition="formula", structure="structure")
    assert feature_table(other).hash == feature_table(snapshot).hash == feature_table(shipped(drop=["n"])).hash


def test_tables_are_kept_by_content(tmp_path: Path) -> None:
    first = feature_table(pool(), tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    path = next(tmp_path.glob("*.npy"))
    stamp = path.stat().st_mtime_ns
    assert feature_table(pool(), tmp_path).hash == first.hash
    assert path.stat().st_mtime_ns == stamp
    feature_table(pool(descriptors={"ligand": {**LIGANDS, "L2": {"bite": 101.0, "cone": 120.0}}}), tmp_path)
    feature_table(pool(reactions().assign(temperature=1.0)), tmp_path)
    assert len(list(tmp_path.glob("*.npy"))) == 3


@pytest.mark.parametrize("harm", ["value", "truncated", "no manifest", "pickle"])
def test_a_damaged_table_is_made_again(harm: str, tmp_path: Path) -> None:
    first = feature_table(pool(), tmp_path)
    path = next(tmp_path.glob("*.npy"))
    match harm:
        case "value":
            values = np.load(path)
            values[0, 0] += 1
            np.save(path, values)
        case "truncated":
            path.write_bytes(path.read_bytes()[:-8])
        case "no manifest":
            path.with_suffix(".json").unlink()
        case "pickle":
            np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    again = feature_table(pool(), tmp_path)
    assert again.hash == first.hash
    assert np.array_equal(np.load(path, allow_pickle=False), first.values)
    assert json.loads(path.with_suffix(".json").read_text())["hash"] == first.hash


def test_structures_come_from_the_file_in_portions_with_progress(tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    candidates = shipped(keep=300)
    table = feature_table(candidates, tmp_path, lambda done, total: told.append((done, total)))
    assert told == [(256, 300), (300, 300)]
    assert np.isfinite(table.values).all()
    assert len(table.names) == 84
    features = Features.of(candidates)
    some = [299, 0, 255, 256]
    assert np.array_equal(features.transform(candidates.frame(some, structure=True)), table.values[some])


def test_rows_are_named_by_their_ids() -> None:
    frame = pd.DataFrame({"name": ["good", "bad"], "formula": ["MgO", "Qq3"]})
    with pytest.raises(InvalidInput, match="row bad, column 'formula', value 'Qq3'"):
        feature_table(CandidatePool.from_frame(frame, id="name", composition="formula"))


def test_candidates_and_features_import_neither_torch_nor_prefect() -> None:
    modules = "discover.candidates.pool.pool, discover.candidates.sources.table, discover.candidates.sources.snapshot, discover.features.build"
    kinds = "discover.features.composition, discover.features.structure"
    heavy = "{'torch', 'botorch', 'gpytorch', 'prefect', 'pymatgen', 'mp_api', 'matplotlib'}"
    code = f"import sys, {modules}, {kinds}; sys.exit(', '.join({heavy} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 0


def test_rows_that_are_known_are_not_made_again_and_the_rest_are_the_same() -> None:
    snapshot = Snapshot.newest(SHIPPED)
    assert snapshot is not None
    ids = snapshot.ids[:40]
    spec = PoolSpec(snapshot.id, made_from={"composition": "formula", "structure": "structure"})
    pool = CandidatePool.from_snapshot(snapshot, spec, keep=np.isin(snapshot.ids, ids))
    whole = feature_table(pool)
    rows = np.array([0, 3, 4, 39])
    shown: list[int] = []
    known = Known(whole.names, rows, whole.values, rows)
    part = feature_table(pool, progress=lambda done, _: shown.append(done), known=known)
    assert part.hash == whole.hash
    assert shown == [40]
    marked = Known(whole.names, rows, whole.values + 1, rows)
    assert np.array_equal(np.flatnonzero((feature_table(pool, known=marked).values != whole.values).any(axis=1)), rows)
    other = Known(("something",), rows, np.zeros((4, 1)), np.arange(4))
    assert feature_table(pool, known=other).hash == whole.hash


def test_a_large_table_that_cannot_be_made_leaves_no_file(tmp_path, monkeypatch):
    from discover import sizes

    frame = pd.DataFrame({"run": [f"r{i}" for i in range(50)], "formula": ["Fe2O3"] * 49 + ["no formula"]})
    pool = CandidatePool.from_frame(frame, id="run", composition="formula")
    monkeypatch.setattr(sizes, "CELLS", 100)
    with pytest.raises(InvalidInput, match="no formula"):
        feature_table(pool, tmp_path / "mapped")
    assert not list((tmp_path / "mapped").iterdir())


def test_a_large_table_is_mapped_from_its_file_and_is_the_same(tmp_path, monkeypatch):
    from discover import sizes
    from discover.features import build, files

    frame = pd.DataFrame(
        {"run": [f"r{i:04d}" for i in range(500)], "a": np.arange(500.0), "b": -0.0, "c": ["x", "y"] * 250}
    )
    large = CandidatePool.from_frame(frame, id="run", features=["a", "b"], categorical=["c"])
    whole = feature_table(large, tmp_path / "whole")
    monkeypatch.setattr(sizes, "CELLS", 100)
    for module in (build, files):
        monkeypatch.setattr(module, "ROWS", 64)
    shown: list[int] = []
    first = feature_table(large, tmp_path / "mapped", progress=lambda done, _: shown.append(done))
    again = feature_table(large, tmp_path / "mapped")
    for table in (first, again):
        assert isinstance(table.values, np.memmap)
        assert not table.values.flags.writeable
        assert table.hash == whole.hash
        assert np.array_equal(table.values, whole.values)
    assert shown[:2] == [64, 128]
    assert shown[-1] == 500
    assert feature_table(large).hash == whole.hash  # without a folder there is nothing to map
    [path] = (tmp_path / "mapped").glob("*.npy")
    with path.open("r+b") as file:
        file.seek(2000)
        file.write(b"\x01")
    assert np.array_equal(feature_table(large, tmp_path / "mapped").values, whole.values)
    assert len(list((tmp_path / "mapped").iterdir())) == 2
