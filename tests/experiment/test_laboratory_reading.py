"""What a laboratory reads of a sheet that was filled in: every good row, of files of all kinds, and why not the others."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from openpyxl import load_workbook

from tests.experiment.laboratory_sheets import NONE, batch, drop, incoming, one, reasons, told, workbook


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
