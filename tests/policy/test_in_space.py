"""Policies over a search space: every proposal of every policy can be set, keeps every constraint, and is found quickly."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discover import Binary, Categorical, Continuous, Objective, Ordering, SearchSpace
from discover.candidates.space.ground import Ground
from discover.candidates.space.points import Points
from discover.policy import in_space
from discover.policy.bayesian import Bayesian
from discover.policy.bayesian.believing import belief_of
from discover.policy.bayesian.search_scores import acquired
from discover.policy.random import Random
from discover.policy.space_filling import SpaceFilling
from discover.protocols import View
from discover.values import Training
from tests.candidates.spaces import arylation, every_kind, spaces

POLICIES = (Random(), SpaceFilling(), SpaceFilling("medoids"), Bayesian(start=5))
NAMES = ("random", "farthest", "medoids", "bayesian")


def view_of(space, codes, values, fixed=None, objective=None):
    """A view in which some points have been measured."""
    points = Points(space, space.candidates(codes))
    rows = points.rows([candidate.id for candidate in space.candidates(codes)])
    order = np.argsort(rows)
    training = Training(
        rows[order], np.asarray(values, float)[order], np.full(len(rows), np.nan), np.zeros(len(rows), int)
    )
    blocked = np.zeros(len(points), dtype=bool)
    blocked[rows] = True
    none = np.array([], dtype=np.int64)
    return View(
        objective or Objective("y"), points.ids, points.features, {"y": training}, blocked, none, none,
        ground=Ground(space.region(fixed), points),
    )  # fmt: skip


def measured(space, n, seed=0, fixed=None):
    codes = space.region().draw(n, np.random.default_rng(seed))
    X = space.encode(space.numbers(codes))
    values = -np.square((X - space.encoding.centre) / np.maximum(space.encoding.spread, 1e-9)).sum(axis=1)
    return view_of(space, codes, values, fixed)


def held(view, batch, n):
    in_space.check(batch.proposals, view, n)
    space = view.ground.region.space
    for proposal in batch:
        values = proposal.candidate.values
        assert space.read(values) == {column: values[column] for column in space.columns}
        assert not space.remarks(values)
    return [proposal.candidate.values for proposal in batch]


@settings(max_examples=3, deadline=None)
@given(spaces(), st.integers(0, 1000))
@pytest.mark.parametrize("policy", POLICIES, ids=NAMES)
def test_every_proposal_obeys_grid_and_constraints(policy, space, seed):
    view = measured(space, 6, seed)
    batch = in_space.propose(policy, view, 5, np.random.default_rng(seed))
    assert len(held(view, batch, 5)) == 5
    again = in_space.propose(policy, view, 5, np.random.default_rng(seed))
    assert [p.candidate_id for p in again] == [p.candidate_id for p in batch]


@pytest.mark.parametrize("policy", POLICIES, ids=NAMES)
def test_rules_of_a_batch_and_fixed_values_hold(policy):
    rules = [
        "one temperature",
        "at most 6 solvent",
        "at most 3 where solvent.ethanol > 0",
        "total solvent.water <= 4.2",
    ]
    space = arylation(batch_constraints=rules)
    view = measured(space, 8, fixed={"base": "K3PO4"})
    batch = held(view, in_space.propose(policy, view, 10, np.random.default_rng(0)), 10)
    assert len(batch) >= 5
    assert {point["base"] for point in batch} == {"K3PO4"}
    assert len({point["temperature"] for point in batch}) == 1
    assert len({(point["solvent.water"], point["solvent.ethanol"]) for point in batch}) <= 6
    assert sum(point["solvent.ethanol"] > 0 for point in batch) <= 3
    assert sum(round(point["solvent.water"] * 100) for point in batch) <= 420


@pytest.mark.parametrize("policy", POLICIES, ids=NAMES)
def test_a_space_of_every_kind_is_searched(policy):
    space = every_kind(batch_constraints=["at most 2 acid", "one order"])
    view = measured(space, 12)
    batch = held(view, in_space.propose(policy, view, 6, np.random.default_rng(1)), 6)
    assert len(batch) == 6
    assert len({point["acid"] for point in batch}) <= 2
    assert len({point["order"] for point in batch}) == 1


def test_chances_are_those_of_all_points():
    space = SearchSpace(
        [Continuous("x", 0, 1, step=0.001), Continuous("y", 0, 1, step=0.001)], constraints=["x <= 0.5"]
    )
    view = view_of(space, space.region().draw(1, np.random.default_rng(0)), [1.0])
    batch = in_space.propose(Random(), view, 4, np.random.default_rng(0))
    for proposal in batch:
        assert proposal.probability == pytest.approx(4 / (501 * 1001), rel=0.05)
    small = SearchSpace([Categorical("c", list("abcdefgh"))])
    view = view_of(small, small.region().draw(2, np.random.default_rng(0)), [1.0, 2.0])
    batch = in_space.propose(Random(), view, 3, np.random.default_rng(0))
    assert {proposal.probability for proposal in batch} == {0.5}


def test_a_space_that_is_used_up_says_so():
    space = SearchSpace(
        [Categorical("c", ["p", "q"]), Categorical("d", ["r", "s"])], constraints=["not (c == 'p' and d == 's')"]
    )
    view = measured(space, 2)
    batch = in_space.propose(Random(), view, 5, np.random.default_rng(0))
    assert len(batch) == 1
    assert batch.shortage


@pytest.mark.parametrize("policy", [Random(), SpaceFilling(), Bayesian(start=4)], ids=lambda p: type(p).__name__)
def test_a_plate_is_filled_where_its_rules_leave_few_points(policy):
    """About one point of 500 has the plate's temperature and two of its eight bases, and needs nothing that is short."""
    space = SearchSpace(
        [
            Continuous("temperature", 20, 120, step=1),
            Categorical("base", list("abcdefgh")),
            Binary("salt"),
            Continuous("dose", 0.5, 3, step=0.1, when="salt"),
            Continuous("x", 0, 1, step=0.01),
        ],
        batch_constraints=["one temperature", "at most 2 base", "total dose <= 2"],
    )
    view = view_of(space, codes := space.region().draw(6, np.random.default_rng(0)), list(range(len(codes))))
    batch = in_space.propose(policy, view, 48, np.random.default_rng(1))
    assert len(batch) == 48
    assert not batch.shortage
    in_space.check(batch.proposals, view, 48)
    values = [p.candidate.values for p in batch]
    assert len({v["temperature"] for v in values}) == 1
    assert sum(v["dose"] or 0.0 for v in values) <= 2 + 1e-9
    again = in_space.propose(policy, view, 48, np.random.default_rng(1))
    assert [p.candidate_id for p in again] == [p.candidate_id for p in batch]


