"""A laboratory's folders: sheets go out and are found again; what comes in is left alone, put away or kept waiting."""

from __future__ import annotations

import csv
import io
import os
import shutil
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from discover import registry
from discover.errors import ExperimentFailed, InvalidInput
from discover.experiment.conformance import check_outside
from discover.protocols import OutsideExperiment
from tests.experiment.conftest import proposal
from tests.experiment.laboratory_sheets import NONE, batch, drop, incoming, one, told, workbook


def test_it_keeps_the_contract(lab: Any, tmp_path: Path) -> None:
    assert isinstance(lab(), OutsideExperiment)
    proposals = [proposal("a", T=1.0), proposal("=cmd()", T=2.0)]
    assert check_outside(lab(), proposals, files=tmp_path / "files", base=tmp_path) == []


@pytest.mark.parametrize("kind", ["xlsx", "csv"])
def test_a_batch_goes_out_as_one_sheet(kind: str, lab: Any, tmp_path: Path) -> None:
    here = lab(format=kind)
    handles = here.submit(batch())
    (path,) = (tmp_path / "out").iterdir()
    assert handles == {key: {"sheet": path.name} for key in batch()}
    assert here.submit(batch()) == handles
    assert [p.name for p in (tmp_path / "out").iterdir()] == [path.name]
    assert here.find([*batch(), "c-0009.1"]) == handles
    path.unlink()  # somebody has taken it to the laboratory
    assert here.find(list(batch())) == handles
    assert here.collect(handles) == {}


def test_a_sheet_that_was_not_noted_is_found_where_it_lies(lab: Any, tmp_path: Path) -> None:
    here = lab()
    handles = here.submit(batch())
    name = next(iter(handles.values()))["sheet"]
    for note in (tmp_path / "files" / "sheets").iterdir():
        note.write_text(note.read_text().replace("true", "false"))
    assert here.find(list(batch())) == handles
    for folder in ("out/done", "in", "in/done"):
        (tmp_path / folder).mkdir(exist_ok=True, parents=True)
        shutil.move(next(tmp_path.rglob(name)), tmp_path / folder / name)
        assert here.find(list(batch())) == handles
    next(tmp_path.rglob(name)).unlink()
    assert here.find(list(batch())) == {}


def test_the_workbook_is_fit_to_be_filled_in(lab: Any, tmp_path: Path) -> None:
    lab().submit(batch())
    book = load_workbook(next((tmp_path / "out").iterdir()))
    sheet, explained = book.worksheets
    assert [cell.value for cell in sheet[1]] == [
        "proposal_id", "id", "solvent", "T", "yield [%]", "yield_std [%]", "status", "note", "replicate", "measured_at",
    ]  # fmt: skip
    assert [[cell.value for cell in row[:4]] for row in sheet.iter_rows(min_row=2)] == [
        ["c-0001", "a", "DMF", 20.5], ["c-0002", "007", "=1+1", -5], ["c-0003", "-x@", "+49 'q", None],
    ]  # fmt: skip
    assert {cell.data_type for row in sheet.iter_rows() for cell in row if isinstance(cell.value, str)} == {"s"}
    assert sheet["B3"].number_format == "@"
    assert sheet.freeze_panes == "C2"
    assert sheet.column_dimensions["A"].width >= 10
    assert "'<5'" in "".join(str(row[0].value) for row in explained.iter_rows())
    lab(predicted=True, columns=["T"]).submit({"c-0001.1": batch()["c-0001.1"]})
    shown = load_workbook(next((tmp_path / "out").glob("*_1-trials*"))).worksheets[0]
    assert [cell.value for cell in shown[1]][:4] == ["proposal_id", "id", "T", "predicted_mean_yield [%]"]
    assert [cell.value for cell in shown[2]][:4] == ["c-0001", "a", 20.5, 50]


