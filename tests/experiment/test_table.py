from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from discover import registry, sizes
from discover.candidates.snapshots import streaming
from discover.candidates.snapshots.snapshot import Snapshot
from discover.errors import ExperimentFailed, InvalidInput
from discover.experiment.conformance import check_experiment
from discover.experiment.table import TableLookup
from discover.values import Proposal, Value
from tests.experiment.conftest import SHIPPED, proposal

ROWS = pd.DataFrame(
    {"name": ["007", "b", "c", "d"], "y": [1.5, 12.0, np.nan, -3.0], "s": [0.1, np.nan, 0.2, 0.0], "note": list("wxyz")}
)


@pytest.fixture(params=["csv", "parquet", "snapshot", "large parquet", "large snapshot"])
def source(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    if "large" in request.param:
        in_small_parts(monkeypatch)
    if "snapshot" in request.param:
        Snapshot.write(ROWS, tmp_path / "shipped", id="name", provenance={"citations": ["A. Author (2020)"]})
        return {"snapshot": "shipped"}
    path = tmp_path / f"answers.{request.param.split()[-1]}"
    if request.param == "csv":
        ROWS.to_csv(path, index=False)
    else:
        ROWS.to_parquet(path)
    return {"file": path.name, "id": "name"}


def in_small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every Parquet file is too large for memory, and three rows of it are read together."""
    monkeypatch.setattr(sizes, "CELLS", 0)
    monkeypatch.setattr(streaming, "READ", 3)


def look(tmp_path: Path, **options: Any) -> TableLookup:
    return TableLookup(**options).located(tmp_path, tmp_path / "files")


def test_it_answers_with_the_tables_numbers(source: dict[str, Any], tmp_path: Path) -> None:
    experiment = look(tmp_path, **source, columns={"answer": "y"}, units={"answer": "GPa"}, stds={"answer": "s"})
    assert experiment.targets == {"answer": "GPa"}
    found = check_experiment(experiment, [proposal(name) for name in ("007", "b", "d", "c")], files=tmp_path)
    assert [result.values for result in found] == [
        {"answer": Value(1.5, 0.1)},
        {"answer": Value(12.0)},
        {"answer": Value(-3.0, 0.0)},
        {},
    ]
    assert found[3].status == "failed"
    assert found[3].reason == "no value in the table"
    assert not found[3].retryable


def test_an_unknown_candidate_is_a_final_failure(source: dict[str, Any], tmp_path: Path) -> None:
    experiment = look(tmp_path, **source, target="y")
    with pytest.raises(ExperimentFailed, match=r"no row for '07' .*'007'") as caught:
        experiment.run(proposal("07"))
    assert not caught.value.retryable


def test_numbers_outside_the_stated_range(source: dict[str, Any], tmp_path: Path) -> None:
    failing = look(tmp_path, **source, target="y", valid={"y": (1, 10)})
    assert failing.run(proposal("007")).status == "measured"
    refused = failing.run(proposal("b"))
    assert refused.status == "failed"
    assert refused.reason == "y = 12 is outside the stated range 1..10"
    assert not refused.values
    assert not refused.retryable
    assert failing.run(proposal("d")).status == "failed"
    assert failing.run(proposal("c")).reason == "no value in the table"
    kept = look(tmp_path, **source, target="y", valid={"y": (1, 10)}, outside="kept").run(proposal("b"))
    assert kept.status == "measured"
    assert kept.values == {"y": Value(12.0)}
    assert "outside the stated range 1..10" in kept.reason
    open_end = look(tmp_path, **source, target="y", valid={"y": (None, 10)})
    assert open_end.run(proposal("d")).status == "measured"
    assert open_end.run(proposal("b")).reason.endswith("..10")
    assert failing.describe()["cautions"] == ["2 rows have y outside 1..10: failed"]


def test_a_large_table_is_refused_as_a_small_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_small_parts(monkeypatch)
    path = tmp_path / "answers.parquet"
    frame = pd.DataFrame(
        {"id": [f"c{k}" for k in range(9)], "y": np.arange(9.0), "s": 0.1, "note": list("wxyz") * 2 + [""]}
    )
    frame.assign(id=[*frame["id"][:8], "c1"]).to_parquet(path, index=False)
    with pytest.raises(InvalidInput) as caught:
        look(tmp_path, file=path.name, target="y").run(proposal("c0"))
    assert [(p.row, p.value) for p in caught.value.problems] == [(8, "c1")]
    assert "earlier row" in caught.value.problems[0].message
    frame.assign(s=[*frame["s"][:7], -1.0, -2.0]).to_parquet(path, index=False)
    with pytest.raises(InvalidInput) as caught:
        look(tmp_path, file=path.name, target="y", stds={"y": "s"}).run(proposal("c0"))
    assert [(p.row, p.column, p.value) for p in caught.value.problems] == [(7, "s", -1.0), (8, "s", -2.0)]
    frame.assign(y=True).to_parquet(path, index=False)
    with pytest.raises(InvalidInput, match="row 8, column 'y', value True: not a number"):
        look(tmp_path, file=path.name, target="y").describe()
    with pytest.raises(InvalidInput, match="no such column"):
        look(tmp_path, file=path.name, target="z").describe()
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InvalidInput, match="cannot be read"):
        look(tmp_path, file=path.name, target="y").describe()


def test_of_a_large_table_only_the_columns_that_answer_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_small_parts(monkeypatch)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"id": [f"c{k:03d}" for k in rng.permutation(50)], "y": rng.normal(size=50), "wide": "x" * 1000}
    )
    frame.to_parquet(tmp_path / "answers.parquet", index=False)
    seen, real = [], streaming._frames
    monkeypatch.setattr(
        streaming, "_frames", lambda file, fits, columns=None: seen.append(columns) or real(file, fits, columns)
    )
    experiment = look(tmp_path, file="answers.parquet", target="y")
    told = {i: experiment.run(proposal(i)).values["y"].value for i in frame["id"]}
    assert told == dict(zip(frame["id"], frame["y"], strict=True))
    assert seen == [["id", "y"]]
    with pytest.raises(ExperimentFailed, match="no row"):
        experiment.run(proposal("c0011"))


def test_describe_names_the_table_by_its_content(source: dict[str, Any], tmp_path: Path) -> None:
    experiment = look(tmp_path, **source, target="y")
    first = experiment.describe()
    json.dumps(first, allow_nan=False)
    assert first["kind"] == "table"
    changed = ROWS.assign(y=ROWS["y"] + 1)
    if "snapshot" in source:
        assert first["citations"] == ["A. Author (2020)"]
        changed_source = {"snapshot": "other"}
        Snapshot.write(changed, tmp_path / "other", id="name", provenance={})
    else:
        changed_source = source
        path = tmp_path / source["file"]
        changed.to_csv(path, index=False) if path.suffix == ".csv" else changed.to_parquet(path)
    second = look(tmp_path, **changed_source, target="y").describe()
    assert second["identity"]["table"] != first["identity"]["table"]


def test_a_bad_table_is_refused_whole(tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("id,y,s\na,1,0.1\nb,many,-1\na,3,0.1\n,4,0.1\n")
    with pytest.raises(InvalidInput) as caught:
        look(tmp_path, file="bad.csv", target="y", stds={"y": "s"}).run(proposal("a"))
    told = str(caught.value)
    assert "row 4" in told
    assert "missing" in told
    path.write_text("id,y,s\na,1,0.1\nb,many,-1\n")
    with pytest.raises(InvalidInput) as caught:
        look(tmp_path, file="bad.csv", target="y", stds={"y": "s"}).run(proposal("a"))
    problems = {(problem.row, problem.column, problem.value) for problem in caught.value.problems}
    assert problems == {(3, "y", "many"), (3, "s", -1.0)}
    with pytest.raises(InvalidInput, match="no such column"):
        look(tmp_path, file="bad.csv", target="z").run(proposal("a"))
    with pytest.raises(InvalidInput, match="no such file"):
        look(tmp_path, file="absent.csv", target="z").describe()


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"target": "y"}, 1),
        ({"file": "a.csv", "snapshot": "b", "target": "y"}, 1),
        ({"file": "a.csv"}, 1),
        ({"file": "a.csv", "target": "y", "columns": {"y": "y"}}, 1),
        ({"file": "a.csv", "columns": {"y": "y"}, "column": "z", "units": {"x": "eV"}}, 2),
        ({"file": "a.csv", "target": "y", "valid": {"y": [10, 1]}, "hash": "ab"}, 2),
    ],
)
def test_bad_options_are_reported_together(options: dict[str, Any], count: int) -> None:
    with pytest.raises(InvalidInput) as caught:
        registry.configure(registry.EXPERIMENTS, {"kind": "table", **options})
    assert len(caught.value.problems) == count, caught.value


def test_the_refractive_index_of_the_shipped_snapshot(
    shipped: Callable[[str, str, int], Proposal], tmp_path: Path
) -> None:
    options = {"kind": "table", "snapshot": SHIPPED.name, "target": "n", "valid": {"n": [1, 10]}}
    experiment = registry.configure(registry.EXPERIMENTS, options).located(SHIPPED.parent, tmp_path)
    magnesia = experiment.run(shipped("MgO", "Fm-3m", 2))
    assert magnesia.values["n"].value == pytest.approx(1.7, abs=0.1)
    assert experiment.describe()["cautions"] == ["27 rows have n outside 1..10: failed"]
