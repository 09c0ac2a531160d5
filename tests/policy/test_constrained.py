"""Constraints on outcomes under every acquisition function, several targets, and choices that do not hang on the order of rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discover import CandidatePool
from discover.errors import InvalidInput, Unsupported
from discover.objective import Objective, Target
from discover.policy.bayesian import Bayesian
from tests.policy.policy_views import answers_of, features_of, rows_of, view_of

X = features_of(300, seed=5)
VALUES = {"strength": answers_of(X), "price": 1.0 + X[:, 0]}
START = list(range(0, 300, 15))
GOAL = Objective("strength", unit="GPa", constraints=["price <= 0.7"], outcomes={"price": "EUR"})
TWO = Objective([Target("strength"), Target("price", "minimize")])
KEPT = VALUES["price"] <= 0.7
WEIGHED = (
    "expected-improvement",
    "upper-confidence",
    "probability-of-improvement",
    "max-value-entropy",
    "thompson",
    "knowledge-gradient",
    "top",
    "uncertainty",
    "integrated-variance",
    "straddle",
    "hits",
)


def policy_of(acquisition: str) -> Bayesian:
    threshold = {"straddle": 105.0, "hits": 105.0}.get(acquisition)
    return Bayesian(model="single", acquisition=acquisition, threshold=threshold, draws=64)  # type: ignore[arg-type]


@pytest.mark.parametrize("acquisition", WEIGHED)
def test_batches_keep_to_where_constraints_are_kept(acquisition: str) -> None:
    view = view_of(X, START, objective=GOAL, values=VALUES, pending=[1], excluded=[2])
    first, again = (policy_of(acquisition).propose(view, 8, np.random.default_rng(1)) for _ in range(2))
    rows = rows_of(first)
    assert rows == rows_of(again)
    assert len(set(rows)) == 8
    assert not set(rows) & {*START, 1, 2}
    assert KEPT.mean() < 0.4
    assert KEPT[rows].mean() >= 0.75
    assert all(set(p.predicted) == {"strength", "price"} for p in first)


def test_hits_far_ahead_take_no_constraints() -> None:
    with pytest.raises(Unsupported, match="takes no constraints"):
        Bayesian(acquisition="hits-ahead", threshold=1.0).check(GOAL)


def test_where_nothing_seen_keeps_them_a_batch_looks_for_what_does_and_does_not_crowd() -> None:
    broken = [row for row in range(300) if VALUES["price"][row] > 1.2][:25]
    view = view_of(X, broken, objective=GOAL, values=VALUES)
    batch = Bayesian(draws=64).propose(view, 6, np.random.default_rng(0))
    assert KEPT[rows_of(batch)].mean() >= 0.5
    assert batch.learned["incumbent_utility"] is None
    assert "probability" in batch.learned["batch"]
    assert "nothing measured keeps the constraints yet" in batch.proposals[0].reason


def test_the_best_so_far_of_a_reason_keeps_the_constraints() -> None:
    view = view_of(X, START, objective=GOAL, values=VALUES)
    best = max(VALUES["strength"][row] for row in START if KEPT[row])
    (proposal,) = Bayesian(draws=64).propose(view, 1, np.random.default_rng(0))
    assert f"the best so far ({best:.3g} GPa)" in proposal.reason


@pytest.mark.parametrize("objective", [TWO, GOAL], ids=["several", "constrained"])
@given(seed=st.integers(0, 1000), n=st.integers(1, 6))
@settings(max_examples=5, deadline=None)
def test_the_order_in_which_candidates_are_listed_changes_no_choice(objective: Objective, seed: int, n: int) -> None:
    frame = pd.DataFrame({"id": [f"c{i:05d}" for i in range(60)], "x": X[:60, 0], "y": X[:60, 1], "z": X[:60, 2]})
    known = list(range(0, 60, 5))
    chosen = []
    for listed in (frame, frame.sample(frac=1.0, random_state=seed)):
        pool = CandidatePool.from_frame(listed, id="id")
        places = pool.rows([f"c{i:05d}" for i in range(60)])
        values = {name: told[:60][np.argsort(places)] for name, told in VALUES.items()}
        features = pool.frame()[["x", "y", "z"]].to_numpy(dtype=np.float64)
        view = view_of(features, sorted(places[known].tolist()), objective=objective, values=values)
        view = replace(view, ids=pool.ids)
        batch = Bayesian(draws=16, shortlist=40).propose(view, n, np.random.default_rng(seed))
        chosen.append([p.candidate_id for p in batch])
    assert chosen[0] == chosen[1]
    assert len(set(chosen[0])) == n


@pytest.mark.parametrize("acquisition", ["hypervolume", "parego"])
def test_several_targets_with_pending_ones_and_more_asked_than_there_are(acquisition: str) -> None:
    few = {name: values[:12] for name, values in VALUES.items()}
    view = view_of(X[:12], [0, 2, 4, 6, 8], objective=TWO, values=few, pending=[1, 3])
    policy = Bayesian(start=3, acquisition=acquisition, draws=16)  # type: ignore[arg-type]
    batch = policy.propose(view, 20, np.random.default_rng(0))
    assert sorted(rows_of(batch)) == [5, 7, 9, 10, 11]
    assert batch.shortage


@pytest.mark.parametrize("band", [{"value": 120.0}, {"band": (115.0, 125.0)}])
def test_a_target_to_be_matched_beside_one_to_be_small(band: dict[str, object]) -> None:
    objective = Objective([Target("strength", "match", **band), Target("price", "minimize")])  # type: ignore[arg-type]
    view = view_of(X, START, objective=objective, values=VALUES)
    batch = Bayesian(draws=64, reference_point={"strength": 150.0}).propose(view, 10, np.random.default_rng(0))
    rows = rows_of(batch)
    distance = np.abs(VALUES["strength"] - 120.0)
    assert distance[rows].mean() < distance.mean()
    assert VALUES["price"][rows].mean() < VALUES["price"].mean()
    assert batch.learned["reference_utilities"]["strength"] == pytest.approx(-30.0 if "value" in band else -25.0)


def test_references_and_acquisitions_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InvalidInput, match="finite number"):
        Bayesian(reference_point={"price": float("nan")})
    with pytest.raises(Unsupported, match="did you mean 'price'"):
        Bayesian(reference_point={"prise": 1.0}).check(TWO)
    with pytest.raises(Unsupported, match="of several targets"):
        Bayesian(reference_point={"strength": 1.0}).check(GOAL)
    with pytest.raises(Unsupported, match="of several targets"):
        Bayesian(acquisition="parego", reference_point={"price": 1.0}).check(TWO)
    for acquisition in ("hypervolume", "parego"):
        with pytest.raises(Unsupported, match="for several targets"):
            Bayesian(acquisition=acquisition).check(GOAL)  # type: ignore[arg-type]
    with pytest.raises(Unsupported, match="needs one target"):
        Bayesian(acquisition="thompson").check(TWO)


def test_models_that_are_mixtures_choose_for_several_targets_and_constraints() -> None:
    for objective in (TWO, GOAL):
        view = view_of(X, START, objective=objective, values=VALUES)
        batch = Bayesian(model="evidence", draws=32).propose(view, 4, np.random.default_rng(0))
        assert len(set(rows_of(batch))) == 4
