from __future__ import annotations

from contextlib import suppress
from datetime import date, datetime, time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover.experiment.laboratory.numbers import (
    Decimal,
    Odd,
    Percent,
    Unreadable,
    is_empty,
    marks,
    moment,
    number,
    shown,
)
from discover.experiment.laboratory.units import same_unit


def read(cell: Any, unit: str = "%", column: tuple[Any, ...] = (), decimal: Decimal = "auto") -> Any:
    value, bound = number(cell, unit, marks([cell, *column], decimal), decimal)
    return value if bound is None else (value, bound)


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        (55, 55.0), (55.1, 55.1), ("55.1", 55.1), ("55,1", 55.1), (" 55,10 ", 55.1), ("-3", -3.0), ("−3,5", -3.5),
        ("+2", 2.0), (".5", 0.5), (",5", 0.5), ("0,123", 0.123), ("0.123", 0.123), ("1.234", 1.234), ("12345,678", 12345.678),
        ("1,2345", 1.2345), ("1e3", 1000.0), ("1,5E-3", 0.0015), ("1.234,5", 1234.5), ("1,234.5", 1234.5),
        ("1.234.567", 1234567.0), ("1,234,567", 1234567.0), ("1.234.567,8", 1234567.8), ("1'234.5", 1234.5),
        ("1\u00a0234,5", 1234.5), ("1\u202f234", 1234.0), ("12 %", 12.0), ("12%", 12.0), ("12 percent", 12.0),
        ("<5", (5.0, "below")), ("< 5 %", (5.0, "below")), ("≤5,5", (5.5, "below")), ("<=5", (5.0, "below")),
        (">95", (95.0, "above")), ("≥ 95,5 %", (95.5, "above")), (Percent(0.551), 55.1), (Percent(0.07), 7.0),
    ],
)  # fmt: skip
def test_numbers_that_mean_one_thing(cell: Any, value: Any) -> None:
    assert read(cell) == value


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("1,234", "may mean 1.234 or 1234"), ("-12,345", "may mean"), ("<1,234", "may mean"), ("abc", "not a number"),
        ("5 GPa", "not a number in %"), ("5*", "not a number"), ("5 (twice)", "not a number"), ("55 1", "not a number"),
        ("5 ± 0.3", "not a number"), ("~5", "not a number"), ("5.1.2", "not a number"), ("5,1,2", "not a number"),
        ("1,23,456", "not a number"), ("5.", "not a number"), ("=1+1", "not a number"), ("10²", "not a number"), ("½", "not a number"),
        ("inf", "not a number"), ("1e999", "not a finite"), (float("inf"), "not a finite"), (True, "not a number"),
        ("n.d.", "not detected"), ("ND", "not detected"), (datetime(2026, 1, 5), "made a date"), (date(2026, 1, 5), "2026-01-05"),
        (time(5, 1), "made a date or a time"), (Odd("the result of a formula was not saved"), "formula"), ("٣", "not a number"),
    ],
)  # fmt: skip
def test_what_is_no_number_or_two(cell: Any, said: str) -> None:
    with pytest.raises(Unreadable, match=said):
        read(cell)


def test_a_column_shows_what_its_marks_mean() -> None:
    assert read("1,234", column=("55,1",)) == 1.234
    assert read("1.234", column=("55.1",)) == 1.234
    for cell, column in (
        ("1.234", ("55,1",)),
        ("1,234", ("55.1",)),
        ("1,234", ("1,5", "1.5")),
        ("1.234", ("1,5", "1.5")),
    ):
        with pytest.raises(Unreadable, match="may mean"):
            read(cell, column=column)
    assert read("1,234", decimal=",") == 1.234
    assert read("1,234", decimal=".") == 1234.0
    assert read("1.234", decimal=",") == 1234.0
    for cell, decimal in (("55,1", "."), ("55.1", ","), ("1.234,5", ".")):
        with pytest.raises(Unreadable):
            read(cell, decimal=decimal)  # type: ignore[arg-type]


def test_percentages_of_a_spreadsheet() -> None:
    assert read(Percent(0.5), unit="") == 0.5
    with pytest.raises(Unreadable, match="shows a percentage"):
        read(Percent(0.5), unit="GPa")
    with pytest.raises(Unreadable):
        read("50 %", unit="")


def test_empty_cells() -> None:
    assert all(is_empty(cell) for cell in (None, "", "  ", "-", "–", "n/a", "NA", "n.a.", "NaN", float("nan"), "TBD"))
    assert not any(is_empty(cell) for cell in (0, "0", "n.d.", "<5", False))


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([".", ","]))
def test_every_number_is_read_as_it_was_written(value: float, mark: Decimal) -> None:
    assert read(value) == value
    assert read(shown(value)) == value
    text = repr(value).replace(".", mark)
    assert read(text, decimal=mark) == value
    if mark == "," and ambiguous(text):
        with pytest.raises(Unreadable, match="may mean"):
            read(text)
    else:
        assert read(text) == value


def ambiguous(text: str) -> bool:
    whole, _, rest = text.lstrip("-").split("e")[0].partition(",")
    return len(rest) == 3 and len(whole) <= 3 and not whole.startswith("0")


@given(st.text(max_size=12))
def test_any_text_is_a_number_or_a_reason(text: str) -> None:
    found: Any = ()
    with suppress(Unreadable):
        found = number(text, "%", marks([text], "auto"), "auto")
    if found:
        assert isinstance(found[0], float)
        assert found[1] in (None, "below", "above")


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (datetime(2026, 1, 31, 14, 30), "2026-01-31T14:30:00"), (date(2026, 1, 31), "2026-01-31"),
        ("2026-01-31", "2026-01-31T00:00:00"), ("2026-01-31 14:30", "2026-01-31T14:30:00"),
        ("31.1.2026", "2026-01-31"), ("31.01.2026 9:05", "2026-01-31T09:05:00"),
    ],
)  # fmt: skip
def test_times(cell: Any, text: str) -> None:
    assert moment(cell).startswith(text)


@pytest.mark.parametrize("cell", ["1/2/2026", "yesterday", 46023, "32.1.2026", time(3, 4), "31.1.26"])
def test_what_is_no_time_or_two(cell: Any) -> None:
    with pytest.raises(Unreadable, match="not a time"):
        moment(cell)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("%", "percent"), ("%", " % "), ("°C", "degC"), ("°C", "Celsius"), ("h", "hours"), ("Å", "\u212b"), ("Å", "angstrom"),
        ("eV/atom", "eV / atom"), ("eV/atom", "eV per atom"), ("eV/atom", "eV·atom⁻¹"), ("eV/atom", "eV atom^-1"),
        ("µm", "μm"), ("cm2", "cm²"), ("mg/mL", "mg·mL-1"), ("", "-"), ("K", "kelvin"),
    ],
)  # fmt: skip
def test_spellings_of_one_unit(one: str, other: str) -> None:
    assert same_unit(one, other)
    assert same_unit(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [("GPa", "MPa"), ("mPa", "MPa"), ("%", ""), ("%", "wt%"), ("eV", "meV"), ("K", "°C"), ("s", "h"), ("S", "s"), ("", "GPa"),
     ("eV/atom", "eV"), ("m-1", "m"), ("g/L", "L/g"), ("cm", "cm2")],
)  # fmt: skip
def test_other_units(one: str, other: str) -> None:
    assert not same_unit(one, other)