def test_mended_rows_are_dropped_again(lab: Any, tmp_path: Path) -> None:
    drop(tmp_path, "w.csv", 'proposal_id;id;yield [%];note\nc-1;a;1,234;\nc-2;b;2,5;\nc-3;c;x;"=y; -z"\n')
    sheet = one(lab())
    assert [record["yield"] for record in told(sheet).values()] == [1.234, 2.5]
    waits = lab().settle(sheet, NONE)
    assert waits is not None
    rows = list(csv.reader(io.StringIO(waits.read_text("utf-8-sig"))))
    for row in rows[1:]:
        row[2] = "3.25"
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    waits.unlink()
    drop(tmp_path, "w.csv", out.getvalue())
    again = one(lab())
    assert told(again) == {2: {"proposal_id": "c-3", "sample": "c", "yield": 3.25, "note": "=y; -z"}}
    assert lab().settle(again, NONE) is None
    assert sorted(p.name for p in (tmp_path / "in" / "done").iterdir()) == ["w-2.csv", "w.csv"]


def test_what_waits_is_not_written_over(lab: Any, tmp_path: Path) -> None:
    text = "proposal_id,id,yield\nc-1,a,bad\n"
    for _ in range(2):
        drop(tmp_path, "w.csv", text)
        assert lab().settle(one(lab()), NONE) == tmp_path / "in" / "quarantine" / "w.csv"
    (tmp_path / "in" / "quarantine" / "w.csv").write_text("somebody is mending this")
    drop(tmp_path, "w.csv", text)
    assert lab().settle(one(lab()), NONE) == tmp_path / "in" / "quarantine" / "w-2.csv"


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("w.xls", b"anything", "the old Excel format"),
        ("w.ods", b"PK\x03\x04", "OpenDocument"),
        ("w.xlsx", b"\xd0\xcf\x11\xe0" + b"x" * 600, "has a password"),
        ("w.csv", b"a,b\n1,2\n", "no line that names proposal_id or id"),
        ("w.csv", b"proposal_id,id,note\nc-1,a,x\n", "no line that names proposal_id or id, and a target or status"),
        ("w.csv", b"id,yield,yield [%]\na,1,2\n", "the column 'yield' twice"),
        ("w.csv", b'id,yield\na,"1\n', "a row that begins in line 2 and cannot be read"),
        ("w.csv", b"\x00\x01\x02\x80" * 100, "is no text"),
    ],
)
def test_a_sheet_that_cannot_be_used_waits_as_a_whole(
    name: str, data: bytes, said: str, lab: Any, tmp_path: Path
) -> None:
    path = drop(tmp_path, name, data)
    (sheet,) = incoming(lab())
    assert said in sheet.problem
    assert sheet.frame.empty
    place = lab().settle(sheet, NONE)
    assert place == tmp_path / "in" / "quarantine" / name
    assert place.read_bytes() == data
    assert said in place.with_name(f"{name}.reason.txt").read_text()
    assert not path.exists()
    assert said in sheet.report(None, place)
    assert incoming(lab()) == []


def test_two_tables_in_one_file(lab: Any, tmp_path: Path) -> None:
    book = workbook(["id", "yield"], ["a", 1])
    book.create_sheet("again").append(["id", "yield"])
    drop(tmp_path, "w.xlsx", book)
    assert "a table of results in 'Sheet' and 'again'" in incoming(lab())[0].problem


def test_a_file_that_is_being_written_is_left_alone(lab: Any, tmp_path: Path) -> None:
    text = b"id,yield\na,1\n"
    path = drop(tmp_path, "w.csv", text)
    os.utime(path, (1, 1))  # a copy that keeps its old date is as young as its arrival
    patient = lab(quiet=0.5)
    (sheet,) = incoming(patient)
    assert "it changed 0 s ago" in sheet.later
    assert patient.settle(sheet, NONE) is None
    assert path.exists()
    time.sleep(0.6)
    assert told(one(patient)) == {2: {"sample": "a", "yield": 1.0}}
    for name in ("~$w.xlsx", ".w.csv", ".~lock.w.csv#", "w.csv.part", "notes.txt", "photo.jpg"):
        drop(tmp_path, name, b"x")
    (tmp_path / "in" / "folder.csv").mkdir()
    (tmp_path / "in" / "link.csv").symlink_to("/etc/passwd")
    assert [s.path.name for s in incoming(lab())] == ["w.csv"]


