"""Limits of a batch, counted by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discover.limits import Limits

SOLVENT = np.array([0, 0, 0, 1, 1, 2])
PLATE = np.array([0, 0, 1, 1, 1, 1])
ROWS = np.arange(6)


def test_nothing_binds_by_itself():
    assert not Limits().binding
    assert Limits().allowed(ROWS).all()
    assert Limits().walk(ROWS, 3) == [0, 1, 2]
    assert not Limits(costs=np.ones(6)).binding


def test_a_value_may_occur_so_often():
    limits = Limits({"solvent": 2}, codes={"solvent": SOLVENT})
    assert limits.allowed(ROWS, [0]).all()
    assert limits.allowed(ROWS, [0, 2]).tolist() == [False, False, False, True, True, True]
    assert limits.walk(ROWS, 6) == [0, 1, 3, 4, 5]
    assert limits.joined([0]).walk(ROWS[1:], 6) == [0, 2, 3, 4]


def test_all_may_have_to_agree():
    limits = Limits(same=("plate",), codes={"plate": PLATE})
    assert limits.allowed(ROWS).all()
    assert limits.allowed(ROWS, [2]).tolist() == [False, False, True, True, True, True]
    assert limits.groups(ROWS, 3).tolist() == [-1, -1, 1, 1, 1, 1]
    assert limits.groups(ROWS, 2).tolist() == [0, 0, 1, 1, 1, 1]
    both = Limits({"solvent": 1}, ("plate",), {"plate": PLATE, "solvent": SOLVENT})
    assert both.groups(ROWS, 4).tolist() == [-1, -1, 1, 1, 1, 1]
    assert both.walk(ROWS[2:], 4) == [0, 1, 3]


def test_funds_are_not_overdrawn_and_rounding_does_not_bind():
    limits = Limits(costs=np.full(12, 0.1), funds=1.0)
    assert len(limits.walk(np.arange(12), 12)) == 10
    dear = Limits(costs=np.array([5.0, 1.0, 1.0]), funds=2.5)
    assert dear.walk(np.arange(3), 3) == [1, 2]
    assert "2.5 left" in dear.words


@st.composite
def cases(draw):
    n = draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 9999)))
    codes = {name: rng.integers(draw(st.integers(1, 8)), size=n) for name in ("a", "b", "c")}
    at_most = draw(st.dictionaries(st.sampled_from(["a", "b"]), st.integers(1, 3)))
    same = draw(st.sampled_from([(), ("c",), ("a", "c")]))
    funds = draw(st.sampled_from([np.inf, 0.0, 5.0]))
    return Limits(at_most, same, codes, rng.uniform(0.5, 3.0, n), funds), rng.permutation(n)


@settings(max_examples=200, deadline=None)
@given(case=cases(), n=st.integers(1, 20))
def test_whoever_walks_keeps_them_and_leaves_nothing_that_may_join(case, n):
    limits, rows = case
    places = limits.walk(rows, n)
    chosen = rows[places]
    assert len(set(places)) == len(places) <= n
    for column, most in limits.at_most.items():
        assert np.bincount(limits.codes[column][chosen], minlength=1).max() <= most
    for column in limits.same:
        assert len(set(limits.codes[column][chosen])) <= 1
    assert limits.costs[chosen].sum() <= limits.funds + 1e-6
    if len(places) < n and limits.binding:
        others = np.setdiff1d(rows, chosen)
        assert not limits.allowed(others, chosen.tolist()).any()


@settings(max_examples=100, deadline=None)
@given(case=cases(), n=st.integers(1, 8), k=st.integers(1, 30))
def test_a_short_list_is_in_order_and_no_longer_than_asked(case, n, k):
    limits, rows = case
    places = limits.spread(rows, k, n)
    assert len(places) == min(k, len(rows))
    assert (np.diff(places) > 0).all()


def test_a_short_list_holds_enough_of_every_value():
    """A thousand of one solvent lead; a batch of five needs five solvents."""
    codes = np.concatenate([np.zeros(1000, dtype=int), np.arange(1, 6).repeat(10)])
    limits = Limits({"solvent": 1}, codes={"solvent": codes})
    rows = np.arange(len(codes))
    short = rows[limits.spread(rows, 100, 5)]
    assert len(limits.walk(short, 5)) == 5


@pytest.mark.parametrize("codes", [[3, 3, 1, 3, 1, 0], [], [7]])
def test_occurrences_are_counted_in_order(codes):
    from discover.limits import _occurrence

    expected = [codes[:i].count(code) for i, code in enumerate(codes)]
    assert _occurrence(np.array(codes, dtype=np.int64)).tolist() == expected
