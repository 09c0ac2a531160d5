from __future__ import annotations

import csv
import io
import os
import shutil
import time
import zipfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from openpyxl import Workbook, load_workbook

from discover import registry
from discover.errors import ExperimentFailed, InvalidInput
from discover.experiment.conformance import check_outside
from discover.experiment.inbox import Sheet
from discover.experiment.laboratory import Laboratory
from discover.protocols import OutsideExperiment, Prediction, Proposal
from tests.experiment.conftest import proposal

NONE = pd.DataFrame(columns=["row", "id", "proposal_id", "became", "remark"])


@pytest.fixture
def lab(tmp_path: Path) -> Any:
    def make(**options: Any) -> Laboratory:
        settings: dict[str, Any] = {"outbox": "out", "inbox": "in", "targets": {"yield": "%"}, "quiet": 0.0, **options}
        return Laboratory(**settings).located(tmp_path, tmp_path / "files")

    return make


def batch(**more: Any) -> dict[str, Proposal]:
    from dataclasses import replace

    rows = {
        "a": {"solvent": "DMF", "T": 20.5},
        "007": {"solvent": "=1+1", "T": -5},
        "-x@": {"solvent": "+49 'q", "T": None},
    }
    work = {}
    for number, (name, values) in enumerate(rows.items(), start=1):
        made = proposal(name, sample=name, cell="x" * 500, **values)
        work[f"c-{number:04d}.1"] = replace(
            made, proposal_id=f"c-{number:04d}", predicted={"yield": Prediction(50.0, 5.0)}
        )
    return work


def drop(tmp_path: Path, name: str, content: str | bytes | Workbook) -> Path:
    path = tmp_path / "in" / name
    path.parent.mkdir(exist_ok=True)
    if isinstance(content, Workbook):
        content.save(path)
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def workbook(*rows: Sequence[Any]) -> Workbook:
    book = Workbook()
    for row in rows:
        book.active.append(list(row))  # type: ignore[union-attr]
    return book


def incoming(lab: Laboratory) -> list[Sheet]:
    return list(lab.incoming("sample"))


def one(lab: Laboratory) -> Sheet:
    (sheet,) = incoming(lab)
    assert not sheet.problem, sheet.problem
    assert not sheet.later, sheet.later
    return sheet


def told(sheet: Sheet) -> dict[Any, Any]:
    """Row number to what was read, without what says where it comes from."""
    return {row: {k: v for k, v in record.items() if v is not None and k not in ("raw_data", "raw_hash")}
            for row, record in zip(sheet.frame.index, sheet.frame.to_dict("records"))}  # fmt: skip


def reasons(sheet: Sheet) -> dict[int, str]:
    return sheet._wrong(None)


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


@pytest.mark.parametrize("kind", ["xlsx", "csv"])
@pytest.mark.parametrize("decimal", ["auto", ","])
def test_a_filled_sheet_comes_back_with_the_same_texts(kind: str, decimal: str, lab: Any, tmp_path: Path) -> None:
    here = lab(format=kind, decimal=decimal)
    here.submit(batch())
    (path,) = (tmp_path / "out").iterdir()
    if kind == "xlsx":
        book = load_workbook(path)
        for row, value in ((2, 55.1), (3, "1,5"), (4, "<5")):
            book.worksheets[0].cell(row, 5).value = value  # type: ignore[union-attr]
        drop(tmp_path, path.name, book)
    else:
        separator = ";" if decimal == "," else ","
        rows = list(csv.reader(io.StringIO(path.read_text("utf-8-sig")), delimiter=separator))
        assert rows[2][:4] == ["c-0002", "007", "'=1+1", "-5"]
        assert rows[1][3] == ("20,5" if decimal == "," else "20.5")
        for row, value in ((1, "55,1"), (2, "1,5"), (3, "<5")):
            rows[row][4] = value
        out = io.StringIO()
        csv.writer(out, delimiter=separator).writerows(rows)
        drop(tmp_path, path.name, out.getvalue())
    sheet = one(here)
    assert told(sheet) == {
        2: {"proposal_id": "c-0001", "sample": "a", "yield": 55.1},
        3: {"proposal_id": "c-0002", "sample": "007", "yield": 1.5},
        4: {"proposal_id": "c-0003", "sample": "-x@", "yield": 5.0, "yield_bound": "below"},
    }
    assert set(sheet.frame["raw_data"]) == {path.name}
    assert {len(text) for text in sheet.frame["raw_hash"]} == {64}
    assert here.settle(sheet, NONE) is None
    assert [p.name for p in (tmp_path / "in" / "done").iterdir()] == [path.name]
    assert incoming(here) == []