def test_a_stock_that_is_used_up_ends_a_batch_and_says_so():
    space = SearchSpace(
        [Continuous("dose", 0.5, 3, step=0.01), Continuous("x", 0, 1, step=0.001)],
        batch_constraints=["total dose <= 5"],
    )
    view = view_of(space, space.region().draw(3, np.random.default_rng(0)), [1.0, 2.0, 3.0])
    batch = in_space.propose(Random(), view, 24, np.random.default_rng(0))
    assert 1 < len(batch) <= 10
    assert "total dose <= 5" in batch.shortage


def test_the_search_finds_the_best_point_of_a_known_function():
    """Against all points: the best expected improvement of a space that could just be listed."""
    space = SearchSpace(
        [Continuous("x", 0, 10, step=0.1), Continuous("y", 0, 10, step=0.1), Categorical("c", list("abcd"))],
        constraints=["x + y <= 15"],
    )
    assert space.region().listing is None
    codes = space.region().draw(40, np.random.default_rng(0))
    points = [space.values(row) for row in codes]
    truth = lambda v: -((v["x"] - 6.3) ** 2) - (v["y"] - 3.1) ** 2 + 4 * (v["c"] == "c")  # noqa: E731
    view = view_of(space, codes, [truth(v) for v in points])
    batch = in_space.propose(Bayesian(start=5), view, 4, np.random.default_rng(0))
    found = max(truth(v) for v in held(view, batch, 4))
    assert found > 3.5, "the top of the function is at 4, the best of the start far below"
    assert max(truth(v) for v in points) < 3.5


def test_ten_to_the_twelfth_combinations_are_searched_and_none_is_listed():
    """Twelve reagents of ten, each of which adds a share of its own: the search goes beyond what 20,000 draws come upon."""
    worth = np.random.default_rng(5).permuted(np.tile(np.arange(10.0), (12, 1)), axis=1)
    space = SearchSpace([Categorical(f"reagent{k}", list("abcdefghij")) for k in range(12)])
    assert (space.count, space.region().listing) == (10**12, None)
    codes = space.region().draw(40, np.random.default_rng(0))
    truth = lambda v: sum(worth[k]["abcdefghij".index(v[f"reagent{k}"])] for k in range(12))  # noqa: E731
    view = view_of(space, codes, [truth(space.values(row)) for row in codes])
    policy = Bayesian(start=5)
    batch = in_space.propose(policy, view, 4, np.random.default_rng(0))
    score = acquired(policy, view, belief_of(policy, view), np.random.default_rng(0))
    drawn = space.region().draw(20_000, np.random.default_rng(1))
    found = space.codes_of(held(view, batch, 4)[0])
    best, chance = (space.encode(space.numbers(rows)) for rows in (found[None], drawn))
    assert score(best, best[:0])[0] > score(chance, best[:0]).max()
    told = [truth(p.candidate.values) for p in batch]
    by_chance = [truth(space.values(row)) for row in drawn[:2000]]
    assert np.mean(told) > np.mean(by_chance) + np.std(by_chance)


def test_a_travelling_salesman_comes_home_earlier_than_by_chance():
    """Eight cities: 2,520 tours. The policy over an Ordering beats the mean of random tours by far."""
    generator = np.random.default_rng(3)
    cities = generator.random((8, 2))
    names = list("ABCDEFGH")
    space = SearchSpace([Ordering("tour", names, encoding="neighbours")])

    def length(values):
        stops = cities[[names.index(item) for item in values["tour"].split(" > ")]]
        return float(np.linalg.norm(stops - np.roll(stops, 1, axis=0), axis=1).sum())

    shortest = min(
        float(np.linalg.norm(stops - np.roll(stops, 1, axis=0), axis=1).sum())
        for rest in itertools.permutations(range(1, 8))
        if rest[0] < rest[-1]
        for stops in [cities[[0, *rest]]]
    )
    codes = space.region().draw(20, generator)
    lengths = [length(space.values(row)) for row in codes]
    start = min(lengths)
    for k in range(3):
        view = view_of(space, codes, lengths, objective=Objective("y", "minimize"))
        batch = in_space.propose(Bayesian(start=5), view, 5, np.random.default_rng(k))
        fresh = [space.codes_of(p.candidate.values) for p in batch]
        codes = np.concatenate([codes, np.array(fresh)])
        lengths += [length(space.values(row)) for row in fresh]
    assert min(lengths) < start
    assert min(lengths) <= 1.05 * shortest
