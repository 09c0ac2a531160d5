"""The bandit keeps every policy's promises, says what it knows, and its probabilities are true."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discover.errors import InvalidInput, Unsupported
from discover.limits import Limits
from discover.objective import Objective, Target
from discover.policy.bandit.arms import Arms, Reward
from discover.policy.bandit.bandit import RULES, Bandit
from discover.policy.bandit.standing import Standing
from tests.policy.arm_views import table_of, view_of
from tests.policy.policy_views import rows_of

COLUMNS = {"arms": ("ligand",), "scope": ("substrate",)}


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_it_keeps_every_policys_promises(rule: str, data: st.DataObject) -> None:
    arms, scope = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 4))
    lots = data.draw(st.lists(st.sampled_from("fopi"), min_size=arms * scope, max_size=arms * scope))
    where = {lot: [i for i, one in enumerate(lots) if one == lot] for lot in "fopi"}
    goal = data.draw(st.sampled_from(["mean", "fraction-above", "minimum"]))
    policy = Bandit(
        **COLUMNS, rule=rule, objective=goal, threshold=40.0 if goal == "fraction-above" else None,  # type: ignore[arg-type]
        prior=data.draw(st.sampled_from(["beta", "gaussian"])),
    )  # fmt: skip
    view = view_of(table_of(arms, scope), where["o"], pending=where["p"], infeasible=where["i"])
    n, seed = data.draw(st.integers(1, 12)), data.draw(st.integers(0, 9))
    batch = policy.propose(view, n, np.random.default_rng(seed))
    rows = rows_of(batch)
    assert len(rows) == len(set(rows)) <= min(n, len(where["f"]))
    assert len(rows) == min(n, len(where["f"])) or rule == "successive-elimination"
    assert not view.blocked[rows].any()
    assert bool(batch.shortage) == (len(rows) < n)
    for p in batch:
        assert p.probability is not None
        assert 0.0 < p.probability <= p.details["arm_probability"] <= 1.0
        assert p.probability * p.details["candidates_of_arm"] == pytest.approx(p.details["arm_probability"])
        json.dumps(dict(p.details), allow_nan=False)
    json.dumps(dict(batch.learned), allow_nan=False)
    assert batch == policy.propose(view, n, np.random.default_rng(seed))


@pytest.mark.parametrize("rule", ["thompson", "epsilon-greedy", "exp3", "successive-elimination"])
def test_candidates_are_chosen_as_often_as_is_said(rule: str) -> None:
    view = view_of(table_of(3, 4), [0, 5, 10])
    policy = Bandit(**COLUMNS, rule=rule, epsilon=0.3)  # type: ignore[arg-type]
    counts, said = np.zeros(12), np.zeros(12)
    for seed in range(400):
        (choice,) = policy.propose(view, 1, np.random.default_rng(seed))
        counts[rows_of([choice])] += 1
        said[rows_of([choice])] = choice.probability
    tried = counts > 15
    assert tried.any()
    assert np.abs(counts / 400 - said)[tried].max() < 0.07


def test_it_finds_the_general_condition_where_random_cannot_say() -> None:
    table = table_of(8, 30, seed=3)
    best = f"L{table.mean(axis=1).argmax():02d}"
    for rule in ("bayes-ucb", "thompson"):
        policy, seen = Bandit(**COLUMNS, rule=rule), list[int]()  # type: ignore[arg-type]
        for turn in range(20):
            seen += rows_of(policy.propose(view_of(table, seen), 4, np.random.default_rng(turn)))
        standing = policy.standing(view_of(table, seen))
        assert standing.arms.names[standing.leading] == best
        assert standing.tried[standing.order[:4]].sum() > 0.7 * 80


def test_elimination_ends_with_one_arm_and_says_so() -> None:
    table = np.repeat([[90.0], [10.0], [15.0]], 40, axis=1)
    policy, seen = Bandit(**COLUMNS, rule="successive-elimination"), list[int]()
    for turn in range(40):
        batch = policy.propose(view_of(table, seen), 6, np.random.default_rng(turn))
        seen += rows_of(batch)
        if not len(batch):
            break
    assert len(seen) < 120
    assert "one arm is left" in batch.learned["verdict"]
    assert "L00" in batch.shortage


def test_a_pending_trial_counts_and_replicates_count_once() -> None:
    view = view_of(table_of(3, 4), pending=[0])
    (choice,) = Bandit(**COLUMNS, rule="ucb1").propose(view, 1, np.random.default_rng(0))
    assert choice.details["arm"] != "L00"
    batch = Bandit(**COLUMNS, rule="ucb1").propose(view_of(table_of(3, 4)), 3, np.random.default_rng(0))
    assert {p.details["arm"] for p in batch} == {"L00", "L01", "L02"}


def test_what_gives_nothing_is_worth_nothing_and_this_is_said() -> None:
    table = table_of(2, 5)
    policy = Bandit(**COLUMNS, rule="ucb1")
    batch = policy.propose(view_of(table, [5], infeasible=[6, 7]), 1, np.random.default_rng(0))
    assert batch.learned["infeasible"] == 2
    told = {row["arm"]: row["tried"] for row in batch.learned["arms"]}
    assert told == {"L00": 0, "L01": 3}


def test_batches_keep_their_limits() -> None:
    codes = {"substrate": np.arange(24, dtype=np.int64) % 6}
    view = view_of(table_of(4, 6), limits=Limits(at_most={"substrate": 1}, codes=codes))
    batch = Bandit(**COLUMNS, rule="thompson").propose(view, 10, np.random.default_rng(0))
    assert len({p.details["scope"] for p in batch}) == len(batch) == 6
    assert "at most 1" in batch.shortage


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_directions_and_predictions_are_in_the_targets_unit(direction: str) -> None:
    objective = Objective("yield", direction, unit="%")  # type: ignore[arg-type]
    table = table_of(3, 8)
    policy = Bandit(**COLUMNS, rule="epsilon-greedy", epsilon=0.0)
    (choice,) = policy.propose(view_of(table, range(0, 24, 2), objective=objective), 1, np.random.default_rng(0))
    means = table[:, ::2].mean(axis=1)
    wanted = means.argmax() if direction == "maximize" else means.argmin()
    assert choice.details["arm"] == f"L{wanted:02d}"
    assert choice.predicted["yield"].mean == pytest.approx(means[wanted], abs=6.0)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(InvalidInput) as told:
        Bandit(scope=("a",), rule="ucb3", objective="fraction-above", epsilon=2.0, confidence=1.0)  # type: ignore[arg-type]
    assert {p.column for p in told.value.problems} == {"arms", "rule", "threshold", "epsilon", "confidence"}
    with pytest.raises(InvalidInput):
        Bandit(arms=("a",), scope=("a",))
    with pytest.raises(Unsupported):
        Bandit(arms=("a",)).check(Objective([Target("yield"), Target("cost", "minimize")]))


@pytest.mark.parametrize("span", [(1.0, 1.0), (2.0, 1.0), (-1e308, 1e308)])
def test_a_range_without_a_finite_way_between_its_ends_is_refused(span: tuple[float, float]) -> None:
    with pytest.raises(InvalidInput, match="the smaller first"):
        Bandit(arms=("ligand",), range=span)


def test_arms_that_are_ruled_out_stand_last_and_before_them_those_that_were_not_tried() -> None:
    arms = Arms(("a", "b", "c", "d"), ("",), np.arange(4), np.zeros(4, dtype=np.int64))
    tried, worth, nothing = np.array([3.0, 0.0, 2.0, 1.0]), np.array([0.4, 0.9, 0.8, 0.5]), np.zeros(4)
    out = np.array([False, False, True, False])
    standing = Standing(arms, Reward(0.0, 1.0, None, ""), "mean", Target("y"), tried, worth, nothing, nothing, out)
    assert standing.order == [3, 0, 1, 2]
    assert [row["arm"] for row in standing.rows()] == ["d", "a", "b", "c"]
