"""The contextual bandit keeps every policy's promises, and its belief about arms is that of its model."""

from __future__ import annotations

import json

import numpy as np
import pytest

from discover.errors import InvalidInput
from discover.policy.bandit.contextual import Contextual
from discover.policy.bandit.model import ArmModel
from discover.surrogate.belief import belief
from tests.policy.arm_views import table_of, view_of
from tests.policy.policy_views import rows_of

COLUMNS = {"arms": ("ligand",), "scope": ("substrate",)}
SINGLE = Contextual(**COLUMNS, model="single", start=4, draws=200)


@pytest.mark.parametrize("goal", ["mean", "fraction-above", "minimum"])
@pytest.mark.parametrize("observed", [[], [3], [0, 5, 9, 14, 20]])
@pytest.mark.parametrize("n", [1, 6, 30])
def test_it_keeps_every_policys_promises(goal: str, observed: list[int], n: int) -> None:
    policy = Contextual(
        **COLUMNS, objective=goal, threshold=40.0 if goal == "fraction-above" else None, model="single", start=3, draws=64  # type: ignore[arg-type]
    )  # fmt: skip
    view = view_of(table_of(), observed, pending=[1, 2])
    batch = policy.propose(view, n, np.random.default_rng(1))
    rows = rows_of(batch)
    assert len(rows) == len(set(rows)) == min(n, int((~view.blocked).sum()))
    assert not view.blocked[rows].any()
    assert bool(batch.shortage) == (len(rows) < n)
    assert [p.rank for p in batch] == list(range(1, len(rows) + 1))
    assert all(p.probability is not None and 0 < p.probability <= 1 for p in batch)
    for p in batch:
        json.dumps(dict(p.details), allow_nan=False)
    json.dumps(dict(batch.learned), allow_nan=False)
    assert batch == policy.propose(view, n, np.random.default_rng(1))


def test_arms_are_worth_the_mean_of_their_cells_as_the_model_has_it() -> None:
    """Means and deviations of the arms' means from the joint posterior, by hand."""
    view = view_of(table_of(), range(0, 24, 3))
    model = ArmModel.of(Contextual(**COLUMNS, model="single", draws=20000), view, np.random.default_rng(0))
    posterior = belief(view, judge=False).posteriors["yield"]
    held = belief(view, judge=False)
    mean, cov = (part.numpy() for part in posterior.joint(held.scaled(view.features.values)))
    M = np.kron(np.eye(4), np.full((1, 6), 1 / 6))
    wanted, spread = M @ mean, np.sqrt(np.diag(M @ cov @ M.T))
    np.testing.assert_allclose(model.worth.mean(axis=0), wanted, atol=5 * spread.max() / np.sqrt(20000))
    np.testing.assert_allclose(model.worth.std(axis=0), spread, rtol=0.03)


def test_the_candidate_tried_is_the_one_after_which_the_arms_mean_is_least_uncertain() -> None:
    view = view_of(table_of(), range(0, 24, 3))
    (choice,) = SINGLE.propose(view, 1, np.random.default_rng(0))
    model = ArmModel.of(SINGLE, view, np.random.default_rng(0))
    arm = int(choice.details["arm"][1:])
    cells = np.arange(24) // 6 == arm
    left = {
        row: model.conditioned(model.cov, row)[np.ix_(cells, cells)].mean()
        for row in np.flatnonzero(cells)
        if not view.blocked[row]
    }
    assert rows_of([choice])[0] == min(left, key=lambda row: left[row])


def test_chances_are_how_often_it_chooses() -> None:
    view = view_of(table_of(3, 4), [0, 2, 5, 7, 9])
    counts, said = np.zeros(3), np.zeros(3)
    for seed in range(60):
        (choice,) = SINGLE.propose(view, 1, np.random.default_rng(seed))
        arm = int(choice.details["arm"][1:])
        counts[arm] += 1
        said[arm] = choice.details["arm_probability"]
    assert np.abs(counts / 60 - said)[said > 0.05].max() < 0.2


def test_a_large_scope_is_drawn_in_part_and_this_is_said() -> None:
    view = view_of(table_of(4, 20), range(0, 80, 9))
    policy = Contextual(**COLUMNS, model="single", start=2, draws=32, cells=24)
    batch = policy.propose(view, 5, np.random.default_rng(0))
    assert batch.learned["drawn_on"] == {"cells": 24, "of": 80, "draws": 32}
    assert len(batch) == 5


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(InvalidInput) as told:
        Contextual(objective="minimum", threshold=3.0, start=0, draws=1, model="none")  # type: ignore[arg-type]
    assert {p.column for p in told.value.problems} == {"arms", "threshold", "start", "draws", "model"}
