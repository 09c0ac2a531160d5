"""The benchmark of the search in spaces holds it against every point of a space, and finds nothing better than the best."""

from __future__ import annotations

import numpy as np
import pytest
import space_search
import space_search_cases
from space_search_cases import Case

from discover import Categorical, Continuous, SearchSpace
from discover.policy.bayesian import Bayesian


@pytest.fixture(scope="module")
def told() -> dict[str, object]:
    case = space_search_cases.cases()["reagents"]
    told = space_search.one_point(Bayesian(), case, 0, ())
    return told | {"batch": space_search.one_batch(Bayesian(), case, 0, 3)}


def test_every_point_is_gone_through() -> None:
    space = SearchSpace(
        [Categorical("acid", ["none", "HCl"]), Continuous("x", 0, 1, step=0.25, when="acid != 'none'"),
         Continuous("y", 0, 1, step=0.5)], constraints=["x + y <= 1"],
    )  # fmt: skip
    found = np.unique(Case("small", space, 4).points(), axis=0)
    listing = space.region().listing
    assert listing is not None
    assert np.array_equal(found, np.unique(listing, axis=0))


def test_each_search_is_counted_and_none_is_better_than_all_points(told: dict[str, object]) -> None:
    for name in space_search.SEARCHES:
        one = told[name]
        assert isinstance(one, dict)
        assert one["short"] >= 0.0
        assert 0 < one["scored"] < 34_560
    assert told["ours"]["short"] < 0.05  # type: ignore[index]


def test_a_batch_promises_as_much_as_one_from_the_list(told: dict[str, object]) -> None:
    batch = told["batch"]
    assert isinstance(batch, dict)
    assert batch["wells"] == 3
    assert 0.9 < batch["share"] < 1.2
    assert space_search.summary([told])["ours"]["best_found"].endswith("of 1")


def test_the_cases_are_as_large_as_they_say() -> None:
    known = space_search_cases.cases()
    assert known["million"].space.count == known["million molecules"].space.count == 10**6
    assert known["million"].observations == 200
    assert all(case.space.region().listing is None for case in known.values())
