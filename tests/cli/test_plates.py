"""Plates on the command line: wells, pictures, workbooks, and what is told from them."""

from __future__ import annotations

from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from discover.definition import load
from discover.errors import InvalidInput
from discover.report.plate import Plate, read_workbook, workbook
from tests.candidates.european import european

SPACE = """
campaign: plates
objective: {target: yield, direction: maximize, unit: "%"}
candidates:
  kind: space
  parameters:
    - {kind: continuous, name: temperature, low: 20, high: 120, step: 5, unit: degC}
    - {kind: categorical, name: base, values: ["=KOH", K3PO4, Cs2CO3]}
    - {kind: mixture, name: solvent, components: [water, ethanol], step: 0.05}
  batch_constraints: ["one temperature"]
policy: {kind: space-filling, batch: 24}
"""


@pytest.fixture
def cli(tmp_path, calling):
    (tmp_path / "plates.yaml").write_text(SPACE)
    return calling(tmp_path)


def campaign():
    return load("plates.yaml").open(None)


def test_a_workbook_goes_to_the_bench_and_comes_back(cli):
    cli("ask", "plates.yaml", "--plate", "24", "--out", "plate.xlsx", "--picture", "plate.png")
    assert Path("plate.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    book = openpyxl.load_workbook("plate.xlsx")
    sheet, bench = book["results"], book["plate"]
    header = [cell.value for cell in sheet[1]]
    wells = [row[header.index("well")].value for row in sheet.iter_rows(min_row=2)]
    assert wells == [f"{row}{column}" for row in "ABCD" for column in range(1, 7)]
    assert len({row[header.index("temperature")].value for row in sheet.iter_rows(min_row=2)}) == 1
    assert not any(cell.data_type == "f" for part in (sheet, bench) for row in part.iter_rows() for cell in row)
    assert bench.cell(2, 2).value
    assert "temperature" in bench.cell(7, 1).value  # what all wells have stands below them
    for line in range(2, 26):
        sheet.cell(line, header.index("yield") + 1).value = float(line)
    sheet.cell(3, header.index("yield") + 1).value = None
    sheet.cell(3, header.index("status") + 1).value = "failed"
    book.save("filled.xlsx")
    assert "A2" in cli("tell", "plates.yaml", "filled.xlsx", "--dry-run").output
    cli("tell", "plates.yaml", "filled.xlsx")
    told = campaign().observations
    assert sorted(told.loc[told["status"] == "measured", "yield"]) == [2.0, *map(float, range(4, 26))]
    assert (told["status"] == "failed").sum() == 1


def test_a_csv_of_a_large_plate_is_told_by_proposal(cli):
    cli("ask", "plates.yaml", "-n", "13", "--plate", "96", "--out", "plate.csv", "--picture", "plate.svg")
    sheet = pd.read_csv("plate.csv")
    assert sheet["well"].tolist() == [f"A{k}" for k in range(1, 13)] + ["B1"]
    turned = sheet.iloc[::-1].assign(**{"yield": range(13)})
    turned.to_csv("filled.csv", index=False)
    cli("tell", "plates.yaml", "filled.csv")
    told = campaign().observations.set_index("proposal_id")["yield"]
    assert told.to_dict() == {p: float(v) for p, v in zip(turned["proposal_id"], turned["yield"])}


YIELDS = ["12.5", "<0.5", "", "98.125", "3"]
NOTES = ["2,5", "2,5 equiv", "", "1.234", "01.05"]


def test_a_csv_from_a_european_spreadsheet_is_told_as_it_is_meant(cli):
    cli("ask", "plates.yaml", "-n", "5", "--plate", "24", "--out", "plate.csv")
    sheet = pd.read_csv("plate.csv", dtype=str, keep_default_na=False).assign(**{"yield": YIELDS})
    lines = european(sheet.to_csv(index=False)).decode().split("\r\n")
    lines[1:6] = [line + note for line, note in zip(lines[1:6], NOTES, strict=True)]  # the last column
    Path("filled.csv").write_text("\r\n".join(lines), encoding="utf-8", newline="")
    cli("tell", "plates.yaml", "filled.csv")
    told = campaign().observations.set_index("proposal_id")
    assert told["yield"].reindex(sheet["proposal_id"]).fillna(-1).tolist() == [12.5, 0.5, -1, 98.125, 3]
    assert told.loc[sheet["proposal_id"][1], "yield_bound"] == "below"
    assert told["note"].reindex(sheet["proposal_id"]).tolist()[0] == "2,5"
    assert told["note"].reindex(sheet["proposal_id"]).tolist()[3] == "1.234"


def test_of_a_european_csv_the_cells_that_are_wrong_are_told_and_nothing_is_added(cli):
    cli("ask", "plates.yaml", "-n", "4", "--plate", "24", "--out", "plate.csv")
    sheet = pd.read_csv("plate.csv", dtype=str, keep_default_na=False)
    for yields, told in (
        (["12.5", "n.d.", "3.5", ""], ["row 3, column 'yield', value 'n.d.': not a number"]),
        (["12.5", "1,234.5", "3", ""], ["value '1,234.5': may be a number with separators of thousands"]),
    ):
        Path("filled.csv").write_bytes(european(sheet.assign(**{"yield": yields}).to_csv(index=False)))
        error = cli("tell", "plates.yaml", "filled.csv", code=1).output
        assert "1 problem" in error
        for one in told:
            assert one in " ".join(error.split())
    assert not campaign().status().to_dict()["measured"]


@pytest.mark.parametrize(
    "wrong",
    [
        ("--plate", "30"),
        ("--plate", "24", "-n", "25"),
        ("--picture", "plate.png"),
        ("--plate", "24", "--picture", "plate.gif"),
        ("--out", "batch.xlsx"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_committed(cli, wrong):
    cli("ask", "plates.yaml", *wrong, code=1)
    cli("status", "plates.yaml", code=1)  # there is no campaign yet


def test_wells_say_what_differs_and_leave_out_what_is_not_there():
    batch = pd.DataFrame(
        {"base": ["KOH", "K3PO4"], "solvent.water": [0.0, 0.25], "solvent.ethanol": [1.0, 0.75], "heat": [80.0, 80.0]}
    )
    plate = Plate.of(batch, list(batch.columns), 24)
    assert plate.lines(0) == ["KOH", "ethanol 1"]
    assert plate.lines(1) == ["K3PO4", "water 0.25", "ethanol 0.75"]
    assert plate.constants == "heat 80"
    with pytest.raises(InvalidInput, match="do not fit"):
        Plate.of(pd.concat([batch] * 13), list(batch.columns), 24)


def test_a_workbook_gives_back_what_was_written():
    batch = pd.DataFrame({"proposal_id": ["0001", "=1+1"], "x": [0.1, 2.0], "empty": [None, float("nan")]})
    plate = Plate.of(batch, ["x"], 24)
    found = read_workbook(workbook(plate.sheet(batch, ["yield"]), plate))
    assert found["proposal_id"].iloc[0] == "0001"
    assert found["x"].tolist() == [0.1, 2.0]
    assert found["empty"].isna().all()
    assert found["yield"].isna().all()
    assert list(found.index) == [2, 3]


def filled(change, name="filled.xlsx"):
    """A plate's sheet in which every yield is 50, but for what `change(sheet, column of the yield)` makes of it."""
    book = openpyxl.load_workbook("plate.xlsx")
    sheet = book["results"]
    column = [cell.value for cell in sheet[1]].index("yield") + 1
    for line in range(2, sheet.max_row + 1):
        sheet.cell(line, column).value = 50.0
    change(sheet, column)
    book.save(name)
    return name


def test_what_a_spreadsheet_shows_as_percentages_is_told_in_percent(cli):
    cli("ask", "plates.yaml", "-n", "3", "--plate", "24", "--out", "plate.xlsx")

    def percentages(sheet, column):
        for line, value in ((2, 0.551), (3, 0.07)):
            sheet.cell(line, column).value = value
            sheet.cell(line, column).number_format = "0.0%"

    cli("tell", "plates.yaml", filled(percentages))
    assert sorted(campaign().observations["yield"]) == [7.0, 50.0, 55.1]
    Path("plates.yaml").write_text(SPACE.replace('unit: "%"', "unit: g").replace("campaign: plates", "campaign: grams"))
    assert "shows a percentage" in cli("tell", "plates.yaml", "filled.xlsx", code=1).output


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda sheet, column: setattr(sheet.cell(2, column), "value", "=1+1"), "a formula was not saved"),
        (lambda sheet, column: setattr(sheet.cell(3, column), "value", "#DIV/0!"), "row 3, column 'yield', value '#DIV/0!'"),
        (lambda sheet, column: sheet.merge_cells(None, 2, column, 3, column), "merged over several rows"),
        (lambda sheet, column: setattr(sheet.cell(2, 40), "value", 7.0), "beyond the named columns"),
        (lambda sheet, column: setattr(sheet.cell(2, column), "value", "45 %"), "write the number alone"),
    ],
)  # fmt: skip
def test_what_a_person_sees_and_a_program_does_not_get_is_said(cli, change, told):
    cli("ask", "plates.yaml", "-n", "3", "--plate", "24", "--out", "plate.xlsx")
    assert told in cli("tell", "plates.yaml", filled(change), code=1).output
    assert campaign().observations.empty


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 cut off", b"yield,id\n1,2\n", b"\xd0\xcf\x11\xe0 old"])
def test_what_is_no_workbook_is_refused(cli, data):
    cli("ask", "plates.yaml", "-n", "1", "--plate", "24", "--out", "plate.xlsx")
    Path("odd.xlsx").write_bytes(data)
    cli("tell", "plates.yaml", "odd.xlsx", code=1)


@pytest.mark.parametrize("change", [("name: base", "name: well"), ("target: yield", "target: well")])
def test_a_campaign_with_a_column_of_wells_gets_no_plate_and_loses_no_proposal(cli, change):
    Path("plates.yaml").write_text(SPACE.replace(*change))
    said = cli("ask", "plates.yaml", "--plate", "24", "--out", "plate.csv", code=1).output
    assert "a column 'well'" in said
    assert not Path("plate.csv").exists()
    assert campaign().proposals.empty
    cli("ask", "plates.yaml", "-n", "3", "--out", "batch.csv")
    assert len(pd.read_csv("batch.csv")) == 3


@pytest.mark.parametrize("name", ["temperature", "solvent.water", "candidate"])
def test_a_target_with_the_name_of_a_parameter_is_found_by_validate(cli, name):
    Path("plates.yaml").write_text(SPACE.replace("target: yield", f"target: {name}"))
    assert "is a column of the candidates, too" in cli("validate", "plates.yaml", code=1).output


@pytest.mark.parametrize(
    ("fixed", "value"),
    [("1.0", "1.0"), ("1", "1"), ("8.50", "8.50"), ("true", "true"), ("no", "no"), ("=KOH", "=KOH"), ("[x", "[x")],
)
def test_what_is_fixed_is_the_label_that_was_written(cli, fixed, value):
    labels = "name: base, values: ['1.0', '1', '8.50', 'true', 'no', '=KOH', '[x']"
    Path("plates.yaml").write_text(SPACE.replace('name: base, values: ["=KOH", K3PO4, Cs2CO3]', labels))
    cli("ask", "plates.yaml", "-n", "2", "--fix", f"base={fixed}", "--fix", "temperature=45", "--out", "batch.csv")
    batch = campaign().pending
    assert set(batch["base"]) == {value}
    assert set(batch["temperature"]) == {45.0}


def test_values_of_a_table_are_fixed_as_its_columns_have_them(cli):
    frame = pd.DataFrame(
        {"id": [f"r{k}" for k in range(8)], "lot": ["1.0", "1"] * 4, "wet": [True, False] * 4, "x": range(8)}
    )
    frame.to_csv("t.csv", index=False)
    text = (
        "campaign: t\nobjective: {target: yield, direction: maximize}\ncandidates: {kind: table, file: t.csv, id: id}\n"
    )
    Path("t.yaml").write_text(text + "features: [x]\npolicy: {kind: random}\n")
    cli("ask", "t.yaml", "-n", "1", "--fix", "x=3.0", "--fix", "wet=False", "--out", "batch.csv")
    assert pd.read_csv("batch.csv")["id"].tolist() == ["r3"]
    cli("ask", "t.yaml", "--fix", "x=seven", code=1)
