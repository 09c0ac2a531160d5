"""Declarations and cells that no careful person writes: each is read as it is meant, or refused with the reason."""

from __future__ import annotations

import time

import numpy as np
import pytest

from discover import Binary, Categorical, Continuous, Discrete, Integer, Mixture, Ordering, SearchSpace
from discover.candidates.space.declaring import space_of
from discover.candidates.space.parameters.levels import exact
from discover.candidates.space.parameters.parameter import Unreadable
from discover.errors import InvalidInput

T = Continuous("t", 20, 120, step=1)


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (lambda: Continuous("t", 0, 1e308), "not a number between"),
        (lambda: Continuous("t", 0, 5e-324), "not a number between"),
        (lambda: Integer("t", 0, 10**400), "not a number between"),
        (lambda: Continuous("t", 1, 1 + 2e-16), "too close together"),
        (lambda: Continuous("t", 0, 1, step=1e-17), "more than 15 digits"),
        (lambda: Integer("t", 0, 10**18), "more than 15 digits"),
        (lambda: Continuous("t ", 0, 1), "not a parameter's name"),
        (lambda: Continuous("t", 0, 1, unit=["degC"]), "must be text"),  # type: ignore[arg-type]
        (lambda: Categorical("c", [True, False]), "not a name"),
        (lambda: Categorical("c", ["a\nb", "x"]), "line break"),
        (lambda: Categorical("c", ["\x00", "x"]), "control character"),
        (lambda: Categorical("c", ["\ud800", "x"]), "control character"),
        (lambda: Mixture("m", ["a ", "b"], step=0.5), "not|without blanks"),
        (lambda: Ordering("o", ["a", "b\n c"]), "not an item"),
        (lambda: SearchSpace(None), "not parameters"),  # type: ignore[arg-type]
        (lambda: SearchSpace([T], constraints=["t" + "+t" * 900 + " <= 1e9"]), "more than 200"),
        (lambda: SearchSpace([T], constraints=["not " * 450 + "t <= 30"]), "more than 200"),
        (lambda: SearchSpace([T], constraints=["t <= " + "9" * 1900]), "no number between"),
        (lambda: SearchSpace([T], constraints=["1e90 * 1e90 * t <= 1"]), "too large or too small"),
        (lambda: SearchSpace([T], batch_constraints=["at most " + "9" * 6000 + " t"]), "longer than"),
        (lambda: SearchSpace([T], batch_constraints=["total t <= 1e99999999"]), "can be computed with"),
        (
            lambda: SearchSpace([Integer("n", 5, 9)], batch_constraints=["total n <= 4"]),
            "no candidate keeps it: each adds 5",
        ),
        (
            lambda: SearchSpace([Integer("n", 5, 9)], batch_constraints=["total n where n >= 3 <= 4"]),
            "no candidate keeps it",
        ),
        (
            lambda: SearchSpace([Integer("n", 5, 9)], batch_constraints=["at most 0 where n >= 3"]),
            "no candidate keeps it",
        ),
    ],
)
def test_what_cannot_be_computed_with_is_refused_at_declaration(build, told):
    with pytest.raises(InvalidInput, match=told):
        build()


def test_the_finest_grid_that_floats_tell_apart_is_taken():
    one = SearchSpace([Continuous("t", 0, 1, step=1e-15)]).parameters[0]
    assert one.count == 10**15 + 1
    for code in (1, 123_456_789_012_345, 10**15 - 1):
        assert one.codes_of(one.numbers_of(one.cells([code]))) == [code]


def test_names_that_python_reads_otherwise_stand_in_constraints():
    space = SearchSpace([Continuous("µ", 0, 1, step=0.5)], constraints=["µ <= 0.5"])  # the micro sign; Python reads mu
    assert len(space.region().listing) == 2
    with pytest.raises(InvalidInput, match="put the name into backticks: `lambda`"):
        SearchSpace([Continuous("lambda", 0, 1)], constraints=["lambda <= 0.5"])
    SearchSpace([Continuous("lambda", 0, 1)], constraints=["`lambda` <= 0.5"])


@pytest.mark.parametrize("cell", ["1e99999999", "1e-99999999", "6_0", "٦٠", "9" * 500, "0x10", True, [60], None])
def test_what_is_no_number_is_said_at_once(cell):
    begun = time.process_time()
    with pytest.raises(Unreadable, match="not a number"):
        T.read({"t": cell})
    assert time.process_time() - begun < 1.0


@pytest.mark.parametrize(("cell", "value"), [("60", 60.0), (" 6e1 ", 60.0), (120.00000000000001, 120.0), (60.5, 60.5)])
def test_numbers_are_read_as_they_are_meant(cell, value):
    assert T.read({"t": cell}) == {"t": value}


def test_the_rounding_of_floats_is_no_other_setting():
    mixture = Mixture("m", ["a", "b"], step=0.1)
    assert mixture.read({"m.a": 0.7, "m.b": 1 - 0.7}) == {"m.a": 0.7, "m.b": 0.3}
    assert Discrete("d", [0.3, 0.7]).read({"d": 1 - 0.7}) == {"d": 0.3}
    space = SearchSpace([mixture])
    assert len(space.region({"m.b": 1 - 0.7}).listing) == 1


