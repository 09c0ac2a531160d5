from __future__ import annotations

import os
import random
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from pydantic import TypeAdapter

from discover.candidates.snapshots.difference import difference
from discover.candidates.snapshots.snapshot import Snapshot
from discover.candidates.sources.snapshot import SnapshotSource
from discover.candidates.sources.table import TableSource
from discover.errors import IntegrityError, InvalidInput
from discover.protocols import CandidateSource
from discover.registry import load

SHIPPED = Path(__file__).resolve().parents[2] / "campaigns" / "data" / "matbench-dielectric"
CSV = "id,x,ligand,used,seen,unused\n007,1.5,None,True,True,\n8,NA,XPhos,False,,\nNA,3,,True,False,\n"


def table(folder: Path, text: str = CSV, **options: object) -> TableSource:
    (folder / "t.csv").write_text(text, encoding="utf-8")
    return TableSource(**{"file": "t.csv", "id": "id", **options}).located(folder, folder / "files")  # type: ignore[arg-type]


def test_cells_mean_what_they_say(tmp_path: Path) -> None:
    snapshot = table(tmp_path).pull()
    frame = snapshot.frame()
    assert snapshot.ids.tolist() == ["007", "8", "NA"]
    assert frame["ligand"].tolist()[:2] == ["None", "XPhos"]
    assert frame["ligand"].isna().tolist() == [False, False, True]
    assert frame["x"].tolist()[::2] == [1.5, 3.0]
    assert frame["used"].dtype == bool
    assert frame["seen"].dtype == "boolean"
    assert frame["seen"].tolist()[::2] == [True, False]
    assert snapshot.manifest["columns"]["unused"] == "empty"
    assert snapshot.folder == tmp_path / "files" / "snapshots"
    assert snapshot.manifest["source"] == "t.csv"


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_workbook_is_refused_in_words_or_holds_what_it_held(seed: int, tmp_path: Path) -> None:
    pd.DataFrame({"id": ["a", "b"], "x": [1.5, 2.0]}).to_excel(tmp_path / "t.xlsx", index=False)
    source = table(tmp_path, file="t.xlsx")
    whole, draw = (tmp_path / "t.xlsx").read_bytes(), random.Random(seed)
    held, place = source.pull().hash, draw.randrange(len(whole))
    damaged = whole[:place] + draw.randbytes(5) + whole[place + 5 :] if seed % 3 else whole[:place]
    (tmp_path / "t.xlsx").write_bytes(damaged)
    try:
        found = source.header(), source.pull().hash
    except InvalidInput as error:
        told = str(error)
    else:
        assert found == (("id", "x"), held)
        return
    assert "t.xlsx" in told
    assert "cannot be read" in told


