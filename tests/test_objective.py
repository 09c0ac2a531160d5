"""Objectives: two spellings, one meaning; every mistake named."""

import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover import Objective, Target
from discover.errors import InvalidInput
from discover.objective import Constraint, units_of

names = st.text("abc_", min_size=1, max_size=5)
finite = st.floats(-1e6, 1e6)
targets = st.one_of(
    st.builds(Target, names, st.sampled_from(["maximize", "minimize"]), unit=st.sampled_from(["", "GPa"])),
    st.builds(lambda n, v: Target(n, "match", value=v), names, finite),
    st.builds(lambda n, v, w: Target(n, "match", band=(v, v + w)), names, finite, st.floats(1e-3, 10)),
)


@given(st.lists(targets, min_size=1, max_size=4, unique_by=lambda t: t.name))
def test_round_trips(chosen):
    objective = Objective(chosen, constraints=[f"{chosen[0].name} <= 3.5"])
    assert Objective.from_dict(objective.to_dict()) == objective
    assert pickle.loads(pickle.dumps(objective)) == objective  # noqa: S301


def test_the_short_form_is_a_list_of_one():
    assert Objective("yield", "minimize", unit="%") == Objective([Target("yield", "minimize", unit="%")])
    assert repr(Objective("yield", unit="%")) == "Objective(maximize yield [%])"


@pytest.mark.parametrize(
    ("target", "utilities"),
    [
        (Target("y"), [1.0, 2.0, 5.0]),
        (Target("y", "minimize"), [-1.0, -2.0, -5.0]),
        (Target("y", "match", value=2.5), [-1.5, -0.5, -2.5]),
        (Target("y", "match", band=(1.5, 3.0)), [-0.5, 0.0, -2.0]),
    ],
)
def test_utility(target, utilities):
    assert target.utility(np.array([1.0, 2.0, 5.0])).tolist() == utilities


@pytest.mark.parametrize(
    ("text", "low", "high", "inside", "outside"),
    [
        ("y <= 0.05", -np.inf, 0.05, 0.05, 0.051),
        ("y > 1e-3", 1e-3, np.inf, 0.002, 0.001),
        (" band gap  in [1.1, 1.6]", 1.1, 1.6, 1.6, 1.61),
    ],
)
def test_constraints_from_text(text, low, high, inside, outside):
    constraint = Constraint.parse(text)
    assert (constraint.low, constraint.high) == (low, high)
    assert constraint.holds(inside)
    assert not constraint.holds(outside)
    assert not constraint.holds(float("nan"))


NOTHING = ["y <= nan", "y <= inf", "y > -inf", "y >= inf", "y in [-inf, 3]", "y in [0, Infinity]"]


@pytest.mark.parametrize("text", ["", "y", "y == 3", "y <= x", "y in [3, 1]", "y in [1]", "<= 3", " <= 3", *NOTHING])
def test_what_is_no_constraint(text):
    with pytest.raises(InvalidInput):
        Objective("y", constraints=[text])


def test_constraints_are_texts():
    with pytest.raises(InvalidInput, match="write constraints="):
        Objective("y", constraints=5)


def test_what_is_constrained_need_not_be_a_target():
    limits = ["e_above_hull <= 0.05", "gap in [1, 2]", "y > 3"]
    objective = Objective("y", constraints=limits, outcomes={"e_above_hull": "eV/atom"})
    assert objective.names == ("y", "e_above_hull", "gap")
    assert [target.name for target in objective.targets] == ["y"]
    assert objective.units == {"y": "", "e_above_hull": "eV/atom", "gap": ""}
    assert units_of(objective.to_dict()) == objective.units
    assert Objective.from_dict(objective.to_dict()) == objective
    assert pickle.loads(pickle.dumps(objective)) == objective  # noqa: S301
    assert objective.feasible({"y": 4.0, "e_above_hull": 0.01, "gap": 1.5})
    assert not objective.feasible({"y": 4.0, "e_above_hull": 0.06, "gap": 1.5})
    assert not objective.feasible({"y": 4.0, "gap": 1.5})


def test_an_objective_whose_constraints_are_on_targets_is_stored_as_before():
    assert "outcomes" not in Objective("y", constraints=["y <= 3"]).to_dict()


def test_outcomes_that_make_no_sense_are_refused():
    with pytest.raises(InvalidInput, match="no constraint is about this outcome"):
        Objective("y", outcomes={"gap": "eV"})
    with pytest.raises(InvalidInput, match="is a target already"):
        Objective("y", constraints=["y < 3"], outcomes={"y": "eV"})
    with pytest.raises(InvalidInput, match="must be text"):
        Objective("y", constraints=["gap < 3"], outcomes={"gap": 3})
    with pytest.raises(InvalidInput, match="not outcomes with units"):
        Objective("y", constraints=["gap < 3"], outcomes=3)
    assert Objective("yield", constraints=["yeild <= 3"], outcomes=["yeild"]).names == ("yield", "yeild")


def test_all_that_is_wrong_is_said():
    with pytest.raises(InvalidInput, match="did you mean 'maximize'"):
        Objective("y", "maximise")
    with pytest.raises(InvalidInput, match="exactly one of value and band"):
        Objective("y", "match")
    with pytest.raises(InvalidInput, match="belong to direction 'match'"):
        Objective("y", value=3.0)
    with pytest.raises(InvalidInput, match="low end below its high end"):
        Objective("y", "match", band=(2, 1))
    for band in ((0.2, np.inf), 5, ("a", "b"), (1,)):
        with pytest.raises(InvalidInput, match="two finite numbers"):
            Objective("y", "match", band=band)
    with pytest.raises(InvalidInput, match="finite number"):
        Objective("y", "match", value="x")
    for targets in (None, ["a", "b"], 5):
        with pytest.raises(InvalidInput, match="not targets"):
            Objective(targets)
    with pytest.raises(InvalidInput, match="named twice"):
        Objective([Target("y"), Target("y")])
    with pytest.raises(InvalidInput, match="did you mean 'yield'"):
        Objective("yield", constraints=["yeild <= 3"])
    with pytest.raises(InvalidInput, match="at least one target"):
        Objective([])
    with pytest.raises(AttributeError, match="immutable"):
        Objective("y").targets = ()


def test_limits_of_one_outcome_are_one_interval() -> None:
    goal = Objective("y", constraints=["gap >= 1.1", "gap < 1.6", "hull <= 0.05", "gap in [0, 1.5]"])
    assert goal.limits == {"gap": (1.1, 1.5), "hull": (-math.inf, 0.05)}
    assert not goal.contradictions


@pytest.mark.parametrize("texts", [["h <= 0", "h >= 1"], ["h < 1", "h >= 1"], ["h in [0, 1]", "h in [2, 3]"]])
def test_limits_that_no_value_keeps_are_told(texts: list[str]) -> None:
    (problem,) = Objective("y", constraints=[*texts, "other <= 3"]).contradictions
    assert str(problem) == (
        f"column 'constraints', value '{'; '.join(texts)}': no value of 'h' keeps all of its constraints (drop one, or widen it)"
    )


def test_a_single_value_may_be_asked_for() -> None:
    assert not Objective("y", constraints=["h <= 1", "h >= 1"]).contradictions
