"""Batches that limits make small are as large as any batch that keeps them: against every batch that there is."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discover import Campaign, CandidatePool, Categorical, Continuous, Discrete, Objective, SearchSpace
from discover.limits import Limits
from discover.policy import in_space
from discover.policy.bandit import Bandit
from discover.policy.bayesian import Bayesian
from discover.policy.filled import filled
from discover.policy.random import Random
from discover.policy.space_filling import SpaceFilling
from tests.policy.arm_views import table_of
from tests.policy.arm_views import view_of as arms_view
from tests.policy.policy_views import features_of, rows_of, view_of
from tests.policy.test_in_space import view_of as space_view

POLICIES = [Random(), SpaceFilling(), SpaceFilling("medoids"), Bayesian(start=4, shortlist=6, draws=16)]
NAMES = ["random", "farthest", "medoids", "bayesian"]


def largest(rows: np.ndarray, limits: Limits, n: int) -> int:
    """The size of the largest batch of all; every part of a batch that keeps the limits keeps them, too."""
    for size in range(n, 0, -1):
        if any(len(limits.walk(np.array(batch), size)) == size for batch in combinations(rows.tolist(), size)):
            return size
    return 0


@st.composite
def situations(draw: st.DrawFn) -> tuple[int, int, Limits, list[int]]:
    rng = np.random.default_rng(draw(st.integers(0, 9999)))
    total = draw(st.integers(5, 11))
    codes = {name: rng.integers(draw(st.integers(1, 4)), size=total) for name in ("ligand", "base", "plate")}
    at_most = {name: draw(st.integers(1, 2)) for name in draw(st.sampled_from([("ligand", "base"), ("ligand",), ()]))}
    same = draw(st.sampled_from([(), ("plate",)])) if at_most else ("plate",)
    funds = draw(st.sampled_from([np.inf, 4.0]))
    costs = rng.uniform(0.5, 3.0, total) if funds < np.inf else None
    return total, draw(st.integers(1, 5)), Limits(at_most, same, codes, costs, funds), list(range(draw(st.integers(0, 2))))  # fmt: skip


@pytest.mark.parametrize("policy", POLICIES, ids=NAMES)
@settings(max_examples=25, deadline=None)
@given(situation=situations())
def test_no_batch_of_a_pool_is_larger(policy: object, situation: tuple[int, int, Limits, list[int]]) -> None:
    total, n, limits, observed = situation
    view = replace(view_of(features_of(total, 2, seed=1), observed, pending=[4]), limits=limits)
    batch = filled(policy.propose, view, n, np.random.default_rng(0))  # type: ignore[attr-defined]
    rows = np.array(rows_of(batch), dtype=np.int64)
    assert limits.walk(rows, len(rows)) == list(range(len(rows)))
    assert not view.blocked[rows].any()
    assert len(rows) == largest(np.flatnonzero(~view.blocked), limits, n)
    assert bool(batch.shortage) == (len(rows) < n)
    again = filled(policy.propose, view, n, np.random.default_rng(0))  # type: ignore[attr-defined]
    assert rows_of(again) == rows.tolist()


RULES = [
    "one t",
    "at most 2 where t > 30",
    "at most 2 ligand",
    "total dose <= 1",
    "total dose where ligand == 'b' <= 0.5",
]


@pytest.mark.parametrize("policy", POLICIES, ids=NAMES)
@settings(max_examples=12, deadline=None)
@given(rules=st.lists(st.sampled_from(RULES), min_size=1, max_size=3, unique=True), n=st.integers(2, 5))
def test_no_batch_of_a_space_is_larger(policy: object, rules: list[str], n: int) -> None:
    space = SearchSpace(
        [Discrete("t", [20, 40]), Categorical("ligand", ["a", "b", "c"]), Discrete("dose", [0.2, 0.5])],
        batch_constraints=rules,
    )
    codes = space.region().draw(4, np.random.default_rng(0))
    view = space_view(space, codes, [float(space.values(row)["dose"]) for row in codes])
    batch = in_space.propose(policy, view, n, np.random.default_rng(0))  # type: ignore[arg-type]
    in_space.check(batch.proposals, view, n)
    whole, rows = in_space.grown(view, space.region().listing)
    assert len(batch) == largest(rows[~whole.blocked[rows]], whole.limits, n)


def test_who_begins_with_what_leaves_too_little_begins_anew() -> None:
    """The first candidate takes the ligand of one and the base of the other of the only two that go together."""
    codes = {"ligand": np.array([0, 0, 1, 2]), "base": np.array([0, 1, 0, 2])}
    view = replace(view_of(features_of(4), [3]), limits=Limits({"ligand": 1, "base": 1}, codes=codes))
    alone = [len(Random().propose(view, 2, np.random.default_rng(seed))) for seed in range(20)]
    assert set(alone) == {1, 2}
    for seed in range(20):
        batch = filled(Random().propose, view, 2, np.random.default_rng(seed))
        assert sorted(rows_of(batch)) == [1, 2]
        assert batch.learned.get("filled") == (None if alone[seed] == 2 else {"one after the other": 1, "together": 2})


def test_what_was_chosen_is_kept_where_it_can_be() -> None:
    """One choice that stands in the way of a further candidate is given up with few others."""
    rng, repaired = np.random.default_rng(5), 0
    codes = {"ligand": rng.integers(6, size=40), "base": rng.integers(6, size=40)}
    view = replace(view_of(features_of(40), []), limits=Limits({"ligand": 1, "base": 1}, codes=codes))
    for seed in range(30):
        before = rows_of(SpaceFilling().propose(view, 6, np.random.default_rng(seed)))
        after = rows_of(filled(SpaceFilling().propose, view, 6, np.random.default_rng(seed)))
        if len(after) == len(before):
            assert before == after
            continue
        repaired += 1
        assert len(set(before) & set(after)) >= len(before) - 2
    assert repaired


def test_funds_alone_are_spent_on_the_best_first() -> None:
    view = replace(view_of(features_of(6), []), limits=Limits(costs=np.array([9.0, 1, 1, 1, 1, 1]), funds=9.5))
    for seed in range(10):
        one, other = (
            propose(view, 5, np.random.default_rng(seed))
            for propose in (Random().propose, lambda *given: filled(Random().propose, *given))
        )
        assert rows_of(one) == rows_of(other)


def test_a_chance_that_is_not_known_is_not_stated() -> None:
    codes = {"ligand": np.repeat(np.arange(4), 6), "substrate": np.tile(np.arange(6), 4)}
    limits = Limits(at_most={"ligand": 1, "substrate": 1}, codes=codes)
    view = arms_view(table_of(4, 6), infeasible=[6, 7, 8, 9, 10, 12, 13, 14, 15, 16, 18, 19, 20, 21, 22], limits=limits)
    policy = Bandit(arms=("ligand",), scope=("substrate",), rule="thompson")
    found = [filled(policy.propose, view, 2, np.random.default_rng(seed)) for seed in range(30)]
    assert {len(batch) for batch in found} == {2}
    assert {p.probability is None for b in found if "filled" in b.learned for p in b} <= {True}
    assert any("filled" in batch.learned for batch in found)


@pytest.mark.parametrize("policy", [Random(), SpaceFilling(), Bayesian(start=4)], ids=lambda p: type(p).__name__)
def test_a_plate_is_filled_from_a_small_stock(policy: object) -> None:
    """Few wells of large doses use it up, and 24 are wanted."""
    space = SearchSpace(
        [Continuous("dose", 0.05, 3, step=0.01), Continuous("x", 0, 1, step=0.001)],
        batch_constraints=["total dose <= 5"],
    )
    codes = space.region().draw(8, np.random.default_rng(0))
    view = space_view(space, codes, [3.0 * space.values(row)["dose"] for row in codes])
    batch = in_space.propose(policy, view, 24, np.random.default_rng(1))  # type: ignore[arg-type]
    assert len(batch) == 24
    in_space.check(batch.proposals, view, 24)
    again = in_space.propose(policy, view, 24, np.random.default_rng(1))  # type: ignore[arg-type]
    assert [p.candidate_id for p in again] == [p.candidate_id for p in batch]


def test_a_campaign_asks_for_full_plates(tmp_path) -> None:
    frame = pd.DataFrame([(a, b) for a in "ABCDEF" for b in "uvwxyz"][::-1], columns=["ligand", "base"])
    frame = frame.drop(index=[0, 1, 2, 6, 7, 12]).assign(run=lambda f: [f"r{k}" for k in range(len(f))])
    pool = CandidatePool.from_frame(frame, id="run", categorical=["ligand", "base"])
    for seed in range(6):
        campaign = Campaign.create(
            f"c{seed}", objective=Objective("y"), candidates=pool, seed=seed, store=f"sqlite:///{tmp_path / 'a.db'}",
            policy={"kind": "random", "at_most": {"ligand": 1, "base": 1}},
        )  # fmt: skip
        plate = campaign.ask(6)
        assert len(plate) == plate["ligand"].nunique() == plate["base"].nunique() == 6