def test_disorder_is_no_harm(lab: Any, tmp_path: Path) -> None:
    drop(tmp_path, "b.xlsx", workbook(
        ["Results of week 3"], [],
        ["Note", "Yield (percent)", "lab book", "Sample", "YIELD_std [%]", "Proposal ID", "Replicate", "measured at", "status", "cost"],
        ["good", 55.1, "p. 3", "a", 0.5, "c-0001", None, datetime(2026, 1, 31, 14), None, 2],
        [],
        [None, None, None, "b", None, "c-0002", None, None, None, None],
        [None, "12 %", None, "a", None, "c-0001", 1, "31.1.2026", "Measured ", None],
        ["spilt", None, None, "d", None, None, None, None, "FAILED", None],
        [None, 7, None, "extra", None, None, None, None, None, None],
        [], ["Measured by A. on the new machine"],
    ))  # fmt: skip
    sheet = one(lab())
    assert told(sheet) == {
        4: {"note": "good", "yield": 55.1, "sample": "a", "yield_std": 0.5, "proposal_id": "c-0001", "cost": 2.0,
            "measured_at": "2026-01-31T14:00:00"},
        7: {"yield": 12.0, "sample": "a", "proposal_id": "c-0001", "replicate": 1.0,
            "measured_at": "2026-01-31T00:00:00", "status": "measured"},
        8: {"note": "spilt", "sample": "d", "status": "failed"},
        9: {"yield": 7.0, "sample": "extra"},
    }  # fmt: skip
    assert sheet.refused == ()
    assert sheet.empty == 2  # row 6, and the note below


def test_a_bad_row_takes_no_good_one_with_it(lab: Any, tmp_path: Path) -> None:
    book = workbook(
        ["proposal_id", "id", "yield [%]", "yield_std", "status", "note"],
        ["c-0001", "a", 55.1], ["c-0002", "b", "1,234"], ["c-0003", "c", "n.d."], ["c-0004", "d", datetime(2026, 5, 1)],
        ["c-0005", datetime(2026, 2, 1), 5], ["c-0006", "f", "=1/0"], ["c-0007", "g", 5, "<1"], [None, None, 9],
        ["c-0009", "i", True], ["c-0010", "j", 41, None, None, "=HYPERLINK(\"http://x\")"], ["c-0011", "k", "5 GPa"],
        ["c-0012", True, 3],
    )  # fmt: skip
    drop(tmp_path, "w.xlsx", book)
    sheet = one(lab())
    assert list(told(sheet)) == [2, 11]
    found = reasons(sheet)
    for row, said in {
        3: "may mean 1.234 or 1234", 4: "not detected", 5: "made a date", 6: "2026-02-01T00:00:00 of the id",
        7: "result of a formula was not saved", 8: "not a bound", 9: "names neither", 10: "not a number",
        12: "not a number in %", 13: "made True of the id",
    }.items():  # fmt: skip
        assert said in found[row], (row, found[row])
    assert 11 not in found
    assert told(sheet)[11] == {"proposal_id": "c-0010", "sample": "j", "yield": 41.0, "note": ""}
    refusals = pd.DataFrame(
        [{"row": 2, "id": "a", "proposal_id": "c-0001", "became": "refused", "remark": "told before"}]
    )
    waits = lab().settle(sheet, refusals)
    assert waits == tmp_path / "in" / "quarantine" / "w.csv"
    rows = list(csv.reader(io.StringIO(waits.read_text("utf-8-sig"))))
    assert rows[0][:4] == ["proposal_id", "id", "yield [%]", "yield_std"]
    assert rows[0][-2:] == ["row in the sheet", "reason"]
    assert [row[-2] for row in rows[1:]] == ["2", "3", "4", "5", "6", "7", "8", "9", "10", "12", "13"]
    assert "told before" in rows[1][-1]
    assert not any(cell[:1] in ("=", "+", "-", "@") for row in rows for cell in row)
    text = sheet.report(refusals, waits)
    assert "11 refused" in text
    assert "row 3: yield [%]: '1,234' may mean" in text


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
    "data",
    [
        "proposal_id,id,yield [%],note\r\nc-1,a,55.1,ä\r\n".encode(),
        "proposal_id,id,yield [%],note\r\nc-1,a,55.1,ä\r\n".encode("utf-8-sig"),
        "proposal_id;id;yield [%];note\r\nc-1;a;55,1;ä\r\n".encode("cp1252"),
        "proposal_id\tid\tyield [%]\tnote\r\nc-1\ta\t55,1\tä\r\n".encode("utf-16"),
        "proposal_id\tid\tyield [%]\tnote\r\nc-1\ta\t55,1\tä\r\n".encode("utf-16-le"),
        "sep=;\r\nproposal_id;id;yield [%];note\r\nc-1;a;55,1;ä\r\n".encode(),
        '"proposal_id","id","yield [%]","note"\nc-1,a,"55,1",ä\n\n,,,\n'.encode(),
        "\n\nResults;;;\nid;yield in %;proposal_id;note\na;55,1;c-1;ä\n".encode(),
        "A void, in week 3, and\nsample;yield in %;proposal_id;note\na;55,1;c-1;ä\n".encode(),
        "proposal_id,id,yield / %,note\rc-1,a,55.1,ä\r".replace("\r", "\r\n").encode(),
    ],
)
def test_csv_files_of_all_kinds(data: bytes, lab: Any, tmp_path: Path) -> None:
    drop(tmp_path, "w.csv", data)
    sheet = one(lab())
    assert list(told(sheet).values()) == [{"proposal_id": "c-1", "sample": "a", "yield": 55.1, "note": "ä"}]
    assert not sheet.refused
    assert sheet.remarks == (("read as Windows-1252, for it is not UTF-8",) if b"\xe4\r\n" in data else
                             ("read as UTF-16",) if data[1:2] == b"\0" else ())  # fmt: skip


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("proposal_id,id,yield,yield_std\nc-1,a,55,1,\n", 2),  # a decimal comma among commas
        ("proposal_id,id,yield,yield_std\nc-1,a,55,1,3\n", 2),
        ("proposal_id,id,yield,yield_std\nc-1,a,55\n", 2),
        ("proposal_id,id,yield,yield_std\nc-0,b,1,2\nc-1,a,,,5\n", 3),
    ],
)
def test_nothing_is_shifted(text: str, row: int, lab: Any, tmp_path: Path) -> None:
    drop(tmp_path, "w.csv", text)
    sheet = one(lab())
    assert row not in told(sheet)
    assert "cells, and the header names 4" in reasons(sheet)[row]


