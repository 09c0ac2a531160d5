"""The largest batch under rules, against every batch that there is."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discover import filling
from discover.filling import Each, Kinds, Rule, Sum, largest


def keeps(rules: list[Rule], batch: np.ndarray) -> bool:
    """Whether a batch keeps the rules, counted."""
    for rule in rules:
        if isinstance(rule, Sum):
            kept = rule.adds[batch].sum() <= rule.limit + 1e-9
        elif isinstance(rule, Each):
            kept = (np.bincount(rule.codes[batch], minlength=len(rule.most)) <= rule.most).all()
        else:
            kept = len(set(rule.codes[batch].tolist()) - {-1}) <= rule.most
        if not kept:
            return False
    return True


@st.composite
def cases(draw: st.DrawFn) -> tuple[int, list[Rule], np.ndarray]:
    m = draw(st.integers(1, 9))
    generator = np.random.default_rng(draw(st.integers(0, 100_000)))
    rules: list[Rule] = []
    for kind in draw(st.lists(st.sampled_from("sek"), min_size=1, max_size=4)):
        codes = generator.integers(3, size=m)
        if kind == "s":
            rules.append(Sum(generator.integers(5, size=m) / 4.0, float(generator.integers(1, 12)) / 4.0))
        elif kind == "e":
            rules.append(Each(codes, generator.integers(3, size=3).astype(float)))
        else:
            rules.append(Kinds(codes - draw(st.integers(0, 1)), int(generator.integers(1, 3))))
    return draw(st.integers(1, 6)), rules, generator.random(m)


def best(n: int, rules: list[Rule], preference: np.ndarray) -> tuple[int, float]:
    """Size and preference of the best batch of all."""
    places = range(len(preference))
    fine = [np.array(b, dtype=int) for k in range(n + 1) for b in combinations(places, k) if keeps(rules, np.array(b, dtype=int))]  # fmt: skip
    return max((len(b), float(preference[b].sum())) for b in fine)


@settings(max_examples=200, deadline=None)
@given(case=cases())
def test_it_is_the_largest_and_of_these_the_most_preferred(case: tuple[int, list[Rule], np.ndarray]) -> None:
    n, rules, preference = case
    found = largest(n, rules, preference)
    assert keeps(rules, found)
    size, worth = best(n, rules, preference)
    assert len(found) == size
    assert preference[found].sum() >= worth - filling.CLOSE - 1e-6


@settings(max_examples=50, deadline=None)
@given(case=cases())
def test_of_many_only_those_compete_that_count(case: tuple[int, list[Rule], np.ndarray]) -> None:
    """With one sum at most: of several no order is the one that counts."""
    n, rules, preference = case
    sums = [rule for rule in rules if isinstance(rule, Sum)]
    if len(sums) > 1:
        rules = [rule for rule in rules if not isinstance(rule, Sum)] + sums[:1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(filling, "MANY", 0)
        found = largest(n, rules, preference)
    assert keeps(rules, found)
    assert len(found) == best(n, rules, preference)[0]


def test_a_large_case_is_quick_and_the_same_again() -> None:
    generator = np.random.default_rng(0)
    m, n = 50_000, 24
    rules: list[Rule] = [Each(generator.integers(40, size=m), np.full(40, 2.0)) for _ in range(2)]
    rules.append(Sum(generator.uniform(0.5, 3.0, m), 15.0))
    preference = generator.random(m)
    found = largest(n, rules, preference)
    assert len(found) == n
    assert keeps(rules, found)
    assert np.array_equal(found, largest(n, rules, preference))