@pytest.mark.parametrize("suffix", [".parquet", ".xlsx"])
def test_other_kinds_of_tables_are_read_too(suffix: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": ["a", "b"], "x": [1.5, 2.0], "ligand": ["None", "XPhos"]})
    if suffix == ".xlsx":
        pytest.importorskip("openpyxl", reason="spreadsheets need openpyxl, which is not installed")
        frame.to_excel(tmp_path / "t.xlsx", index=False)
    else:
        frame.to_parquet(tmp_path / "t.parquet")
    read = TableSource(f"t{suffix}", "id").located(tmp_path, tmp_path).pull().frame()
    assert read["x"].tolist() == [1.5, 2.0]
    assert read["ligand"].tolist() == ["None", "XPhos"]


def test_a_query_keeps_rows_and_is_remembered(tmp_path: Path) -> None:
    snapshot = table(tmp_path, query={"x": [2, None]}).pull()
    assert snapshot.ids.tolist() == ["NA"]
    assert snapshot.manifest["query"] == {"x": [2, None]}
    assert snapshot.manifest["rows_in_file"] == 3
    with pytest.raises(InvalidInput, match="none of 3 rows is left"):
        table(tmp_path, query={"x": [9, None]}).pull()


def test_what_is_wrong_with_a_file_is_said(tmp_path: Path) -> None:
    source = table(tmp_path)
    for changed, told in [
        (replace(source, file="absent.csv"), "no such file"),
        (replace(source, file="t.json"), "give one of .csv, .parquet, .xlsx"),
        (replace(source, id="name"), "the columns are: id, x, ligand, used, seen, unused"),
        (replace(source, files=None), "located"),
    ]:
        with pytest.raises(InvalidInput, match=told):
            changed.pull()
    with pytest.raises(InvalidInput, match="column 'volume'"):
        source.pull(["volume"])
    with pytest.raises(InvalidInput, match="cannot be read"):
        table(tmp_path, 'id,x\n"a,1\n').pull()
    with pytest.raises(InvalidInput, match="row 4, column 'id', value 'a': this id stands in row 2 already"):
        table(tmp_path, "id,x\na,1\nb,2\na,3\n").pull()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("id,x\na,1\n1,2-dichloroethane,3\n", "row 3: 3 cells, but the header names 2 columns .*in quotes"),
        ("id,x,y\na,1\n", "row 2: 2 cells, but the header names 3 columns"),
        ("id,x\na,1,2\nb,3,4\n", "row 2: 3 cells"),
        ("id,x,\na,1,\nb,3,,4\n", "row 3: 4 cells"),
        ("id;x\na;1,5;2\n", r"line 2|row 2.*3 cells, but the header names 2 columns.*a semicolon in quotes"),
        ('"id";"x, y"\n"a"\n', "1 cell, but the header names 2 columns.*an empty cell needs its semicolon too"),
        ("id\tx\na\t1\n", "the separator seems to be a tab.*save the file with commas or semicolons"),
        ("id,x\n\n\na,1\n\na,2\n", "row 6, column 'id', value 'a': this id stands in row 4 already"),
        ('id,note,x\na,"two\nlines",1\n,none,2\n', "row 4, column 'id': the id is missing"),
        ("id,x,x\na,1,2\n", "column 'x': two columns have this name"),
        ("\n", "there is no header"),
        ('id,x\na,"1"2\n', "begins in line 2 cannot be read"),
    ],
)
def test_rows_that_do_not_fit_the_header_are_refused_at_their_line(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=told):
        table(tmp_path, text).pull()


def test_another_encoding_is_told_how_to_be_saved(tmp_path: Path) -> None:
    source = table(tmp_path)
    (tmp_path / "t.csv").write_bytes("id,x\na,1\nbéta,2\n".encode("cp1252"))
    with pytest.raises(InvalidInput, match=r"line 3 holds a byte that is not UTF-8 .*save the file as UTF-8"):
        source.pull()


def test_what_a_spreadsheet_leaves_behind_is_no_harm(tmp_path: Path) -> None:
    plain = table(tmp_path, "id,x\na,1\nb,\n").pull()
    left = table(tmp_path, "\ufeffid,x,,\n\na,1,,\n  \nb,,,,,\n").pull()
    assert left.hash == plain.hash
    assert table(tmp_path, 'id,"y;z"\n').header() == ("id", "y;z")
    kept = table(tmp_path, "id,x,\na,1,note\nb,2,\n").pull()
    assert kept.columns == ("id", "Unnamed: 2", "x")


def test_long_cells_are_read_whole(tmp_path: Path) -> None:
    snapshot = table(tmp_path, f"id,text\na,{'x' * 200_000}\n").pull()
    assert len(snapshot.frame()["text"][0]) == 200_000


def test_a_changed_table_is_compared_with_what_was_pulled_before(tmp_path: Path) -> None:
    source = table(tmp_path, "id,x\na,1\nb,2\n")
    assert source.newest() is None
    source.pull()
    for text, time in (("id,x\na,1\nb,5\nc,3\n", 2e9), ("id,x\na,1\nb,2\n", 3e9)):
        before = source.newest()
        table(tmp_path, text)
        os.utime(tmp_path / "t.csv", (time, time))
        after = source.pull()
        assert before is not None
        change = difference(before, after)
        assert change.changed == ("b",)
        assert (change.added, change.removed) == ((("c",), ()) if time == 2e9 else ((), ("c",)))
    assert replace(source, query={"x": [2, None]}).newest() is None


