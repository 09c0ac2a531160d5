from __future__ import annotations

import inspect
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover.candidates.materials.formula import ELEMENTS, formula_matches, parse_formula
from discover.candidates.sources.query import WORDS, InvalidQuery, check_query, matches, narrows
from discover.errors import InvalidInput, SourceQueryError


@pytest.fixture
def rows() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "material_id": ["mp-149", "mp-2", "mp-3", "mp-4"],
            "formula": ["Si", "MgO", "Ca(HO)2", "Fe2O3"],
            "elements": [["Si"], ["Mg", "O"], ["Ca", "H", "O"], ["Fe", "O"]],
            "nsites": [2, 2, 5, 10],
            "band_gap": [0.6, 4.5, math.nan, 2.0],
            "is_metal": [False, False, True, None],
            "symmetry.number": [227, 225, 164, 167],
            "symmetry.crystal_system": ["Cubic", "Cubic", "Trigonal", "Trigonal"],
            "possible_species": [None, '["Mg2+", "O2-"]', '["Ca2+"]', '["Fe3+", "O2-"]'],
            "has_props.elasticity": [True, False, None, True],
            "solvent": ["DMF", "THF", "DMF", None],
        }
    )


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, "1111"),
        ({"band_gap": [0.6, None]}, "1101"),
        ({"band_gap": [None, 2.0]}, "1001"),
        ({"band_gap": [None, None]}, "1111"),
        ({"num_sites": 2}, "1100"),
        ({"nsites": [3, 10]}, "0011"),
        ({"elements": ["O"]}, "0111"),
        ({"elements": "O", "exclude_elements": ["Fe"]}, "0110"),
        ({"chemsys": ["Si", "O-Mg"]}, "1100"),
        ({"chemsys": "O-*"}, "0101"),
        ({"formula": "Mg2O2"}, "0100"),
        ({"formula": "*2O3"}, "0001"),
        ({"formula": ["Ca(OH)2", "XO"]}, "0110"),
        ({"is_metal": False}, "1100"),
        ({"spacegroup_number": [225, 227]}, "1100"),
        ({"crystal_system": "Trigonal"}, "0011"),
        ({"possible_species": ["O2-"]}, "0101"),
        ({"has_props": ["elasticity"]}, "1001"),
        ({"material_ids": ["mp-aaaaaaft", "mp-4"]}, "1001"),
        ({"solvent": "DMF"}, "1010"),
        ({"solvent": ["DMF", "THF"]}, "1110"),
        ({"band_gap": [0.5, 3], "elements": ["O"]}, "0001"),
    ],
)
def test_each_word_keeps_the_rows_that_satisfy_it(rows: pd.DataFrame, query: dict, expected: str) -> None:
    assert "".join("01"[bool(keep)] for keep in matches(rows, query)) == expected


@pytest.mark.parametrize("column", ['["Mg", "O"]', "Mg-O", "MgO", ["Mg", "O"], np.array(["Mg", "O"])])
def test_elements_may_be_a_list_its_json_a_system_or_a_formula(column: object) -> None:
    frame = pd.DataFrame({"elements": [column]})
    assert matches(frame, {"elements": ["O"]}).all()
    assert not matches(frame, {"exclude_elements": ["O"]}).any()


def test_every_problem_is_reported_at_once_with_the_nearest_word() -> None:
    query = {
        "bandgap": [0, 1],
        "nsites": 3,
        "elements": ["fe", False, "O"],
        "exclude_elements": ["O"],
        "num_sites": [12, 1],
        "crystal_system": "cubic",
        "is_metal": 1,
        "material_ids": ["149"],
        "density": [1],
        "volume": "10",
        "num_elements": 2.5,
        "formula": "fe2",
        "energy_above_hull": [0, math.inf],
    }
    with pytest.raises(InvalidQuery) as caught:
        check_query(query, ())
    hints = {problem.column: problem.way_out for problem in caught.value.problems}
    assert set(hints) == set(query)
    assert hints["bandgap"] == "did you mean 'band_gap'?"
    assert hints["nsites"] == "did you mean 'num_sites'?"
    assert hints["crystal_system"] == "did you mean 'Cubic'?"
    assert {problem.value: problem.way_out for problem in caught.value.problems if problem.column == "elements"} == {
        "fe": "did you mean 'Fe'?",
        False: "a bare NO or No is read as false: put the symbol in quotes",
    }


def test_a_wrong_query_is_both_invalid_input_and_a_query_error() -> None:
    assert issubclass(InvalidQuery, InvalidInput)
    assert issubclass(InvalidQuery, SourceQueryError)


def test_a_frame_without_the_column_is_not_judged_silently(rows: pd.DataFrame) -> None:
    for query in ({"density": [1, 2]}, {"has_props": ["phonon"]}):
        with pytest.raises(InvalidQuery, match="cannot be judged"):
            matches(rows, query)
    with pytest.raises(InvalidQuery, match="did you mean 'solvent'"):
        matches(rows, {"solvant": "DMF"})


def test_unknown_words_wait_until_the_columns_are_known() -> None:
    check_query({"solvent": "DMF"})
    with pytest.raises(InvalidQuery):
        check_query({"solvent": "DMF"}, ())


@pytest.mark.parametrize("value", [None, [], [None, None], ()])
def test_a_condition_that_leaves_nothing_out(value: object) -> None:
    assert not narrows("band_gap", value)


def test_the_words_are_exactly_those_of_the_client() -> None:
    from mp_api.client.routes.materials.summary import SummaryRester

    ours = {
        "self",
        "include_gnome",
        "num_chunks",
        "chunk_size",
        "all_fields",
        "fields",
        "_page",
        "_sort_fields",
        "kwargs",
    }
    assert set(WORDS) == set(inspect.signature(SummaryRester.search).parameters) - ours


numbers = st.floats(-1e6, 1e6) | st.just(math.nan)


@given(st.lists(numbers, min_size=1), st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_ranges_are_closed_and_never_hold_a_missing_value(values: list[float], a: float, b: float) -> None:
    low, high = sorted((a, b))
    keep = matches(pd.DataFrame({"density": values}), {"density": [low, high]})
    assert keep.tolist() == [low <= value <= high for value in values]
    below = matches(pd.DataFrame({"density": values}), {"density": [None, low]})
    assert below.tolist() == [value <= low for value in values]


composition = st.dictionaries(st.sampled_from(sorted(ELEMENTS)), st.integers(1, 20), min_size=1, max_size=6)


@given(composition, st.integers(1, 5), st.randoms())
def test_a_formula_matches_its_multiples_in_any_order(counts: dict[str, int], times: int, random: object) -> None:
    text = "".join(f"{symbol}{count}" for symbol, count in counts.items())
    items = list(counts.items())
    random.shuffle(items)  # type: ignore[attr-defined]
    multiple = "".join(f"{symbol}{count * times}" for symbol, count in items)
    assert dict(parse_formula(text)) == counts
    assert formula_matches(multiple, text)
    wild = "*" + str(counts[items[0][0]]) + "".join(f"{symbol}{count}" for symbol, count in items[1:])
    assert formula_matches(wild, text)
    other = text + next(symbol for symbol in sorted(ELEMENTS) if symbol not in counts)
    assert not formula_matches(other, text)


@pytest.mark.parametrize("text", ["", "fe", "Fe2)", "(Fe", "Fe0", "Fe-O", "2Fe"])
def test_what_is_no_formula(text: str) -> None:
    with pytest.raises(ValueError, match=r"formula|brackets"):
        parse_formula(text)