@pytest.mark.parametrize(
    ("cell", "label"),
    [("1.0", "1.0"), (1, "1"), (1.0, "1.0"), (8.5, "8.50"), ("8.5", "8.50"), ("8,5", "8.50"), ("7.0", "7"), (7, "7"), (True, "true"), ("x", "x")],
)  # fmt: skip
def test_a_label_is_known_by_what_a_spreadsheet_makes_of_it(cell, label):
    assert Categorical("c", ["1.0", "1", "01", "8.50", "7", "true", "x"]).read({"c": cell}) == {"c": label}


@pytest.mark.parametrize("cell", ["1.00", "1,00", "8,500", "TRUE", "X", 8.51, False, "nan", float("inf")])
def test_a_label_that_could_be_several_or_none_is_refused(cell):
    with pytest.raises(Unreadable, match="not one of the choices"):
        Categorical("c", ["1.0", "1", "01", "8.50", "7", "true", "x"]).read({"c": cell})


def test_percentages_for_fractions_are_recognised():
    with pytest.raises(Unreadable) as error:
        Mixture("m", ["a", "b"], step=0.1).read({"m.a": 70, "m.b": 30})
    assert "divide by 100" in error.value.way_out


@pytest.mark.parametrize("cell", [3, 2.5, {"a": 1}, "a", object()])
def test_an_order_that_is_none_is_refused(cell):
    with pytest.raises(Unreadable, match="not an order"):
        Ordering("o", ["a", "b"]).read({"o": cell})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "nan", "", "1,5", None, 10**101, "1e101"])
def test_only_numbers_that_can_be_computed_with_are_exact(value):
    with pytest.raises(ValueError, match="not a"):
        exact(value)


@pytest.mark.parametrize(
    ("text", "points"),
    [("dry == true", 1), ("not (dry == True)", 1), ("true", 2), ("dry != false", 1), ("dry if true", 1), ("dry", 1)],
)
def test_truths_are_written_as_in_python_or_yaml(text, points):
    assert len(SearchSpace([Binary("dry"), Categorical("c", ["a"])], constraints=[text]).region().listing) == points


@pytest.mark.parametrize(
    ("text", "way_out"),
    [("t ≤ 60", "write <=, >= or !="), ("t <= 78,5", "decimal point"), ("t <= 30 => t >= 25", "write it like")],
)
def test_a_constraint_as_it_is_written_on_paper_is_refused_with_the_way_out(text, way_out):
    with pytest.raises(InvalidInput, match=way_out):
        SearchSpace([T], constraints=[text])


BIG = [Integer("n", 1, 90_000), Integer("m", 1, 90_000), Categorical("c", ["p", "q"])]
SMALL = [Integer("n", 1, 9), Integer("m", 1, 9), Categorical("c", ["p", "q"])]
NONE_JOINS = [
    ([], ["total n where c == 'p' <= 0.5", "at most 0 where c == 'q'"], "keeps them together"),
    (["n >= 5"], ["total n <= 4"], "keeps it, not even by itself"),
    (["n + m >= 8"], ["total n where m >= 1 <= 3", "total m where n >= 1 <= 4"], "keeps them together"),
    (["c == 'p'"], ["total n where c == 'p' <= 0.5"], "keeps it, not even by itself"),
]
SOME_JOIN = [
    ([], ["total n where c == 'p' <= 0.5"]),
    ([], ["at most 0 where c == 'p'", "at most 0 where n >= 2"]),
    (["n + m >= 8"], ["total n <= 3", "total m <= 5"]),
    (["m == 3 if c == 'p'", "c == 'p'"], ["total n + m <= 4"]),
]


@pytest.mark.parametrize("parameters", [SMALL, BIG], ids=["listed", "searched"])
@pytest.mark.parametrize(("constraints", "rules", "told"), NONE_JOINS, ids=str)
def test_rules_that_let_no_point_into_a_batch_are_refused_at_declaration(parameters, constraints, rules, told):
    how = "every one was tried" if parameters is SMALL else "a search that leaves nothing out found none"
    with pytest.raises(InvalidInput, match=rf"column 'batch_constraints'.*{told}.*{how}"):
        SearchSpace(parameters, constraints=constraints, batch_constraints=rules)
    old = SearchSpace(parameters, constraints=constraints, batch_constraints=rules, stored=True)
    stored = space_of(old.to_dict(), stored=True)  # a store that holds it is still read
    points = stored.region().draw(50, np.random.default_rng(0))
    assert not stored.rules.fits(points[:0], points, stored.numbers(points[:0]), stored.numbers(points)).any()


@pytest.mark.parametrize("parameters", [SMALL, BIG], ids=["listed", "searched"])
@pytest.mark.parametrize(("constraints", "rules"), SOME_JOIN, ids=str)
def test_rules_that_let_some_point_into_a_batch_are_taken(parameters, constraints, rules):
    assert SearchSpace(parameters, constraints=constraints, batch_constraints=rules).batch_constraints == tuple(rules)


def test_a_total_of_what_a_candidate_may_lack_is_taken():
    loading = Continuous("loading", 1, 5, step=0.5, when="c == 'p'")
    space = SearchSpace([loading, Categorical("c", ["p", "q"])], batch_constraints=["total loading <= 0.5"])
    points = space.region().listing
    fits = space.rules.fits(points[:0], points, space.numbers(points[:0]), space.numbers(points))
    assert [space.values(point)["c"] for point in points[fits]] == ["q"]
    with pytest.raises(InvalidInput, match="no candidate keeps it"):
        SearchSpace(space.parameters, constraints=["c == 'p'"], batch_constraints=["total loading <= 0.5"])
