"""Sheets from a laboratory whose cells say that rows were mixed up are not taken at all; what spreadsheets make of cells is no reason."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from discover import Campaign
from discover.campaign.experiments.collecting import Told, collect, dispatch
from discover.definition import load

CAMPAIGN = """
campaign: arylation
seed: 0
objective: {target: yield, direction: maximize, unit: "%"}
candidates:
  kind: space
  parameters:
    - {kind: continuous, name: temperature, low: 20, high: 30, unit: degC}
    - {kind: discrete, name: time, values: [0.5, 1.25, 1234.5], unit: h}
    - {kind: continuous, name: loading, low: 1, high: 10, step: 0.5, unit: "mol%", when: "base == 'KOH'"}
    - {kind: categorical, name: base, values: [KOH, "γ-picoline", "1-2"]}
    - {kind: substance, name: ligand, values: {PPh3: "c1ccc(cc1)P(c1ccccc1)c1ccccc1", PCy3: "C1CCC(CC1)P(C1CCCCC1)C1CCCCC1"}}
    - {kind: mixture, name: solvent, components: [water, ethanol], step: 0.1}
    - {kind: binary, name: light}
policy: {kind: random, batch: 12}
experiment: {kind: laboratory, outbox: out, inbox: in, quiet: 0, format: csv, targets: {yield: "%"}}
"""
Rows = list[list[str]]


class Bench:
    """A campaign and its laboratory: the sheet that went out, and what comes of one that is sent back."""

    def __init__(self, folder: Path, text: str = CAMPAIGN):
        path = folder / "c.yaml"
        path.write_text(text, encoding="utf-8")
        definition = load(path)
        self.folder = folder
        self.campaign: Campaign = definition.open()
        self.experiment: Any = definition.runner(self.campaign.files)
        self.campaign.ask(12)
        with self.campaign.held():
            dispatch(self.campaign, self.experiment)
        (self.out,) = (folder / "out").iterdir()

    def rows(self) -> Rows:
        """The sheet with a yield in every row."""
        found = list(csv.reader(io.StringIO(self.out.read_text("utf-8-sig"))))
        place = found[0].index("yield [%]")
        return [found[0], *([*row[:place], f"{n}.5", *row[place + 1 :]] for n, row in enumerate(found[1:]))]

    def back(self, rows: Rows, name: str = "back.csv", encoding: str = "utf-8", separator: str = ",") -> Told:
        """What became of rows sent back."""
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=separator).writerows(rows)
        (self.folder / "in" / name).write_bytes(text.getvalue().encode(encoding))
        with self.campaign.held():
            (told,) = collect(self.campaign, self.experiment).sheets
        return told


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.delenv("DISCOVER_STORE", raising=False)
    return Bench(tmp_path)


def column(rows: Rows, name: str, change: Callable[[str], str]) -> Rows:
    """The rows with a column changed."""
    at = rows[0].index(name)
    return [rows[0], *([*row[:at], change(row[at]), *row[at + 1 :]] for row in rows[1:])]


def test_a_sheet_sorted_in_part_is_not_taken_and_waits_whole(bench: Bench) -> None:
    rows = bench.rows()
    first = rows[0].index("temperature")
    ordered = sorted(range(1, 13), key=lambda row: float(rows[row][first]))
    mixed = [rows[0], *(rows[row][:2] + rows[ordered[row - 1]][2:] for row in range(1, 13))]
    before = bench.campaign.ledger.seq
    told = bench.back(mixed)
    assert bench.campaign.ledger.seq == before
    assert told.report.startswith("back.csv: nothing was read: what it says of its trials is not what was proposed")
    wrong = next(row for row in range(1, 13) if ordered[row - 1] != row)
    assert f"row {wrong + 1}, column 'temperature', value '{mixed[wrong][first]}': is {float(rows[wrong][first])!r} in {mixed[wrong][0]}" in told.report  # fmt: skip
    for way_out in ("mend the sheet", "'note'", f"it waits in {bench.folder / 'in' / 'quarantine' / 'back.csv'}"):
        assert way_out in told.report
    assert (bench.folder / "in" / "quarantine" / "back.csv.reason.txt").exists()
    assert not (bench.folder / "in" / "back.csv").exists()
    assert set(bench.back(rows).became["became"]) == {"measured"}


@pytest.mark.parametrize(
    ("name", "cell"),
    [("base", "K2CO3"), ("light", None), ("solvent.water", "0.05"), ("time", "3"), ("ligand", "XPhos")],
)
def test_one_changed_cell_keeps_the_others_out(bench: Bench, name: str, cell: str | None) -> None:
    rows = bench.rows()
    at = rows[0].index(name)
    rows[5][at] = cell or ("no" if rows[5][at] == "True" else "yes")
    told = bench.back(rows)
    assert f"row 6, column '{name}', value '{rows[5][at]}': is " in told.report
    assert told.report.count("\n") == 2
    assert bench.campaign.observations.empty


def test_a_value_where_the_candidate_has_none_is_noticed(bench: Bench) -> None:
    rows = bench.rows()
    at, base = rows[0].index("loading"), rows[0].index("base")
    idle = next(row for row in rows[1:] if row[base] != "KOH")
    assert not idle[at]
    idle[at] = "5"
    assert f"column 'loading', value '5': has no value in {idle[0]}" in bench.back(rows).report
    idle[at] = "-"
    assert set(bench.back(rows).became["became"]) == {"measured"}


def _decimals(text: str) -> str:
    return text.replace(".", ",")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("temperature", lambda text: f"{float(text):.1f}"),
        ("temperature", lambda text: f"{float(text):.2E}"),
        ("temperature", lambda text: f"{float(text):.8f}00"),
        ("temperature", lambda text: f"{float(text):.0f} °C"),
        ("time", lambda text: "1.234,5" if text == "1234.5" else _decimals(text)),
        ("time", lambda text: "1,234.5" if text == "1234.5" else f"{text}0"),
        ("time", lambda text: ""),
        ("base", lambda text: {"1-2": "02. Jan", "γ-picoline": "?-picoline"}.get(text, f" {text} ")),
        ("base", lambda text: "2-Jan" if text == "1-2" else text.lower()),
        ("ligand", lambda text: "C1CCCCC1P(C1CCCCC1)C1CCCCC1" if text == "PCy3" else text),
        ("light", lambda text: {"True": "WAHR", "False": "FALSCH"}[text]),
        ("light", lambda text: str(int(text == "True"))),
        ("solvent.water", lambda text: f"{100 * float(text):.0f} %"),
    ],
)
def test_what_a_spreadsheet_makes_of_cells_is_taken(bench: Bench, name: str, change: Callable[[str], str]) -> None:
    told = bench.back(column(bench.rows(), name, change))
    assert set(told.became["became"]) == {"measured"}, told.report


def test_a_european_sheet_with_columns_added_dropped_and_renamed_is_taken(bench: Bench) -> None:
    rows = column(column(bench.rows(), "temperature", _decimals), "time", _decimals)
    rows = column(column(rows, "loading", _decimals), "solvent.water", _decimals)
    names = {
        "temperature": "Temperature [°C]",
        "time": "time (min)",
        "base": "Base ",
        "solvent.ethanol": "EtOH",
        "light": "light",
    }
    at = rows[0].index("light")
    rows = [[*row[:at], *row[at + 1 :], "1-2" if n else "our batch"] for n, row in enumerate(rows)]
    rows[0] = [names.get(name, name) for name in rows[0]]
    rows = column(rows, "time (min)", lambda text: _decimals(repr(60 * float(text.replace(",", ".")))))
    told = bench.back(rows, separator=";", encoding="utf-16")
    assert set(told.became["became"]) == {"measured"}, told.report
    rows = column(rows, "Temperature [°C]", lambda text: "19,99")
    rows = column(rows, "yield [%]", lambda text: "50")
    assert "column 'temperature', value '19,99'" in bench.back(rows, separator=";").report


def test_a_workbook_is_held_against_its_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISCOVER_STORE", raising=False)
    bench = Bench(tmp_path, CAMPAIGN.replace("format: csv", "format: xlsx"))
    book = load_workbook(bench.out)
    sheet = book.worksheets[0]
    at = {str(cell.value): place for place, cell in enumerate(sheet[1], start=1)}
    for row in range(2, 14):
        sheet.cell(row, at["yield [%]"], row)
        share = sheet.cell(row, at["solvent.water"])
        share.number_format = "0%"
        if row > 7:
            sheet.cell(row, at["temperature"]).number_format = "0"
    sheet.cell(3, at["time"], "=1/0")  # a formula whose result was not saved
    sheet.merge_cells(start_row=5, end_row=6, start_column=at["base"], end_column=at["base"])
    kept = sheet.cell(9, at["temperature"]).value
    sheet.cell(9, at["temperature"], 40.0)
    book.save(tmp_path / "in" / "a.xlsx")
    with bench.campaign.held():
        (told,) = collect(bench.campaign, bench.experiment).sheets
    assert f"row 9, column 'temperature', value 40: is {float(kept)!r}" in told.report
    assert told.quarantine == tmp_path / "in" / "quarantine" / "a.xlsx"
    sheet.cell(9, at["temperature"], kept)
    book.save(tmp_path / "in" / "b.xlsx")
    with bench.campaign.held():
        (told,) = collect(bench.campaign, bench.experiment).sheets
    assert set(told.became["became"]) == {"measured"}, told.report


def test_a_row_that_is_wrong_otherwise_waits_alone(bench: Bench) -> None:
    rows = bench.rows()
    at = rows[0].index("yield [%]")
    rows[3][at] = "forty"
    told = bench.back(rows)
    assert told.became["became"].tolist() == ["measured"] * 11
    assert "row 4: yield [%]: 'forty' not a number" in told.report


def test_what_was_not_shown_is_somebodys_own_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISCOVER_STORE", raising=False)
    bench = Bench(tmp_path, CAMPAIGN.replace("quiet: 0", "quiet: 0, columns: [base, ligand]"))
    rows = bench.rows()
    assert "temperature" not in rows[0]
    noted = [[*row, "temperature" if not n else "19.2"] for n, row in enumerate(rows)]
    wrong = [[*row] for row in noted]
    wrong[2][rows[0].index("ligand")] = "XPhos"
    assert "row 3, column 'ligand', value 'XPhos'" in bench.back(wrong).report
    assert set(bench.back(noted).became["became"]) == {"measured"}
