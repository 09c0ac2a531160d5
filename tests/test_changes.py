"""Change-overs: what it costs to go from one experiment to the next, and an order in which little is changed."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover.changes import Changes
from discover.limits import ROUNDING, Limits


def changes_of(codes, fixed, numbers=None, per_unit=None, standing=None):
    codes = np.array(codes)
    numbers = np.full(codes.shape, np.nan) if numbers is None else np.array(numbers, dtype=float)
    per_unit = np.zeros(codes.shape[1]) if per_unit is None else np.array(per_unit, dtype=float)
    return Changes(np.array(fixed, dtype=float), per_unit, codes, numbers, standing)


@st.composite
def cases(draw):
    rng = np.random.default_rng(draw(st.integers(0, 9999)))
    total, columns = draw(st.integers(2, 9)), draw(st.integers(1, 3))
    codes = rng.integers(3, size=(total, columns))
    numbers = np.where(rng.random(codes.shape) < 0.1, np.nan, 10.0 * codes)
    per_unit = rng.choice([0.0, 0.5], size=columns)
    standing = (codes[0], numbers[0]) if draw(st.booleans()) else None
    taken = rng.permutation(total)[: draw(st.integers(0, min(6, total)))].tolist()
    return changes_of(codes, rng.choice([0.0, 1.0, 7.0], size=columns), numbers, per_unit, standing), taken


def priced(changes, rows):
    """The price of an order, worked out from the definition."""
    where, price = changes.standing, 0.0
    for row in rows:
        here = (changes.codes[row], changes.numbers[row])
        if where is not None:
            price += float(changes.fixed[where[0] != here[0]].sum())
            price += sum(
                k * abs(a - b) for k, a, b in zip(changes.per_unit, where[1], here[1], strict=True) if a == a and b == b
            )
        where = here
    return price


@given(cases())
def test_steps_are_an_order_of_the_batch_that_costs_what_they_say(case):
    changes, taken = case
    steps = changes.steps(taken)
    order = [row for row, _ in steps]
    assert sorted(order) == sorted(taken)
    assert sum(cost for _, cost in steps) == pytest.approx(priced(changes, order))
    assert changes.total(taken) == pytest.approx(priced(changes, order))
    assert changes.along(taken) == pytest.approx(
        [priced(changes, taken[: k + 1]) - priced(changes, taken[:k]) for k in range(len(taken))]
    )


@given(cases())
def test_what_a_row_adds_is_the_least_that_any_place_costs(case):
    changes, taken = case
    order = [row for row, _ in changes.steps(taken)]
    others = np.setdiff1d(np.arange(len(changes.codes)), taken)
    added = changes.added(others, taken)
    assert (added >= 0).all()
    for row, cost in zip(others.tolist(), added.tolist(), strict=True):
        least = min(priced(changes, [*order[:k], row, *order[k:]]) for k in range(len(order) + 1))
        # By way of a row without a number the next may be reached for less: that row is free, and gives nothing back.
        assert priced(changes, order) + cost == pytest.approx(max(least, priced(changes, order)))
        assert changes.total([*taken, row]) == pytest.approx(least)


@given(cases(), st.floats(0.0, 40.0))
def test_what_may_still_be_paid_for_is_what_adds_no_more_than_is_left(case, funds):
    changes, taken = case
    limits = Limits(costs=np.ones(len(changes.codes)), funds=funds, changes=changes)
    others = np.setdiff1d(np.arange(len(changes.codes)), taken)
    last = [*(row for row, _ in changes.steps(taken))]
    assert changes.appended(others, taken) == pytest.approx(
        [priced(changes, [*last, row]) - priced(changes, last) for row in others.tolist()]
    )
    left = funds * (1.0 + ROUNDING) - limits.cost(taken)
    expected = 1.0 + changes.added(others, taken) <= left
    assert limits.allowed(others, taken).tolist() == expected.tolist()


@given(cases())
def test_of_one_column_with_one_price_the_order_is_the_cheapest(case):
    changes, taken = case
    standing = None if changes.standing is None else (changes.standing[0][:1], changes.standing[1][:1])
    one = changes_of(changes.codes[:, :1], [3.0], standing=standing)
    cheapest = min((priced(one, order) for order in permutations(taken)), default=0.0)
    assert one.total(taken) == pytest.approx(cheapest)


def test_what_shares_a_value_of_the_batch_or_of_what_is_set_up_costs_nothing():
    codes = [[0], [0], [1], [1], [2]]
    changes = changes_of(codes, [5.0], standing=(np.array([0]), np.array([np.nan])))
    assert changes.added(np.arange(5)).tolist() == [0, 0, 5, 5, 5]
    assert changes.added(np.arange(5), [2]).tolist() == [0, 0, 0, 0, 5]
    assert [row for row, _ in changes.steps([4, 2, 0, 3])] == [0, 4, 2, 3]


def test_before_the_first_experiment_nothing_is_changed():
    changes = changes_of([[0], [1]], [5.0])
    assert changes.added(np.arange(2)).tolist() == [0, 0]
    assert changes.added(np.arange(2), [0]).tolist() == [0, 5]


def test_prices_share_a_change_and_count_what_is_set_up_for_the_batch():
    changes = changes_of([[0], [0], [1], [1]], [6.0], standing=(np.array([0]), np.array([np.nan])))
    limits = Limits(costs=np.array([1.0, 2.0, 1.0, 2.0]), changes=changes)
    assert limits.prices().tolist() == [1, 2, 7, 8]
    assert limits.prices(np.array([3]), [2]).tolist() == [2]
    assert Limits(costs=limits.costs, changes=changes, sharing=3).prices().tolist() == [1, 2, 3, 4]
    assert limits.joined([2]).prices(np.array([1, 3])).tolist() == [2, 2]
    assert limits.cost([3, 0, 2]) == 10
    assert Limits().prices() is None
    assert Limits().cost([]) == 0


def test_funds_pay_for_changes_too():
    changes = changes_of([[0], [0], [1], [1], [2]], [6.0], standing=(np.array([0]), np.array([np.nan])))
    limits = Limits(costs=np.ones(5), funds=9.0, changes=changes)
    assert limits.walk(np.array([4, 3, 2, 1, 0]), 5) == [0, 3, 4]
    assert limits.walk(np.array([3, 4, 2, 1, 0]), 5) == [0, 2, 3]
    assert limits.allowed(np.arange(5), [3, 2, 1]).tolist() == [False] * 5
