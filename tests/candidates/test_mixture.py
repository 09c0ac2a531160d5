"""Mixtures and orders: drawn evenly, no component or item hidden."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import chisquare, ks_2samp

from discover import Continuous, Mixture, Ordering, SearchSpace
from discover.errors import InvalidInput


def ends(parameter):
    return np.zeros(len(parameter.slots), dtype=np.int64), np.array([slot.top for slot in parameter.slots])


@pytest.mark.parametrize("options", [{}, {"at_most": 2}, {"bounds": {"a": (0.2, 0.6)}}, {"at_most": 3, "least": 0.2}])
def test_every_settable_mixture_is_equally_likely(options):
    mixture = Mixture("m", ["a", "b", "c", "d"], step=0.1, **options)
    wanted = []
    for parts in itertools.product(range(11), repeat=4):
        used = sum(part > 0 for part in parts)
        if (
            sum(parts) != 10
            or used > options.get("at_most", 4)
            or any(0 < part < 10 * options.get("least", 0) for part in parts)
        ):
            continue
        if "bounds" in options and not 2 <= parts[0] <= 6:
            continue
        wanted.append(parts)
    assert mixture.count == len(wanted) == len(mixture.listing())
    drawn = mixture.draw(*ends(mixture), 20 * len(wanted), np.random.default_rng(0))
    found, counts = np.unique(drawn, axis=0, return_counts=True)
    assert set(map(tuple, found.tolist())) == set(wanted)
    assert chisquare(counts).pvalue > 1e-4
    encoding = mixture.encodings[0]
    np.testing.assert_allclose(encoding.centre, np.mean(wanted, axis=0) / 10)
    np.testing.assert_allclose(encoding.spread, np.std(wanted, axis=0) / 10)


def test_a_fine_mixture_is_exchangeable_in_its_components():
    mixture = Mixture("m", list("abcde"), at_most=4)
    drawn = mixture.draw(*ends(mixture), 3000, np.random.default_rng(1)) / mixture.parts
    for i, j in itertools.combinations(range(5), 2):
        assert ks_2samp(drawn[:, i], drawn[:, j]).pvalue > 1e-4
    np.testing.assert_allclose(drawn.sum(axis=1), 1.0, rtol=1e-12)
    assert np.ptp(mixture.encodings[0].centre) < 1e-12


def test_moves_of_a_mixture_reach_every_other_one():
    mixture, generator = Mixture("m", ["a", "b", "c"], step=0.25, at_most=2), np.random.default_rng(0)
    low, high = ends(mixture)
    seen, todo = set(), [tuple(mixture.listing()[0].tolist())]
    while todo:
        here = todo.pop()
        if here in seen:
            continue
        seen.add(here)
        moves = mixture.moves(np.array(here), low, high, generator)
        assert mixture.valid(moves).all()
        todo += map(tuple, moves.tolist())
    assert len(seen) == mixture.count


def test_orders_are_equally_likely_and_keep_bounds_on_places():
    order, generator = Ordering("o", list("ABCD")), np.random.default_rng(0)
    low, high = ends(order)
    _, counts = np.unique(order.draw(low, high, 2400, generator), axis=0, return_counts=True)
    assert len(counts) == order.count == 24
    assert chisquare(counts).pvalue > 1e-4
    low[1], high[0] = 2, 1
    within = order.draw(low, high, 50, generator)
    assert len(within) == 50
    assert ((within >= low) & (within <= high) & (np.sort(within, axis=1) == np.arange(4))).all()
    high[[0, 2, 3]] = 0
    assert not len(order.draw(low, high, 5, generator))


def test_kernels_of_orders_see_what_they_are_said_to_see():
    cities = Ordering("o", list("ABCDE"), encoding="neighbours")
    tour, turned, back = np.array([[0, 1, 2, 3, 4.0]]), np.array([[1, 2, 3, 4, 0.0]]), np.array([[4, 3, 2, 1, 0.0]])
    assert (cities.encode(tour + 1) == cities.encode(turned + 1)).all()
    assert (cities.encode(tour + 1) == cities.encode(back + 1)).all()
    assert cities.encode(tour + 1).sum() == 5
    first = Ordering("o", list("ABCDE"))
    apart = np.abs(first.encode(tour + 1) - first.encode(back + 1)).sum()
    assert apart == 10  # Kendall's distance between an order and its reverse


def test_an_equality_between_components_leaves_a_fine_mixture_its_points():
    space = SearchSpace([Mixture("m", ["a", "b", "c"])], constraints=["m.a == 2 * m.b"])
    wanted = {(2 * b, b, 1000 - 3 * b) for b in range(334)}
    region, generator = space.region(), np.random.default_rng(0)
    drawn = region.draw(60, generator)
    assert len(drawn) == 60
    assert set(map(tuple, drawn.tolist())) <= wanted
    reached, left = {tuple(drawn[0].tolist())}, [drawn[0]]
    while left:
        for row in region.neighbours(left.pop(), generator):
            if tuple(row.tolist()) not in reached:
                reached.add(tuple(row.tolist()))
                left.append(row)
    assert reached == wanted


def test_a_mixture_that_cannot_keep_its_equalities_is_refused_by_proof():
    fine = Mixture("m", list("abcd"), step=0.005)
    with pytest.raises(InvalidInput, match="a search that leaves nothing out"):
        SearchSpace([fine], constraints=["m.b == 0.7", "m.c + m.d == 0.5"])
    found = SearchSpace([fine], constraints=["m.b == 0.7", "m.c + m.d == 0.1"]).region()
    assert len(found.draw(100, np.random.default_rng(0))) == 21


@pytest.mark.parametrize(
    "options",
    [
        {"step": 0.05, "at_most": 2},
        {"step": 0.1, "bounds": {"a": (0.1, 0.5), "b": (0, 0.3)}},
        {"step": 0.05, "least": 0.2},
        {"step": 0.1, "bounds": {"c": (0.2, 0.9)}, "at_most": 3, "least": 0.15},
        {"step": 1},
    ],
)
def test_a_listing_is_every_mixture_once(options):
    mixture = Mixture("m", list("abcd"), **options)
    every = np.array(
        [row for row in itertools.product(range(mixture.parts + 1), repeat=4) if sum(row) == mixture.parts]
    )
    listed = list(map(tuple, mixture.listing().tolist()))
    assert sorted(listed) == sorted(map(tuple, every[mixture.valid(every)].tolist()))
    assert len(listed) == mixture.count


def test_a_mixture_is_not_gone_through_where_the_space_is_large_anyway(monkeypatch):
    def never(self):
        raise AssertionError("176,851 mixtures for nothing")

    monkeypatch.setattr(Mixture, "listing", never)
    space = SearchSpace([Mixture("m", list("abcd"), step=0.01), *(Continuous(x, 0, 1, step=0.01) for x in "xyz")])
    assert space.region().listing is None
    assert len(space.region().draw(5, np.random.default_rng(0))) == 5
