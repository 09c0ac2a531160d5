"""Whatever lies in an inbox, reading it gives rows or a reason."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from discover.experiment.laboratory.reading import Grid, NotWhole, Refused, read_grids
from discover.experiment.laboratory.rows import Rows, read_rows

TARGETS = {"yield": "%"}
LINES = st.lists(st.text(st.sampled_from("abid,;\t\"'\n\r=5.1<%- \u00e4"), max_size=30), max_size=6)


def read(data: bytes, suffix: str) -> Rows | None:
    try:
        return read_rows(read_grids(data, suffix), TARGETS, "sample", "auto")
    except (NotWhole, Refused) as error:
        assert str(error)  # noqa: PT017
        return None


@given(st.binary(max_size=300), st.sampled_from([".csv", ".tsv", ".xlsx", ".xls"]))
def test_any_bytes(data: bytes, suffix: str) -> None:
    read(data, suffix)


@given(LINES, st.sampled_from(["utf-8", "utf-16", "cp1252"]), st.sampled_from(",;"))
def test_any_lines_below_a_header(lines: list[str], encoding: str, mark: str) -> None:
    text = "\n".join([f"proposal_id{mark}id{mark}yield [%]", *lines])
    rows = read(text.encode(encoding), ".csv")
    if rows is not None:
        assert not set(rows.good) & set(rows.refused)
        assert set(rows.good) | set(rows.refused) == set(rows.cells)
        for row in rows.good.values():
            assert {"proposal_id", "sample"} & row.keys()
            assert {"yield"} & row.keys()


@pytest.fixture(scope="module")
def workbook() -> bytes:
    book = Workbook()
    sheet: Any = book.active
    for row in (["proposal_id", "id", "yield [%]"], ["c-1", "a", 5.5], ["c-2", "b", "<5"]):
        sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


@settings(max_examples=60)
@given(data=st.data())
def test_any_damage_to_a_workbook(workbook: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(workbook) - 1))
    patch = data.draw(st.binary(min_size=1, max_size=8))
    rows = read(workbook[:place] + patch + workbook[place + len(patch) :], ".xlsx")
    if rows is not None:
        assert set(rows.good) <= {2, 3}


def test_a_workbook_of_a_zip_version_that_is_none_breaks_off(workbook: bytes) -> None:
    place = workbook.index(b"PK\x01\x02") + 6
    assert read(workbook[:place] + b"\x40" + workbook[place + 1 :], ".xlsx") is None


def test_an_undamaged_workbook(workbook: bytes) -> None:
    rows = read(workbook, ".xlsx")
    assert rows is not None
    assert [row["yield"] for row in rows.good.values()] == [5.5, 5.0]


def test_the_fidelity_and_the_context_of_a_result_are_read() -> None:
    target = next(iter(TARGETS))
    header: list[object] = ["proposal_id", target, "Fidelity", "context"]
    grid = Grid("s", [(1, header), (2, ["p-1", 1.5, "high", '{"reactor": "A"}']), (3, ["p-2", 2.5, None, None])])
    found = read_rows([grid], TARGETS, "sample", "auto").good
    assert (found[2]["fidelity"], found[2]["context"]) == ("high", '{"reactor": "A"}')
    assert not {"fidelity", "context"} & found[3].keys()