def test_a_broken_workbook_may_still_be_on_its_way(lab: Any, tmp_path: Path) -> None:
    path = drop(tmp_path, "w.xlsx", workbook(["id", "yield"], ["a", 1]))
    whole = path.read_bytes()
    for part in (whole[: len(whole) // 2], b"", whole[:4]):
        path.write_bytes(part)
        (sheet,) = incoming(lab())
        assert "perhaps it is still being written" in sheet.later
        assert lab().settle(sheet, NONE) is None
    time.sleep(0.3)
    (sheet,) = incoming(lab(patience=0.2))
    assert "breaks off" in sheet.problem
    path.write_bytes(whole)
    assert told(one(lab())) == {2: {"sample": "a", "yield": 1.0}}
    assert lab().settle(sheet, NONE) is None  # it changed since
    assert path.exists()


def test_a_sheet_that_grew_meanwhile_is_read_again(lab: Any, tmp_path: Path) -> None:
    path = drop(tmp_path, "w.csv", "id,yield\na,1\n")
    sheet = one(lab())
    with path.open("a") as file:
        file.write("b,2\n")
    assert lab().settle(sheet, NONE) is None
    again = one(lab())
    assert list(told(again)) == [2, 3]
    lab().settle(again, NONE)
    assert lab().settle(again, NONE) is None  # a second time does no harm
    assert not path.exists()


@pytest.mark.parametrize("stem", [b"odd\xff", b"n" * 250, "ü".encode() * 125, b"line\nbreak"])
def test_an_odd_name_keeps_nothing_out(stem: bytes, lab: Any, tmp_path: Path) -> None:
    for content in ("sample,yield\na,1\nb,x\n", "neither,nor\n1,2\n"):
        name = os.fsdecode(stem + b".csv")
        drop(tmp_path, name, content)
        here = lab()
        (sheet,) = incoming(here)
        waits = here.settle(sheet, NONE)
        assert waits is not None
        assert waits.exists()
        sheet.report(None, waits).encode()  # can be printed
        for record in sheet.frame.to_dict("records"):
            record["raw_data"].encode()  # can be stored
        assert not (tmp_path / "in" / name).exists()


def test_a_zip_bomb_is_refused(lab: Any, tmp_path: Path) -> None:
    path = tmp_path / "in" / "w.xlsx"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("xl/workbook.xml", "w", force_zip64=True) as part:  # fmt: skip
        for _ in range(320):
            part.write(bytes(1_000_000))
    assert "unpacks to more than" in incoming(lab())[0].problem


def test_what_cannot_be_written_was_not_handed_over(lab: Any, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file where the folder should be")
    with pytest.raises(ExperimentFailed, match="cannot be written") as caught:
        lab().submit(batch())
    assert caught.value.retryable
    assert lab().find(list(batch())) == {}
    with pytest.raises(ExperimentFailed, match="has the column 'base'"):
        lab(outbox="other", columns=["base"]).submit(batch())


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"inbox": "out"}, 1),
        ({"outbox": " ", "targets": {}}, 2),
        ({"targets": {"status": ""}, "quiet": -1, "patience": -1}, 3),
        ({"format": "ods"}, 1),
        ({"decimal": ";"}, 1),
    ],
)
def test_bad_options_are_reported_together(options: dict[str, Any], count: int) -> None:
    settings = {"kind": "laboratory", "outbox": "out", "inbox": "in", "targets": {"yield": "%"}, **options}
    with pytest.raises(InvalidInput) as caught:
        registry.configure(registry.EXPERIMENTS, settings)
    assert len(caught.value.problems) == count, caught.value
