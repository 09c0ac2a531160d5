"""Spaces: every point is settable and keeps every constraint in decimal arithmetic, however it was come upon."""

from __future__ import annotations

import itertools
import json
import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discover import Binary, Categorical, Continuous, Integer, Mixture, Ordering, SearchSpace, Substance
from discover.candidates.space.declaring import space_of
from discover.errors import InvalidInput
from tests.candidates.spaces import arylation, every_kind, exactly, spaces

QUICK = settings(max_examples=25, deadline=None)


def kept(space: SearchSpace, values: dict) -> bool:
    """The constraints of `spaces` and `every_kind` by Python itself, on exact decimals."""
    exact = {k: exactly(v) if isinstance(v, float) else v for k, v in values.items()}
    names = {}
    for name, value in exact.items():
        whole, _, part = name.partition(".")
        names[f"{whole}_{part}" if part else whole] = value
    if "order" in names:
        place = {item: k for k, item in enumerate(str(names["order"]).split(" > "))}
        names |= {f"order_{item}": k for item, k in place.items()}
    for text in space.texts:
        if text.startswith("at most 1 of"):
            if (names["x"] != 0) + (names["y"] != 0) > 1:
                return False
            continue
        plain = text.replace("m.u", "m_u").replace("order.A", "order_A").replace("order.B", "order_B")
        plain = plain.replace("x - y == 0.25", "abs(x - y - 0.25) <= 0.000000001")
        plain = re.sub(r"\d+\.\d+", lambda number: f"Fraction('{number[0]}')", plain)
        plain += " else True" if " if " in plain else ""
        if not eval(plain, {"Fraction": Fraction}, names):  # noqa: S307 - the reference, on texts of our own
            return False
    return True


@QUICK
@given(spaces(), st.integers(0, 2**20))
def test_points_are_settable_and_keep_every_constraint(space, seed):
    generator = np.random.default_rng(seed)
    region = space.region()
    codes = region.draw(20, generator)
    assert len(codes)
    near = region.neighbours(codes[0], generator)
    for row in np.concatenate([codes, near[:30]]):
        values = space.values(row)
        assert kept(space, values), (space.texts, values)
        assert space.read(values) == values
        assert (space.codes_of(values) == row).all()
        assert sum(exactly(values[c]) for c in ("m.u", "m.v", "m.w")) == 1
        if "extra" in values:
            assert (values["extra"] is not None) == (values["flag"] or values["k"] >= 3)


@QUICK
@given(spaces(), st.integers(0, 2**20))
def test_ids_are_hashes_of_values_and_survive_json(space, seed):
    points = space.candidates(space.region().draw(10, np.random.default_rng(seed)))
    assert len({point.id for point in points}) == len(points)
    for point in points:
        again = json.loads(json.dumps(point.values))
        assert space.candidate(space.read(again)) == point
        assert (
            space.candidate(space.read({k: str(v) if isinstance(v, float) else v for k, v in again.items()})) == point
        )


def test_every_kind_of_parameter_at_once():
    space, generator = every_kind(), np.random.default_rng(1)
    codes = space.region().draw(40, generator)
    assert len(codes) == 40
    for row in np.concatenate([codes, space.region().neighbours(codes[0], generator)]):
        values = space.values(row)
        assert exactly(values["a"]) + exactly(values["b"]) == 1
        assert exactly(values["width"]) >= 2 * exactly(values["a"])
        assert values["order"].index("A") < values["order"].index("B")
        assert values["n"] != 5
        assert not values["air"] or values["load"] >= 1
        assert (values["equivalents"] is None) == (values["acid"] == "none")
        assert exactly(values["solvent.w"]) <= Fraction("0.6")
    assert space_of(json.loads(json.dumps(space.to_dict(), sort_keys=True))) == space


def test_a_listing_is_all_that_brute_force_finds():
    space = SearchSpace(
        [
            Integer("i", 0, 3),
            Categorical("c", ["p", "q"]),
            Mixture("m", ["u", "v"], step=0.25),
            Binary("f", when="i > 1"),
        ],
        constraints=["m.u <= 0.5 if c == 'q'", "i != 2 if f"],
    )
    found = {json.dumps(space.values(row), sort_keys=True) for row in space.region().listing}
    wanted = set()
    for i, c, u, f in itertools.product(range(4), "pq", (0.0, 0.25, 0.5, 0.75, 1.0), (True, False, None)):
        if (f is None) == (i > 1) or (c == "q" and u > 0.5) or (f and i == 2):
            continue
        wanted.add(json.dumps({"i": i, "c": c, "m.u": u, "m.v": 1 - u, "f": f}, sort_keys=True))
    assert found == wanted


