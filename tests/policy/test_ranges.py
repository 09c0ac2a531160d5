"""Options that are absurdly large are refused in words before the memory is gone."""

from __future__ import annotations

import numpy as np
import pytest

from discover import Continuous, SearchSpace
from discover.errors import InvalidInput
from discover.policy import in_space
from discover.policy.bandit.contextual import Contextual
from discover.policy.bayesian import Bayesian
from discover.policy.random import Random
from discover.policy.ranges import CHUNK, DRAWS, NUMBERS, TOGETHER
from tests.policy.policy_views import features_of, view_of
from tests.policy.test_in_space import measured

HUGE = 10**9


def told(make) -> list[tuple[str | None, str]]:
    with pytest.raises(InvalidInput) as caught:
        make()
    return [(problem.column, problem.message) for problem in caught.value.problems]


def test_every_option_that_is_too_large_is_named():
    assert told(lambda: Bayesian(shortlist=HUGE, draws=HUGE, chunk=HUGE)) == [
        ("shortlist", "must be at most 10,000"),
        ("draws", "must be at most 65,536"),
        ("chunk", "must be at most 65,536"),
    ]
    arms = {"arms": ("a",), "scope": ("b",)}
    assert told(lambda: Contextual(**arms, draws=HUGE, cells=HUGE)) == [
        ("draws", "must be at most 65,536"),
        ("cells", "must be at most 10,000"),
    ]


def test_options_that_are_large_only_together_are_refused_with_what_would_do():
    for make in (
        lambda draws: Bayesian(shortlist=TOGETHER, draws=draws),
        lambda draws: Contextual(arms=("a",), scope=("b",), cells=TOGETHER, draws=draws),
    ):
        make(NUMBERS // TOGETHER)
        with pytest.raises(InvalidInput, match=f"at most {NUMBERS // TOGETHER:,}, or fewer candidates"):
            make(NUMBERS // TOGETHER + 1)
    Bayesian(draws=DRAWS, chunk=CHUNK)


def test_what_costs_nothing_may_be_as_large_as_one_likes():
    view = view_of(features_of(60), range(0, 60, 3))
    for options in ({"start": HUGE}, {"acquisition": "top", "top": HUGE},
                    {"acquisition": "hits-ahead", "threshold": 110.0, "horizon": HUGE},
                    {"acquisition": "integrated-variance", "reference": HUGE}):  # fmt: skip
        assert len(Bayesian(**options).propose(view, 2, np.random.default_rng(0))) == 2


def test_a_batch_may_be_all_that_is_left_but_no_joint_belief_about_more_than_can_be_held():
    small = view_of(features_of(30), range(12))
    assert len(Bayesian(start=5).propose(small, HUGE, np.random.default_rng(0))) == 18
    large = view_of(features_of(2 * TOGETHER + 100), range(0, 100, 5))
    assert told(lambda: Bayesian(start=5).propose(large, HUGE, np.random.default_rng(0))) == [
        ("n", "at most 5,000 are chosen together")
    ]
    many = Bayesian(start=5, draws=8192)
    [(column, message)] = told(lambda: many.propose(large, 5_000, np.random.default_rng(0)))
    assert (column, message) == ("draws", "so many joint draws of 10,000 candidates would not fit into memory")


def test_no_more_points_of_a_space_are_sought_than_can_be_looked_at():
    view = measured(SearchSpace([Continuous("x", 0, 1)]), 12)
    for policy in (Random(), Bayesian(start=5), Bayesian(start=50)):
        with pytest.raises(InvalidInput, match="at most 10,000 points are sought at once"):
            in_space.propose(policy, view, HUGE, np.random.default_rng(0))
    with pytest.raises(InvalidInput, match="at most 10,000 points"):
        in_space.explore(view, HUGE, 0.5, HUGE // 2, np.random.default_rng(0))