def test_units_in_headers(lab: Any, tmp_path: Path) -> None:
    here = lab(targets={"yield": "%", "stress": "GPa", "n": ""})
    drop(tmp_path, "w.csv", "id,yield [fraction],stress (MPa),n\na,0.5,,\nb,,5,\nc,,,1.5\nd,0.5,,2\n")
    sheet = one(here)
    assert told(sheet) == {4: {"sample": "c", "n": 1.5}}
    assert "the column is in 'fraction', and '%' is expected" in reasons(sheet)[2]
    assert "the column is in 'MPa', and 'GPa' is expected" in reasons(sheet)[3]
    assert 5 in reasons(sheet)


def test_merged_cells(lab: Any, tmp_path: Path) -> None:
    book = workbook(["week 3"], ["proposal_id", "id", "yield", "yield_std", "note"], ["c-1", "a", 5, None, "both"],
                    ["c-2", "b"], ["c-3", "c", 7], ["c-4", None, 8], ["c-5", "e", 9])  # fmt: skip
    sheet = book.worksheets[0]
    for area in ("A1:E1", "C3:C4", "E3:E4", "C5:D5", "B6:B7"):
        sheet.merge_cells(area)
    drop(tmp_path, "w.xlsx", book)
    found = one(lab())
    assert told(found) == {
        5: {"proposal_id": "c-3", "sample": "c", "yield": 7.0},
        6: {"proposal_id": "c-4", "yield": 8.0},
        7: {"proposal_id": "c-5", "yield": 9.0},
    }
    assert {row: "merged over several rows" in text for row, text in reasons(found).items()} == {3: True, 4: True}


def test_percentages_and_saved_formulas(lab: Any, tmp_path: Path) -> None:
    book = workbook(["id", "yield [%]"], ["a", 0.551], ["b", 0.4])
    book.worksheets[0]["B2"].number_format = "0.0%"
    path = drop(tmp_path, "w.xlsx", book)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    part = "xl/worksheets/sheet1.xml"
    assert b"<v>0.4</v>" in parts[part]
    parts[part] = parts[part].replace(b"<v>0.4</v>", b"<f>8*5</f><v>40</v>")  # as a spreadsheet saves it
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    assert told(one(lab())) == {2: {"sample": "a", "yield": 55.1}, 3: {"sample": "b", "yield": 40.0}}


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


@pytest.mark.parametrize("place", range(5))
def test_half_of_a_character_keeps_nothing_out(place: int, lab: Any, tmp_path: Path) -> None:
    header, bad, good = (
        ["sample", "yield", "note", "status", "more"],
        ["a", 1, "n", None, None],
        ["b", 2, "m", None, None],
    )
    (header if place == 4 else bad)[place] = "_xD800_"
    drop(tmp_path, "a.xlsx", workbook(header, bad, good))
    here = lab()
    sheet = one(here)
    sheet.frame.to_json()
    assert 3 in sheet.frame.index
    here.settle(sheet, NONE)
    sheet.report(NONE).encode()
    assert [path.name for path in (tmp_path / "in" / "done").iterdir()] == ["a.xlsx"]


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