def test_what_can_never_be_kept_is_refused_at_once():
    x, y = Continuous("x", 0, 1, step=0.1), Continuous("y", 0, 1, step=0.1)
    for text in (["x + y == 2.5"], ["x + y == 0.05"], ["x < y", "y < x"], ["x == 0.55"]):
        with pytest.raises(InvalidInput, match="no setting keeps all constraints"):
            SearchSpace([x, y], constraints=text)
    fine = [Continuous("x", 0, 1, step=0.001), Continuous("y", 0, 1, step=0.001), Continuous("z", 0, 1, step=0.001)]
    with pytest.raises(InvalidInput, match="a search that leaves nothing out"):
        SearchSpace(fine, constraints=["x + y + z == 1.0005"])
    needle = SearchSpace(fine, constraints=["x + y + z == 1.5", "x == y", "z == x"])
    values = needle.values(needle.region().draw(1, np.random.default_rng(0))[0])
    assert values == {"x": 0.5, "y": 0.5, "z": 0.5}


def test_parameters_without_a_step_hold_an_equality_to_a_billionth():
    space = SearchSpace([Continuous("x", 0, 1), Continuous("y", 0, 3)], constraints=["x + 1.2345678 * y == 1.7654321"])
    for row in space.region().draw(30, np.random.default_rng(0)):
        values = space.values(row)
        miss = exactly(values["x"]) + Fraction("1.2345678") * exactly(values["y"]) - Fraction("1.7654321")
        assert abs(miss) <= Fraction(5, 10**9)


def test_fixed_values_hold_in_every_point():
    space = arylation()
    region = space.region({"base": "KOH", "solvent": {"water": 0.4}})
    codes = region.draw(50, np.random.default_rng(0))
    near = region.neighbours(codes[0], np.random.default_rng(1))
    for row in np.concatenate([codes, near]):
        values = space.values(row)
        assert (values["base"], values["solvent.water"], values["ligand"]) == ("KOH", 0.4, "PPh3")
    for fixed, told in (
        ({"bsae": "KOH"}, "did you mean 'base'"),
        ({"base": "NaOH"}, "is not one of the choices"),
        ({"temperature": 20.5}, "cannot be set so"),
        ({"base": "KOH", "ligand": "PCy3"}, "no point of the space has these values"),
    ):
        with pytest.raises(InvalidInput, match=told):
            space.region(fixed)
    with pytest.raises(InvalidInput, match="has a value only under a condition"):
        every_kind().region({"equivalents": 1.0})
    with pytest.raises(InvalidInput, match="has no value beside the others that are fixed"):
        every_kind().region({"acid": "none", "equivalents": 1.0})


def test_everything_that_is_wrong_is_said_at_once():
    with pytest.raises(InvalidInput) as error:
        SearchSpace(
            [Integer("i", 0, 3), Categorical("c", ["p"])], constraints=["j < 3", "c < 'p'", "i * i < 2", "i = 1"]
        )
    assert len(error.value.problems) == 4
    for build in (
        lambda: Continuous("t", 5, 5),
        lambda: Continuous("t", -1, 5, scale="log"),
        lambda: Integer("t", 0.5, 3),
        lambda: Categorical("c", ["a", "a"]),
        lambda: Mixture("m", ["a", "b"], step=0.3),
        lambda: Mixture("m", ["a", "b", "c"], bounds={"a": (0.8, 1), "b": (0.5, 1)}),
        lambda: Ordering("o", ["a"]),
        lambda: SearchSpace([Integer("i", 0, 3), Integer("i", 0, 3)]),
        lambda: SearchSpace([Binary("f", when="g"), Binary("g", when="f")]),
        lambda: SearchSpace([]),
    ):
        with pytest.raises(InvalidInput):
            build()


def test_substances_are_molecules_where_rdkit_is_there():
    pytest.importorskip("rdkit")
    with pytest.raises(InvalidInput, match="cannot read"):
        Substance("s", {"a": "C1CC"})
    with pytest.raises(InvalidInput, match="the same substance as 'alcohol'"):
        Substance("s", {"ethanol": "CCO", "alcohol": "OCC"})
    assert Substance("s", {"ethanol": "CCO", "water": "O"}).read({"s": "OCC"}) == {"s": "ethanol"}


def test_features_are_finite_and_on_the_scale_of_the_space():
    space = every_kind()
    codes = space.region().draw(300, np.random.default_rng(0))
    X = space.encode(space.numbers(codes))
    encoding = space.encoding
    assert np.isfinite(X).all()
    assert X.shape[1] == len(encoding.names) == encoding.blocks[-1].stop
    assert (np.abs((X - encoding.centre) / encoding.spread).max(axis=0) < 6).all()
    assert "equivalents?" in encoding.names
    idle = np.isnan(space.numbers(codes)[:, [s.name for s in space.slots].index("equivalents")])
    assert (X[idle, encoding.names.index("equivalents")] == encoding.centre[encoding.names.index("equivalents")]).all()
