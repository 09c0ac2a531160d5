from __future__ import annotations

import csv
import io

from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook

from discover.experiment.laboratory.text import csv_escaped, csv_plain, excel_escaped, excel_plain
from discover.experiment.laboratory.writing import _put

BEGINNINGS = st.sampled_from(["", "=", "+", "-", "@", "\t", "\r", "'", "''=", "'a", "_x0041_", "_x005F_x0041_"])
TEXT = st.builds(str.__add__, BEGINNINGS, st.text(st.characters(exclude_categories=["Cs"]), max_size=20))


@given(TEXT)
def test_csv_text_is_no_formula_and_comes_back(text: str) -> None:
    escaped = csv_escaped(text)
    assert escaped[:1] not in ("=", "+", "-", "@", "\t", "\r")
    assert csv_plain(escaped) == text
    out = io.StringIO(newline="")
    csv.writer(out).writerow([escaped, "x"])
    assert next(csv.reader(io.StringIO(out.getvalue(), newline="")))[0] == escaped


@given(st.lists(TEXT.filter(bool), min_size=1, max_size=30))
def test_workbook_text_is_no_formula_and_comes_back(texts: list[str]) -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row, text in enumerate(texts, start=1):
        _put(sheet.cell(row, 1), text)
    out = io.BytesIO()
    book.save(out)
    cells = [row[0] for row in load_workbook(io.BytesIO(out.getvalue())).active.iter_rows()]  # type: ignore[union-attr]
    assert [excel_plain(str(cell.value)) for cell in cells] == texts
    assert {cell.data_type for cell in cells} == {"s"}


@given(TEXT)
def test_escapes_of_workbooks_are_undone(text: str) -> None:
    assert excel_plain(excel_escaped(text)) == text
