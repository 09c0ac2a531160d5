"""Tables with semicolons: what can mean one thing only is read, and nothing is read as another number than was meant."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from discover.candidates.sheets.decimals import kind_of
from discover.candidates.sheets.sheet import Sheet, read_sheet
from discover.candidates.sources.table import TableSource, read_table
from discover.errors import InvalidInput
from tests.candidates.european import european

SAME_FOLDER = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
THOUSAND = re.compile(r"[<>+-]*[1-9]\d{0,2}[.,]\d{3}")


def written(folder: Path, data: bytes | str) -> Path:
    path = folder / "table.csv"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def frame_of(folder: Path, data: bytes | str) -> pd.DataFrame:
    return read_table(written(folder, data), id="id")[1]


def refused(folder: Path, data: str) -> list[tuple[object, ...]]:
    with pytest.raises(InvalidInput) as caught:
        frame_of(folder, data)
    return [(p.row, p.column, p.value, p.message) for p in caught.value.problems]


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    """Ids that look like numbers, numbers of every size, whole ones, some missing, names, and one number that shows the mark."""
    n = draw(st.integers(1, 5))
    number = st.floats(allow_nan=False, allow_infinity=False) | st.floats(-2000, 2000).map(lambda x: round(x, 3))
    columns = {
        "id": draw(
            st.lists(st.from_regex(r"[1-9]{1,3}\.[0-9]{3}", fullmatch=True), min_size=n, max_size=n, unique=True)
        ),
        "shown": [0.5] * n,
        "x": draw(st.lists(number, min_size=n, max_size=n)),
        "some": draw(st.lists(st.none() | number, min_size=n, max_size=n)),
        "whole": draw(st.lists(st.integers(-9999, 9999), min_size=n, max_size=n)),
        "word": draw(
            st.lists(st.sampled_from(["THF", "a;b", "1,2-DCE", 'the "best"', "2-Me"]), min_size=n, max_size=n)
        ),
    }
    return pd.DataFrame(columns)


@SAME_FOLDER
@given(frame=frames(), mark=st.sampled_from(".,"))
def test_both_dialects_of_a_table_are_the_same_table(frame: pd.DataFrame, mark: str, tmp_path: Path) -> None:
    text = frame.to_csv(index=False)
    plain, other = frame_of(tmp_path, text), frame_of(tmp_path, european(text, mark))
    assert other["id"].tolist() == [name.replace(".", mark) for name in frame["id"]]
    pd.testing.assert_frame_equal(other.drop(columns="id"), plain.drop(columns="id"), check_exact=True)
    np.testing.assert_allclose(other["x"], frame["x"], rtol=1e-14)


CELLS = st.text("0123456789.,-+<eE '", min_size=1, max_size=8) | st.from_regex(
    r"-?[0-9]{1,4}[.,][0-9]{1,4}", fullmatch=True
)


@settings(max_examples=2000, deadline=None)
@given(cell=CELLS)
def test_what_is_called_no_number_is_none(cell: str) -> None:
    """So no parser makes a number of a cell that was not looked at."""
    kind, mark = kind_of(cell)
    if kind == "other":
        for text in (cell, cell.replace(",", ".")):
            with pytest.raises(ValueError, match="could not convert"):
                float(text)
    elif kind in ("comma", "point"):
        assert cell.count(mark) == 1
        assert not THOUSAND.fullmatch(cell.strip().replace(" ", ""))


@SAME_FOLDER
@given(columns=st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=3))
def test_a_number_is_what_is_written_or_it_is_refused(columns: list[list[str]], tmp_path: Path) -> None:
    header = ";".join(["id", *(f"c{k}" for k in range(len(columns)))])
    rows = ["\r\n".join([header, *(";".join([f"r{row}", *(c[row] for c in columns)]) for row in range(2))])]
    try:
        found = frame_of(tmp_path, rows[0])
    except InvalidInput:
        return
    marks = set()
    for place, cells in enumerate(columns):
        if pd.api.types.is_numeric_dtype(found[f"c{place}"]):
            marks |= {mark for cell in cells for mark in ".," if mark in cell}
            for cell, value in zip(cells, found[f"c{place}"], strict=True):
                assert sum(mark in ".," for mark in cell) <= 1
                assert value == pytest.approx(float(cell.replace(",", ".")), rel=1e-14)
    assert len(marks) <= 1
    if marks:
        told = [cell for cells in columns for cell in cells if marks & set(cell)]
        assert any(not THOUSAND.fullmatch(cell.strip()) for cell in told)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("id;x\na;1,5\nb;1.5\n", [(3, "x", "1.5", "has a decimal point beside '1,5' in row 2, column 'x'")]),
        ("id;x;y\na;1,234;1.5\n", [(2, "x", "1,234", "may mean 1.234 or 1234 beside '1.5' in row 2, column 'y'")]),
        ("id;x\na;1,234\n", [(2, "x", "1,234", "may mean 1.234 or 1234")]),
        ("id;x\na;1.234\nb;-2.500\n", [(2, "x", "1.234", "may mean 1.234 or 1234"), (3, "x", "-2.500", "may mean -2.500 or -2500")]),
        ("id;x\na;1.234,5\n", [(2, "x", "1.234,5", "may be a number with separators of thousands")]),
        ("id;x\na;1'234.5\nb;2.5\n", [(2, "x", "1'234.5", "may be a number with separators of thousands")]),
        ("id;x\na;01.05\nb;2,5\n", [(2, "x", "01.05", "may be a date or a number")]),
        ("id;x\na;1.\nb;2\n", [(2, "x", "1.", "may be a date or a number")]),
    ],
)  # fmt: skip
def test_what_may_mean_two_things_is_refused_with_its_place(text: str, found: list[object], tmp_path: Path) -> None:
    assert refused(tmp_path, text) == found


def test_a_number_elsewhere_in_the_file_shows_what_is_meant(tmp_path: Path) -> None:
    assert frame_of(tmp_path, "id;x;y\na;1,234;0,5\n")["x"].tolist() == [1.234]
    assert frame_of(tmp_path, "id;x;y\na;1.234;0.5\n")["x"].tolist() == [1.234], "as a spreadsheet in Zurich writes it"


def test_columns_of_names_and_dates_stay_as_they_are(tmp_path: Path) -> None:
    text = "id;x;ratio;day;amount\n0,5;1,5;1:2;01.05.2026;2,5 mg\n1,25;2,5;2,5;02.05.2026;none\n"
    found = frame_of(tmp_path, text)
    assert found["id"].tolist() == ["0,5", "1,25"]
    assert found["x"].tolist() == [1.5, 2.5]
    assert found["ratio"].tolist() == ["1:2", "2,5"], "a column of texts, one of which looks like a number"
    assert found["day"].tolist() == ["01.05.2026", "02.05.2026"]
    assert found["amount"].tolist() == ["2,5 mg", "none"]


def test_with_commas_between_the_cells_nothing_is_new(tmp_path: Path) -> None:
    found = frame_of(tmp_path, 'id,x,y\na,"1,234",1.234\nb,"2,5",2.5\n')
    assert found["x"].tolist() == ["1,234", "2,5"], "texts, of which no feature can be made"
    assert found["y"].tolist() == [1.234, 2.5]
    sheet = read_sheet(tmp_path / "table.csv")
    assert sheet.with_points(numbers=["x"]) is sheet


def test_of_many_wrong_cells_the_first_are_told_and_the_rest_counted() -> None:
    rows = [[f"r{k}", "1,234"] for k in range(30)]
    sheet = Sheet(["id", "x"], rows, list(range(2, 32)), ";", "big.csv")
    with pytest.raises(InvalidInput, match="cells that may mean something else: 10 more") as caught:
        sheet.with_points()
    assert len(caught.value.problems) == 21


def test_a_source_of_candidates_is_the_same_from_either_file(tmp_path: Path) -> None:
    text = "id,temperature,base,ml\nr1,20.5,KOH,0.125\nr2,30,K3PO4,1.25\n"
    for name, data in (("plain.csv", text.encode()), ("europe.csv", european(text))):
        (tmp_path / name).write_bytes(data)
    one, other = (
        TableSource(name, "id").located(tmp_path, tmp_path / "files").pull() for name in ("plain.csv", "europe.csv")
    )
    assert one.hash == other.hash
    assert TableSource("europe.csv", "id").located(tmp_path, tmp_path).header() == ("id", "temperature", "base", "ml")


@pytest.mark.parametrize(("first", "mark"), [("sep=;\r\n", ";"), ("SEP=,\n", ",")])
def test_a_line_that_names_the_separator_is_no_header(first: str, mark: str, tmp_path: Path) -> None:
    body = mark.join(["id", "x"]) + "\r\n" + mark.join(["a", "7"]) + "\r\n"
    sheet = read_sheet(written(tmp_path, "\ufeff" + first + body))
    assert (sheet.header, sheet.rows, sheet.lines) == (["id", "x"], [["a", "7"]], [3])


def test_a_line_that_names_a_tab_is_refused_as_tabs_are(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="tab"):
        read_sheet(written(tmp_path, "sep=\t\nid\tx\na\t7\n"))