def test_a_changed_snapshot_is_compared_with_what_was_kept_before(tmp_path: Path) -> None:
    def write(x: list[int]) -> Snapshot:
        frame = pd.DataFrame({"id": ["a", "b", "c"], "x": x})
        return Snapshot.write(frame, tmp_path / "data", id="id", provenance={"source": "test"})

    source = SnapshotSource("data", query={"x": [2, None]}).located(tmp_path, tmp_path / "files")
    first = write([1, 2, 3])
    assert source.newest() is None
    kept = source.pull()
    for ending in (".json", ".parquet"):
        (tmp_path / "data" / f"{first.hash}{ending}").unlink()
    write([1, 5, 3])
    before = source.newest()
    assert before is not None
    assert before.hash == kept.hash
    assert difference(before, source.pull()).changed == ("b",)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("table", {"file": "t.csv", "id": "id", "query": {}}),
        ("snapshot", {"path": "data", "query": {"num_sites": [1, 12]}}),
    ],
)
def test_sources_are_kinds_whose_fields_are_their_options(kind: str, options: dict[str, object]) -> None:
    source = TypeAdapter(load("discover.sources", kind)).validate_python(options)
    assert isinstance(source, CandidateSource)
    assert source.located(Path("a"), Path("b")).base == Path("a")
    assert source.located(Path("a"), Path("b")).files == Path("b")
    assert "base" not in repr(source)


def test_the_shipped_snapshot_is_whole_and_says_where_it_comes_from() -> None:
    progress: list[tuple[int, int | None]] = []
    snapshot = (
        SnapshotSource("matbench-dielectric")
        .located(SHIPPED.parent, Path("unused"))
        .pull(progress=lambda done, total: progress.append((done, total)))
    )
    assert len(snapshot) == 4764
    assert progress[-1] == (4764, 4764)
    assert snapshot.folder == SHIPPED
    assert snapshot.manifest["licence"] == "CC-BY 4.0"
    assert snapshot.manifest["source"].startswith(
        "Materials Project by way of matbench_dielectric (Petousis et al. 2017;"
    )
    assert {"LICENSE", "CITATION.bib", "README.md"} <= {path.name for path in SHIPPED.iterdir()}
    frame = snapshot.frame()
    assert snapshot.ids[0] == "mbd-0"
    assert (frame["n"] > 10).sum() == 27
    assert frame["elements"].map(len).equals(frame["nelements"])
    assert frame["structure_hash"].is_unique
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 3_000_000


def test_a_query_makes_a_snapshot_of_its_own(tmp_path: Path) -> None:
    query = {"num_sites": [1, 12], "exclude_elements": ["C", "B", "N", "H"]}
    source = SnapshotSource(str(SHIPPED), query=query).located(Path(), tmp_path)
    part = source.pull(["structure", "formula"])
    whole = Snapshot.newest(SHIPPED)
    assert whole is not None
    frame = whole.frame()
    wanted = (frame["nsites"] <= 12) & frame["elements"].map(lambda found: not {"C", "B", "N", "H"} & set(found))
    assert part.ids.tolist() == frame["id"][wanted].tolist()
    assert len(part) == 2069
    assert part.manifest["parent"] == {"hash": whole.hash, "rows": 4764}
    assert part.manifest["query"] == query
    assert part.manifest["licence"] == "CC-BY 4.0"
    assert part.structure == "structure"
    assert source.pull().hash == part.hash
    text = part.frame(["structure"], part.ids[:1])["structure"][0]
    assert text == whole.frame(["structure"], part.ids[:1])["structure"][0]


def test_snapshots_that_cannot_be_told_apart_or_trusted_are_refused(tmp_path: Path) -> None:
    def source(**options: object) -> SnapshotSource:
        return SnapshotSource(**{"path": "data", **options}).located(tmp_path, tmp_path / "files")  # type: ignore[arg-type]

    with pytest.raises(InvalidInput, match="0 snapshots lie in this folder"):
        source().pull()
    one = Snapshot.write(pd.DataFrame({"id": ["a", "b"], "x": [1, 2]}), tmp_path / "data", id="id", provenance={})
    assert source().pull().hash == one.hash
    with pytest.raises(InvalidInput, match="did you mean 'x'"):
        source().pull(["xx"])
    with pytest.raises(InvalidInput, match="none of 2 rows is left"):
        source(query={"x": [5, None]}).pull()
    other = Snapshot.write(pd.DataFrame({"id": ["a"], "x": [3]}), tmp_path / "data", id="id", provenance={})
    with pytest.raises(InvalidInput, match="name one as hash"):
        source().pull()
    assert source(hash=other.hash).pull().hash == other.hash
    other.path.write_bytes(one.path.read_bytes())
    with pytest.raises(IntegrityError, match="was changed"):
        source(hash=other.hash).pull()
